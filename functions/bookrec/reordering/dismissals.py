"""Weak negatives: candidates like what the reader has dismissed lose some score, for that reader only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import pstdev

from bookrec.catalogue import Catalogue
from bookrec.ranking import Candidate
from bookrec.shelf import Shelf

STRENGTH = 0.0
"""How many standard deviations of the candidates' scores a book loses whose author was dismissed and never shelved.

0: off. No strength helps readers who did not choose it (``docs/decisions/0034-dismissals.md``).
"""


def lowered(
    candidates: Sequence[Candidate], shelf: Shelf, catalogue: Catalogue, strength: float = STRENGTH
) -> Sequence[Candidate]:
    """Return the candidates, those by authors that the reader has dismissed with lower scores.

    A book loses ``strength`` deviations times d / (d + s), with d dismissed books and s books on the shelf by its
    author, so an author whom the reader keeps reading loses little.
    """
    if not (strength and shelf.dismissed and len(candidates) > 1):
        return candidates
    on_shelf = shelf.ratings
    dismissed = _by_author((isbn for isbn in shelf.dismissed if isbn not in on_shelf), catalogue)
    if not dismissed:
        return candidates
    shelved, unit = _by_author(on_shelf, catalogue), strength * pstdev(candidate.score for candidate in candidates)
    lower = list[Candidate]()
    for candidate in candidates:
        author = _author(candidate.isbn, catalogue)
        number = dismissed[author] if author else 0
        loss = unit * number / (number + shelved[author]) if number else 0.0
        lower.append(replace(candidate, score=candidate.score - loss) if loss else candidate)
    return lower


def _by_author(isbns: Iterable[str], catalogue: Catalogue) -> Counter[str]:
    authors = (_author(isbn, catalogue) for isbn in isbns)
    return Counter(author for author in authors if author)


def _author(isbn: str, catalogue: Catalogue) -> str:
    """Return the first author's name in its normal form, or "" if it or the title is missing."""
    edition = catalogue.edition(isbn) if isbn in catalogue else None
    return edition[1] if edition else ""
