import pytest

from rtdb_emulator.wire.writes_at_end import WritesAtEnd


def left(*calls):
    writes = WritesAtEnd()
    for name, argument in calls:
        getattr(writes, name)(argument)
    return list(writes)


def test_a_write_replaces_earlier_ones_there_and_below():
    assert left(("add", {("a", "b"): 1}), ("add", {("a",): {"c": 2}})) == [{("a",): {"c": 2}}]


def test_a_write_below_comes_after_the_one_above():
    assert left(("add", {("a",): {"c": 2}}), ("add", {("a", "b"): 1})) == [{("a",): {"c": 2}}, {("a", "b"): 1}]


def test_cancel_includes_writes_below():
    assert left(("add", {("a", "b"): 1, ("c",): 2}), ("cancel", ("a",))) == [{("c",): 2}]
    assert left(("add", {("a",): 1}), ("cancel", ())) == []


def test_cancel_of_a_child_leaves_its_siblings():
    value = {"x": {"y": 1, "z": 2}, "w": [3, 4], ".priority": 5}
    expected = [{("a", "x", "z"): 2, ("a", "w"): [3, 4]}]
    assert left(("add", {("a",): value}), ("cancel", ("a", "x", "y"))) == expected
    assert left(("add", {("a",): [3, 4]}), ("cancel", ("a", "0"))) == [{("a", "1"): 4}]


def test_cancel_below_a_scalar_changes_nothing():
    for value in (1, {".value": 1, ".priority": 2}, {".sv": "timestamp"}):
        assert left(("add", {("a",): value}), ("cancel", ("a", "b"))) == [{("a",): value}]


@pytest.mark.parametrize(
    ("first", "path", "second", "expected"),
    [
        ({"x": 1, "y": 2}, ("z",), 3, {"x": 1, "y": 2, "z": 3}),
        ({"x": {"y": 1, "z": 2}}, ("x", "y"), None, {"x": {"y": None, "z": 2}}),
        (None, ("x", "y"), 1, {".priority": None, "x": {".priority": None, "y": 1}}),
        (5, ("x",), 1, {".priority": None, "x": 1}),
        ({".value": 5, ".priority": 7}, ("x",), 1, {".priority": 7, "x": 1}),
        ({".sv": "timestamp"}, ("x",), 1, {".priority": None, "x": 1}),
        ([4, 5], ("1",), 6, {"0": 4, "1": 6}),
        (5, (".priority",), 7, {".value": 5, ".priority": 7}),
        ({".value": 5, ".priority": 1}, (".priority",), 7, {".value": 5, ".priority": 7}),
        ({"x": 1}, (".priority",), 7, {"x": 1, ".priority": 7}),
        (None, (".priority",), 7, {".value": None, ".priority": 7}),
    ],
)
def test_a_later_write_becomes_part_of_an_earlier_one_above(first, path, second, expected):
    writes = WritesAtEnd()
    writes.add({("a",): first, ("b",): 1})
    writes.add({("a", *path): second})
    assert writes.as_one() == {("a",): expected, ("b",): 1}
    assert next(iter(writes))[("a",)] == first


def test_no_writes_at_the_end_are_no_write():
    assert WritesAtEnd().as_one() == {}
