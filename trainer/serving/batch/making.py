"""Makes all readers' lists from a snapshot and a model, with the functions' own code: ``bookrec`` fills the lists."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice, pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from bookrec import paths
from bookrec.catalogue import Book, Catalogue
from bookrec.entries import Entry
from bookrec.errors import BadInput
from bookrec.further.making import with_more
from bookrec.further.sizes import Sizes, read_sizes
from bookrec.ranking import Candidate, RecommendationList, by_score, top_list
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf, build_shelf
from trainer.serving.batch.scoring import Scorer
from trainer.serving.item_item import ServingModel

Value = TypeVar("Value")

READERS = 5_000
"""Readers per block; those with shelves of one size are scored together."""


class ListMaker:
    """Makes lists with one model and one catalogue.

    Args:
        serving: the model.
        version: the model's name.
        books: the catalogue, columns ``trainer.data.sources.BOOK_COLUMNS``.
        sizes: of the lists that go with each list; None for those in the environment.
    """

    def __init__(self, serving: ServingModel, version: str, books: pd.DataFrame, sizes: Sizes | None = None) -> None:
        self.catalogue, self._sizes = catalogue_of(books), sizes or read_sizes(os.environ)
        self._scorer = Scorer(serving)
        rate = self._scorer.rate
        self._model = Recommender(version, serving.items, self._recommend, lambda **inputs: rate(**inputs))

    def __call__(self, shelves: Sequence[Shelf]) -> list[RecommendationList]:
        """Return the lists for the shelves, in their order, as ``backend.lists`` would make them."""
        inputs = [self._model.inputs(shelf) for shelf in shelves]
        by_size: dict[int, list[int]] = defaultdict(list)
        for place, (isbns, _) in enumerate(inputs):
            by_size[len(isbns)].append(place)
        made: list[RecommendationList | None] = [None] * len(shelves)
        # Each worker multiplies on one thread: one reader's matrices are small.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            answers = pool.map(lambda places: self._score([inputs[place][1] for place in places]), by_size.values())
            for places, answer in zip(by_size.values(), answers, strict=True):
                for row, place in enumerate(places):
                    own = {name: values[row] for name, values in answer.items()}
                    made[place] = self._list(shelves[place], inputs[place][0], own)
        return [one for one in made if one is not None]

    def _score(self, inputs: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
        return self._scorer.recommend(**{name: np.stack([one[name] for one in inputs]) for name in inputs[0]})

    def _list(self, shelf: Shelf, isbns: Sequence[str], answer: dict[str, npt.NDArray[Any]]) -> RecommendationList:
        candidates = by_score(self._in_order(shelf, self._model.answer(isbns, answer)))
        fill = partial(self._model.fill, shelf, self.catalogue.newest)
        made = top_list(shelf, self._model.version, candidates, fill(), self.catalogue)
        return with_more(made, candidates, fill, self._model, self.catalogue, self._sizes)

    def _in_order(self, shelf: Shelf, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return self._model.in_order(shelf, candidates, self.catalogue)

    def _recommend(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        block = {name: values[None] for name, values in inputs.items()}
        return {name: values[0] for name, values in self._scorer.recommend(**block).items()}


def make_lists(maker: ListMaker, ratings: pd.DataFrame) -> Iterator[RecommendationList]:
    """Yield the list of every reader with entries, in the order of the database's keys.

    Args:
        maker: makes the lists.
        ratings: a snapshot's ratings, with at least the columns ``key``, ``userId``, ``isbn`` and ``myRate``.
    """
    for block in in_parts(shelves_in_key_order(ratings), READERS):
        yield from maker(block)


def shelves_in_key_order(ratings: pd.DataFrame) -> Iterator[Shelf]:
    """Yield the readers' shelves, in the order of the database's keys.

    Raises:
        BadInput: as ``require_keys`` does.
    """
    require_keys(ratings)
    users = ratings["userId"].astype("category").cat
    names = [str(name) for name in users.categories]
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=lambda code: paths.key_order(names[code]))] = np.arange(len(names))
    codes = users.codes.to_numpy()
    order = np.argsort(rank[codes], kind="stable")
    bounds = [*np.flatnonzero(np.diff(rank[codes[order]], prepend=-1)).tolist(), len(order)]
    for first in range(0, len(bounds) - 1, READERS):
        ends = bounds[first : first + READERS + 1]
        part = ratings.iloc[order[ends[0] : ends[-1]]]
        rows = list(zip(part["key"], part["isbn"], part["myRate"], strict=True))
        for start, end in pairwise(ends):
            yield shelf_of(names[codes[order[start]]], rows[start - ends[0] : end - ends[0]])


def require_keys(ratings: pd.DataFrame) -> None:
    """Raise ``BadInput`` if entries have no keys: a list has to identify the shelf that it was made from."""
    if "key" not in ratings or (ratings["key"] == "").any():
        raise BadInput("lists need the entries' own keys: use a database, or an export or a backup of one")


def shelf_of(user_id: str, rows: Iterable[tuple[Any, Any, Any]]) -> Shelf:
    """Return one reader's shelf from rows of key, ISBN and stars."""
    return build_shelf(user_id, [Entry(str(key), user_id, str(isbn), float(stars)) for key, isbn, stars in rows])


def catalogue_of(books: pd.DataFrame) -> Catalogue:
    """Return the catalogue from a snapshot's books, as the functions read it, but without images."""
    columns = zip(books["isbn"], books["title"], books["authors"], books["year"], strict=True)
    genres = dict(zip(books["isbn"], books["genre"], strict=True))
    return Catalogue((Book(isbn, title, author, "", int(year or 0)) for isbn, title, author, year in columns), genres)


def in_parts(values: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yield the values in lists of ``size``; the last one may be shorter."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
