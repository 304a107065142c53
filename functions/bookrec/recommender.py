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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bookrec.catalogue import Catalogue
from bookrec.errors import BadModel
from bookrec.ranking import Candidate, Source, allowed
from bookrec.reordering.diversity import OFF, Diversity, Kin, diversified
from bookrec.shelf import Shelf

UNKNOWN = -1
"""The index of a book that the model does not know, and of padding."""

MAX_STRENGTH = 1e3
"""No model has a greater strength of diversity."""

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
        rare: the indices of the books that few readers have, ascending; empty in an earlier release's model.
        diversity: how strongly near-duplicates move down, and what is one. A model without it has strength 0.
    """

    isbns: tuple[str, ...]
    popular: tuple[str, ...]
    diversity: Diversity = OFF
    rare: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; with strength 0, that of a model without diversity."""
        value: dict[str, Any] = {"isbns": list(self.isbns), "popular": list(self.popular)}
        if self.rare:
            value["rare"] = list(self.rare)
        if not self.diversity.strength:
            return value
        of_books = {"series": list(self.diversity.series), "authors": list(self.diversity.authors)}
        return {**value, "diversity": self.diversity.strength, **of_books}


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
    return Items(tuple(isbns), tuple(popular), _diversity(value, len(isbns)), _rare(value, len(isbns)))


def _rare(value: Mapping[str, Any], books: int) -> tuple[int, ...]:
    rare = value.get("rare", [])
    if not (isinstance(rare, list) and all(_is_whole(index) and index < books for index in rare)):
        raise BadModel("items.json: rare has an index that is not of a book")
    return tuple(rare)


def _diversity(value: Mapping[str, Any], books: int) -> Diversity:
    strength = value.get("diversity", 0)
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= MAX_STRENGTH:
        raise BadModel(f"items.json: diversity is not a number from 0 to {MAX_STRENGTH}")
    if not strength:
        return OFF
    series, authors = groups = value.get("series"), value.get("authors")
    if not all(isinstance(group, list) and len(group) == books and all(map(_is_whole, group)) for group in groups):
        raise BadModel("items.json: with diversity, series and authors have a whole number from 0 for each isbn")
    return Diversity(float(strength), tuple(series or ()), tuple(authors or ()))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Recommender:
    """A loaded model. The runners are not thread-safe: share them behind a lock.

    Attributes:
        similar: None if the file has no such signature.
        rare: the ISBNs of the books that few readers have.
    """

    version: str
    items: Items
    recommend: SignatureRunner
    rate: SignatureRunner
    similar: SignatureRunner | None = None
    _index: dict[str, int] = field(init=False, repr=False)
    _kin: dict[str, Kin] = field(init=False, repr=False)
    rare: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rare", tuple(self.items.isbns[index] for index in self.items.rare))
        object.__setattr__(self, "_kin", self.items.diversity.kin(self.items.isbns))
        object.__setattr__(self, "_index", {isbn: i for i, isbn in enumerate(self.items.isbns)})

    def candidates(self, shelf: Shelf) -> list[Candidate]:
        """Return the model's best books for a shelf, at most K, none of them on the shelf."""
        isbns, inputs = self.inputs(shelf)
        return self.answer(isbns, self.recommend(**inputs))

    def diversified(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield candidates in the order of a list: near-duplicates move down by the model's strength of diversity."""
        return diversified(candidates, self._kin, self.items.diversity.strength)

    def in_order(self, shelf: Shelf, candidates: Sequence[Candidate], catalogue: Catalogue) -> Sequence[Candidate]:
        """Return a shelf's candidates in the order of its list; with diversity, only those that it may contain.

        What a list may not contain does not move other books down.
        """
        if not self.items.diversity.strength:
            return candidates
        return list(self.diversified(allowed(shelf, candidates, catalogue)))

    @property
    def kin(self) -> Mapping[str, Kin]:
        """By ISBN, the series and the author of each book that has any, if the model's strength is not 0."""
        return self._kin

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

    def shown_ratings(self, shelf: Shelf, isbns: Sequence[str]) -> list[float | None]:
        """Return ``predicted_ratings``, None for one that is not finite: it cannot be written."""
        return [_finite(rating) for rating in self.predicted_ratings(shelf, isbns)]

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
            for isbn, rating in zip(part, self.shown_ratings(shelf, part), strict=True):
                yield Candidate(isbn, 0.0, rating, source)

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
