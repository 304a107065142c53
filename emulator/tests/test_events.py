"""Events: which places a write changed, and what the functions' SDK makes of a difference."""

import copy
import json

import pytest
from firebase_functions.private import util
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.tree import from_json, get, put, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.changes import Change
from rtdb_emulator.triggers.events import difference
from rtdb_emulator.triggers.trigger import matches, parse_trigger

SCALARS = st.one_of(st.integers(0, 2), st.booleans(), st.sampled_from(["a", "b"]))
KEYS = st.sampled_from(["0", "1", "2", "a", "b"])
NODES = st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=4), max_leaves=8)


def merged(data, delta):
    """What firebase_functions.db_fn gives as the value after."""
    if isinstance(data, dict) and isinstance(delta, dict):
        return util.prune_nones(util.deep_merge(copy.deepcopy(data), delta))
    return delta


def replaces_a_scalar_by_an_object(before, after):
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return False
    return any(
        (isinstance(after[key], dict) and not isinstance(before[key], dict))
        or replaces_a_scalar_by_an_object(before[key], after[key])
        for key in before.keys() & after.keys()
    )


@given(NODES, NODES)
def test_the_sdk_merges_a_difference_to_what_a_client_reads(before, after):
    before, after = from_json(before), from_json(after)
    data, delta = difference(before, after)
    assert from_json(data) == before
    if not replaces_a_scalar_by_an_object(before, after):
        assert merged(data, delta) == to_json(after)


def test_the_sdk_cannot_merge_an_object_into_a_scalar_within_a_node():
    # Ours to know, not to mend: firebase-functions 0.6.0 fails before it calls the function.
    data, delta = difference({"a": 1, "b": 1}, {"a": {"x": 1}, "b": 1})
    assert (data, delta) == ({"a": 1, "b": 1}, {"a": {"x": 1}})
    with pytest.raises(AttributeError):
        merged(data, delta)


def test_a_difference_names_only_what_changed():
    before = from_json({"same": {"x": [1, 2]}, "list": [1, 2], "gone": {"x": 1}, "deep": {"a": 1, "b": 2}})
    after = from_json({"same": {"x": [1, 2]}, "list": [1, 2, 3], "deep": {"a": 1, "b": 3}})
    assert difference(before, after)[1] == {"deep": {"b": 3}, "gone": None, "list": [1, 2, 3]}
    assert difference(None, after) == (None, to_json(after))
    assert difference(before, None) == (to_json(before), None)


def trigger(path, kind="written", **more):
    name = "projects/p/locations/us-central1/triggers/k"
    return parse_trigger({"name": name, "path": path, "event": f"google.firebase.database.ref.v1.{kind}", **more})


@given(
    st.lists(st.tuples(st.lists(KEYS, max_size=3).map(tuple), st.one_of(st.none(), NODES)), min_size=1, max_size=4),
    NODES,
)
def test_a_pattern_finds_each_node_that_changed_once_and_no_other(writes, start):
    before = after = from_json(start)
    for path, value in writes:
        after = put(after, path, from_json(value))
    change = Change("n", before, after, tuple(path for path, _ in writes), Caller(is_admin=True))
    found = list(matches(trigger("{x}/{y=*}").pattern, change))
    assert sorted(found) == [
        (x, y)
        for x in "012ab"
        for y in "012ab"
        if json.dumps(to_json(get(before, (x, y)))) != json.dumps(to_json(get(after, (x, y))))
    ]


def test_patterns_of_keys_and_namespaces():
    change = Change("app-1", None, from_json({"a": {"x-1": 1, "y": 1}}), ((),), Caller(is_admin=True))
    assert list(trigger("a/x-{id}").places(change)) == [("a", "x-1")]
    assert list(trigger("/a/*/", namespacePattern="app-*").places(change)) == [("a", "x-1"), ("a", "y")]
    assert list(trigger("a/y", "created", namespacePattern="{db}").places(change)) == [("a", "y")]
    assert not list(trigger("a/y", "updated").places(change))
    assert list(trigger("a/{id=x-*}").places(change)) == list(trigger("a/{id=*-1}").places(change)) == [("a", "x-1")]
    assert list(trigger("a/{id=y}").places(change)) == [("a", "y")]
    assert not list(trigger("a/{id=?}").places(change))  # only * is a wildcard
    assert not list(trigger("a/y", namespacePattern="other").places(change))
