"""Priorities next to the values that they belong to: in sets, in updates, with increments, and without a node."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.server_values import resolve
from rtdb_emulator.data.tree import bare, from_json, get, put, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases

from .conversation import Conversation

ADMIN = Caller(is_admin=True)
RULES = '{"rules": {"open": {".read": true, ".write": true}}}'


def increment(step):
    return {".sv": {"increment": step}}


@pytest.fixture
def database():
    return Databases()["x"]


@pytest.fixture
def client(database):
    return Conversation(database)


def exported(database):
    return to_json(database.root, export=True)


# What does not exist has no priority.


@pytest.mark.parametrize("path", ["nothing/here/.priority", "n/gone/.priority", "n/a/deeper/.priority", ".priority"])
@pytest.mark.parametrize("priority", [1, 0, -1.5, "p", "", increment(1), {".sv": "timestamp"}])
def test_a_priority_of_what_is_not_there_is_rejected(database, client, path, priority):
    before = None if path == ".priority" else {"n": {"a": 1}}
    client.ask("p", "", d=before)
    answer = client.ask("p", path, d=priority)
    assert answer["s"] == "invalid_data"
    assert "where there is no data" in answer["d"]
    assert exported(database) == before


def test_a_priority_of_what_is_not_there_may_be_taken_away(database, client):
    assert client.ask("p", "nothing/.priority", d=None)["s"] == "ok"
    assert exported(database) is None


@pytest.mark.parametrize(
    "update",
    [
        {".priority": 1},
        {"a": None, ".priority": 1},
        {".priority": 1, "a": {}},
        {"gone/.priority": 1, "b": 2},
        {"b": 2, "a/x/.priority": "p"},
    ],
)
def test_an_update_with_a_priority_of_what_will_not_be_there_is_rejected_as_a_whole(database, client, update):
    assert client.ask("m", "n", d=update)["s"] == "invalid_data"
    assert exported(database) is None


def test_what_was_deleted_or_emptied_has_no_priority(database, client):
    client.ask("p", "n", d={"a": {"b": 1}, ".priority": 3})
    client.ask("p", "n/a/b", d=None)
    assert client.ask("p", "n/.priority", d=4)["s"] == "invalid_data"
    assert exported(database) is None


def test_a_denied_write_does_not_tell_whether_there_is_a_node(database, client):
    database.set_rules(RULES)
    database.write({("closed", "there"): 1}, ADMIN)
    answers = [client.ask("p", f"closed/{key}/.priority", d=1) for key in ("there", "nothing")]
    assert answers == [{"s": "permission_denied", "d": "Permission denied"}] * 2


def test_a_priority_over_rest_needs_a_node(server):
    for method, path, value in (
        ("PUT", "n/a/.priority", 1),
        ("PUT", "n/.priority", "p"),
        ("PATCH", "n", {".priority": 1}),
        ("PATCH", "", {"n/a/.priority": 1, "m": 1}),
    ):
        answer = server.request(method, path, value)
        assert answer.status_code == 400
        assert "where there is no data" in answer.json()["error"]
        assert server.get("") is None
    assert server.request("PUT", "n/a/.priority", data="null").ok


def test_at_the_end_of_a_connection_a_priority_needs_a_node_only_then(database, client):
    assert client.ask("o", "n/a/.priority", d=1)["s"] == "ok"
    assert client.ask("o", "n/b/.priority", d=2)["s"] == "ok"
    database.write({("n", "a"): "x"}, ADMIN)
    client.session.end()
    assert exported(database) == {"n": {"a": {".value": "x", ".priority": 1}}}


# The order of an update does not matter.

UPDATES = [
    {".priority": 3, "a": 1},
    {".priority": "p", "a/b": 1, "c": 2},
    {"x/.priority": 3, "x/a": 1, "y": 2, "y2/.priority": 1, "y2/z": 1},
    {".priority": 3, "a": {"b": 1, ".priority": 2}, "c": {".value": 1, ".priority": 1}},
    {".priority": increment(2), "a": increment(1)},
]
STORED = [
    {"n": {".priority": 3, "a": 1}},
    {"n": {".priority": "p", "a": {"b": 1}, "c": 2}},
    {"n": {"x": {".priority": 3, "a": 1}, "y": 2, "y2": {".priority": 1, "z": 1}}},
    {"n": {".priority": 3, "a": {".priority": 2, "b": 1}, "c": {".value": 1, ".priority": 1}}},
    {"n": {".priority": 2, "a": 1}},
]


@pytest.mark.parametrize(("update", "stored"), [*zip(UPDATES, STORED, strict=True)])
@pytest.mark.parametrize("action", ["m", "om"])
def test_an_update_keeps_its_priorities_in_any_order(update, stored, action):
    for items in itertools.permutations(update.items()):
        database = Databases()["x"]
        client = Conversation(database)
        assert client.ask(action, "n", d=dict(items))["s"] == "ok"
        client.session.end()
        assert exported(database) == stored


@pytest.mark.parametrize(("update", "stored"), [*zip(UPDATES, STORED, strict=True)])
def test_an_update_over_rest_keeps_its_priorities(server, update, stored):
    for items in ([*update.items()], [*reversed(update.items())]):
        server.request("DELETE", "n")
        assert server.request("PATCH", "n", dict(items)).ok
        assert server.get("", format="export") == stored
        server.request("DELETE", "n")
        assert server.request("PATCH", "", {f"n/{key}": value for key, value in items}).ok
        assert server.get("", format="export") == stored


def test_a_listener_is_told_the_priority_with_the_values(database, client):
    client.ask("q", "n", h="")
    client.pushes.clear()
    client.ask("m", "n", d={".priority": 3, "a": 1})
    # Not as parts: clients apply those in the order of keys, and nothing that is empty has a priority.
    assert client.pushes == [("d", {"p": "n", "d": {"a": 1, ".priority": 3}})]


def in_order_of_keys(tree, told):
    """Apply what a client is told as the JavaScript SDK does."""
    for place in sorted(told, key=lambda place: place.split("/")):
        path = tuple(filter(None, place.split("/")))
        tree = put(tree, path, told[place] if path[-1:] == (".priority",) else from_json(told[place]))
    return tree


PARTS = st.dictionaries(
    st.sampled_from(["a", "b", "c/x", "c/y", "d/.priority", "c/.priority", ".priority"]),
    st.sampled_from([None, 1, 2]),
    min_size=1,
)
NODES = st.fixed_dictionaries(
    {},
    optional={"a": st.just(1), "b": st.just(1), "c": st.sampled_from([{"x": 1, ".priority": 1}, {"x": 1, "y": 1}]),
              ".priority": st.just(5), "d": st.sampled_from([1, {".value": 1, ".priority": 4}])},
)  # fmt: skip


@given(NODES, PARTS, st.sampled_from(["", "n", "n/c"]), st.booleans())
def test_a_client_ends_with_the_priorities_of_the_database(there, update, place, is_query):
    database = Databases()["x"]
    client = Conversation(database)
    client.ask("p", "n", d=there)
    query = {"q": {"i": ".key", "l": 9, "vf": "l"}, "t": 1} if is_query else {}
    client.ask("q", place, h="", **query)
    path = tuple(filter(None, place.split("/")))
    copy = get(database.root, path)
    client.pushes.clear()
    client.ask("m", "n", d=update)
    for action, body in client.pushes:
        base = body["p"].removeprefix(place).strip("/")
        told = {base: body["d"]} if action == "d" else {f"{base}/{key}": each for key, each in body["d"].items()}
        copy = in_order_of_keys(copy, told)
    now = get(database.root, path)
    if is_query:  # which selects children, without the priority of the node itself
        copy, now = bare(copy), bare(now)
    assert to_json(copy, export=True) == to_json(now, export=True)


@pytest.mark.parametrize("update", [{"a": None, "b": 1}, {"b": 1, "a": None}, {"a": {}, "b/c": 1}])
def test_an_update_keeps_the_priority_of_a_node_that_stays(database, client, update):
    client.ask("p", "n", d={".priority": 3, "a": 1})
    client.ask("m", "n", d=update)
    assert exported(database)["n"][".priority"] == 3


def test_rules_see_the_priority_of_an_update():
    database = Databases()["x"]
    database.set_rules('{"rules": {"n": {".write": true, ".validate": "newData.getPriority() == 3"}}}')
    client = Conversation(database)
    assert client.ask("m", "n", d={".priority": 4, "a": 1})["s"] == "permission_denied"
    assert client.ask("m", "n", d={".priority": 3, "a": 1})["s"] == "ok"


# An increment adds to what it stands for.


@pytest.mark.parametrize(
    ("there", "value", "expected"),
    [
        (5, {".value": increment(1), ".priority": 2}, {".value": 6, ".priority": 2}),
        (5, {".priority": 2, ".value": increment(-1.5)}, {".value": 3.5, ".priority": 2}),
        ({".value": 5, ".priority": 1}, {".value": increment(1), ".priority": increment(1.5)}, (6, 2.5)),
        ({".value": 0, ".priority": 1}, {".value": 0, ".priority": increment(1.5)}, (0, 2.5)),
        ({".value": 5, ".priority": "p"}, {".value": increment(1), ".priority": increment(2)}, (6, 2)),
        ({".value": "text", ".priority": 7}, {".value": increment(1), ".priority": 7}, (1, 7)),
        (None, {".value": increment(1), ".priority": increment(2)}, (1, 2)),
        ({"a": 1, ".priority": 4}, {".value": increment(1), ".priority": increment(2)}, (1, 6)),
        ({"a": 1, ".priority": 4}, {"a": increment(1), ".priority": increment(2)}, {"a": 2, ".priority": 6}),
        (
            {"a": {".value": 5, ".priority": 2}, "b": 1},
            {"a": {".value": increment(1), ".priority": 3}, "b": increment(1)},
            {"a": {".value": 6, ".priority": 3}, "b": 2},
        ),
        (
            {"a": {"b": {".value": 5, ".priority": 2}}},
            {"a": {"b": {".value": increment(1), ".priority": increment(1)}}},
            {"a": {"b": {".value": 6, ".priority": 3}}},
        ),
        ([1, {".value": 2, ".priority": 1}], [increment(1), {".value": increment(1), ".priority": 1}], None),
    ],
)
def test_an_increment_next_to_a_priority_adds_to_what_is_there(there, value, expected):
    if isinstance(expected, tuple):
        expected = {".value": expected[0], ".priority": expected[1]}
    expected = expected or [2, {".value": 3, ".priority": 1}]
    for action, path, sent, below in (
        ("p", "n", value, None),
        ("m", "", {"n": value}, None),
        ("o", "n", value, None),
        ("p", "n", {"deep": value}, "deep"),
    ):
        database = Databases()["x"]
        client = Conversation(database)
        client.ask("p", "n", d={below: there} if below else there)
        assert client.ask(action, path, d=sent)["s"] == "ok"
        client.session.end()
        assert exported(database) == {"n": {below: expected} if below else expected}


def test_an_increment_of_a_priority_alone(database, client):
    client.ask("p", "n", d={".value": 1, ".priority": 2})
    for _ in range(2):
        assert client.ask("p", "n/.priority", d=increment(0.5))["s"] == "ok"
    assert exported(database) == {"n": {".value": 1, ".priority": 3}}


SCALARS = st.one_of(st.none(), st.integers(-9, 9), st.sampled_from(["x", True]))
PRIORITIES = st.one_of(st.none(), st.integers(-9, 9), st.just("p"))


@given(SCALARS, PRIORITIES, st.integers(-9, 9), st.integers(-9, 9))
def test_increments_of_a_value_and_its_priority_add_each_to_its_own(value, priority, step, more):
    there = from_json({".value": value, ".priority": priority})
    if value is None:
        priority = None
    written = resolve({".value": increment(step), ".priority": increment(more)}, there, 0)
    assert written == {
        ".value": step + (value if isinstance(value, int) and value is not True else 0),
        ".priority": more + (priority if isinstance(priority, int) else 0),
    }
