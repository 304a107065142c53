"""``rtdb_emulator.testing``: one database in this process."""

import json

import pytest

from rtdb_emulator.testing import ADMIN, InProcessDatabase, PermissionDeniedError, ServiceError, user

RULES = json.dumps(
    {"rules": {"own": {"$uid": {".read": "auth.uid === $uid", ".write": "auth.uid === $uid && newData.isNumber()"}}}}
)


def test_what_is_written_is_read_as_json():
    database = InProcessDatabase()
    database.update({"a/b": {"c": [1, 2]}, "d": "text"})
    assert database.get("") == {"a": {"b": {"c": [1, 2]}}, "d": "text"}
    assert database.keys("a/b") == ["c"]
    assert database.keys("d") == []
    database.update({"a": None})
    assert (database.get("a"), database.keys("a")) == (None, [])


def test_equal_nodes_have_equal_etags():
    database = InProcessDatabase()
    database.update({"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 2}})
    assert database.etag("a") == database.etag("b") != database.etag("c")


def test_rules_bind_users_and_not_admins():
    database = InProcessDatabase(RULES)
    database.update({"own/ana": 1}, user("ana"))
    assert database.get("own/ana", user("ana")) == 1
    with pytest.raises(PermissionDeniedError):
        database.get("own/ana", user("ben"))
    with pytest.raises(PermissionDeniedError):
        database.update({"own/ana": "text"}, user("ana"))
    database.update({"own/ana": "text"}, ADMIN)
    assert database.get("own/ana") == "text"


def test_rules_see_the_claims_of_a_user():
    database = InProcessDatabase('{"rules": {".read": "auth.token.staff === true"}}')
    assert database.get("x", user("ana", staff=True)) is None
    with pytest.raises(PermissionDeniedError):
        database.get("x", user("ana"))


def test_bad_rules_say_where():
    with pytest.raises(ValueError, match=r"^1:\d+: "):
        InProcessDatabase('{"rules": {".read": "nobody"}}')


def test_a_query_selects_in_its_order_by_an_index_of_the_rules():
    database = InProcessDatabase('{"rules": {"n": {".indexOn": "v"}}}')
    database.update({"n": {"a": {"v": 3}, "b": {"v": 1}, "c": {"v": 2}}})
    assert list(database.select("n", {"orderBy": '"v"', "limitToFirst": "2"})) == ["b", "c"]
    assert database.select("none", {"orderBy": '"$key"'}) == {}
    with pytest.raises(ServiceError, match="Index not defined"):
        database.select("n", {"orderBy": '"w"'})


def test_a_write_is_told_with_what_was_and_is_there():
    writes = []
    database = InProcessDatabase(on_write=writes.append, now_ms=lambda: 17)
    database.update({"a": 1})
    database.update({"a": 2, "b/c": {".sv": "timestamp"}}, user("ana"))
    first, second = writes
    assert (first.paths, first.before("a"), first.after("a"), first.caller) == ((("a",),), None, 1, ADMIN)
    assert second.paths == (("a",), ("b", "c"))
    assert (second.before("a"), second.after("a"), second.after("b/c"), second.after("")["b"]) == (1, 2, 17, {"c": 17})
    assert second.after(("b", "c")) == 17
    assert second.caller.auth_id == "ana"
