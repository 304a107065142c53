"""Diversity: a book moves down for each better book of its series or author, so that a list is not ten times the same.

The books of a list are chosen one by one. Each time, the book with the greatest score − strength · Σ likeness is next,
summed over the books chosen so far. The likeness of two books is 1 if they are of one series, else ½ if they have the
same first author. Sources: Carbonell and Goldstein, "The Use of MMR" (SIGIR 1998), for the greedy order; Borodin, Lee
and Ye, "Max-Sum Diversification, Monotone Submodular Functions and Dynamic Updates" (PODS 2012), for the sum in place
of the greatest likeness: it keeps counting from the third book on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from bookrec.ranking import Candidate, by_score

SAME_AUTHOR = 0.5
"""The likeness of two books of one author that are not of one series."""

Kin = tuple[int, int]
"""A book's series and its first author; 0 for none, or for one that no other book has."""

NO_KIN: Kin = (0, 0)


@dataclass(frozen=True, slots=True)
class Diversity:
    """What a model's ``items.json`` says about diversity.

    Attributes:
        strength: in units of the score; 0 leaves the order as it is.
        series: by a book's index, its series.
        authors: by a book's index, its first author.
    """

    strength: float = 0.0
    series: tuple[int, ...] = ()
    authors: tuple[int, ...] = ()

    def kin(self, isbns: Iterable[str]) -> dict[str, Kin]:
        """Return the kin of each of the model's ISBNs, given in the order of their indices, that has any."""
        rows = zip(isbns, self.series, self.authors, strict=True) if self.strength else ()
        return {isbn: (series, author) for isbn, series, author in rows if series or author}


OFF = Diversity()
"""The order stays as it is."""


class Chosen:
    """The books chosen so far, counted by series and author."""

    def __init__(self, kin: Mapping[str, Kin]) -> None:
        self._kin = kin
        self._series, self._authors, self._both = Counter[int](), Counter[int](), Counter[Kin]()

    def add(self, isbn: str) -> None:
        """Count a book that was chosen."""
        series, author = both = self._kin.get(isbn, NO_KIN)
        self._series[series] += 1
        self._authors[author] += 1
        self._both[both] += 1

    def likeness(self, isbn: str) -> float:
        """Return the sum of the book's likeness to the books chosen so far: a multiple of ½, which never falls."""
        series, author = both = self._kin.get(isbn, NO_KIN)
        of_series = self._series[series] if series else 0
        of_author = self._authors[author] - (self._both[both] if series else 0) if author else 0
        return of_series + SAME_AUTHOR * of_author


def diversified(candidates: Iterable[Candidate], kin: Mapping[str, Kin], strength: float) -> Iterator[Candidate]:
    """Yield candidates in the order in which they are chosen, with the scores that they have then, which never rise.

    So sorting them by score and ISBN again leaves them in this order. A book's likeness to those chosen never falls:
    its last score is a bound, and it is computed again only if the book is first. Source: Minoux, "Accelerated greedy
    algorithms for maximizing submodular set functions" (1978).

    Args:
        candidates: in any order; each ISBN once.
        kin: by ISBN; a book that is not there is like no other.
        strength: at least 0.
    """
    chosen, waiting = Chosen(kin), list[tuple[float, str, Candidate]]()
    rest = iter(by_score(candidates))
    best = next(rest, None)
    while waiting or best is not None:
        if best is not None and (not waiting or (-best.score, best.isbn) < waiting[0][:2]):
            candidate, bound = best, best.score
            best = next(rest, None)
        else:
            negative, _, candidate = heappop(waiting)
            bound = -negative
        score = candidate.score - strength * chosen.likeness(candidate.isbn)
        if score < bound:
            heappush(waiting, (-score, candidate.isbn, candidate))
        else:
            chosen.add(candidate.isbn)
            yield replace(candidate, score=score)
