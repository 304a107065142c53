"""The database that the rules are tested on, the callers, and the change to each node."""

from dataclasses import dataclass
from typing import Any

from tests.database_server import ADMIN, token

ISBN = "09780000000001"


def entry(reader, book, **change):
    return {"userId": reader, "bookId": book, "isbn": ISBN, "myRate": 3.5, **change}


def profile(reader):
    return {"id": reader, "firstname": reader.title(), "lastname": "", "mobile": "", "image": ""}


def ten(reader):
    items = [{"isbn": f"{ISBN[:-1]}{n}", "score": 1.5} for n in range(10)]
    return {"listId": f"of-{reader}", "modelVersion": "v1", "source": "popular", "items": items}


COPY = {"title": "T", "author": "A", "isbn": ISBN, "myRate": 3.5}
BOOK = {"documentId": "a1", "title": "T", "author": "A", "genre": "G", "isbn": ISBN, "pages": "100"}
MODEL = {"version": "v1", "manifest": "models/v1/manifest.json", "fence": 1}
MARK = {"at": 1}
ONE = {"count": 1, "last": ISBN}
RECORD = {"reason": "isbn", "message": "no isbn", "at": 1}
EVENTS = {"2026-11-29": {"row": {"event": "made", "at": 1}}}
SEEN = {"last": "l0", "at": 1, "version": "v0", "lists": 1, "books": {ISBN: 1}}

WORLD = {
    "User_Book": {"-Nana": entry("ana", "-Nbook1"), "-Nben": entry("ben", "-Nbook2")},
    "Books": {"-Nbook1": COPY, "-Nbook2": COPY},
    "archive": {"a1": BOOK, "a2": {**BOOK, "documentId": "a2"}},
    "Similar_Books": {"0978": {"first": ISBN}},  # really an array
    "Users": {
        reader: {
            **profile(reader),
            "recommendations": ten(reader),
            "dismissed": {ISBN: 1},
            "dismissals": ONE,
            "seen": SEEN,
        }
        for reader in ("ana", "ben")
    },
    "More_Lists": {reader: {"listId": f"of-{reader}", "digest": "0"} for reader in ("ana", "ben")},
    "Shared_Lists": {"trending": {"generatedAt": 1}, "newest": {"generatedAt": 1}},
    "Recommender": {
        "model": MODEL,
        "lease": {"holder": "run-1", "fence": 1, "expiresAt": 1},
        "changes": {"-Nana": MARK},
        "dirty": {"ana": MARK, "ben": MARK},
        "rejected": {"-Nana": RECORD},
        "status": {"training": {"state": "idle"}},
        "readers": {"ana": MARK, "ben": MARK},
        "shelvings": {"ana": {"v1": MARK}, "ben": {"v1": MARK}},
        "writes": {"ana": 7, "ben": 7},
        "trend": {"at": 1},
        "events": EVENTS,
        "paused": {"ana": {"until": 1}, "ben": {"until": 1}},  # the pauses are over
    },
    "secrets": {"a": 1},
}


@dataclass(frozen=True)
class Sample:
    """A node of the matrix in that database.

    ``value`` is set if the node is missing; ``change`` changes some children. Both are valid, so if they are denied, it
    is because of the caller. ``shared``: the children belong to many people.
    """

    path: str
    value: Any
    change: Any
    shared: bool = False


def _mark(path):
    return Sample(f"Recommender/{path}", MARK, {"at": 2})


SAMPLES = {
    "/": Sample("", {"User_Book": {"-Nana": entry("ana", "-Nbook1")}}, {"x": 1}, shared=True),
    "/User_Book": Sample(
        "User_Book", {"-Nana": entry("ana", "-Nbook1")}, {"-Nnew": entry("ana", "-Nbook3")}, shared=True
    ),
    "/User_Book/{owner's entry}": Sample("User_Book/-Nana", entry("ana", "-Nbook1"), {"myRate": 2}),
    "/User_Book/{another's entry}": Sample("User_Book/-Nben", entry("ben", "-Nbook2"), {"myRate": 2}),
    "/Books": Sample("Books", {"-Nbook1": COPY}, {"-Nbook3": COPY}, shared=True),
    "/Books/{key}": Sample("Books/-Nbook1", COPY, {"title": "U"}),
    "/archive": Sample("archive", {"a1": BOOK}, {"a3": BOOK}),
    "/archive/{key}": Sample("archive/a1", BOOK, {"title": "U"}),
    "/Similar_Books": Sample("Similar_Books", {"0978": {"first": ISBN}}, {"0979": {"first": ISBN}}),
    "/Similar_Books/{key}": Sample("Similar_Books/0978", {"first": ISBN}, {"second": ISBN}),
    "/Users": Sample("Users", {"ana": profile("ana")}, {"ana": {**profile("ana"), "image": "i"}}, shared=True),
    "/More_Lists": Sample("More_Lists", {"ana": {"listId": "x"}}, {"ana": {"listId": "y"}}, shared=True),
    "/More_Lists/{owner}": Sample("More_Lists/ana", {"listId": "x"}, {"listId": "y"}),
    "/More_Lists/{another}": Sample("More_Lists/ben", {"listId": "x"}, {"listId": "y"}),
    "/Shared_Lists": Sample("Shared_Lists", {"trending": MARK}, {"newest": MARK}),
    "/Shared_Lists/trending": Sample("Shared_Lists/trending", MARK, {"at": 2}),
    "/Recommender": Sample("Recommender", {"model": MODEL}, {"model": {**MODEL, "fence": 2}}),
    "/Recommender/model": Sample("Recommender/model", MODEL, {"fence": 2}),
    "/Recommender/lease": Sample("Recommender/lease", {"holder": "run-2", "fence": 2}, {"fence": 3}),
    "/Recommender/changes": Sample("Recommender/changes", {"-Nana": MARK}, {"-Nnew": MARK}),
    "/Recommender/changes/{owner's entry}": _mark("changes/-Nana"),
    "/Recommender/dirty": Sample("Recommender/dirty", {"ana": MARK}, {"ana": {"at": 2}}),
    "/Recommender/dirty/{owner}": _mark("dirty/ana"),
    "/Recommender/rejected": Sample("Recommender/rejected", {"-Nana": RECORD}, {"-Nana": {**RECORD, "at": 2}}),
    "/Recommender/rejected/{owner's entry}": Sample("Recommender/rejected/-Nana", RECORD, {"at": 2}),
    "/Recommender/status": Sample("Recommender/status", {"training": {"state": "busy"}}, {"model": {"version": "v"}}),
    "/Recommender/readers": Sample("Recommender/readers", {"ana": MARK}, {"ana": {"at": 2}}),
    "/Recommender/readers/{owner}": _mark("readers/ana"),
    "/Recommender/shelvings": Sample("Recommender/shelvings", {"ana": {"v1": MARK}}, {"ana": {"v1": {"at": 2}}}),
    "/Recommender/shelvings/{owner}": Sample("Recommender/shelvings/ana", {"v1": MARK}, {"v2": MARK}),
    "/Recommender/writes": Sample("Recommender/writes", {"ana": 7}, {"ana": 8}),
    "/Recommender/trend": Sample("Recommender/trend", {"at": 1}, {"at": 2}),
    "/Recommender/paused": Sample("Recommender/paused", {"ana": {"until": 1}}, {"ana": {"until": 2}}),
    "/Recommender/events": Sample("Recommender/events", EVENTS, {"2026-11-30": EVENTS["2026-11-29"]}),
    "/Recommender/paused/{owner}": Sample("Recommender/paused/ana", {"until": 1}, {"until": 2}),
    "/{any other node}": Sample("secrets", {"a": 1}, {"a": 2}),
}
for who, reader in (("owner", "ana"), ("another", "ben")):
    top = f"Users/{reader}"
    SAMPLES[f"/Users/{{{who}}}"] = Sample(top, profile(reader), {"image": "i"})
    SAMPLES[f"/Users/{{{who}}}/recommendations"] = Sample(f"{top}/recommendations", ten(reader), {"listId": "new"})
    SAMPLES[f"/Users/{{{who}}}/recommendations/{{part}}"] = Sample(
        f"{top}/recommendations/items/3", {"isbn": ISBN, "score": 9}, {"score": 9}
    )
    SAMPLES[f"/Users/{{{who}}}/dismissed"] = Sample(f"{top}/dismissed", {ISBN: 5}, {"X1": 5})
    SAMPLES[f"/Users/{{{who}}}/dismissals"] = Sample(f"{top}/dismissals", ONE, {"count": 2})

SAMPLES["/Users/{owner}/seen"] = Sample("Users/ana/seen", SEEN, {"at": 2})

_READERS = {"O": ("ana", {}), "R": ("ben", {}), "C": ("cora", {"admin": True}), "P": ("pia", {"operator": True})}


def as_user(uid, **claims):
    return {"Authorization": f"Bearer {token(uid, **claims)}"}


def headers(caller):
    """Return the headers that a caller in the matrix sends."""
    if caller in _READERS:
        uid, claims = _READERS[caller]
        return as_user(uid, **claims)
    return {"A": {}, "B": ADMIN}[caller]
