"""A dismissed book leaves the list at once and comes back on undo, whatever becomes of the events."""

import itertools
from dataclasses import replace

import pytest

from backend import logs
from backend.handlers.dismissed_written import DismissedWritten
from backend.handlers.entry_written import EntryWritten
from backend.handlers.write_rate import LIMIT
from backend.lists import WRITES
from bookrec import paths
from bookrec.catalogue import Book, Catalogue, parse_catalogue
from bookrec.entries import parse_entry
from bookrec.ranking import LIST_SIZE, Candidate
from bookrec.reader import GONE, HERE, parse_reader
from bookrec.reordering.dismissals import STRENGTH, lowered
from bookrec.server_values import TIMESTAMP, increment
from bookrec.shelf import build_shelf, sort_out
from bookrec.usage.dismissed import MAX_AGE_MS, MAX_AHEAD_MS, MAX_DISMISSED, parse_dismissals
from tests.fakes import World, entry

EVENT = DismissedWritten("e", "u", True, "u")


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    world.database.update({f"{paths.USERS}/u/id": "u"})
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({paths.CHANGES: None, paths.DIRTY: None})
    return world


def write(world, key, value, deliver=True):
    before = world.database.entry(key)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    event = EntryWritten("e", key, before, value, None)
    if deliver:
        world.backend.entry_written(event)
    return event


def dismiss(world, *isbns, deliver=True, at=TIMESTAMP):
    for isbn in isbns:
        key = paths.book_key(isbn)
        count = {f"{paths.dismissals('u')}/count": increment(1), f"{paths.dismissals('u')}/last": key}
        world.database.update({f"{paths.dismissed('u')}/{key}": at, **count})
        if deliver:
            world.backend.dismissed_written(EVENT)


def undo(world, isbn, deliver=True):
    key = paths.book_key(isbn)
    count = {f"{paths.dismissals('u')}/count": increment(-1), f"{paths.dismissals('u')}/last": key}
    world.database.update({f"{paths.dismissed('u')}/{key}": None, **count})
    if deliver:
        world.backend.dismissed_written(replace(EVENT, is_there=False))


def dismissed_by(world):
    return sorted(world.database.get(paths.dismissed("u")) or {})


def assert_right(world):
    """Assert that the list is that of the present shelf and dismissals, and return its books."""
    entries, _ = sort_out(world.database.get(paths.USER_BOOK) or {})
    node = parse_reader(world.database.get(f"{paths.USERS}/u"), None)
    shelf = build_shelf("u", entries, node.dismissals.counted(world.clock.now_ms()))
    present = world.list_of("u")
    assert present["basedOn"]["digest"] == shelf.digest
    isbns = [item["isbn"] for item in present["items"]]
    assert not {*shelf.ratings, *shelf.dismissed} & set(isbns)
    assert len(isbns) == LIST_SIZE
    return isbns


def test_a_dismissed_book_leaves_the_list_and_comes_back_on_undo_and_asks_for_no_retraining(world):
    before, queued = world.list_of("u"), dict(world.tasks.queued)
    dismiss(world, "isbn005")
    assert assert_right(world)[0] == "isbn006"
    based_on = world.list_of("u")["basedOn"]
    assert (based_on["dismissed"], based_on["entries"]) == (1, 1)
    assert based_on["shelf"] == before["basedOn"]["digest"] != based_on["digest"]
    assert world.list_of("u")["listId"] != before["listId"]
    undo(world, "isbn005")
    after = world.list_of("u")
    assert {**after, "generatedAt": 0} == {**before, "generatedAt": 0}
    assert world.database.get(paths.CHANGES) is None
    assert world.tasks.queued == queued


def test_any_edition_of_a_dismissed_book_stays_away_from_list_and_fill(world):
    same = {"isbn": "isbn006", "title": "TITLE 5 (Saga, #2)", "author": "Author 5, Another"}
    world.database.update({f"{paths.ARCHIVE}/a006": same})
    world.clock.now += 60_000
    dismiss(world, "isbn005", "isbn000", "isbn001", "isbn029")
    isbns = assert_right(world)
    assert not {"isbn005", "isbn006"} & set(isbns)
    world.database.update({paths.MODEL: None})  # without a model, lists are the best rated and the newest books
    world.backend = world.restarted()
    write(world, "k1", None)
    assert "isbn029" not in assert_right(world)
    assert {item["source"] for item in world.list_of("u")["items"]} == {"newest"}


def test_everything_may_be_dismissed(world):
    dismiss(world, *world.isbns[5:], deliver=False)
    dismiss(world, "isbn003")
    assert [item["isbn"] for item in world.list_of("u")["items"]] == ["isbn000", "isbn001", "isbn002"]


def test_an_isbn_with_dots_is_dismissed_by_its_key(world):
    book = {"isbn": "a.b.5", "title": "Dots", "author": "D", "publishedYear": "2050"}
    world.database.update({f"{paths.ARCHIVE}/dots": book, paths.MODEL: None})
    world.backend = world.restarted()
    write(world, "k1", entry("u", "isbn003"))
    assert assert_right(world)[0] == "a.b.5"
    dismiss(world, "a.b.5")
    assert dismissed_by(world) == ["a,b,5"]
    assert "a.b.5" not in assert_right(world)


def test_one_event_reads_the_readers_nodes_once_and_makes_one_write(world, monkeypatch):
    made = []
    for name in ("shelf_nodes", "readers", "list_writes", "entry", "pointer", "catalogue", "update"):
        request = getattr(world.database, name)
        recorded = lambda *given, name=name, request=request: (made.append(name), request(*given))[1]  # noqa: E731
        monkeypatch.setattr(world.database, name, recorded)
    dismiss(world, "isbn005", deliver=False)
    world.clock.now += 60_000
    made.clear()
    world.backend.dismissed_written(EVENT)
    assert made == ["list_writes", "readers", "shelf_nodes", "update", "list_writes", "pointer", "catalogue"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_and_duplication_of_events_ends_in_the_list_of_the_final_state(world, order):
    events = []
    dismiss(world, "isbn006", deliver=False)
    events.append(lambda: world.backend.dismissed_written(EVENT))
    entry_event = write(world, "k2", entry("u", "isbn007"), deliver=False)
    events.append(lambda: world.backend.entry_written(entry_event))
    undo(world, "isbn006", deliver=False)
    events.append(lambda: world.backend.dismissed_written(replace(EVENT, is_there=False)))
    dismiss(world, "isbn008", deliver=False)
    events.append(lambda: world.backend.dismissed_written(EVENT))
    for number in (*order, order[0]):
        events[number]()
    assert_right(world)
    assert list(world.database.get(paths.CHANGES)) == ["k2"]


@pytest.mark.parametrize("moment", range(1, 8))  # an event makes seven requests
@pytest.mark.parametrize("first", ["a shelf", "a dismissal", "an undo"])
@pytest.mark.parametrize("second", ["a shelf", "a dismissal", "an undo"])
def test_two_events_of_one_reader_at_any_moment_of_each_other_end_in_the_list_of_both(world, first, second, moment):
    """The second is written and handled whole between two requests of the first."""
    dismiss(world, "isbn009", "isbn008")
    dismissed = iter(["isbn009", "isbn008"])
    changes = {
        "a shelf": lambda: write(world, f"k{next(numbers)}", entry("u", "isbn006"), deliver=False),
        "a dismissal": lambda: dismiss(world, f"isbn01{next(numbers)}", deliver=False),
        "an undo": lambda: undo(world, "isbn009", deliver=False),
    }
    numbers = itertools.count(2)
    if (first, second) == ("an undo", "an undo"):
        changes["an undo"] = lambda: undo(world, next(dismissed), deliver=False)

    def handle(kind):
        event = changes[kind]()
        world.backend.entry_written(event) if kind == "a shelf" else world.backend.dismissed_written(EVENT)

    event = changes[first]()
    requests, memory, is_over = itertools.count(1), world.database.memory, []

    def perform(kind, request):
        if next(requests) == moment:
            memory.perform = lambda kind, request: request()
            is_over.append(True)
            handle(second)
        return request()

    memory.perform = perform
    world.backend.entry_written(event) if first == "a shelf" else world.backend.dismissed_written(EVENT)
    assert is_over
    assert_right(world)


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_dismissal_that_is_undone_while_its_event_is_handled_does_not_stay_away(world, moment):
    """The list is right for the undo before the first event writes its own: the undo's event writes all the same."""
    requests, memory = itertools.count(1), world.database.memory
    dismiss(world, "isbn005", deliver=False)

    def perform(kind, request):
        if next(requests) == moment:
            memory.perform = lambda kind, request: request()
            undo(world, "isbn005")
        return request()

    memory.perform = perform
    world.backend.dismissed_written(EVENT)
    memory.perform = lambda kind, request: request()
    assert assert_right(world)[0] == "isbn005"


def test_lost_events_are_found_by_the_sweep_and_ask_for_no_retraining(world):
    dismiss(world, "isbn005", deliver=False)
    assert world.backend.reconcile(rests=False)["lists"] == 1
    assert "isbn005" not in assert_right(world)
    assert world.database.get(paths.CHANGES) is None
    undo(world, "isbn005", deliver=False)
    assert world.backend.reconcile(rests=False)["lists"] == 1
    assert assert_right(world)[0] == "isbn005"
    assert world.database.get(paths.CHANGES) is None
    assert "lists" not in world.backend.reconcile(rests=False)


def test_a_lost_change_of_the_shelf_is_marked_by_the_event_of_a_dismissal(world):
    write(world, "k2", entry("u", "isbn007"), deliver=False)
    dismiss(world, "isbn006")
    assert list(world.database.get(paths.CHANGES)) == ["k2"]
    dismiss(world, "isbn010")
    write(world, "k3", entry("u", "isbn009"), deliver=False)
    world.database.update({paths.CHANGES: None})
    undo(world, "isbn010")
    assert list(world.database.get(paths.CHANGES)) == ["k3"]


def test_what_is_shelved_while_a_dismissal_stands_counts_as_before(world):
    dismiss(world, "isbn006")
    world.database.update({paths.CHANGES: None})
    write(world, "k2", entry("u", "isbn005"))
    assert list(world.database.get(paths.CHANGES)) == ["k2"]
    hits = world.database.get(f"{paths.CONVERSIONS}/u/v1/hits")
    assert hits == {"k2": {"position": 1, "source": "personal"}}


def test_old_dismissals_do_not_count_and_the_sweep_removes_them_with_their_count(world):
    old = world.clock.now_ms() - MAX_AGE_MS - 1
    dismiss(world, "isbn005", at=old)
    dismiss(world, "isbn006", "isbn007")
    assert assert_right(world)[0] == "isbn005"
    repaired = world.backend.reconcile(rests=False)
    assert repaired["dismissals"] == 1
    assert dismissed_by(world) == ["isbn006", "isbn007"]
    assert world.database.get(paths.dismissals("u")) == {"count": 2, "last": "isbn007"}
    assert "dismissals" not in world.backend.reconcile(rests=False)
    world.clock.now += MAX_AGE_MS + MAX_AHEAD_MS
    world.backend.reconcile(rests=False)
    assert dismissed_by(world) == []
    assert world.database.get(paths.dismissals("u")) is None
    assert assert_right(world)[0] == "isbn005"
    assert world.database.get(f"{paths.USERS}/u/id") == "u"


def test_bad_dismissals_are_ignored_and_removed_with_a_reason_in_the_log(world, monkeypatch):
    lines = []
    monkeypatch.setattr(logs, "warning", lambda message, **fields: lines.append((message, fields)))
    bad = {"\N{DRAGON}": 1, ",x": 5, "isbn005": "x", "isbn006": True, "isbn007": -5, "isbn008": 1.5}
    bad |= {"isbn009": {"a": 1}, "isbn010": world.clock.now_ms() + MAX_AHEAD_MS + 60_000, "isbn011": 0}
    world.database.update({paths.dismissed("u"): {**bad, "isbn012": world.clock.now_ms()}})
    world.backend.dismissed_written(EVENT)
    assert assert_right(world)[:3] == ["isbn005", "isbn006", "isbn007"]
    assert world.list_of("u")["basedOn"]["dismissed"] == 1
    world.backend.reconcile(rests=False)
    assert dismissed_by(world) == ["isbn012"]
    assert world.database.get(paths.dismissals("u")) == {"count": 1}
    reasons = {fields["reason"]: fields["number"] for message, fields in lines if message == "dismissals are removed"}
    assert reasons == {"dismissal_key_invalid": 2, "dismissal_not_time": 6, "dismissal_in_future": 1}
    assert all(isbn not in str(lines) for isbn in bad)


def test_a_clock_that_is_set_back_loses_no_dismissal(world):
    dismiss(world, "isbn005")
    world.clock.set(-20 * 3_600_000)
    world.backend.reconcile(rests=False)
    assert dismissed_by(world) == ["isbn005"]
    assert "isbn005" not in assert_right(world)


def test_the_newest_two_hundred_count_and_older_ones_are_removed(world):
    times = {f"b{number:03}": 10**12 * 1 + number for number in range(MAX_DISMISSED + 5)}
    now = max(times.values())
    dismissals = parse_dismissals(times, {"count": len(times)})
    assert dismissals.counted(now) == tuple(sorted(times))[5:]
    world.database.update({paths.dismissed("u"): {key: world.clock.now_ms() - 300 + n for n, key in enumerate(times)}})
    world.backend.reconcile(rests=False)
    assert dismissed_by(world) == sorted(times)[5:]
    assert world.database.get(f"{paths.dismissals('u')}/count") == MAX_DISMISSED


@pytest.mark.parametrize("node", [None, "x", 5, True, [], ["a"], {"a": {"b": "c"}}, {"a.b": 1}])
def test_a_node_of_any_form_is_read(node):
    assert parse_dismissals(node, node).counted(10**13) == ()


@pytest.mark.parametrize(
    "bookkeeping", [None, 5, "x", [1], {"count": "1"}, {"count": True}, {"count": 7}, {"count": 1.5}]
)
def test_a_wrong_count_is_corrected(world, bookkeeping):
    dismiss(world, "isbn005")
    world.database.update({paths.dismissals("u"): bookkeeping})
    assert world.backend.reconcile(rests=False)["dismissals"] == 1
    assert world.database.get(f"{paths.dismissals('u')}/count") == 1
    assert dismissed_by(world) == ["isbn005"]
    assert "dismissals" not in world.backend.reconcile(rests=False)


def test_a_dismissal_that_comes_while_the_sweep_removes_others_stays(world):
    dismiss(world, "isbn005", at=5)
    database, memory = world.database, world.database.memory

    def perform(kind, request):
        if kind == "conditional write":
            memory.perform = lambda kind, request: request()
            dismiss(world, "isbn006", deliver=False)
        return request()

    memory.perform = perform
    removed = database.remove_dismissals("u", lambda present: present.removable(world.clock.now_ms()))
    assert (set(removed), dismissed_by(world)) == ({"isbn005"}, ["isbn006"])
    assert database.get(f"{paths.dismissals('u')}/count") == 1


def test_a_node_that_others_write_all_the_time_is_left_alone(world):
    dismiss(world, "isbn005", at=5)
    numbers = itertools.count(6)

    def perform(kind, request):
        if kind == "conditional write":
            world.database.memory.update({f"{paths.USERS}/u/mobile": str(next(numbers))})
        return request()

    world.database.memory.perform = perform
    assert world.database.remove_dismissals("u", lambda present: present.removable(10**13)) is None
    assert dismissed_by(world) == ["isbn005"]
    assert "dismissals" not in world.backend.reconcile(rests=False)  # nothing was repaired
    assert dismissed_by(world) == ["isbn005"]


@pytest.mark.parametrize("is_undone", [True, False])
def test_dismissals_are_not_a_profile_and_leave_with_the_reader(world, is_undone):
    dismiss(world, "isbn005")
    if is_undone:
        undo(world, "isbn005")
    world.database.update({f"{paths.USERS}/u/id": None})  # the app removed its own fields, one by one
    world.backend.dismissed_written(EVENT)
    assert world.database.get(f"{paths.USERS}/u") is None
    assert world.database.get(f"{paths.READERS}/u") == GONE
    assert world.database.get(f"{paths.LIST_WRITES}/u") is None


@pytest.mark.parametrize("has_entries", [True, False])
def test_the_events_of_a_removed_account_leave_nothing(world, has_entries):
    dismiss(world, "isbn005", "isbn006", "isbn007")
    if not has_entries:
        write(world, "k1", None, deliver=False)
    world.database.update({f"{paths.USERS}/u": None})
    for _ in range(3):
        world.backend.dismissed_written(replace(EVENT, is_there=False))
        assert world.database.get(f"{paths.USERS}/u") is None
        assert world.database.get(f"{paths.LIST_WRITES}/u") is None
        assert world.database.get(f"{paths.DIRTY}/u") is None
        assert world.database.get(f"{paths.READERS}/u") == (GONE if has_entries else None)


@pytest.mark.parametrize("moment", range(1, 8))
def test_an_account_that_is_removed_while_a_dismissal_is_handled_leaves_no_list(world, moment):
    write(world, "k1", None)
    requests, memory = itertools.count(1), world.database.memory
    dismiss(world, "isbn005", deliver=False)

    def perform(kind, request):
        if next(requests) == moment:
            memory.perform = lambda kind, request: request()
            world.database.update({f"{paths.USERS}/u": None})
            world.backend.dismissed_written(replace(EVENT, is_there=False))
        return request()

    memory.perform = perform
    world.backend.dismissed_written(EVENT)
    memory.perform = lambda kind, request: request()
    assert world.database.get(f"{paths.USERS}/u") is None
    assert world.database.get(f"{paths.LIST_WRITES}/u") is None


def test_what_a_reader_who_left_writes_later_is_removed_too(world):
    world.database.update({f"{paths.USERS}/u": None})
    world.backend.reconcile(rests=False)
    dismiss(world, "isbn005", deliver=False)
    undo(world, "isbn005", deliver=False)
    assert world.backend.reconcile(rests=False)["farewells"] == 1
    assert world.database.get(f"{paths.USERS}/u") is None
    assert "farewells" not in world.backend.reconcile(rests=False)


def test_a_reader_without_a_profile_may_dismiss(world):
    world.database.update({f"{paths.USERS}/u/id": None, f"{paths.READERS}/u": None})
    dismiss(world, "isbn005")
    assert "isbn005" not in assert_right(world)
    assert world.database.get(f"{paths.READERS}/u") is None


def test_who_dismisses_too_fast_is_paused_and_the_reconciler_makes_the_list(world):
    for _ in range(LIMIT):
        world.backend.dismissed_written(EVENT)
    dismiss(world, "isbn005")
    assert world.database.get(f"{paths.PAUSED}/u/until") > world.clock.now_ms()
    assert world.list_of("u")["items"][0]["isbn"] == "isbn005"
    undo(world, "isbn004")  # taking back is not counted
    world.backend.reconcile()
    assert "isbn005" not in [item["isbn"] for item in world.list_of("u")["items"]]


def test_a_node_that_can_be_no_reader_is_ignored(world):
    writes = world.database.get(WRITES)
    for user_id in ("", "a.b", "x" * 800):
        world.backend.dismissed_written(replace(EVENT, user_id=user_id))
    assert world.database.get(WRITES) == writes


def test_a_catalogue_without_a_dismissed_book_is_no_problem(world):
    dismiss(world, "isbn900", "isbn005")
    assert "isbn005" not in assert_right(world)
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    assert "isbn900" not in catalogue


def test_a_readers_mark_and_profile_do_not_depend_on_dismissals():
    node = {"dismissed": {"1": 5}, "dismissals": {"count": 1}, "shown": {"listId": "x"}, "seen": {"last": "x"}}
    assert not parse_reader(node, HERE).has_profile
    assert parse_reader({**node, "id": "u"}, HERE).has_profile


def books_by(*authors):
    return Catalogue([Book(f"b{number}", f"Title {number}", author, "") for number, author in enumerate(authors)])


def scores(catalogue, dismissed, shelved=(), strength=1.0):
    """Return the scores of the last three books, 3, 2 and 1 before, by ISBN."""
    candidates = [Candidate(f"b{len(catalogue) - 3 + n}", 3.0 - n, None, "personal") for n in range(3)]
    shelf = build_shelf("u", [parse_entry(f"k{isbn}", entry("u", isbn)) for isbn in shelved], dismissed)
    return {one.isbn: one.score for one in lowered(candidates, shelf, catalogue, strength)}


UNIT = (2 / 3) ** 0.5
"""The deviation of 1, 2 and 3."""


def test_books_by_a_dismissed_author_lose_score_less_if_the_reader_has_books_by_that_author():
    catalogue = books_by("Ann A.", "Ann A.", "ann a., Ben B.", "Cy C.", "")
    assert scores(catalogue, ["b0"]) == {"b2": 3 - UNIT, "b3": 2, "b4": 1}
    assert scores(catalogue, ["b0"], ["b1"]) == {"b2": 3 - UNIT / 2, "b3": 2, "b4": 1}
    assert scores(catalogue, ["b0"], strength=2) == {"b2": 3 - 2 * UNIT, "b3": 2, "b4": 1}


def test_nothing_is_lowered_without_a_strength_an_author_or_a_dismissal_that_counts():
    catalogue = books_by("Ann A.", "", "Ann A.", "Cy C.", "")
    before = {"b2": 3, "b3": 2, "b4": 1}
    assert scores(catalogue, ["b0"], strength=0) == before
    assert scores(catalogue, []) == before
    assert scores(catalogue, ["b1"]) == before  # without an author
    assert scores(catalogue, ["b9"]) == before  # not in the catalogue
    assert scores(catalogue, ["b0"], ["b0"]) == before  # on the shelf after all
    assert STRENGTH == 0


def test_the_sweep_counts_books_and_readers_each_once_whatever_their_ids_look_like(world):
    now = world.clock.now_ms()
    dismiss(world, "isbn005", "isbn006")
    world.database.update({f"{paths.USERS}/7": {"id": "7", "dismissed": {"isbn009": now}, "dismissals": {"count": 1}}})
    world.database.update({f"{paths.USERS}/v": {"id": "v", "dismissed": {"isbn009": 5}}})
    write(world, "k7", entry("7", "isbn004"))
    world.backend.reconcile(rests=False)
    counts = world.database.get(f"{paths.STATUS}/dismissals")
    assert counts == {"at": counts["at"], "readers": 2, "books": 3}
    assert now <= counts["at"] <= world.clock.now_ms()
    assert world.database.get(f"{paths.USERS}/v/dismissed") is None
