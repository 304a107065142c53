"""A reader who makes a function die each time: everybody else is served, and the reader is left out for a while."""

import json

import pytest

from backend import shelf_walk, sweep
from backend.guards import careful
from backend.handlers.entry_written import EntryWritten
from backend.logs import user_key
from bookrec import paths, shelf
from tests.fakes import World, entry, load_fake

POISON = "isbn013"
MINUTES_MS = 300_000


class Killed(BaseException):
    """The platform ends a function: out of memory, or out of time."""


@pytest.fixture
def world(monkeypatch):
    """Some readers without lists, of whom ``u05`` has a book that kills whoever makes the list."""
    world = World()
    world.is_deadly = True

    def load(version, model, items):
        loaded = load_fake(version, model, items)
        deadly = loaded.items.isbns.index(POISON)

        def recommend(**inputs):
            if world.is_deadly and deadly in inputs["items"]:
                raise Killed
            return answer(**inputs)

        answer = loaded.recommend
        object.__setattr__(loaded, "recommend", recommend)
        return loaded

    object.__setattr__(world._services, "load", load)
    world.publish("v1", 1)
    for number in range(12):
        isbn = POISON if number == 5 else f"isbn{number % 3:03}"
        world.database.update({f"{paths.USER_BOOK}/k{number:02}": entry(f"u{number:02}", isbn)})
        world.database.update({f"{paths.USERS}/u{number:02}/id": "x"})
    monkeypatch.setattr(sweep, "PAGE", 4)
    return world


OTHERS = [f"u{number:02}" for number in range(12) if number != 5]


def run(world, call=lambda backend: backend.reconcile(rests=False)):
    """Run a function in an instance of its own; return whether it lived."""
    world.clock.now += MINUTES_MS
    try:
        call(world.restarted())
    except Killed:
        return False
    return True


def alarms(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    return [line for line in lines if line.get("alarm") == "reader-left-out"]


def test_the_sweep_moves_past_a_reader_who_made_three_runs_die_and_an_alarm_names_the_reader_by_key(world, capsys):
    assert [run(world) for _ in range(5)] == [False, False, False, True, True]
    assert all(world.list_of(user) for user in OTHERS)
    assert world.list_of("u05") is None
    (alarm,) = alarms(capsys)
    assert alarm["reader"] == user_key("u05")
    assert "u05" not in json.dumps(alarm)
    status = json.dumps(world.database.get(paths.STATUS))
    assert not [user for user in [*OTHERS, "u05"] if user in status]
    assert world.database.status("suspects") is None
    assert world.database.status("reconcile/sweeps")


def test_a_reader_who_was_left_out_is_tried_again_later_and_less_and_less_often(world):
    waits = []
    for _ in range(4):
        while not run(world):
            pass
        until = world.database.status(f"leftOut/{user_key('u05')}/until")
        waits.append(round((until - world.clock.now) / 1000))  # writing the others' lists has taken part of a second
        world.clock.now = until
    assert waits == [(careful.FIRST_MS << n) // 1000 for n in range(4)]
    world.is_deadly = False
    assert run(world)
    assert world.list_of("u05")
    assert world.database.status("leftOut") is None


def test_the_sweep_moves_past_a_reader_whose_list_can_be_compared_but_not_written(world):
    world.is_deadly = False
    assert run(world)
    sweeps = world.database.status("reconcile/sweeps")
    shelved = {f"{paths.USER_BOOK}/k{number:02}": entry(f"u{number:02}", "isbn004") for number in (4, 5)}
    world.database.update(shelved)
    update = world.database.update

    def die(values):
        if paths.recommendations("u05") in values:
            raise Killed
        update(values)

    world.database.update = die
    for lives in (False, False, False, True):
        update({f"{paths.STATUS}/reconcile/watermark": "z"})  # what was changed is not new
        assert run(world) == lives
    assert list(world.database.status("leftOut")) == [user_key("u05")]
    assert world.list_of("u04")["source"] == world.list_of("u03")["source"]
    assert world.database.status("reconcile/sweeps") == sweeps + 1


def test_a_fan_out_is_done_in_spite_of_a_reader_who_makes_its_tasks_die(world):
    world.is_deadly = False
    run(world)
    world.publish("v2", 2)
    world.is_deadly = True
    task = lambda backend: backend.fanout("v2@2", 0, [*OTHERS, "u05"])  # noqa: E731
    assert [run(world, task) for _ in range(4)] == [False, False, False, True]
    assert {world.list_of(user)["modelVersion"] for user in OTHERS} == {"v2"}
    assert world.list_of("u05")["modelVersion"] == "v1"
    world.database.update({f"{paths.STATUS}/fanout/publication": "v2@2"})
    only = lambda backend: backend.fanout("v2@2", 1, ["u05"])  # noqa: E731
    assert run(world, only)
    assert world.database.status("fanout/done") == {"1": True} or world.database.status("fanout/done")[1]


def test_a_run_that_was_killed_for_another_reason_leaves_nobody_out(world):
    world.is_deadly = False
    update, calls = world.database.update, []

    def die(values):
        update(values)
        calls.append(values)
        if len(calls) == 3:
            raise Killed

    world.database.update = die
    assert not run(world)
    world.database.update = update
    assert run(world)
    assert world.database.status("leftOut") is world.database.status("suspects") is None
    assert all(world.list_of(user) for user in [*OTHERS, "u05"])


def test_an_error_is_no_death(world):
    world.is_deadly = False
    world.store.is_away = True
    for _ in range(4):
        with pytest.raises(Exception, match="nobody answers"):
            run(world, lambda backend: backend.fanout("v1@1", 0, ["u00"]))
    assert world.database.status("suspects") is None


def test_what_is_known_of_a_reader_is_forgotten_after_a_while(world):
    while not run(world):
        pass
    world.database.update({f"{paths.USER_BOOK}/k05": None, f"{paths.USERS}/u05": None})
    world.clock.now += careful.LONGEST_MS + careful.FORGOTTEN_MS
    assert run(world)
    assert world.database.status("leftOut") is None


def test_a_reader_is_not_left_out_until_a_time_that_cannot_be_right(world):
    world.is_deadly = False
    world.database.update({f"{careful.LEFT_OUT}/{user_key('u05')}": {"times": 1, "until": 4 * 10**12}})
    assert run(world)
    assert world.list_of("u05")
    assert world.database.status("leftOut") is None


def test_a_note_of_a_task_that_never_runs_again_is_forgotten_after_a_while(world):
    assert not run(world, lambda backend: backend.fanout("v1@1", 7, ["u05"]))
    world.is_deadly = False
    assert run(world)
    assert list(world.database.status("suspects")) == ["fanout-7"]
    world.clock.now += careful.FORGOTTEN_MS
    assert run(world)
    assert world.database.status("suspects") is None


def test_a_run_that_dies_at_a_later_page_does_not_begin_with_the_first_one_again(world, monkeypatch):
    world.is_deadly = False
    run(world)
    world.publish("v2", 2)
    world.is_deadly = True
    monkeypatch.setattr(shelf_walk, "READERS", 4)
    read, of_readers = [], world.database.entries_by_reader
    monkeypatch.setattr(
        world.database, "entries_by_reader", lambda after, *others: read.append(after) or of_readers(after, *others)
    )
    for expected in (["", "u03"], ["u03"]):  # the second page kills
        world.database.update({f"{paths.STATUS}/reconcile/watermark": "z"})
        assert not run(world)
        assert read == expected
        read.clear()


def test_an_event_of_a_full_shelf_raises_an_alarm_once_an_hour_for_each_reader(world, monkeypatch, capsys):
    monkeypatch.setattr(shelf, "MAX_SHELF", 2)
    world.database.update({f"{paths.USER_BOOK}/x{n}": entry(f"u0{n % 2}", "isbn001") for n in range(4)})
    backend = world.restarted()
    for _ in range(3):
        for user in ("u00", "u01", "u02"):
            backend.entry_written(EntryWritten("e", "x", None, entry(user, "isbn001"), None))
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert [line["reader"] for line in lines if line.get("alarm") == "shelf-full"] == [
        user_key("u00"), user_key("u01"),
    ]  # fmt: skip


def test_a_task_that_is_delivered_again_while_it_is_at_work_leaves_nobody_out(world):
    world.is_deadly = False
    assert run(world)
    place = careful.Careful(world.database, None, world.clock, "fanout-0")
    made = []

    def twice(group):
        made.append(list(group))
        if len(made) < 6:
            world.clock.now += 5_000
            other = careful.Careful(world.database, None, world.clock, "fanout-0")
            other._work_through(["u00"], twice, clears=True)

    place._work_through(["u00"], twice, clears=True)
    assert len(made) == 6
    assert world.database.status("leftOut") is None


def test_a_note_that_a_run_left_a_moment_ago_is_not_held_against_its_reader_yet(world):
    key = user_key("u05")
    for seconds, is_tried in ((1, True), (59, True), (61, False)):
        note = {"readers": {key: True}, "tries": careful.ATTEMPTS, "at": world.clock.now - 1_000 * seconds}
        world.database.update({f"{careful.SUSPECTS}/p": note})
        tried = []
        one = careful.Careful(world.database, None, world.clock, "p")
        one._work_through(["u05"], tried.append, clears=False)
        assert bool(tried) == is_tried
