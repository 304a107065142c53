"""A database against a model of it: random writes of several places at once, and queries over what they leave."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.keys import PUSH_CHARS, PushKeys, key_order
from rtdb_emulator.data.query import parse_query
from rtdb_emulator.data.tree import from_json, get, value_order
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import ServiceError

ADMIN = Caller(is_admin=True)
KEYS = st.sampled_from(["n", "a", "b", "1", "2"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["x", "y"]))
VALUES = st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=5)
PATHS = st.lists(KEYS, max_size=3).map(tuple)


def is_update(places):
    return not any(a != b and b[: len(a)] == a for a in places for b in places)


UPDATES = st.dictionaries(PATHS, VALUES, min_size=1, max_size=3).filter(is_update)


def model_put(tree, path, value):
    """Write into a plain dict, then drop what became empty, as slowly and plainly as can be."""
    tree = {"root": copy.deepcopy(tree)}
    node = tree
    for key in ("root", *path)[:-1]:
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    node[("root", *path)[-1]] = value
    return prune(tree["root"])


def prune(node):
    if not isinstance(node, dict):
        return node
    kept = {key: child for key, child in ((k, prune(c)) for k, c in node.items()) if child is not None}
    return kept or None


def unlike_nothing(tree, path, value):
    """Removing what is not there leaves a scalar above it alone."""
    return prune(value) is not None or get(tree, path) is not None


@given(st.lists(UPDATES, max_size=8))
def test_updates_end_in_the_tree_that_a_plain_dict_models(updates):
    changes = []
    database = Databases(changes.append)["x"]
    model = None
    for update in updates:
        before = model
        for path, value in update.items():
            if unlike_nothing(model, path, value):
                model = model_put(model, path, value)
        database.write(update, ADMIN)
        assert json.dumps(database.root, sort_keys=True) == json.dumps(model, sort_keys=True)
        if changes:
            assert (changes[-1].before == before and changes[-1].after == model) or before == model


@given(
    st.lists(UPDATES, min_size=1, max_size=8),
    st.sampled_from(["$key", "$value", "$priority", "a", "a/b"]),
    st.tuples(
        st.dictionaries(st.sampled_from(["startAt", "startAfter", "equalTo"]), SCALARS, max_size=1),
        st.dictionaries(st.sampled_from(["endAt", "endBefore"]), SCALARS, max_size=1),
    ).map(lambda pair: pair[0] if "equalTo" in pair[0] else pair[0] | pair[1]),
    st.sampled_from([{}, {"limitToFirst": "1"}, {"limitToLast": "2"}]),
)
def test_a_kept_index_answers_as_a_naive_sort_does(updates, order_by, bounds, limit):
    database = Databases()["x"]
    database.set_rules('{"rules": {"n": {".indexOn": ["a", "a/b", ".value"]}}}')
    if order_by == "$key":
        bounds = {name: str(value) for name, value in bounds.items()}
    given_bounds = {name: json.dumps(value) for name, value in bounds.items()}
    query = parse_query({"orderBy": json.dumps(order_by), **given_bounds, **limit})
    for update in updates:
        database.write(update, ADMIN)
        found = database.read(("n",), ADMIN, query)

        def order(item):
            key, child = item
            if order_by == "$key":
                return key_order(key)
            ordered = {"$value": child, "$priority": None}.get(order_by, 0)
            return value_order(
                get(child, tuple(order_by.split("/"))) if ordered == 0 and order_by[0] != "$" else ordered
            )

        node = get(database.root, ("n",))
        rows = (
            sorted(node.items(), key=lambda item: (order(item), key_order(item[0]))) if isinstance(node, dict) else []
        )
        for name, bound in bounds.items():
            mark = key_order(bound) if order_by == "$key" else value_order(bound)
            keep = {"startAt": "__ge__", "startAfter": "__gt__", "endAt": "__le__", "endBefore": "__lt__"}
            rows = [row for row in rows if getattr(order(row), keep.get(name, "__eq__"))(mark)]
        rows = rows[:1] if "limitToFirst" in limit else rows[-2:] if "limitToLast" in limit else rows
        assert list((found or {}).items()) == rows


def test_nothing_is_written_if_one_place_is_rejected():
    database = Databases()["x"]
    database.write({("a",): 1}, ADMIN)
    with pytest.raises(ServiceError):
        database.write({("a",): 2, ("b",): {"bad.key": 1}}, ADMIN)
    assert database.root == {"a": 1}


def test_increments_in_several_places_and_of_values_that_are_not_numbers():
    database = Databases()["x"]
    by = {".sv": {"increment": 1.5}}
    database.write({("a",): {"n": 1, "t": "text"}}, ADMIN)
    database.write({("a", "n"): by, ("a", "t"): by, ("a", "new"): {"deep": [by, {".sv": "timestamp"}]}}, ADMIN)
    assert get(database.root, ("a", "n")) == 2.5
    assert get(database.root, ("a", "t")) == 1.5
    assert get(database.root, ("a", "new", "deep", "0")) == 1.5
    assert get(database.root, ("a", "new", "deep", "1")) > 1_700_000_000_000
    database.write({("big",): 1e308}, ADMIN)
    for bad in ({"increment": True}, {"increment": "1"}, {"increment": 1, "x": 1}, {"increment": 1e308}, 3, None):
        with pytest.raises(ServiceError):
            database.write({("big",): {".sv": bad}}, ADMIN)


def test_namespaces_are_separate():
    databases = Databases()
    databases["one"].write({("a",): 1}, ADMIN)
    assert databases["two"].root is None
    assert databases.names == ["one", "two"]


def test_push_keys_ascend_within_a_millisecond_and_when_the_clock_goes_back(monkeypatch):
    ticks = iter([5.0, 5.0, 5.0, 4.0, 6.0])
    monkeypatch.setattr("rtdb_emulator.data.keys.time.time", lambda: next(ticks))
    make = PushKeys()
    make._chance = [63] * 12
    keys = [make() for _ in range(5)]
    assert keys == sorted(set(keys))
    assert all(len(key) == 20 and set(key) <= set(PUSH_CHARS) for key in keys)
    assert from_json(dict.fromkeys(keys, 1)) == dict.fromkeys(keys, 1)


def test_a_push_key_whose_chance_runs_over_carries():
    make = PushKeys()
    make._chance = [0] * 10 + [63, 63]
    make._increment()
    assert make._chance == [0] * 9 + [1, 0, 0]
