"""Fitting: the same data give the same model, and odd data give one at all."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bookrec.shelf import Shelf
from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.data import dataset
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.item_item import ServingModel

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("program", ["tests.trainer.tiny", pytest.param("trainer", marks=pytest.mark.whole)])
def test_the_order_of_a_hash_does_not_reach_the_model(program, tmp_path):
    ratings, books = clusters(readers=24, books=40)
    for name, frame in (("train", ratings), ("test", ratings[:40]), ("books", books)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    words = [sys.executable, "-m", program, "evaluate", *(f"--{n}={tmp_path}/{n}.csv" for n in ("train", "test"))]
    for seed in ("1", "2"):
        subprocess.run(
            [*words, f"--books={tmp_path}/books.csv", f"--out={tmp_path}/{seed}"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'functions'}"},
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=300,
        )
    first, second = (
        [(tmp_path / seed / name).read_bytes() for name in ("top.csv", "ratings.csv", "model/recommend.tflite")]
        for seed in ("1", "2")
    )
    assert first == second


def test_the_same_data_gives_the_same_files():
    ratings, books = clusters(readers=20, books=40)
    config = replace(TINY, epochs=3, folds=2)
    built = dataset.build(dataset.clean(ratings)[0], books)
    first, again = (fit(built, books, config).serving for _ in range(2))
    for one, other in zip(first.tables, again.tables, strict=True):
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(one.matrix, part), getattr(other.matrix, part))
    np.testing.assert_array_equal(first.popularity, again.popularity)


def test_a_catalogue_without_metadata_and_a_single_reader_still_give_a_model():
    ratings, _ = clusters(readers=1, books=20, per_reader=6)
    built = dataset.build(dataset.clean(ratings)[0], None)
    serving = fit(built, None, TINY).serving
    files = tflite.export(serving)
    candidates = tflite.load(files, "v").candidates(Shelf("nobody", ()))
    assert len(candidates) == len(built.isbns)
    assert json.loads(files["items.json"])["isbns"] == list(built.isbns)
    assert isinstance(serving, ServingModel)


def test_readers_with_one_book_each_leave_nothing_to_validate_on_but_give_a_model():
    ratings, books = clusters(readers=30, books=20, per_reader=6)
    built = dataset.build(dataset.clean(ratings.drop_duplicates("userId"))[0], books)
    assert len(built.users) == 30
    candidates = tflite.as_served(fit(built, books, TINY).serving, "v").candidates(Shelf("nobody", ()))
    assert len(candidates) == len(built.isbns)
