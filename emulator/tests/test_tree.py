"""The tree: what is stored, what it costs, and that before and after both stay readable."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdb_emulator.data import tree
from rtdb_emulator.data.children import WIDE, Wide, changed_keys, with_child
from rtdb_emulator.data.tree import etag, from_json, get, put, same, to_json, to_text, with_priority
from rtdb_emulator.errors import ServiceError

KEYS = st.integers(0, 3 * WIDE).map("k{}".format)


@settings(max_examples=25)
@given(st.integers(0, 2 * WIDE), st.lists(st.tuples(KEYS, st.sampled_from([None, 1, "x"])), max_size=40))
def test_a_node_with_very_many_children_behaves_as_a_dict(size, writes):
    model = {f"k{i}": 0 for i in range(size)}
    children = from_json(model) or {}
    for key, value in writes:
        before, kept = children, dict(children)
        children = with_child(children, key, value)
        model.pop(key, None)
        if value is not None:
            model[key] = value
        assert dict(before) == kept
        assert changed_keys(before, children) == ({key} if kept.get(key) is not value else set())
    assert dict(children) == model
    assert len(children) == len(model)
    assert isinstance(children, Wide) or len(children) < WIDE


@pytest.mark.parametrize("kept", [etag, to_text])
def test_each_state_of_a_wide_node_keeps_its_own_etag_and_text(kept):
    states = [from_json({f"k{i}": i for i in range(WIDE)})]
    for key, value in (("k7", "other"), ("new", 1), ("k8", None), ("k7", 7)):
        kept(states[-1])
        states.append(with_child(states[-1], key, value))
    assert isinstance(states[-1], Wide)
    assert [kept(state) for state in states] == [kept(dict(state)) for state in states]
    assert len({kept(state) for state in states}) == len(states)


def test_a_large_text_is_made_once_and_a_very_large_one_is_not_kept(monkeypatch):
    node = from_json({f"k{i}": i for i in range(WIDE)})
    assert to_text(node) is to_text(with_priority(node, 1))
    monkeypatch.setattr(tree, "MAX_KEPT", 10)
    other = from_json({f"k{i}": i for i in range(WIDE)})
    assert to_text(other) == to_text(node)
    assert not other.text


def test_records_with_the_same_keys_are_rendered_in_order_with_their_own_values():
    records = [{"b": 1, "a": {"y": True, "x": 0.5}}, {"b": "1", "a": {"y": 2, "x": "z"}}, {"a": 3, "b": {"x": 4}}]
    for record in records:
        assert list(to_json(from_json(record)).items()) == sorted(record.items())
    assert list(to_json(from_json(records[0]))["a"]) == ["x", "y"]
    assert to_json(from_json({"10": 1, "9": 2, "a": 3})) == {"9": 2, "10": 1, "a": 3}
    assert to_json(from_json({"2": 1, "0": {".value": 2, ".priority": 3}}), export=True) == [
        {".value": 2, ".priority": 3}, None, 1
    ]  # fmt: skip


@given(st.sets(st.one_of(st.integers(0, 12).map(str), st.sampled_from(["01", "-1", "a", "9999999999"])), min_size=1))
def test_what_is_an_array_is_what_the_sdks_make_one(keys):
    """Source: ``ChildrenNode.val`` of the JavaScript SDK: whole keys, the greatest less than twice their number."""
    node = from_json(dict.fromkeys(keys, "x"))
    is_array = all(re.fullmatch(r"0|[1-9][0-9]*", key) for key in keys) and max(map(int, keys)) < 2 * len(keys)
    value = to_json(node)
    assert isinstance(value, list) is is_array
    assert from_json(value) == node
    assert json.loads(to_text(node)) == value


def test_a_node_stays_wide_while_it_grows_and_becomes_narrow_again():
    children = {}
    for i in range(20 * WIDE):
        children = with_child(children, str(i), i)
    assert isinstance(children, Wide)
    for i in range(20 * WIDE - 10):
        children = with_child(children, str(i), None)
    assert children == {str(i): i for i in range(20 * WIDE - 10, 20 * WIDE)}


def test_a_write_shares_the_nodes_that_it_does_not_touch():
    before = from_json({"n": {str(i): {"v": i} for i in range(2 * WIDE)}, "other": {"x": 1}})
    after = put(before, ("n", "7", "v"), "new")
    assert get(before, ("n", "7", "v")) == 7
    assert get(after, ("n", "8")) is get(before, ("n", "8"))
    assert get(after, ("other",)) is get(before, ("other",))
    assert changed_keys(get(before, ("n",)), get(after, ("n",))) == {"7"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [(5.0, 5), (-0.0, 0), (4.5, 4.5), (1e300, 1e300), (2**63, float(2**63)), (2**53 + 1, 2**53 + 1), ("\ud800", "?")],
)
def test_numbers_and_texts_come_back_as_the_service_sends_them(given, stored):
    found = from_json(given)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(
    "bad", [10**400, float("nan"), {".value": 1, "a": 2}, {".value": {"a": 1}}, {"\ud800": 1}, "é" * (6 << 20)]
)
def test_values_that_cannot_be_stored_are_rejected(bad):
    with pytest.raises(ServiceError) as rejected:
        from_json(bad)
    assert rejected.value.status == 400


def test_equal_nodes_have_equal_etags_whatever_their_form():
    plain = {str(i) + "k": i for i in range(2 * WIDE)}
    assert etag(Wide.of(plain)) == etag(plain) == etag(from_json(dict(reversed(plain.items()))))
    assert same(from_json(plain), from_json(dict(reversed(plain.items()))))
    assert not same(from_json({"a": 1}), from_json({"a": True}))


def test_mostly_small_integer_keys_are_rendered_as_an_array():
    assert to_json({"0": "a", "2": "c"}) == ["a", None, "c"]
    assert to_json({"0": "a", "5": "c"}) == {"0": "a", "5": "c"}
    assert to_json({"0": "a", "1": "b", "x": "c"}) == {"0": "a", "1": "b", "x": "c"}
