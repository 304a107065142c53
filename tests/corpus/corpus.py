"""The corpus: entries and catalogue nodes that may be in a database, each with its expected result.

``entries.json`` holds, for each entry under ``/User_Book``:

- ``what``: what is odd about it. Unique.
- ``key``: its key; most have none and get a generated one.
- ``client``: the signed-in user who tries to write it; "reader" if missing.
- ``value``: the node.
- ``reason``: the code with which the validator rejects it; null if it is accepted, however odd it looks.
- ``rules``: the result of that client's write: "denied", "passes", or "unsendable" if the database cannot store the
  value at all.
- ``stored``: the reason after the database has stored it, if that differs: the database drops empty arrays, empty
  objects and nulls, and gives ``.value``, ``.sv`` and ``.priority`` a meaning. "nothing" if no node is left.

``catalogue.json`` holds, for each node under ``/archive``:

- ``what`` and ``value``, as above; ``unsendable`` if the database cannot store the value.
- ``rejected``: the code, if the book has no usable ISBN; or ``kept``: the result for the odd fields. The others are as
  in ``SOUND_BOOK``.

``dismissals.json`` holds, for each node under ``/Users/{uid}/dismissed``:

- ``what``, ``key``, and ``value``, or its ``age`` in milliseconds.
- ``reason``: why it does not count; null if it does.
- ``rules``: as above, for a client that counts it rightly.

Values that JSON cannot express, or only at length, are objects with one key that begins with a dollar sign:

- ``{"$repeat": [text, times]}``
- ``{"$join": [text, text, ...]}``
- ``{"$codes": [55357]}``: a text by its code points, which may be half of a surrogate pair
- ``{"$number": "NaN"}``, also "Infinity" and "-Infinity"
- ``{"$power": [10, 400]}``: an integer
- ``{"$nest": [value, levels]}``: ``value`` nested in this many objects
- ``{"$fields": [prefix, count]}``: an object with the fields prefix0, prefix1, ...

The key ``$named`` with ``[name, value]`` adds a field whose name is in this notation.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent
GONE = "nothing"
HUGE = 50_000
"""Size in characters from which an item is left out of tests that read everything repeatedly."""

SOUND_BOOK = {
    "isbn": "isbn001",
    "title": "A Title",
    "author": "An Author",
    "rating": 4.5,
    "description": "What it tells.",
    "genre": "Fiction",
    "publishedYear": 1999,
    "image": "https://example.com/a.jpg",
}
"""The corpus's books, as the code reads them, without what is odd about each."""


def sound_entry(user_id="reader", isbn="isbn001", stars=4):
    return {"userId": user_id, "bookId": "-Nbook", "isbn": isbn, "myRate": stars}


@dataclass(frozen=True)
class EntryItem:
    """An entry of the corpus, expanded; ``stored`` is the reason for what the database keeps."""

    what: str
    key: str
    client: str
    value: Any
    reason: str | None
    rules: str
    stored: str | None

    @property
    def is_bad(self):
        return self.reason is not None

    @property
    def is_changed_by_the_database(self):
        return self.stored != self.reason

    @property
    def size(self):
        return size_of(self.value)


@dataclass(frozen=True)
class BookItem:
    """One catalogue node of the corpus, expanded; exactly one of ``rejected`` and ``kept`` is not None."""

    what: str
    key: str
    value: Any
    rejected: str | None
    kept: dict[str, Any] | None
    is_sendable: bool


@functools.cache
def entries():
    rows = json.loads((FOLDER / "entries.json").read_text())
    return tuple(
        EntryItem(
            row["what"],
            expand(row.get("key", f"-Nodd{number:04}")),
            expand(row.get("client", "reader")),
            expand(row["value"]),
            row["reason"],
            row["rules"],
            row.get("stored", row["reason"]),
        )
        for number, row in enumerate(rows)
    )


@functools.cache
def books():
    rows = json.loads((FOLDER / "catalogue.json").read_text())
    return tuple(
        BookItem(
            row["what"],
            f"-Nodd{number:04}",
            expand(row["value"]),
            row.get("rejected"),
            None if "rejected" in row else {name: expand(value) for name, value in row["kept"].items()},
            not row.get("unsendable", False),
        )
        for number, row in enumerate(rows)
    )


def kind_of(item):
    """Return what an item is an example of: its reason and the rules' answer, or which fields of a book are odd."""
    if isinstance(item, EntryItem):
        return item.reason, item.rules, item.stored
    return item.rejected, item.is_sendable, tuple(sorted(item.kept or ()))


@functools.cache
def sampled():
    """Return the ``what`` of the items that `make test` takes one by one: the smallest of each kind."""
    smallest = {}
    for item in (*entries(), *books()):
        kind = (type(item), *kind_of(item))
        if kind not in smallest or size_of(item.value) < size_of(smallest[kind].value):
            smallest[kind] = item
    return frozenset((type(item), item.what) for item in smallest.values())


def is_sampled(item):
    """Return whether `make test` takes an item; `make test-all` takes all."""
    return (type(item), item.what) in sampled()


def each(items):
    """Return the decorator that calls a test with each item; all but the sample is left to `make test-all`."""
    params = [pytest.param(item, id=item.what, marks=() if is_sampled(item) else pytest.mark.whole) for item in items]
    return pytest.mark.parametrize("item", params)


def expand(value):
    """Return the value that a notation of the corpus stands for."""
    if isinstance(value, list):
        return [expand(child) for child in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, argument), *_ = value.items()
        if name in NOTATION:
            return NOTATION[name](argument)
    node = {name: expand(child) for name, child in value.items() if name != "$named"}
    if "$named" in value:
        name, child = value["$named"]
        node[expand(name)] = expand(child)
    return node


def _nest(argument):
    node, levels = expand(argument[0]), argument[1]
    for _ in range(levels):
        node = {"a": node}
    return node


NOTATION = {
    "$repeat": lambda argument: argument[0] * argument[1],
    "$join": lambda argument: "".join(map(expand, argument)),
    "$codes": lambda argument: "".join(map(chr, argument)),
    "$number": float,
    "$power": lambda argument: argument[0] ** argument[1],
    "$nest": _nest,
    "$fields": lambda argument: {f"{argument[0]}{number}": number for number in range(argument[1])},
}


def texts_of(value):
    """Yield every text, number and name in a value, as text."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield str(name)
            yield from texts_of(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts_of(child)
    else:
        yield repr(value) if isinstance(value, float) else str(value)


def size_of(value):
    """Return the approximate number of characters in a value."""
    return sum(map(len, texts_of(value)))
