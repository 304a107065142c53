"""CloudEvents and task requests in the platform's form, through the real SDK and main.py."""

import base64
import importlib
import json
from datetime import UTC, datetime

import pytest
from cloudevents.http import CloudEvent
from flask import Flask, request

from backend import composition
from backend.logs import FunctionFailedError
from backend.traffic_counter import TRAFFIC
from bookrec import paths
from tests.fakes import World, entry

DATA_TYPE = "type.googleapis.com/google.events.firebase.database.v1.ReferenceEventData"


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    composition.use(world.backend)
    yield world
    composition.use(None)


@pytest.fixture(scope="module")
def main():
    return importlib.import_module("main")


def database_event(ref, before, after, **attributes):
    """An event in the form in which the platform delivers it."""
    return CloudEvent(
        {
            "specversion": "1.0",
            "id": "event-1",
            "source": "//firebasedatabase.googleapis.com/projects/_/locations/us-central1/instances/demo",
            "subject": f"refs/{ref}",
            "type": "google.firebase.database.ref.v1.written",
            "time": "2026-01-02T03:04:05.678Z",
            "datacontenttype": "application/json",
            "location": "us-central1",
            "instance": "demo",
            "ref": ref,
            "firebasedatabasehost": "127.0.0.1",
            **attributes,
        },
        {"@type": DATA_TYPE, "data": before, "delta": after},
    )


def store(world, key, value):
    world.database.update({f"{paths.USER_BOOK}/{key}": value})


def test_a_dismissal_and_its_undo_reach_the_handler_of_their_database(main, world):
    store(world, "k1", entry("u", "isbn003"))
    dismissed = f"{paths.dismissed('u')}/isbn004"
    world.database.update({dismissed: 1_699_999_999_000})
    main.on_dismissed_written(
        database_event(dismissed, None, 1_699_999_999_000, instance="my-staging-rtdb", authtype="app_user", authid="u")
    )
    assert world.list_of("u") is None
    main.on_dismissed_written(database_event(dismissed, None, 1_699_999_999_000, authtype="app_user", authid="u"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn005"
    assert world.database.get(f"{TRAFFIC}")
    world.database.update({dismissed: None})
    main.on_dismissed_written(database_event(dismissed, 1_699_999_999_000, None, authtype="app_user", authid="u"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn004"
    main.on_dismissed_written(database_event("Users/u/dismissed/a,b c", {"x": 1}, "y"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn004"


def test_created_updated_and_deleted_entries_reach_the_handler(main, world):
    created = entry("u", "isbn004")
    store(world, "k1", created)
    main.on_user_book_written(database_event("User_Book/k1", None, created, authtype="app_user", authid="u"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn005"
    store(world, "k1", {**created, "isbn": "isbn009"})
    main.on_user_book_written(database_event("User_Book/k1", created, {"isbn": "isbn009"}, authtype="admin"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn010"
    store(world, "k1", None)
    main.on_user_book_written(database_event("User_Book/k1", {**created, "isbn": "isbn009"}, None))
    assert world.list_of("u")["basedOn"]["entries"] == 0


def test_what_comes_from_a_database_that_nobody_configured_changes_nothing(main, world, capsys):
    staging = entry("reader-of-staging", "isbn004")
    before = world.database.get("/")
    main.on_user_book_written(database_event("User_Book/k1", None, staging, instance="my-staging-rtdb"))
    main.on_model_published(database_event("Recommender/model", None, {"version": "v1"}, instance="my-staging-rtdb"))
    task = {"publication": "v1@1", "shard": 0, "users": ["reader-of-staging"], "instance": "my-staging-rtdb"}
    with Flask(__name__).test_request_context(method="POST", json={"data": task}):
        main.fanout(request)
    alarm = world.database.get(f"{paths.STATUS}/unknownInstance")
    world.database.update({f"{paths.STATUS}/unknownInstance": None})
    assert world.database.get("/") == before
    assert alarm == {"at": world.clock.now}
    assert world.tasks.queued == {}
    assert capsys.readouterr().out.count('"alarm": "unknown-instance"') == 1


def test_latency_is_measured_from_the_time_of_the_event(main, world):
    value, written = entry("u", "isbn004"), datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    world.clock.now = int(written.timestamp() * 1000) + 70
    store(world, "k1", value)
    main.on_user_book_written(database_event("User_Book/k1", None, value))
    assert list(world.database.get(TRAFFIC).values()) == [{"b100": 1, "events": 1}]


def test_the_callers_identity_unmasks_a_forged_user(main, world):
    forged = entry("victim", "isbn004")
    store(world, "k1", forged)
    main.on_user_book_written(database_event("User_Book/k1", None, forged, authtype="app_user", authid="forger"))
    assert world.database.get(f"{paths.REJECTED}/k1/reason") == "user_forged"


@pytest.mark.parametrize(
    "author", [{"authtype": "unauthenticated"}, {"authtype": "app_user"}, {"authtype": "new kind"}]
)
def test_whoever_is_neither_the_reader_nor_an_admin_is_not_believed(main, world, author):
    forged = entry("victim", "isbn004")
    store(world, "k1", forged)
    main.on_user_book_written(database_event("User_Book/k1", None, forged, **author))
    assert world.database.entry("k1") is None
    assert world.database.get(f"{paths.REJECTED}/k1/reason") == "user_forged"


@pytest.mark.parametrize("author", [{"authtype": "admin"}, {"authtype": "admin", "authid": "import"}, {}])
def test_an_admin_is_believed_and_what_the_platform_does_not_say_proves_nothing(main, world, author):
    written = entry("u", "isbn004")
    store(world, "k1", written)
    main.on_user_book_written(database_event("User_Book/k1", None, written, **author))
    assert world.database.entry("k1") == written
    assert world.list_of("u")["basedOn"]["entries"] == 1


@pytest.mark.parametrize("value", ["text", 7, [1, 2], {"userId": "a/b"}, {"userId": "u", "myRate": "five"}])
def test_a_bad_entry_is_acknowledged_and_recorded(main, world, value):
    store(world, "k1", value)
    main.on_user_book_written(database_event("User_Book/k1", None, value))
    assert world.database.get(f"{paths.REJECTED}/k1/message")


def test_a_write_that_changes_nothing_still_updates_the_list(main, world):
    same = entry("u", "isbn004")
    store(world, "k1", same)
    main.on_user_book_written(database_event("User_Book/k1", same, same, authtype="app_user", authid="u"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn005"


def test_an_event_of_a_deleted_entry_updates_the_list_for_the_remaining_shelf(main, world):
    world.database.update({f"{paths.USERS}/u/id": "u"})
    main.on_user_book_written(database_event("User_Book/k1", None, entry("u", "isbn004")))
    assert world.list_of("u")["basedOn"]["entries"] == 0
    assert world.database.get(paths.REJECTED) is None


def test_an_event_without_a_subject_fails_in_the_sdk_and_is_left_to_the_reconciler(main, world):
    value = entry("u", "isbn004")
    store(world, "k1", value)
    event = database_event("User_Book/k1", None, value)
    del event["subject"]
    with pytest.raises(KeyError, match="subject"):
        main.on_user_book_written(event)
    with scheduled():
        assert main.reconcile(request).status_code == 200
    assert world.list_of("u")["items"][0]["isbn"] == "isbn005"


def scheduled():
    """A call of Cloud Scheduler."""
    return Flask("scheduler").test_request_context(method="POST", headers={"X-CloudScheduler-JobName": "reconcile"})


def test_a_list_that_was_shown_is_counted_and_its_removal_is_not(main, world):
    store(world, "k1", entry("u", "isbn004"))
    main.on_user_book_written(database_event("User_Book/k1", None, entry("u", "isbn004")))
    shown = {"listId": world.list_of("u")["listId"], "at": 7}
    world.database.update({f"{paths.USERS}/u/shown": shown})
    main.on_list_shown(database_event("Users/u/shown", shown, None))
    assert world.database.get(f"{paths.USERS}/u/seen") is None
    main.on_list_shown(database_event("Users/u/shown", None, shown, instance="my-staging-rtdb"))
    assert world.database.get(f"{paths.USERS}/u/seen") is None
    main.on_list_shown(database_event("Users/u/shown", None, shown, authtype="app_user", authid="u"))
    assert world.database.get(f"{paths.USERS}/u/seen/last") == shown["listId"]


def test_a_removed_pointer_is_acknowledged(main, world):
    pointer = world.database.pointer()
    world.database.update({paths.MODEL: None})
    main.on_model_published(database_event("Recommender/model", pointer, None))
    assert not world.tasks.queued


def test_a_failing_task_gets_an_error_response_so_the_queue_retries(main, world):
    world.store.is_away = True
    world.publish("v2", 2)
    with task_request({"version": "v2", "shard": 0, "users": ["u"]}):
        assert main.fanout(request).status_code == 500


def test_a_switched_pointer_fans_out(main, world):
    world.database.update({f"{paths.USERS}/u/id": "u"})
    world.publish("v2", 2)
    pointer = world.database.pointer()
    main.on_model_published(database_event("Recommender/model", None, pointer))
    assert [function for function, _, _ in world.tasks.queued.values()] == ["fanout", "similar"]


def task_request(data):
    """Return a task as Cloud Tasks delivers it."""
    token = base64.urlsafe_b64encode(json.dumps({"sub": "tasks"}).encode()).decode()
    headers = {"Authorization": f"Bearer x.{token}.x", "Content-Type": "application/json"}
    return Flask("tasks").test_request_context(method="POST", json={"data": data}, headers=headers)


def test_tasks_reach_their_handlers(main, world):
    store(world, "k1", entry("u", "isbn004"))
    with task_request({"publication": "v1@1", "shard": 0, "users": ["u"]}):
        assert main.fanout(request).status_code in (200, 204)
    assert world.list_of("u")["modelVersion"] == "v1"
    world.backend.similar_books()
    with task_request(next(task for name, task, _ in world.tasks.queued.values() if name == "similar")):
        assert main.similar(request).status_code in (200, 204)
    assert world.database.get(f"{paths.SIMILAR}/isbn004")[0] == "isbn005"
    world.clock.sleep(1)  # what was changed before the live model was trained on it is not counted
    for number in range(5):
        world.database.update({f"{paths.CHANGES}/k{number}/at": world.clock.now_ms()})
    world.clock.sleep(3_600)  # the readers are quiet
    with task_request({"notBefore": 0}):
        assert main.retrain(request).status_code in (200, 204)
    assert len(world.jobs.started) == 1


def test_a_failing_handler_fails_the_event(main, world):
    world.database.on_shelf_read = lambda number: {}[f"/{paths.USERS}/u"]
    with pytest.raises(FunctionFailedError, match=r"^on_user_book_written: KeyError$"):
        main.on_user_book_written(database_event("User_Book/k1", None, entry("u", "isbn004")))
