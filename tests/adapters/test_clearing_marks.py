"""Clearing marks: what it costs, and that no mark goes that is renewed meanwhile, in memory and over the wire."""

import threading
from collections import Counter

import pytest

from bookrec import paths
from bookrec.life_cycle.retraining import Pending
from bookrec_database import marks
from bookrec_database.connection import disconnect
from bookrec_database.database import CLEARED, FirebaseDatabase
from tests.database_server import connected, references
from tests.fakes import one_by_one
from tests.memory_database import MemoryDatabase


class Watched:
    """References that count requests, and let others write between one request and the next."""

    def __init__(self, node_at):
        self._node_at, self.requests = node_at, Counter()
        self.before = lambda kind, path: None

    def __call__(self, path):
        return WatchedNode(self, path, self._node_at(path))

    def made(self, kind, path):
        self.requests[kind] += 1
        self.before(kind, path)


class WatchedNode:
    def __init__(self, watched, path, node):
        self._watched, self._path, self._node = watched, path, node

    def get(self, **options):
        kind = "whole node" if options.get("etag") and self._path == paths.CHANGES else "read"
        self._watched.made(kind, self._path)
        return self._node.get(**options)

    def set_if_unchanged(self, etag, value):
        self._watched.made("conditional write", self._path)
        return self._node.set_if_unchanged(etag, value)

    def transaction(self, change):
        self._watched.made("read", self._path)
        self._watched.made("conditional write", self._path)
        return self._node.transaction(change)

    def __getattr__(self, name):  # what narrows a query
        def narrowed(*arguments):
            return WatchedNode(self._watched, self._path, getattr(self._node, name)(*arguments))

        return narrowed


@pytest.fixture(params=["in memory", "real"])
def node_at(request):
    if request.param == "in memory":
        yield Watched(MemoryDatabase(lambda: 1_700_000_000_000).reference)
        return
    yield Watched(references(request.getfixturevalue("server")))
    disconnect()


@pytest.fixture
def database(node_at):
    return FirebaseDatabase(node_at, one_by_one)


def mark(node_at, **times):
    node_at._node_at(paths.CHANGES).update({key: {"at": at} for key, at in times.items()})


def left(node_at):
    found = node_at._node_at(paths.CHANGES).get() or {}
    return {key: mark["at"] for key, mark in found.items()}


OLD = {f"k{number:04}": 5 + number % 5 for number in range(1_000)}


def test_a_thousand_marks_go_in_a_few_requests(node_at, database):
    mark(node_at, **OLD, later=11)
    assert database.clear_marks(paths.CHANGES, 10) == 1_000
    assert left(node_at) == {"later": 11}
    assert sum(node_at.requests.values()) <= 7
    node_at.requests.clear()
    assert database.clear_marks(paths.CHANGES, 10) == 0
    assert sum(node_at.requests.values()) == 1


def test_a_mark_that_is_renewed_between_reading_and_writing_stays(node_at, database):
    mark(node_at, **OLD)
    renewed = []

    def renew(kind, path):
        if kind == "conditional write" and path == paths.CHANGES and not renewed:
            renewed.append(True)
            mark(node_at, k0007=20, new=21)

    node_at.before = renew
    assert database.clear_marks(paths.CHANGES, 10) == 999
    assert renewed
    assert left(node_at) == {"k0007": 20, "new": 21}


def test_while_others_write_all_the_time_each_mark_goes_by_itself_and_what_is_renewed_stays(node_at, database):
    mark(node_at, **{key: OLD[key] for key in list(OLD)[:40]})
    clock = iter(range(20, 1_000))

    def renew(kind, path):
        if kind == "conditional write" and path == paths.CHANGES:
            mark(node_at, another=next(clock))
        if kind == "conditional write" and path.endswith("/k0003"):
            mark(node_at, k0003=next(clock))

    node_at.before = renew
    assert database.clear_marks(paths.CHANGES, 10) == 39
    assert left(node_at).keys() == {"k0003", "another"}
    assert node_at.requests["conditional write"] == 1 + marks.TRIES + 40


def test_marks_that_another_process_renews_meanwhile_are_there_afterwards(server):
    with connected(server) as database:
        keys = [f"k{number:02}" for number in range(30)]
        database.update({f"{paths.DIRTY}/{key}": {"at": 1} for key in keys})
        renewed, is_over = {}, threading.Event()

        def renew():
            try:
                for number in range(200):
                    key, at = keys[number % 20], 100 + number
                    server.put(f"{paths.DIRTY}/{key}", {"at": at})
                    renewed[key] = at
            finally:
                is_over.set()

        thread = threading.Thread(target=renew)
        thread.start()
        cleared = 0
        while not is_over.is_set():
            cleared += database.clear_marks(paths.DIRTY, 50)
        thread.join()
        cleared += database.clear_marks(paths.DIRTY, 50)
        assert {key: mark["at"] for key, mark in server.get(paths.DIRTY).items()} == renewed
        assert cleared >= 10  # those that nobody renews


def test_what_a_call_costs_at_most_is_bounded_and_the_next_one_goes_on(node_at, database, monkeypatch):
    monkeypatch.setattr(marks, "BATCH", 10)
    mark(node_at, **{f"k{number:02}": number for number in range(35)})
    clock = iter(range(100, 1_000))

    def renew(kind, path):
        if kind == "conditional write" and path == paths.CHANGES:
            mark(node_at, another=next(clock))

    node_at.before = renew
    assert database.clear_changes(50) == 10  # the oldest
    assert min(left(node_at).values()) == 10
    assert sum(node_at.requests.values()) <= 4 + marks.TRIES + 3 + 2 * 10
    monkeypatch.setattr(marks, "ROUNDS", 2)
    assert database.clear_marks(paths.CHANGES, 50) == 20
    assert database.clear_marks(paths.CHANGES, 50) == 5
    assert left(node_at).keys() == {"another"}


def test_a_node_that_is_too_large_to_be_read_as_a_whole_is_not(node_at, database, monkeypatch):
    monkeypatch.setattr(marks, "LARGEST", 15)
    mark(node_at, **{f"k{number:02}": number for number in range(20)})
    assert database.clear_changes(9) == 10
    assert node_at.requests["whole node"] == 0
    assert min(left(node_at).values()) == 10
    monkeypatch.setattr(marks, "FEW", 1)
    assert database.clear_marks(paths.CHANGES, 14) == 5  # a training run has the memory
    assert node_at.requests["whole node"] == 1


def test_a_time_with_a_fraction_counts_in_every_question(node_at, database):
    mark(node_at, first=5.5, second=7)
    assert database.has_pending()
    assert database.pending(1) == Pending(1, 5, 7)
    assert database.clear_changes(6) == 1
    assert left(node_at) == {"second": 7}


def test_the_next_call_goes_on_with_a_clearing_that_was_interrupted(node_at, database):
    node_at._node_at(f"{CLEARED}/changes").set(9)  # a run of a model that was not published noted it, then died
    mark(node_at, first=5, second=9, third=10)
    assert database.clear_changes(0) == 2
    assert left(node_at) == {"third": 10}


def test_marks_that_are_left_since_there_were_too_many_ask_for_no_run_once_they_count_as_trained_on(
    node_at, database, monkeypatch
):
    monkeypatch.setattr(marks, "LARGEST", 15)
    monkeypatch.setattr(marks, "LARGEST_IN_A_RUN", 15)
    monkeypatch.setattr(marks, "BATCH", 2)
    monkeypatch.setattr(marks, "ROUNDS", 1)
    mark(node_at, **{f"k{number:02}": 10 + number for number in range(20)})
    assert database.pending(50) == Pending(20, 10, 29)
    assert database.pending(7) == Pending(7, 10, 29)
    assert database.has_pending()
    assert database.clear_marks(paths.CHANGES, 50) == 2
    assert len(left(node_at)) == 18
    assert database.pending(50) == Pending()
    assert not database.has_pending()
    mark(node_at, k07=60, new=55, newer=70)  # one of them is renewed
    node_at._node_at(paths.CHANGES).update({"text": "x", "words": {"at": "soon"}})
    assert database.pending(50) == Pending(3, 55, 70)
    assert database.has_pending()
    monkeypatch.setattr(marks, "BATCH", 50)
    assert database.clear_marks(paths.CHANGES, 50) == 17
    assert database.pending(50) == Pending(3, 55, 70)
    assert database.has_pending()


def test_a_few_marks_of_many_are_cleared_without_reading_the_others(node_at, database):
    mark(node_at, **dict.fromkeys(OLD, 50), old=3, older=2)
    assert database.clear_marks(paths.CHANGES, 10) == 2
    assert node_at.requests["whole node"] == 0
    assert len(left(node_at)) == 1_000


def test_what_is_not_a_mark_is_left_alone(node_at, database):
    node_at._node_at(paths.CHANGES).set({"text": "x", "number": 4, "words": {"at": "soon"}})
    mark(node_at, **{f"k{number:02}": 1 for number in range(20)})
    assert database.clear_marks(paths.CHANGES, 10) == 20
    assert node_at._node_at(paths.CHANGES).get() == {"text": "x", "number": 4, "words": {"at": "soon"}}


def test_until_when_marks_may_be_gone_is_noted_before_they_go_and_never_goes_back(node_at, database):
    noted = f"{paths.STATUS}/training/cleared/dirty"
    assert database.clear_marks(paths.DIRTY, 10) == 0
    assert database.cleared() == 0  # nothing was there to be removed
    for until, expected in ((10, 10), (5, 10), (20, 20)):
        node_at._node_at(paths.DIRTY).set({"u": {"at": until - 1}})
        assert database.clear_marks(paths.DIRTY, until) == 1
        assert node_at._node_at(noted).get() == database.cleared() == expected
