"""A published model in use: from a shelf to candidates, with any TFLite runtime.

The exported file has these named signatures; ``docs/contract.md`` describes them for the app:

- ``recommend``: ``items`` int32 [n], ``ratings`` float32 [n] → ``indices`` int32 [K], ``scores`` float32 [K],
  ``predicted_ratings`` float32 [K], ``because`` int32 [K, 2]
- ``rate``: ``items`` int32 [n], ``ratings`` float32 [n], ``targets`` int32 [m] → ``predicted_ratings`` float32 [m]
- ``similar``: ``item`` int32 [1] → ``indices`` int32 [S], ``scores`` float32 [S]; files of earlier releases lack it

``items``, ``targets`` and ``item`` are positions in ``items.json``, or −1 for a book that the model does not know.
``recommend_fixed`` and ``rate_fixed`` are the same for runtimes that need fixed sizes; nothing here uses them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel
from bookrec.ranking import Candidate, Source
from bookrec.shelf import Shelf

UNKNOWN = -1
"""The index of a book that the model does not know, and of padding."""

Tensors = Mapping[str, npt.NDArray[Any]]


class SignatureRunner(Protocol):
    """One named signature of a loaded TFLite file."""

    def __call__(self, **inputs: npt.NDArray[Any]) -> Tensors:
        """Run the signature once."""
        ...


@dataclass(frozen=True, slots=True)
class Items:
    """``items.json``: the books that a model knows.

    Attributes:
        isbns: by index, ascending, so that equal scores come in ISBN order.
        popular: the most popular books, in descending order.
    """

    isbns: tuple[str, ...]
    popular: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"isbns": list(self.isbns), "popular": list(self.popular)}


def parse_items(content: bytes) -> Items:
    """Return the items from untrusted bytes.

    Raises:
        BadModel: if they are not a valid ``items.json``.
    """
    try:
        value = json.loads(content)
        isbns, popular = value["isbns"], value["popular"]
        texts = all(isinstance(isbn, str) for isbn in [*isbns, *popular])
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        raise BadModel("items.json is not an object with isbns and popular") from problem
    if not texts or not isbns or len(set(isbns)) != len(isbns):
        raise BadModel("items.json needs at least one isbn; each must be a text, and none may be there twice")
    return Items(tuple(isbns), tuple(popular))


@dataclass(frozen=True)
class Recommender:
    """A loaded model. The runners are not thread-safe: share them behind a lock.

    Attributes:
        similar: None if the file has no such signature.
    """

    version: str
    items: Items
    recommend: SignatureRunner
    rate: SignatureRunner
    similar: SignatureRunner | None = None
    _index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {isbn: i for i, isbn in enumerate(self.items.isbns)})

    def candidates(self, shelf: Shelf) -> list[Candidate]:
        """Return the model's best books for a shelf, at most K, none of them on the shelf."""
        isbns, inputs = self.inputs(shelf)
        return self.answer(isbns, self.recommend(**inputs))

    def answer(self, isbns: Sequence[str], out: Tensors) -> list[Candidate]:
        """Return the candidates in the outputs of the signature ``recommend`` for a shelf's ``isbns``.

        Books whose score is not finite are left out: no list can have them, and they have no order.
        """
        columns = (out[name].tolist() for name in ("indices", "scores", "predicted_ratings", "because"))
        rows = zip(*columns, strict=True)
        return [self._candidate(isbns, *row) for row in rows if row[0] != UNKNOWN and math.isfinite(row[1])]

    def fill(self, shelf: Shelf, newest: Sequence[str]) -> Iterator[Candidate]:
        """Yield the books that fill up a list: popular ones, then ``newest``, with their predicted ratings."""
        popular = list(self.items.popular)
        yield from self._rated(shelf, popular, "popular")
        seen = set(popular)
        yield from self._rated(shelf, [isbn for isbn in newest if isbn not in seen], "newest")

    def predicted_ratings(self, shelf: Shelf, isbns: Sequence[str]) -> list[float]:
        """Return the predicted rating (0.5–5) of each ISBN, known to the model or not."""
        targets = np.array([self._index.get(isbn, UNKNOWN) for isbn in isbns], np.int32)
        if not len(targets):
            return []
        return [float(r) for r in self.rate(targets=targets, **self.inputs(shelf)[1])["predicted_ratings"]]

    def similar_to(self, isbn: str) -> list[str]:
        """Return the books that are most like one, the best first; none if the model does not know it.

        Raises:
            BadModel: if the model answers with what is not a book.
        """
        index = self._index.get(isbn, UNKNOWN)
        if self.similar is None or index == UNKNOWN:
            return []
        indices = [i for i in self.similar(item=np.array([index], np.int32))["indices"].tolist() if i != UNKNOWN]
        if not all(0 <= i < len(self.items.isbns) for i in indices):
            raise BadModel("recommend.tflite finds books similar that it does not know")
        return [self.items.isbns[i] for i in indices]

    def _rated(self, shelf: Shelf, isbns: Sequence[str], source: Source, block: int = 50) -> Iterator[Candidate]:
        for start in range(0, len(isbns), block):
            part = isbns[start : start + block]
            for isbn, rating in zip(part, self.predicted_ratings(shelf, part), strict=True):
                yield Candidate(isbn, 0.0, _finite(rating), source)

    def inputs(self, shelf: Shelf) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
        """Return a shelf's ISBNs, and its inputs to the signatures: ``items`` and ``ratings``, each [n]."""
        ratings = shelf.ratings
        isbns = list(ratings) or [""]  # the model takes no empty tensors: one unknown, unrated book instead
        return isbns, {
            "items": np.array([self._index.get(isbn, UNKNOWN) for isbn in isbns], np.int32),
            "ratings": np.array([ratings.get(isbn, 0.0) for isbn in isbns], np.float32),
        }

    def _candidate(
        self, isbns: Sequence[str], index: int, score: float, rating: float, because: Sequence[int]
    ) -> Candidate:
        reasons = tuple(isbns[position] for position in because if position != UNKNOWN)
        source: Source = "personal" if reasons else "popular"
        return Candidate(self.items.isbns[index], score, _finite(rating), source, reasons)


def _finite(rating: float) -> float | None:
    return rating if math.isfinite(rating) else None
