"""Generate the export in this folder: the database of a small book app, in the app's own format.

    PYTHONPATH=. .venv/bin/python emulator-data/generate.py [--seed 42] [--out emulator-data]

Everything is invented: titles come from word lists, names from syllables, the readers' taste from a
seeded model. A reader likes one or two genres and the authors in them. Popularity follows Zipf's law.
Stars are the reader's mean plus the book's quality plus how well the genre fits, rounded to halves. Some
entries have no rating (``myRate`` 0), as in the app.
"""

from __future__ import annotations

import argparse
import random
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.exchange.database_export import ShelfRow, make_tree, write_export

READERS, BOOKS, ENTRIES = 43, 704, 1011
FIRST_DAY_MS = 1_685_577_600_000  # 2023-06-01
DAY_MS = 86_400_000
UID_CHARS = string.ascii_letters + string.digits

GENRES = {  # the words that the titles of a genre are made of
    "Fantasy": ("Dragon Ember Raven Thorn Silver Witch", "Crown Keep Oath Song Gate"),
    "Mystery": ("Silent Crooked Missing Midnight Locked Last", "Alibi Witness Key Letter Case"),
    "Romance": ("Summer Second Paper Velvet Lavender Stolen", "Promise Kiss Wedding Garden Dance"),
    "Science Fiction": ("Orbital Quantum Distant Hollow Titan Glass", "Signal Colony Engine Horizon Drift"),
    "History": ("Forgotten Imperial Iron Northern Broken Golden", "Century Treaty Siege Republic Road"),
    "Thriller": ("Cold Double Final Black Rapid Burning", "Target Asset Pursuit Protocol Cell"),
    "Children": ("Little Brave Sleepy Curious Jolly Tiny", "Fox Balloon Bear Whistle Pirate"),
    "Self-Help": ("Simple Calm Daily Honest Slow Better", "Habits Mind Mornings Focus Courage"),
}
PLACES = ["Harbour", "Valley", "Hill", "River", "Island", "Bridge", "Forest", "Market", "Coast", "Lane"]
SYLLABLES = ["ma", "ri", "to", "len", "va", "sol", "ka", "ben", "ne", "dor", "li", "fa", "tam", "ur", "es", "pol"]


@dataclass(frozen=True, slots=True)
class GeneratedBook:
    """One invented book; ``quality`` shifts everybody's stars, ``weight`` is its popularity."""

    isbn: str
    title: str
    author: str
    genre: str
    year: int
    pages: int
    quality: float
    weight: float


def isbn_as_the_app_writes_it(rng: random.Random) -> str:
    """Return a 0 followed by an ISBN-13 with its check digit: 14 characters."""
    digits = "978" + "".join(rng.choice("0123456789") for _ in range(9))
    check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10
    return f"0{digits}{check}"


def name(rng: random.Random) -> str:
    """Return an invented pen name."""
    return " ".join("".join(rng.choice(SYLLABLES) for _ in range(2)).capitalize() for _ in range(2))


def make_books(rng: random.Random) -> list[GeneratedBook]:
    """Return the catalogue: in each genre some twenty authors, some of whom write series."""
    authors = {genre: [name(rng) for _ in range(22)] for genre in GENRES}
    books: dict[str, GeneratedBook] = {}
    while len(books) < BOOKS:
        genre = rng.choice(list(GENRES))
        adjectives, nouns = GENRES[genre]
        author = rng.choice(authors[genre])
        base = (
            f"The {rng.choice(adjectives.split())} {rng.choice(nouns.split())} of {' '.join(rng.sample(PLACES, k=2))}"
        )
        volumes = rng.choice([1, 1, 1, 1, 2, 3])
        for volume in range(1, volumes + 1):
            title = base if volumes == 1 else f"{base}, Part {volume} ({base}, #{volume})"
            isbn = isbn_as_the_app_writes_it(rng)
            weight = 1.0 / (1 + rng.randrange(BOOKS)) ** 0.8
            quality, year, pages = rng.gauss(0, 0.35), rng.randint(1965, 2023), rng.randint(90, 720)
            if len(books) < BOOKS:
                books[isbn] = GeneratedBook(isbn, title, author, genre, year, pages, quality, weight)
    return list(books.values())


def make_shelves(rng: random.Random, books: list[GeneratedBook]) -> list[list[tuple[GeneratedBook, float]]]:
    """Return each reader's (book, stars) pairs, ``ENTRIES`` in all; about one book in ten is on no shelf."""
    sizes = [3 + int(rng.expovariate(1 / 20)) for _ in range(READERS)]
    while (difference := ENTRIES - sum(sizes)) != 0:
        reader = rng.randrange(READERS)
        sizes[reader] = max(3, sizes[reader] + (1 if difference > 0 else -1))
    unread = books.copy()
    rng.shuffle(unread)
    shelves = []
    for size in sizes:
        liked = rng.sample(list(GENRES), k=rng.choice([1, 2, 2]))
        mean = rng.gauss(3.6, 0.4)
        shelf: dict[str, tuple[GeneratedBook, float]] = {}
        while len(shelf) < size:
            book = _choose(rng, books, unread, liked)
            shelf[book.isbn] = (book, _stars(rng, mean, book, book.genre in liked))
        shelves.append(list(shelf.values()))
    return shelves


def _choose(
    rng: random.Random, books: list[GeneratedBook], unread: list[GeneratedBook], liked: list[str]
) -> GeneratedBook:
    """Return a popular book of a liked genre, or sometimes one that nobody has read yet."""
    wanted = liked if rng.random() < 0.85 else list(GENRES)
    fresh = next((book for book in unread if book.genre in wanted), None)
    if fresh is not None and rng.random() < 0.55:
        unread.remove(fresh)
        return fresh
    pool = [book for book in books if book.genre in wanted]
    return rng.choices(pool, weights=[book.weight for book in pool])[0]


def _stars(rng: random.Random, mean: float, book: GeneratedBook, fits: bool) -> float:
    if rng.random() < 0.08:
        return 0.0
    stars = mean + book.quality + (0.4 if fits else -0.7) + rng.gauss(0, 0.6)
    return min(5.0, max(0.5, round(stars * 2) / 2))


def archive_fields(book: GeneratedBook) -> dict[str, str]:
    """Return the fields of a book in the catalogue: strings, as in the app."""
    return {
        "title": book.title,
        "author": book.author,
        "rating": f"{min(5.0, max(1.0, 3.8 + book.quality)):.1f}",
        "description": f"{book.genre} by {book.author}, {book.pages} pages.",
        "genre": book.genre,
        "pages": str(book.pages),
        "publishedYear": str(book.year),
        "image": f"https://example.com/covers/{book.isbn}.jpg",
    }


def make_database(seed: int) -> dict[str, Any]:
    """Return the whole database."""
    rng = random.Random(seed)
    books = make_books(rng)
    rows = []
    for shelf in make_shelves(rng, books):
        uid = "".join(rng.choice(UID_CHARS) for _ in range(28))
        at = FIRST_DAY_MS + rng.randrange(200 * DAY_MS)
        for book, stars in shelf:
            at += rng.randrange(1, DAY_MS)
            rows.append(ShelfRow(uid, book.isbn, stars, at))
    return make_tree(rows, {book.isbn: archive_fields(book) for book in books}, rng, FIRST_DAY_MS)


def main() -> None:
    """Write the export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    print(write_export(make_database(arguments.seed), arguments.out, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
