"""How many lists there are besides the ten, as functions and trainer read it from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bookrec.environment import whole

MORE_PAGES, MORE_GENRES = "MORE_PAGES", "MORE_GENRES"
"""Environment variables."""

MOST_PAGES, MOST_GENRES = 9, 9
"""More would make an event's write too large. Each is one digit in ``Sizes.form``."""

MOST_SHARED = 20
"""Books of a list that all readers share."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of one reader's lists; each page and each genre has ``ranking.LIST_SIZE`` books.

    Attributes:
        pages: how many pages follow the ten.
        genres: how many of a reader's strongest genres get a list.
    """

    pages: int = 4
    genres: int = 3

    @property
    def form(self) -> str | None:
        """What a list says of the sizes of the lists that go with it; lists with others are made again. None: none."""
        return f"{self.pages}+{self.genres}" if self.pages or self.genres else None


def read_sizes(environment: Mapping[str, str]) -> Sizes:
    """Return the sizes in the environment.

    Raises:
        BadSetting: if one is not a whole number.
    """
    pages = whole(MORE_PAGES, environment.get(MORE_PAGES), Sizes().pages, least=0)
    genres = whole(MORE_GENRES, environment.get(MORE_GENRES), Sizes().genres, least=0)
    return Sizes(min(pages, MOST_PAGES), min(genres, MOST_GENRES))
