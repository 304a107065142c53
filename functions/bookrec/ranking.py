"""From candidates to the ten books of a list: what a list may contain, and in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from bookrec.catalogue import Catalogue
from bookrec.shelf import Shelf

LIST_SIZE = 10

Source = Literal["personal", "popular", "newest", "exploration"]
ListSource = Literal["personal", "mixed", "popular"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A book that could be on a list.

    Attributes:
        score: the higher the better; comparable within one list only.
        predicted_rating: 0.5–5 stars, or None if no model is live.
        because: the shelf's ISBNs that contributed most to the score, at most two, in descending order.
    """

    isbn: str
    score: float
    predicted_rating: float | None
    source: Source
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GenreList:
    """A reader's best books of one genre, named as the catalogue names it."""

    genre: str
    items: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class MoreLists:
    """What follows one reader's list, and the reader's lists by genre; ``bookrec.further`` makes them.

    Attributes:
        form: their sizes (``bookrec.further.sizes``).
        next: the books that follow those of the list, in order.
        genres: the strongest genre first.
    """

    form: str
    next: tuple[Candidate, ...]
    genres: tuple[GenreList, ...]

    @property
    def isbns(self) -> tuple[str, ...]:
        """All books, in order; those of a genre may be there again."""
        return tuple(item.isbn for items in (self.next, *(one.items for one in self.genres)) for item in items)


@dataclass(frozen=True, slots=True)
class RecommendationList:
    """One reader's list, ready to be written, with the lists that go with it, if there are any."""

    model_version: str
    shelf: Shelf
    items: tuple[Candidate, ...]
    more: MoreLists | None = None

    @property
    def source(self) -> ListSource:
        """``personal`` or ``popular`` if all items are (``newest`` counts as popular), else ``mixed``."""
        personal = sum(item.source == "personal" for item in self.items)
        if personal == 0:
            return "popular"
        return "personal" if personal == len(self.items) else "mixed"

    @property
    def isbns(self) -> tuple[str, ...]:
        """The books, in order."""
        return tuple(item.isbn for item in self.items)

    @property
    def list_id(self) -> str:
        """An id, equal if and only if the lists are: the first 20 hex digits of a SHA-256.

        Lists are equal if they have the same books for the same shelf, no matter which models made them.
        """
        return list_id(self.shelf.user_id, self.shelf.digest, self.isbns)

    def to_node(self, catalogue: Catalogue, generated_at: object) -> dict[str, object]:
        """Return the database node that the app reads.

        Args:
            catalogue: the books that ``items`` were chosen from.
            generated_at: milliseconds since 1970, or the database's timestamp placeholder.
        """
        items: list[dict[str, object]] = []
        for item in self.items:
            book = catalogue[item.isbn]
            node: dict[str, object] = {
                "isbn": item.isbn,
                "title": book.title,
                "author": book.author,
                "image": book.image,
                "score": round(item.score, 6),
                "source": item.source,
                "because": list(item.because),
            }
            if item.predicted_rating is not None:
                node["predictedRating"] = round(item.predicted_rating, 3)
            items.append(node)
        node = {
            "listId": self.list_id,
            "generatedAt": generated_at,
            "modelVersion": self.model_version,
            "source": self.source,
            "basedOn": self._basis(),
            "items": items,
        }
        return node | ({"more": self.more.form} if self.more else {})

    def _basis(self) -> dict[str, object]:
        basis: dict[str, object] = {"entries": len(self.shelf.entries), "digest": self.shelf.digest}
        if self.shelf.dismissed:
            basis |= {"dismissed": len(self.shelf.dismissed), "shelf": self.shelf.entries_digest}
        return basis

    def more_node(self, catalogue: Catalogue) -> dict[str, object] | None:
        """Return the database node of the lists that go with this one, or None if there are none."""
        return more_node(self.list_id, self.shelf.digest, self.model_version, self.more, catalogue)


def more_node(
    list_id: object, digest: str, version: str, more: MoreLists | None, catalogue: Catalogue
) -> dict[str, object] | None:
    """Return the database node of the lists that go with the list ``list_id``, or None if there are none."""
    if more is None:
        return None
    pages = [more.next[start : start + LIST_SIZE] for start in range(0, len(more.next), LIST_SIZE)]
    return {
        "listId": list_id,
        "digest": digest,
        "modelVersion": version,
        "next": [[short_item(item, catalogue) for item in page] for page in pages],
        "genres": [
            {"genre": one.genre, "items": [short_item(item, catalogue) for item in one.items]} for one in more.genres
        ],
    }


def short_item(item: Candidate, catalogue: Catalogue) -> dict[str, object]:
    """Return an item as it is on all lists but the ten: without score and reasons, which are half of its bytes."""
    title, author, image = catalogue[item.isbn].shown
    node: dict[str, object] = {"isbn": item.isbn, "title": title, "author": author, "image": image}
    if item.predicted_rating is not None:
        node["predictedRating"] = round(item.predicted_rating, 3)
    return node | {"source": item.source}


def list_id(user_id: str, digest: str, isbns: Sequence[str]) -> str:
    """Return the id of the list with these books, in this order, for the shelf with this digest."""
    return hashlib.sha256(json.dumps([user_id, digest, isbns]).encode()).hexdigest()[:20]


def top_list(
    shelf: Shelf, model_version: str, candidates: Sequence[Candidate], fill: Iterable[Candidate], catalogue: Catalogue
) -> RecommendationList:
    """Return a user's list.

    It has no edition of a book that is on the shelf or was dismissed, no book that the catalogue lacks, and no two
    editions of one book. It has ``LIST_SIZE`` books if the catalogue has that many left.

    Args:
        candidates: in any order; ordered here by score, then ISBN.
        fill: taken in the given order if there are too few candidates.
    """
    best = first_allowed(shelf, _chain(by_score(candidates), fill), catalogue, LIST_SIZE)
    return RecommendationList(model_version, shelf, best)


def first_allowed(
    shelf: Shelf, candidates: Iterable[Candidate], catalogue: Catalogue, size: int
) -> tuple[Candidate, ...]:
    """Return the first ``size`` candidates that a list for this shelf may have together."""
    return tuple(islice(_allowed(shelf, candidates, catalogue), size))


def by_score(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates in descending order of their scores, then by ISBN."""
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.isbn))


def allowed(shelf: Shelf, candidates: Iterable[Candidate], catalogue: Catalogue) -> list[Candidate]:
    """Return, by score, the candidates that a list may contain; of two editions of one book, the better one."""
    return list(_allowed(shelf, by_score(candidates), catalogue))


def is_allowed(shelf: Shelf, isbns: Sequence[object], catalogue: Catalogue) -> bool:
    """Return whether a list of these books may still be shown: the shelf and the catalogue may have changed since."""
    listed = [Candidate(isbn, 0.0, None, "newest") for isbn in isbns if isinstance(isbn, str)]
    return len(list(_allowed(shelf, listed, catalogue))) == len(isbns)


def similar_books(isbn: str, similar: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the books to show as similar to one, at most ``LIST_SIZE``.

    There is no other edition of the book itself, no book that the catalogue lacks, and no two editions of one book.

    Args:
        similar: the model's, the best first.
    """
    candidates = (Candidate(other, 0.0, None, "personal") for other in similar)
    chosen = islice(_distinct((isbn,), candidates, catalogue), LIST_SIZE)
    return tuple(candidate.isbn for candidate in chosen)


def _chain(first: Iterable[Candidate], then: Iterable[Candidate]) -> Iterator[Candidate]:
    yield from first
    yield from then


def _allowed(shelf: Shelf, candidates: Iterable[Candidate], catalogue: Catalogue) -> Iterator[Candidate]:
    yield from _distinct({*shelf.ratings, *shelf.dismissed}, candidates, catalogue)


def _distinct(known: Iterable[str], candidates: Iterable[Candidate], catalogue: Catalogue) -> Iterator[Candidate]:
    """Yield the candidates that are in the catalogue, and no editions of ``known`` books or of earlier candidates."""
    isbns = set(known)
    editions = {catalogue.edition(isbn) for isbn in isbns if isbn in catalogue}
    for candidate in candidates:
        if candidate.isbn in isbns or candidate.isbn not in catalogue:
            continue
        edition = catalogue.edition(candidate.isbn)
        if edition is not None and edition in editions:
            continue
        isbns.add(candidate.isbn)
        editions.add(edition)
        yield candidate
