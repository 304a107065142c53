"""Shelves that every client is tested with, and the functions' results for them."""

from itertools import chain

from bookrec.entries import Entry
from bookrec.ranking import top_list
from bookrec.shelf import build_shelf


def shelves(published):
    """Return shelves (stars by ISBN): empty, one book, an unknown book, and some readers' in the training data."""
    isbns = published.model.items.isbns
    return [
        {},
        {isbns[0]: 0},
        {isbns[5]: 5, "9-unknown": 2.5},
        {isbn: (place % 11) / 2 for place, isbn in enumerate(isbns[3:40:3])},
        dict.fromkeys(isbns[2::2], 4.5),
    ]


def as_shelf(stars):
    """Return the shelf that the functions read."""
    return build_shelf(
        "reader", [Entry(f"-k{n:03}", "reader", isbn, float(of)) for n, (isbn, of) in enumerate(stars.items())]
    )


def functions_list(published, stars):
    """Return the ISBNs of the functions' list."""
    shelf, model = as_shelf(stars), published.model
    candidates = model.in_order(shelf, model.candidates(shelf), published.catalogue)
    made = top_list(shelf, "v", candidates, chain(model.fill(shelf, ())), published.catalogue)
    return list(made.isbns)


def catalogue_json(published):
    """Return the catalogue as clients hold it."""
    books = (published.catalogue[isbn] for isbn in published.catalogue)
    return [{"isbn": book.isbn, "title": book.title, "author": book.author} for book in books]


BOOKS = [
    ["Dune", "Frank Herbert"],
    ["DUNE (Dune Chronicles, #1)", "Frank Herbert, Somebody Else"],
    ["Les Misérables", "Víctor Hugo"],
    ["Les Miserables", "Victor Hugo"],
    ["Эмма", "Джейн Остин"],
    ["It's 1984!", "G. Orwell"],
    ["ﬁre_works  —  a Story", "Ⅻ Authors"],
    ["三体", "刘慈欣"],
    ["", "Nobody"],
    ["(Only a Series, #3)", "Somebody"],
    ["A Title", " , Second"],
]
"""Titles and authors that distinguish editions, or do not."""
