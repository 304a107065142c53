"""Exports of Goodreads and StoryGraph, made from the catalogue's books."""

import csv
import io

GOODREADS = [
    "Book Id", "Title", "Author", "Author l-f", "Additional Authors", "ISBN", "ISBN13", "My Rating", "Average Rating",
    "Publisher", "Binding", "Number of Pages", "Year Published", "Original Publication Year", "Date Read", "Date Added",
    "Bookshelves", "Bookshelves with positions", "Exclusive Shelf", "My Review", "Spoiler", "Private Notes",
    "Read Count", "Owned Copies",
]  # fmt: skip
STORYGRAPH = ["Title", "Authors", "Contributors", "ISBN/UID", "Format", "Read Status", "Date Added", "Last Date Read",
              "Star Rating", "Review"]  # fmt: skip


def isbn10(book):
    """Return the ISBN-10 of a book of the catalogue, which writes a 0 and the ISBN-13."""
    digits = book["isbn"][4:13]
    check = (11 - sum((10 - place) * int(digit) for place, digit in enumerate(digits)) % 11) % 11
    return digits + ("X" if check == 10 else str(check))


def goodreads_row(book, **cells):
    """Return a row as Goodreads writes it."""
    numbers = {"ISBN": f'="{isbn10(book)}"', "ISBN13": f'="{book["isbn"][1:]}"'}
    row = {"Title": book["title"], "Author": book["author"], **numbers, "My Rating": "0", "Exclusive Shelf": "read",
           "Date Added": "2024/05/01", **cells}  # fmt: skip
    return [row.get(name, "") for name in GOODREADS]


def storygraph_row(book, **cells):
    """Return a row as StoryGraph writes it."""
    row = {
        "Title": book["title"],
        "Authors": book["author"],
        "ISBN/UID": book["isbn"][1:],
        "Read Status": "read",
        **cells,
    }
    return [row.get(name, "") for name in STORYGRAPH]


def written(header, rows, separator=",", end="\n"):
    """Return a table as text."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end).writerows([header, *rows])
    return text.getvalue()


def chosen(text, name="export.csv", encoding="utf-8"):
    """Return a file as Playwright chooses it."""
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode(encoding)}
