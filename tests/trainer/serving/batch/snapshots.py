"""A small database: readers with shelves of every kind, a catalogue with editions, and a model of its books."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bookrec.list_shards import INDEX, read_index, read_shard, shard_name
from bookrec.paths import list_object
from tests.trainer.serving.batch.models import random_model
from trainer.data.sources import read_pages


def small_world(readers=60, books=300, seed=0):
    """Return the nodes of ``/User_Book`` and ``/archive``, and a model that knows most of the books."""
    rng = np.random.default_rng(seed)
    model = random_model(books=books, seed=seed)
    isbns = [f"97800{number:05}" for number in range(books)]
    archive = {
        f"a{number:04}": {
            "isbn": isbn,
            "title": f"Tale {number - number % 2 if number < 40 else number}",  # the first are pairs of editions
            "author": f"Author {number // 2}",
            "publishedYear": str(1900 + number % 100),
        }
        for number, isbn in enumerate(isbns)
        if number % 7  # the catalogue lacks some of the model's books
    }
    entries, number = {}, 0
    for reader in range(readers):
        size = (1, 2, 5, 20, 60)[reader % 5]
        for item in [*rng.choice(books, size, replace=False), *([0] if reader == 3 else [])]:
            key = f"-N{rng.integers(10**6):06}{number:05}"  # keys are not sorted by reader
            stars = float(rng.integers(0, 11)) / 2
            entries[key] = {"userId": user_id(reader), "bookId": key, "isbn": isbns[item], "myRate": stars}
            number += 1
    entries["-Nbad"] = {"userId": user_id(0), "bookId": "x", "isbn": isbns[0], "myRate": 9}
    return entries, archive, replace(model, isbns=tuple(isbns))


def user_id(reader):
    """Return an id: in the database, ids of digits come before others, ordered by value."""
    return str(100 - reader) if reader % 3 == 0 else f"{'Zu'[reader % 2]}ser{reader}"


def snapshot_of(entries, archive):
    def pages(path, size):
        yield {"User_Book": entries, "archive": archive}[path]

    return read_pages(pages, "test")


def as_objects(ratings):
    """Return the same rows with plain Python objects in every column."""
    return pd.DataFrame({name: ratings[name].astype(object).tolist() for name in ratings.columns})


def stored_lists(read, version):
    """Return a version's index, and its lists by reader."""
    index = read_index(read(list_object(version, INDEX)), version)
    lists = {}
    for number, entry in enumerate(index.shards):
        lists |= read_shard(read(list_object(version, shard_name(number))), entry)
    return index, lists
