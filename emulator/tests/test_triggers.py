"""Triggers over the wire: which writes become which events, read by the SDK that the functions use."""

import asyncio

import pytest
from aiohttp import ClientSession
from cloudevents.http import CloudEvent
from firebase_functions import db_fn

from .database_server import ADMIN, token


@pytest.fixture
def events(server, deliveries):
    """Register one trigger of each kind; return a function that takes the next events, parsed by the SDK."""
    for kind in ("written", "created", "updated", "deleted"):
        trigger = {
            "name": f"projects/demo/locations/us-central1/triggers/us-central1-{server.namespace}-{kind}-0",
            "path": "shelf/{entryId}",
            "event": f"google.firebase.database.ref.v1.{kind}",
            "topic": "projects/demo/topics/t",
            "namespacePattern": server.namespace,
        }
        assert server.request("POST", ".settings/functionTriggers", trigger).ok

    def take(count):
        found = []
        for _ in range(count):
            path, body = deliveries.get(timeout=5)
            assert path.startswith("/functions/projects/demo/triggers/us-central1-test-")
            found.append(parse(body))
        assert deliveries.empty()
        return found

    return take


def parse(body):
    data = body.pop("data")
    seen = []
    handler = db_fn.on_value_written(reference="/shelf/{entryId}")(seen.append)
    if body["type"].endswith(("created", "deleted")):
        decorate = db_fn.on_value_created if body["type"].endswith("created") else db_fn.on_value_deleted
        handler = decorate(reference="/shelf/{entryId}")(seen.append)
    handler(CloudEvent(body, data))
    event = seen[0]
    return body["type"].rsplit(".", 1)[1], event


def by_kind(found):
    return dict(found)


def test_created_updated_and_deleted_nodes(server, events):
    server.put("shelf/k1", {"a": 1, "b": {"c": 2}})
    found = by_kind(events(2))
    assert set(found) == {"written", "created"}
    assert found["created"].data == {"a": 1, "b": {"c": 2}}
    assert (found["written"].data.before, found["written"].params) == (None, {"entryId": "k1"})
    assert (found["written"].auth_type, found["written"].auth_id) == ("admin", None)

    server.request("PATCH", "shelf/k1", {"a": 5, "b/c": None, "b/d": 3})
    change = by_kind(events(2))["updated"].data
    assert (change.before, change.after) == ({"a": 1, "b": {"c": 2}}, {"a": 5, "b": {"d": 3}})

    server.request("DELETE", "shelf/k1")
    found = by_kind(events(2))
    assert found["deleted"].data == {"a": 5, "b": {"d": 3}}
    assert found["written"].data.after is None


def test_a_wide_write_fires_once_for_each_node_that_changed(server, events):
    server.put("shelf", {"k1": 1, "k2": 2})
    events(4)
    server.put("shelf", {"k1": 1, "k2": 3, "k3": 4})
    assert sorted((kind, e.params["entryId"]) for kind, e in events(4)) == [
        ("created", "k3"),
        ("updated", "k2"),
        ("written", "k2"),
        ("written", "k3"),
    ]
    server.request("PATCH", "", {"shelf/k1/x": 1, "shelf/k1/y": 2, "other": 1})
    assert sorted((kind, e.params["entryId"]) for kind, e in events(2)) == [("updated", "k1"), ("written", "k1")]
    server.put("shelf/k2", 3)
    events(0)


def test_an_event_names_the_caller_and_an_import_fires_none(server, events):
    server.put("shelf/k1", 1, disableTriggers="true")
    headers = {"Authorization": f"Bearer {token('u1')}"}
    server.request("PUT", "shelf/k2", 1, headers=headers)
    event = by_kind(events(2))["written"]
    assert (event.auth_type, event.auth_id) == ("app_user", "u1")
    assert event.params == {"entryId": "k2"}


def test_an_event_distinguishes_admins_users_and_unauthenticated_callers(server, events):
    def who(**request):
        server.request("POST", "shelf", 1, **request)
        event = by_kind(events(2))["written"]
        return event.auth_type, event.auth_id

    assert who() == ("admin", None)
    assert who(headers={}) == ("unauthenticated", None)
    assert who(headers={}, auth=token("u1")) == ("app_user", "u1")
    assert who(auth_variable_override='{"uid": "u2"}') == ("app_user", "u2")
    assert who(auth_variable_override="null") == ("unauthenticated", None)


def test_an_event_names_the_user_of_a_client_sdk(server, events):
    async def write():
        url = f"ws://{server.host}/.ws?v=5&ns={server.namespace}"
        async with ClientSession() as session, session.ws_connect(url) as socket:
            await socket.receive_json()
            requests = [("auth", {"cred": token("u3")}), ("p", {"p": "shelf/k", "d": 1})]
            for number, (action, body) in enumerate(requests, 1):
                await socket.send_json({"t": "d", "d": {"r": number, "a": action, "b": body}})
                assert (await socket.receive_json())["d"]["b"]["s"] == "ok"

    asyncio.run(write())
    event = by_kind(events(2))["written"]
    assert (event.auth_type, event.auth_id) == ("app_user", "u3")


def test_before_and_after_of_deep_and_of_array_writes(server, events):
    server.put("shelf/k", {"list": [1, 2], "deep": {"a": {"b": 1}}})
    events(2)
    server.put("shelf/k/deep/a/c", 2)
    change = by_kind(events(2))["written"].data
    assert change.before == {"list": [1, 2], "deep": {"a": {"b": 1}}}
    assert change.after == {"list": [1, 2], "deep": {"a": {"b": 1, "c": 2}}}
    server.put("shelf/k/list/2", 3)
    change = by_kind(events(2))["written"].data
    assert (change.before["list"], change.after["list"]) == ([1, 2], [1, 2, 3])
    server.request("PATCH", "", {"shelf/k/deep": None, "shelf/k/list": None, "shelf/l/x": 1})
    assert sorted((kind, e.params["entryId"]) for kind, e in events(4)) == [
        ("created", "l"),
        ("deleted", "k"),
        ("written", "k"),
        ("written", "l"),
    ]


def test_a_write_of_a_priority_alone_is_an_update_as_assumed(server, events):
    server.put("shelf/k", 1)
    events(2)
    server.put("shelf/k/.priority", 5)
    change = by_kind(events(2))["updated"].data
    assert (change.before, change.after) == (1, 1)


@pytest.mark.parametrize(("headers", "auth"), [({}, {"admin": False}), (ADMIN, {"admin": True})])
def test_a_function_of_the_first_generation_gets_its_own_kind_of_event(server, deliveries, headers, auth):
    event_type = "providers/google.firebase.database/eventTypes/ref.update"
    registration = {
        "name": f"projects/demo/locations/_/functions/us-central1-{server.namespace}-0",
        "path": "/shelf/{id}",
        "event": event_type,
        "topic": "projects/demo/topics/t",
    }
    assert server.request("POST", ".settings/functionTriggers", registration).ok
    server.put("shelf/k", {"a": 1})  # no update
    server.request("PUT", "shelf/k/b", 2, headers=headers)
    path, event = deliveries.get(timeout=5)
    assert path == f"/functions/projects/demo/triggers/us-central1-{server.namespace}-0"
    context = event["context"]
    assert (context["eventType"], context["auth"]) == (event_type, auth)
    assert context["resource"]["name"] == f"projects/_/instances/{server.namespace}/refs/shelf/k"
    assert event["data"] == {"data": {"a": 1}, "delta": {"b": 2}}
    other = {**registration, "name": registration["name"].replace("-0", "-1")}
    assert server.request("POST", ".settings/functionTriggers", other, ns="elsewhere").ok
    server.put("shelf/k/b", 3)  # of this namespace only the first is told
    assert deliveries.get(timeout=5)[0].endswith("-0")
    assert deliveries.empty()


def test_an_invalid_registration_is_rejected(server):
    assert server.request("POST", ".settings/functionTriggers", {"name": "x"}).status_code == 400
    wrong = {"name": "projects/p/locations/l/triggers/t", "path": "x", "event": "google.pubsub"}
    assert server.request("POST", ".settings/functionTriggers", wrong).status_code == 400
    assert server.request("POST", ".settings/functionTriggers", wrong, headers={}).status_code == 403
    several = {**wrong, "event": "google.firebase.database.ref.v1.written", "path": "a/**"}
    assert server.request("POST", ".settings/functionTriggers", several).status_code == 400
