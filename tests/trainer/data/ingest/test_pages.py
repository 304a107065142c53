"""Reading a node in parallel ranges of keys, from the database emulator over the wire."""

import threading
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookrec import paths
from bookrec.push_keys import CHARS, first_key
from bookrec_database.key_range import WHOLE
from trainer.data.ingest.keys import cut
from trainer.data.ingest.pages import ReadError, Reading, _ranges, pages, parallel_pages, read_concurrently
from trainer.data.sources import read_database, read_pages

TIMES = st.one_of(
    st.integers(1_600_000_000_000, 1_600_000_000_010), st.integers(0, 1_790_000_000_000), st.integers(0, 64**8 - 1)
)
PUSH_KEYS = st.builds(lambda at, chance: first_key(at) + chance, TIMES, st.text(CHARS, min_size=12, max_size=12))
NUMBERS = st.one_of(st.integers(-(2**31) - 2, 2**31 + 2), st.integers(-3, 12)).map(str)
TEXTS = st.one_of(
    st.sampled_from(["007", "-0", "!", " ", "-", "--------", "z" * 20, "a&b", "50%", '"', "\\", "é", "🐉", "item"]),
    TIMES.map(first_key),
    st.text(st.characters(exclude_characters=".$#[]/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)
KEYS = st.sets(st.one_of(PUSH_KEYS, PUSH_KEYS, NUMBERS, TEXTS), max_size=40)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(keys=KEYS, spans=st.integers(1, 20), size=st.integers(1, 5), workers=st.integers(1, 4))
def test_ranges_read_concurrently_equal_pages_read_in_order(server, database, keys, spans, size, workers):
    nodes = {key: {"userId": "u", "bookId": "b", "isbn": f"i{number}", "myRate": 4} for number, key in enumerate(keys)}
    server.put("User_Book", nodes)
    expected = list(pages(database, paths.USER_BOOK, size))
    read = list(parallel_pages(database, paths.USER_BOOK, size, Reading(workers, spans)))
    assert sorted(key for page in expected for key in page) == sorted(keys)
    assert sorted(key for page in read for key in page) == sorted(keys)
    assert {key: node for page in read for key, node in page.items()} == nodes
    assert all(0 < len(page) <= size for page in read)


def test_ranges_cover_every_key_once_and_divide_the_time_evenly():
    ranges = cut(1_600_000_000_000, 1_700_000_000_000, 10)
    assert len(ranges) == 12
    assert ranges[0].first is ranges[-1].end is None
    assert [r.end for r in ranges[:-1]] == [r.first for r in ranges[1:]]
    keys = [first_key(1_600_000_000_000 + hour * 3_600_000) + "x" * 12 for hour in range(27_777)]
    sizes = [sum(r.first <= key and key in r for key in keys) for r in ranges[1:-1]]
    assert max(sizes) - min(sizes) < 0.1 * max(sizes)


def test_a_key_that_is_a_bound_is_in_one_range(server, database):
    first, last = 1_700_000_000_000, 1_700_000_600_000
    ranges = cut(first, last, 6)
    bounds = [keys.first for keys in ranges[2:-1]]
    server.put("User_Book", dict.fromkeys([*bounds, first_key(first) + "0" * 12, first_key(last) + "0" * 12], True))
    keys = [key for keys in ranges for page in pages(database, paths.USER_BOOK, 3, keys) for key in page]
    assert len(keys) == len(set(keys)) == len(bounds) + 2


def test_a_small_node_is_one_request_and_a_wrong_clock_makes_no_range_empty():
    read = []

    class Small:
        def page(self, path, after, size, keys=WHOLE):
            read.append(keys)
            return {"-a": 1}

    assert list(parallel_pages(Small(), paths.USER_BOOK)) == [{"-a": 1}]
    assert len(read) == 1
    start = [first_key(1_400_000_000_000) + "0" * 12, *(first_key(1_700_000_000_000 + n) + "0" * 12 for n in range(99))]
    ranges = _ranges(start, first_key(1_700_000_100_000) + "0" * 12, Reading(workers=2, spans=64))
    assert len(ranges) == 64 + 2
    assert ranges[0].end > first_key(1_700_000_000_000)


@pytest.fixture
def filled(server, database):
    first = 1_700_000_000_000
    server.put(
        "User_Book",
        {
            first_key(first + n * 60_000) + f"{n:012}": {
                "userId": f"u{n % 7}",
                "bookId": "b",
                "isbn": f"i{n}",
                "myRate": 3,
            }
            for n in range(300)
        },
    )
    server.put("archive", {f"-a{n}": {"isbn": f"i{n}", "title": f"T{n}"} for n in range(50)})
    return database


QUICK = Reading(workers=4, spans=10, attempts=8, wait_s=0.001, longest_wait_s=0.01)


def fail(server, probability, status=504):
    rule = {"path": "User_Book", "methods": ["GET"], "fail": probability, "status": status}
    assert server.request("PUT", ".settings/faults", {"seed": 3, "rules": [rule]}).ok


def test_pages_with_transient_failures_are_read_again(server, filled):
    expected = read_pages(partial(pages, filled), "database")
    fail(server, 0.4)
    # The order of the threads decides which requests fail: 40 attempts in a row fail once in 10¹⁵ pages.
    patient = replace(QUICK, attempts=40)
    snapshot = read_pages(lambda path, size: parallel_pages(filled, path, 20, patient), "database")
    counts = server.get(".settings/faults")["counts"]["requests"]["User_Book"]
    assert counts["failed"] > 2
    assert snapshot.ratings.equals(expected.ratings)
    assert snapshot.books.equals(expected.books)


def test_a_page_that_fails_too_often_ends_the_read_and_is_named(server, filled):
    fail(server, 1.0)
    with pytest.raises(ReadError, match=r"/User_Book, .*: UnknownError \(status 504\), in 8 attempts"):
        read_database(filled, QUICK)
    assert server.get(".settings/faults")["counts"]["requests"]["User_Book"]["failed"] == 8


def test_a_range_that_fails_is_named_and_ends_the_others(server, filled):
    expected = threading.active_count()

    class OneRangeFails:
        last_key = filled.last_key

        def page(self, path, after, size, keys=WHOLE):
            if keys.first is not None and size > 1 and keys.first > first_key(1_700_000_000_000 + 100 * 60_000):
                raise ConnectionError("no route to u3")
            return filled.page(path, after, size, keys)

    with pytest.raises(ReadError, match=r"/User_Book, keys from -\S+ to before .*: ConnectionError, in 8 attempts$"):
        list(parallel_pages(OneRangeFails(), paths.USER_BOOK, 10, QUICK))
    assert threading.active_count() == expected


def test_a_permanent_failure_is_not_tried_again(server, filled):
    fail(server, 1.0, 403)
    with pytest.raises(ReadError, match=r"could not be read: PermissionDeniedError"):
        read_database(filled, QUICK)
    assert server.get(".settings/faults")["counts"]["requests"]["User_Book"]["failed"] == 1


def test_closing_the_iterator_stops_the_workers(filled):
    before = threading.active_count()
    running = parallel_pages(filled, paths.USER_BOOK, 1, QUICK)
    assert len(next(running)) == 1
    running.close()
    assert threading.active_count() == before


def test_each_worker_reads_at_most_two_results_ahead():
    read = []
    results = read_concurrently(lambda n: read.append(n) or [n], range(1000), 3)
    next(results)
    threading.Event().wait(0.3)
    assert len(read) <= 1 + 2 * 3 + 3
    results.close()


def test_the_order_in_which_ranges_end_does_not_matter(filled):
    expected = read_pages(partial(pages, filled), "database")

    def backwards(path, size):
        return reversed(list(pages(filled, path, 17)))

    snapshot = read_pages(backwards, "database")
    assert snapshot.ratings.equals(expected.ratings)
    assert snapshot.books.equals(expected.books)
    assert expected.ratings["key"].is_monotonic_increasing
