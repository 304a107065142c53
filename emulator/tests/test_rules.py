"""Security rules: what a file grants, and what it does not."""

import time

import pytest

from rtdb_emulator.data.query import parse_query
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import PermissionDeniedError
from rtdb_emulator.rules.parser import parse_rules

ADMIN = Caller(is_admin=True)
NOBODY = Caller(is_admin=False)


def user(uid, **claims):
    return Caller(is_admin=False, auth={"uid": uid, "token": claims, "provider": "custom"})


def database(rules, data=None):
    found = Databases()["x"]
    found.write({(): data}, ADMIN)
    found.set_rules(rules)
    return found


def may_write(found, caller, values):
    try:
        found.write({tuple(path.split("/")): value for path, value in values.items()}, caller)
    except PermissionDeniedError:
        return False
    return True


def may_read(found, caller, path, **query):
    try:
        found.read(tuple(path.split("/")), caller, parse_query(query))
    except PermissionDeniedError:
        return False
    return True


def test_a_grant_above_holds_below_and_cannot_be_taken_back():
    found = database('{"rules": {"a": {".read": true, ".write": true, "b": {".read": false, ".write": false}}}}')
    assert may_read(found, NOBODY, "a/b/c")
    assert may_write(found, NOBODY, {"a/b/c": 1})
    assert not may_read(found, NOBODY, "x")
    assert not may_write(found, NOBODY, {"x": 1})


def test_validation_checks_what_is_written_and_its_ancestors_but_not_siblings_or_removed_nodes():
    rules = """{"rules": {"p": {".write": true, "$id": {
      ".validate": "newData.hasChildren(['n'])",
      "n": {".validate": "newData.isNumber()"},
      "own": {".validate": false},
      "$other": {".validate": "$other.length < 3"}}}}}"""
    found = database(rules, {"p": {"old": {"n": "no number", "own": 1}}})
    assert may_write(found, NOBODY, {"p/x": {"n": 1, "ab": 2}})
    assert not may_write(found, NOBODY, {"p/y": {"n": "1"}})
    assert not may_write(found, NOBODY, {"p/y": {"ab": 1}})
    assert not may_write(found, NOBODY, {"p/y/ab": 1})
    assert not may_write(found, NOBODY, {"p/x/abc": 1})
    assert not may_write(found, NOBODY, {"p/x/own": 1})
    assert may_write(found, NOBODY, {"p/old/ab": 1})
    assert may_write(found, NOBODY, {"p/old/own": None})
    assert not may_write(found, NOBODY, {"p/x/n": None})
    assert may_write(found, NOBODY, {"p/x/n": None, "p/x/ab": None})
    assert may_write(found, NOBODY, {"p": None})
    assert may_write(found, ADMIN, {"p/y/own": 1})


def test_a_multi_path_update_is_judged_as_one():
    rules = """{"rules": {"a": {"$id": {".write": "newData.parent().parent().child('b/' + $id).exists()"}},
      "b": {"$id": {".write": "newData.parent().parent().child('a/' + $id).exists()"}}}}"""
    found = database(rules)
    assert not may_write(found, NOBODY, {"a/1": True})
    assert may_write(found, NOBODY, {"a/1": True, "b/1": True})
    assert not may_write(found, NOBODY, {"a/2": True, "b/2": True, "c": True})
    assert found.read((), ADMIN) == {"a": {"1": True}, "b": {"1": True}}


def test_a_server_timestamp_is_the_rules_now():
    found = database('{"rules": {".write": "newData.child(\'at\').val() === now"}}')
    for _ in range(50):
        assert may_write(found, NOBODY, {"at": {".sv": "timestamp"}})
    assert not may_write(found, NOBODY, {"at": int(time.time() * 1000) - 5})


def test_rules_see_what_a_query_asks_for():
    rules = """{"rules": {"list": {".indexOn": "owner", ".read":
      "query.orderByChild === 'owner' && query.equalTo === auth.uid
       || query.orderByKey && query.limitToFirst <= 10"}}}"""
    found = database(rules, {"list": {"a": {"owner": "u"}, "b": {"owner": "v"}}})
    assert may_read(found, user("u"), "list", orderBy='"owner"', equalTo='"u"')
    assert not may_read(found, user("u"), "list", orderBy='"owner"', equalTo='"v"')
    assert not may_read(found, user("u"), "list", orderBy='"owner"', startAt='"u"')
    assert not may_read(found, user("u"), "list")
    assert may_read(found, NOBODY, "list", orderBy='"$key"', limitToFirst="10")
    assert not may_read(found, NOBODY, "list", orderBy='"$key"', limitToFirst="11")


def test_rules_see_the_properties_of_a_query():
    rules = """{"rules": {
      "key": {".read": "query.orderByKey == true && query.startAt == 'b' && query.endAt == 'm'"},
      "value": {".read": "query.orderByValue && query.limitToLast == 2", ".indexOn": ".value"},
      "priority": {".read": "query.orderByPriority && query.equalTo == 1"},
      "child": {".read": "query.orderByChild == 'x/y' && query.orderByKey == false", ".indexOn": ["x/y", ".value"]},
      "plain": {".read": "query.orderByKey == false && query.orderByChild == null && query.limitToFirst == null"},
      "after": {".read": "query.startAfter == 1 && query.endBefore == 5 && query.startAt == null", ".indexOn": "n"}}}"""
    found = database(rules, {"key": {"c": 1}})
    assert may_read(found, NOBODY, "key", orderBy='"$key"', startAt='"b"', endAt='"m"')
    assert not may_read(found, NOBODY, "key", orderBy='"$key"', startAt='"a"', endAt='"m"')
    assert not may_read(found, NOBODY, "key")
    assert may_read(found, NOBODY, "value", orderBy='"$value"', limitToLast="2")
    assert not may_read(found, NOBODY, "value", orderBy='"$value"', limitToFirst="2")
    assert may_read(found, NOBODY, "priority", orderBy='"$priority"', equalTo="1")
    assert may_read(found, NOBODY, "child", orderBy='"x/y"')
    assert may_read(found, NOBODY, "plain")
    assert not may_read(found, NOBODY, "plain", orderBy='"$key"')
    assert may_read(found, NOBODY, "after", orderBy='"n"', startAfter="1", endBefore="5")


def test_a_rule_that_fails_grants_nothing_and_leaves_the_others_alone():
    rules = (
        """{"rules": {"a": {".read": "data.child('v').val().toUpperCase() == 'OK'", "b": {".read": "auth != null"}}}}"""
    )
    found = database(rules, {"a": {"v": 5}})
    assert not may_read(found, user("u"), "a")
    assert may_read(found, user("u"), "a/b")


def test_a_named_child_has_its_own_rules_and_none_of_its_wildcard_siblings():
    rules = """{"rules": {
      "a": {"special": {".read": false}, "$id": {".read": true}},
      "b": {"$id": {".read": true}, "special": {".read": false}},
      "c": {".write": true, "title": {".validate": true}, "$other": {".validate": false}}}}"""
    found = database(rules)
    assert not may_read(found, NOBODY, "a/special")
    assert not may_read(found, NOBODY, "b/special")
    assert may_read(found, NOBODY, "b/other")
    assert may_write(found, NOBODY, {"c/title": 1})
    assert not may_write(found, NOBODY, {"c/subtitle": 1})


def test_wildcards_of_all_levels_are_known_below():
    rules = """{"rules": {"$a": {"$b": {".read": "$a == 'x' && $b.length == 1 && $a != $b"}}}}"""
    found = database(rules)
    assert may_read(found, NOBODY, "x/y/z")
    assert not may_read(found, NOBODY, "x/x")
    assert not may_read(found, NOBODY, "x/yy")


def test_a_write_of_a_priority_is_a_write_of_its_node():
    rules = """{"rules": {"$id": {".write": "auth != null",
      ".validate": "newData.getPriority() == null || newData.getPriority() > 5"}}}"""
    found = database(rules, {"a": {"x": 1}})
    assert may_write(found, user("u"), {"a/.priority": 6})
    assert not may_write(found, user("u"), {"a/.priority": 5})
    assert not may_write(found, NOBODY, {"a/.priority": 6})
    assert may_write(found, user("u"), {"a/.priority": None})
    assert may_write(found, user("u"), {"b": {".value": 1, ".priority": 7}})
    assert not may_write(found, user("u"), {"b": {".value": 1, ".priority": "a"}})


def test_a_deletion_of_the_last_child_is_no_longer_validated():
    rules = """{"rules": {".write": true, "p": {".validate": "newData.hasChildren(['a'])"}}}"""
    found = database(rules, {"p": {"a": 1, "b": 2}})
    assert not may_write(found, NOBODY, {"p/a": None})
    assert may_write(found, NOBODY, {"p/a": None, "p/b": None})
    assert may_write(found, NOBODY, {"p": {}})


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("data.exists()", True),
        ("root.child('x').val() == 1", True),
        ("auth != null && now > 5 && query.limitToFirst == 1 && $id == 'x'", False),
        ("auth.data == 'root'", False),
        ("'data' == 'root'", False),
    ],
)
def test_a_read_depends_on_data_if_a_rule_along_its_path_refers_to_it(expression, answer):
    rules = parse_rules(
        f'{{"rules": {{"a": {{"$id": {{".read": "{expression}", "below": {{".read": "data.exists()"}}}}}}}}}}'
    )
    assert rules.reads_depend_on_data(("a", "x")) is answer
    assert rules.reads_depend_on_data(("a", "x", "other", "deeper")) is answer
    assert rules.reads_depend_on_data(("a", "x", "below")) is True
    assert rules.reads_depend_on_data(("a",)) is False
    assert rules.reads_depend_on_data(("elsewhere",)) is False


def test_writing_rules_do_not_make_reads_depend_on_data():
    rules = parse_rules('{"rules": {".read": true, ".write": "data.exists()", ".validate": "root.exists()"}}')
    assert rules.reads_depend_on_data(("a",)) is False
