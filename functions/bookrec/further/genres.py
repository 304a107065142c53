"""Which genres a reader likes best, by the shelf."""

from __future__ import annotations

import math
from collections import defaultdict

from bookrec.catalogue import Catalogue
from bookrec.shelf import Shelf

UNRATED = 1 / 3
"""What a book without stars says for its genres: as much as one with three stars."""


def strongest(shelf: Shelf, catalogue: Catalogue, count: int) -> list[str]:
    """Return the keys of a reader's strongest genres, the strongest first, at most ``count``.

    A genre's strength is Σ w(b) / g(b) · ln(1 + N / n), over the books b of the shelf that have it: w is
    (stars − 2) / 3, at least 0, or ``UNRATED``; g is the book's number of genres; N is the number of books in the
    catalogue, and n of those with the genre. So a genre of nearly all books says little about a reader (Source: inverse
    document frequency, Spärck Jones 1972). Genres of strength 0 are left out; equal ones come by key.
    """
    said: dict[str, float] = defaultdict(float)
    for isbn, stars in shelf.ratings.items():
        genres = catalogue.genres(isbn) if isbn in catalogue else ()
        for genre in genres:
            said[genre] += _weight(stars) / len(genres)
    sizes, books = catalogue.genre_sizes, len(catalogue)
    strength = {genre: value * math.log(1 + books / sizes[genre]) for genre, value in said.items() if value > 0}
    return sorted(strength, key=lambda genre: (-strength[genre], genre))[:count]


def _weight(stars: float) -> float:
    return max(stars - 2, 0) / 3 if stars else UNRATED
