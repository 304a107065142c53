"""Fatigue: a book that was shown often and never taken sinks slowly, and recovers once it is no longer shown.

The memory of a reader's showings (``bookrec.usage.showings``) changes with a showing only. So a list is a function of
the shelf, the model, the catalogue and that memory, and does not change by itself as time passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bookrec.ranking import Candidate, by_score

FREE_SHOWINGS = 3
"""The first showings do not count: a reader has not read a list because it was shown once."""

MOST_HALVINGS = 20.0
"""Where sinking ends: far below the last candidate."""


def sunk(place: int, showings: float, half_life: float) -> float:
    """Return the place to which a book has sunk: ``place · 2^((showings − FREE_SHOWINGS) / half_life)``.

    Taking 1/place as a book's weight, its weight halves with each ``half_life`` of showings: a book in place 1 is
    ranked as in place 2, then 4; a book in place 10 as in place 20.

    Args:
        place: from 1, in the model's order.
        showings: how often the book was shown, as far as it is remembered.
        half_life: in showings, more than 0.
    """
    halvings = max(showings - FREE_SHOWINGS, 0.0) / half_life
    return place * math.exp2(min(halvings, MOST_HALVINGS))


def matters(showings: Mapping[str, float], half_life: float) -> bool:
    """Return whether a list may have another order because of what was shown."""
    return half_life > 0 and any(number > FREE_SHOWINGS for number in showings.values())


def reorder(candidates: Sequence[Candidate], showings: Mapping[str, float], half_life: float) -> list[Candidate]:
    """Return all candidates, those that were shown often further down.

    No candidate is lost, so no list gets shorter. The scores stay where they are: the first book has the highest one,
    whichever book it is, and they fall strictly, so that sorting by score keeps this order.

    Args:
        candidates: in any order.
        showings: by ISBN, how often each book was shown.
        half_life: in showings; 0 changes nothing.
    """
    if not matters(showings, half_life):
        return list(candidates)
    ordered = by_score(candidates)
    placed = [
        (sunk(place, showings.get(book.isbn, 0.0), half_life), place, book) for place, book in enumerate(ordered, 1)
    ]
    reordered, last = list[Candidate](), math.inf
    for (_, _, book), scored in zip(sorted(placed, key=lambda row: row[:2]), ordered, strict=True):
        last = min(scored.score, math.nextafter(last, -math.inf))
        reordered.append(replace(book, score=last))
    return reordered
