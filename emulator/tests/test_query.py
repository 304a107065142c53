"""Queries: the documented order, and indexes that stay equal to a naive sort."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.index import Index
from rtdb_emulator.data.keys import key_order
from rtdb_emulator.data.query import parse_query, parse_wire_query
from rtdb_emulator.data.tree import from_json, get, put, value_order
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import ServiceError

ADMIN = Caller(is_admin=True)
KEYS = st.sampled_from(["a", "b", "c", "1", "2", "10"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text("xyz", max_size=2))
CHILDREN = st.one_of(SCALARS, st.dictionaries(st.sampled_from(["v", "w"]), SCALARS, max_size=2))
PATHS = st.lists(KEYS, min_size=0, max_size=3).map(tuple)


def test_values_sort_null_false_true_numbers_texts_objects():
    shuffled = ["b", {"a": 1}, 2, None, True, "a", False, -1.5]
    assert sorted(shuffled, key=value_order) == [None, False, True, -1.5, 2, "a", "b", {"a": 1}]


def test_integer_keys_sort_as_numbers_before_texts():
    assert sorted(["b", "10", "9", "a", "-1", "01"], key=key_order) == ["-1", "01", "9", "10", "a", "b"]


@given(
    st.lists(st.tuples(KEYS, CHILDREN), max_size=12),
    st.sampled_from(["v", "$key", "$value"]),
    st.sampled_from(["equalTo", "startAt", "startAfter", "endAt", "endBefore"]),
    SCALARS,
    st.integers(1, 4),
)
def test_a_query_through_a_kept_index_equals_a_naive_sort(writes, order_by, name, bound, limit):
    databases = Databases()
    database = databases["x"]
    database.set_rules('{"rules": {".read": true, ".write": true, "n": {".indexOn": ["v", ".value"]}}}')
    if order_by == "$key":
        bound = str(bound)
    query = parse_query({"orderBy": json.dumps(order_by), name: json.dumps(bound), "limitToFirst": str(limit)})
    for key, value in writes:
        database.write({("n", key): value}, ADMIN)
        found = database.read(("n",), ADMIN, query)
    children = get(database.root, ("n",)) or {}

    def position(item):
        key, child = item
        if order_by == "$key":
            return (key_order(key), ())
        value = child if order_by == "$value" else child.get("v") if isinstance(child, dict) else None
        return (value_order(value), key_order(key))

    mark = key_order(bound) if order_by == "$key" else value_order(bound)
    compare = {
        "equalTo": lambda p: p == mark,
        "startAt": lambda p: p >= mark,
        "startAfter": lambda p: p > mark,
        "endAt": lambda p: p <= mark,
        "endBefore": lambda p: p < mark,
    }[name]
    expected = [key for key, child in sorted(children.items(), key=position) if compare(position((key, child))[0])]
    if writes:
        assert list(found or {}) == expected[:limit]


@given(st.lists(st.tuples(PATHS, CHILDREN), max_size=12))
def test_writes_end_in_the_tree_that_a_plain_dict_models(writes):
    def model_put(tree, path, value):
        if not path:
            return from_json(value)
        node = dict(tree) if isinstance(tree, dict) else {}
        child = model_put(node.get(path[0]), path[1:], value)
        if child is None and path[0] not in node:
            return tree
        node.pop(path[0], None)
        if child is not None:
            node[path[0]] = child
        return node or None

    tree = model = None
    for path, value in writes:
        tree = put(tree, path, from_json(value))
        model = model_put(model, path, value)
    assert tree == model


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"sp": 1}, "bcde"),
        ({"sp": 1, "sn": "[MIN_NAME]"}, "bcde"),
        ({"sp": 1, "sn": "[MAX_NAME]"}, "de"),
        ({"sp": 1, "sn": "[MAX_KEY]"}, "de"),
        ({"sp": 1, "sn": "[MAX_NAME]", "sin": False}, "de"),
        ({"sp": 1, "sn": "b", "sin": False}, "cde"),
        ({"ep": 1}, "abc"),
        ({"ep": 1, "en": "[MAX_NAME]"}, "abc"),
        ({"ep": 1, "en": "[MIN_NAME]"}, "a"),
        ({"ep": 1, "en": "[MIN_KEY]"}, "a"),
        ({"ep": 1, "en": "[MIN_NAME]", "ein": False}, "a"),
        ({"sp": 1, "sn": "[MIN_NAME]", "ep": 1, "en": "[MAX_NAME]"}, "bc"),
        ({"sp": 1, "sn": "[MAX_NAME]", "l": 1, "vf": "l"}, "d"),
    ],
)
def test_the_keys_before_and_after_all_keys_make_a_bound_exclusive(wire, expected):
    node = from_json({"a": 0, "b": 1, "c": 1, "d": 2, "e": 3})
    index, query = Index("$value", node), parse_wire_query({"i": ".value", **wire})
    assert "".join(index.keys(*index.span(query))) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"startAt": '1,"c"'}, "cde"),
        ({"startAfter": '1,"b"', "endAt": '2,"d"'}, "cd"),
        ({"startAfter": '1,"[MAX_NAME]"'}, "de"),
        ({"startAt": '1,"[MAX_NAME]"'}, "de"),
        ({"endBefore": '2,"[MIN_NAME]"'}, "abc"),
        ({"equalTo": '1,"c"'}, "c"),
    ],
)
def test_rest_accepts_a_key_with_a_bound(parameters, expected):
    node = from_json({"a": 0, "b": 1, "c": 1, "d": 2, "e": 3})
    index, query = Index("$value", node), parse_query({"orderBy": '"$value"', **parameters})
    assert "".join(index.keys(*index.span(query))) == expected


@pytest.mark.parametrize("text", ["1,2", '1,"a",3', "1,", "[1]", '[1,"a"]', "x", "", "],["])
def test_a_bound_that_is_not_a_value_is_rejected(text):
    with pytest.raises(ServiceError, match="primitive"):
        parse_query({"orderBy": '"$value"', "startAt": text})
