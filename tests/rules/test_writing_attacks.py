"""Attempts of clients to write other users' data. None of them changes anything."""

import pytest

from tests.database_server import ADMIN
from tests.rules.world import ISBN, as_user, entry, profile, ten


@pytest.fixture
def changes_nothing(database, allowed):
    """Sends a write as a reader and checks that it is denied without effect."""

    def attack(method, path, value=None, uid="ana", **query):
        before = database.get("")
        assert not allowed(method, path, value, uid, **query)
        assert database.get("") == before

    return attack


@pytest.mark.parametrize("forged", ["ben", "Ana", "ana ", "", {}, True, ["ana"], {"ana": "ana"}])
def test_an_entry_cannot_be_created_or_updated_with_a_forged_user_id(changes_nothing, forged):
    changes_nothing("PUT", "User_Book/-Nnew", entry(forged, "-Nbook3"))
    changes_nothing("POST", "User_Book", entry(forged, "-Nbook3"))
    changes_nothing("PUT", "User_Book/-Nana/userId", forged)
    changes_nothing("PATCH", "User_Book/-Nana", {"userId": forged})


def test_an_entry_of_another_reader_cannot_be_taken_over(changes_nothing):
    changes_nothing("PUT", "User_Book/-Nben", entry("ana", "-Nbook2"))
    changes_nothing("PUT", "User_Book/-Nben/userId", "ana")
    changes_nothing("PATCH", "User_Book/-Nben", {"userId": "ana", "myRate": 0})
    changes_nothing("PATCH", "", {"User_Book/-Nben/userId": "ana", "User_Book/-Nben/myRate": 0})
    changes_nothing("DELETE", "User_Book/-Nben/userId")
    changes_nothing("PUT", "User_Book/-Nben", {})


def test_a_required_field_of_an_entry_cannot_be_deleted(changes_nothing):
    for field in ("userId", "bookId", "myRate"):
        changes_nothing("DELETE", f"User_Book/-Nana/{field}")
        changes_nothing("PATCH", "User_Book/-Nana", {field: None})


def test_an_increment_cannot_move_a_rating_out_of_its_range(changes_nothing):
    for step in (5, -5, 0.3):
        changes_nothing("PUT", "User_Book/-Nana/myRate", {".sv": {"increment": step}})
    changes_nothing("PUT", "User_Book/-Nana/isbn", {".sv": "timestamp"})


def test_an_entry_takes_no_other_fields_and_nothing_below_its_fields(changes_nothing):
    for path in ("isbn/deep", "myRate/deep/er", "userId/0", "extra", "extra/deep", "/".join("a" * 25)):
        changes_nothing("PUT", f"User_Book/-Nana/{path}", "x")
    changes_nothing("PUT", "User_Book/-Nana", "x")


@pytest.mark.parametrize("key", ["k" * 65, "k" * 768, "\N{DRAGON}" * 33, "../" * 30, "a%2Fb"])
def test_an_entry_cannot_be_created_under_an_oversized_or_odd_key(database, key):
    before = database.get("")
    answer = database.request("PUT", f"User_Book/{key}", entry("ana", "-Nbook3"), headers=as_user("ana"))
    assert answer.status_code in (400, 401, 404)
    assert database.get("") == before


@pytest.mark.parametrize("forged", ["x", 1, True, {"listId": "x"}, {"items": [{"isbn": ISBN}]}, ten("ana")])
def test_a_reader_cannot_forge_a_list_whether_there_is_one_or_not(database, changes_nothing, forged):
    for _ in range(2):
        changes_nothing("PUT", "Users/ana/recommendations", forged)
        changes_nothing("POST", "Users/ana/recommendations/items", forged)
        changes_nothing("PATCH", "Users/ana", {"recommendations": forged})
        changes_nothing("PATCH", "", {"Users/ana/recommendations": forged})
        changes_nothing("PUT", "Users/ana", {**profile("ana"), "recommendations": forged})
        changes_nothing("PATCH", "Users", {"ana": {**profile("ana"), "recommendations": forged}})
        changes_nothing("PUT", "Users/ana", {"recommendations": forged})
        database.put("Users/ana/recommendations", {})


@pytest.mark.parametrize(
    "part", ["listId", "basedOn/digest", "items", "items/0", "items/0/isbn", "items/10", "new/part"]
)
def test_a_reader_cannot_write_or_delete_a_part_of_a_list(database, changes_nothing, part):
    changes_nothing("PUT", f"Users/ana/recommendations/{part}", "x")
    changes_nothing("PATCH", "Users/ana/recommendations", {part: "x"})
    changes_nothing("PATCH", "Users/ana", {"firstname": "B", f"recommendations/{part}": "x"})
    changes_nothing("PATCH", "Users", {f"ana/recommendations/{part}": "x"})
    database.put("Users/ana/recommendations/basedOn", {"digest": "d"})
    database.put("Users/ana/recommendations/new", {"part": 1})
    if part != "items/10":
        changes_nothing("DELETE", f"Users/ana/recommendations/{part}")
        changes_nothing("PATCH", "Users/ana", {f"recommendations/{part}": None})


def test_a_list_cannot_be_moved_into_a_profile_without_one(database, changes_nothing):
    database.put("Users/ana", {})
    changes_nothing("PUT", "Users/ana", {**profile("ana"), "recommendations": ten("ben")})
    changes_nothing("PATCH", "Users/ana", {"firstname": "B", "recommendations": ten("ben")})


def test_another_readers_data_cannot_be_changed(changes_nothing):
    changes_nothing("PUT", "Users/ben", profile("ben"))
    changes_nothing("PATCH", "Users/ben", {"firstname": "B"})
    changes_nothing("DELETE", "Users/ben")
    changes_nothing("DELETE", "Users/ben/recommendations")
    changes_nothing("PATCH", "Users", {"ana/firstname": "B", "ben/firstname": "B"})


@pytest.mark.parametrize("depth", ["firstname/deep", "image/deep/er/still", "new/deep"])
def test_nothing_can_be_written_below_a_field_of_a_profile(changes_nothing, depth):
    changes_nothing("PUT", f"Users/ana/{depth}", "x")


def test_the_pointer_and_its_neighbours_cannot_be_written(changes_nothing):
    for path in ("model", "model/version", "lease/fence", "changes/k", "dirty/ana", "rejected/-Nana", "status/model"):
        changes_nothing("PUT", f"Recommender/{path}", "forged")
        changes_nothing("DELETE", f"Recommender/{path}")
        changes_nothing("PATCH", "", {f"Recommender/{path}": "forged"})
    for path in ("readers/ana", "readers/ben", "new", "new/deep"):
        changes_nothing("PUT", f"Recommender/{path}", {"at": 1})
        changes_nothing("DELETE", f"Recommender/{path}")


@pytest.mark.parametrize(
    "forbidden",
    [
        {"Recommender/model/version": "forged"},
        {"Users/ana/recommendations/listId": "forged"},
        {"Users/ben/firstname": "B"},
        {"User_Book/-Nben/myRate": 1},
        {"User_Book/-Nben": None},
        {"archive/a1/title": "U"},
        {"new": 1},
    ],
)
def test_an_update_of_several_nodes_with_one_forbidden_writes_none(database, allowed, changes_nothing, forbidden):
    own = {"User_Book/-Nana/myRate": 1, "Users/ana/firstname": "B", "Books/-Nbook1/title": "U"}
    changes_nothing("PATCH", "", {**own, **forbidden})
    changes_nothing("PATCH", "", {**forbidden, **own})
    assert allowed("PATCH", "", own)
    assert database.get("User_Book/-Nana/myRate") == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"print": "silent"},
        {"disableTriggers": "true"},
        {"writeSizeLimit": "unlimited"},
        {"auth_variable_override": '{"uid": "ben", "token": {"admin": true}}'},
        {"auth_variable_override": "null"},
    ],
)
def test_no_parameter_bypasses_the_rules(changes_nothing, parameters):
    changes_nothing("PUT", "User_Book/-Nben", entry("ben", "-Nbook2", myRate=0), **parameters)
    changes_nothing("PUT", "Users/ana/recommendations", ten("ana"), **parameters)
    changes_nothing("DELETE", "Recommender/model", **parameters)
    changes_nothing("PUT", "archive/a1", {"title": "U"}, **parameters)
    changes_nothing("PUT", "archive/a1", {"title": "U"}, uid=None, **parameters)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_a_method_in_a_header_or_parameter_is_subject_to_the_rules(database, method):
    before = database.get("")
    for path in ("User_Book/-Nben", "Recommender/model", "Users/ana/recommendations/items/0"):
        by_header = {**as_user("ana"), "X-HTTP-Method-Override": method}
        by_parameter = {"x-http-method-override": method}
        assert database.request("POST", path, {"myRate": 1}, headers=by_header).status_code == 401
        assert database.request("POST", path, {"myRate": 1}, headers=as_user("ana"), **by_parameter).status_code == 401
        database.request("GET", path, {"myRate": 1}, headers=by_header, **by_parameter)  # at most a read
    assert database.get("") == before


def test_a_conditional_write_is_subject_to_the_rules_and_reveals_nothing(database):
    before = database.get("")
    tag = database.request("GET", "User_Book/-Nben", headers={**ADMIN, "X-Firebase-ETag": "true"}).headers["ETag"]
    for known in (tag, "guessed"):
        answer = database.request("DELETE", "User_Book/-Nben", headers={**as_user("ana"), "if-match": known})
        assert (answer.status_code, answer.json()) == (401, {"error": "Permission denied"})
        assert "ETag" not in answer.headers
    assert database.get("") == before


@pytest.mark.parametrize(
    "claims", [{}, {"admin": "true"}, {"admin": 1}, {"admin": False}, {"claims": {"admin": True}}, {"Admin": True}]
)
def test_only_the_admin_claim_can_write_the_catalogue(database, claims):
    answer = database.request("PUT", "archive/a1/title", "U", headers=as_user("ana", **claims))
    assert answer.status_code == 401
    assert database.request("PUT", "archive/a1/title", "U", headers=as_user("ana", admin=True)).ok


def test_the_admin_claim_gives_access_to_the_catalogue_only(database):
    before = database.get("")
    admin = as_user("ana", admin=True)
    for path in (
        "User_Book/-Nben/myRate",
        "Users/ben/firstname",
        "Recommender/model/version",
        "Users/ana/recommendations",
    ):
        assert database.request("PUT", path, 1, headers=admin).status_code == 401
    assert database.get("") == before


def test_the_rules_themselves_are_closed(database):
    for headers in ({}, as_user("ana"), as_user("ana", admin=True)):
        assert database.request("GET", ".settings/rules", headers=headers).status_code in (401, 403)
        answer = database.request("PUT", ".settings/rules", headers=headers, data=b'{"rules": {".write": true}}')
        assert answer.status_code in (401, 403)
    assert database.request("PUT", "Recommender/model", 1, headers=as_user("ana")).status_code == 401
