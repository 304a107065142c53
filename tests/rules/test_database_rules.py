"""What the security rules allow and forbid, with the project's own rules file over the wire."""

import pytest

from bookrec.entries import ISBN_PATTERN
from tests.database_server import ROOT
from tests.emulator.test_rest import token

GOOD = {"userId": "u1", "bookId": "-Nbook", "isbn": "09780143036357", "myRate": 3.5}


@pytest.fixture
def database(server):
    answer = server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes())
    assert answer.ok, answer.text
    return server


def as_user(uid, **claims):
    return {} if uid is None else {"Authorization": f"Bearer {token(uid, **claims)}"}


def allowed(database, method, path, value=None, uid="u1", **query):
    status = database.request(method, path, value, headers=as_user(uid), **query).status_code
    assert status in (200, 401), status
    return status == 200


@pytest.mark.parametrize(
    "change", [{}, {"myRate": 0}, {"myRate": 5}, {"myRate": 0.5}, {"isbn": None}, {"isbn": ""}, {"isbn": "043965548X"}]
)
def test_todays_app_can_write_its_entries(database, change):
    assert allowed(database, "PUT", "User_Book/k1", {**GOOD, **change})
    assert allowed(database, "PATCH", "User_Book/k1", {"myRate": 2.5})
    assert allowed(database, "PATCH", "User_Book/k1", {"isbn": "09780143036357"})
    assert allowed(database, "DELETE", "User_Book/k1")


@pytest.mark.parametrize(
    "change",
    [
        {"myRate": "five"},
        {"myRate": 7},
        {"myRate": -1},
        {"myRate": 3.3},
        {"myRate": True},
        {"myRate": None},
        {"userId": "u2"},
        {"userId": None},
        {"userId": 7},
        {"isbn": "\N{DRAGON}"},
        {"isbn": "1" * 1_000_000},
        {"isbn": 9780143036357},
        {"isbn": {"deep": "value"}},
        {"bookId": None},
        {"bookId": "x" * 1000},
        {"extra": 1},
    ],
)
def test_a_bad_entry_is_refused(database, change):
    assert not allowed(database, "PUT", "User_Book/k1", {**GOOD, **change})


def test_nobody_writes_for_another_reader_or_takes_an_entry_over(database):
    database.put("User_Book/k1", GOOD)
    for method, value in (("PUT", {**GOOD, "userId": "u2"}), ("PATCH", {"myRate": 1}), ("DELETE", None)):
        assert not allowed(database, method, "User_Book/k1", value, uid="u2")
    assert not allowed(database, "PUT", "User_Book/k2", {**GOOD}, uid=None)
    assert not allowed(database, "PATCH", "User_Book/k1", {"userId": "u2"})


def test_the_apps_own_queries_pass_and_others_do_not(database):
    database.put("User_Book", {"k1": GOOD, "k2": {**GOOD, "userId": "u2", "bookId": "-Nother"}})
    database.put("Books/-Nbook", {"title": "T"})
    database.put("archive/a1", {"isbn": "09780143036357", "title": "T"})
    assert allowed(database, "GET", "User_Book", orderBy='"userId"', equalTo='"u1"')
    assert allowed(database, "GET", "User_Book", orderBy='"bookId"', equalTo='"-Nbook"')
    assert allowed(database, "GET", "Books", orderBy='"$key"', equalTo='"-Nbook"')
    assert allowed(database, "GET", "Books/-Nbook")
    assert allowed(database, "GET", "archive", orderBy='"isbn"', equalTo='"09780143036357"')
    assert not allowed(database, "GET", "User_Book", orderBy='"userId"', equalTo='"u2"')
    assert not allowed(database, "GET", "User_Book", orderBy='"userId"')
    assert not allowed(database, "GET", "User_Book")
    assert not allowed(database, "GET", "User_Book/k2")
    assert not allowed(database, "GET", "Books")
    assert not allowed(database, "GET", "archive", uid=None)


def test_a_list_is_read_by_its_reader_alone_and_written_by_none(database):
    database.put("Users/u1", {"id": "u1", "firstname": "A", "recommendations": {"listId": "x"}})
    assert allowed(database, "GET", "Users/u1/recommendations")
    assert not allowed(database, "GET", "Users/u1/recommendations", uid="u2")
    assert not allowed(database, "GET", "Users")
    assert not allowed(database, "PUT", "Users/u1/recommendations", {"listId": "forged"})
    assert not allowed(database, "PUT", "Users/u1/recommendations/listId", "forged")
    assert not allowed(database, "PATCH", "Users/u1", {"recommendations/listId": "forged"})
    assert not allowed(database, "PUT", "Users/u1", {"id": "u1", "recommendations": {"listId": "forged"}})
    assert allowed(database, "PATCH", "Users/u1", {"firstname": "B"})
    assert database.get("Users/u1/recommendations/listId") == "x"
    assert allowed(
        database, "PUT", "Users/u1", {"id": "u1", "firstname": "C", "lastname": "", "mobile": "", "image": ""}
    )
    assert not allowed(database, "PUT", "Users/u1", {"id": "u1"}, uid="u2")


def test_the_backends_own_nodes_are_closed_but_for_the_pointer(database):
    database.put("Recommender", {"model": {"version": "v"}, "changes": {"k": {"at": 1}}, "lease": {"fence": 1}})
    assert allowed(database, "GET", "Recommender/model")
    assert not allowed(database, "GET", "Recommender/model", uid=None)
    for path in ("Recommender", "Recommender/changes", "Recommender/lease", "Recommender/rejected"):
        assert not allowed(database, "GET", path)
    for path in ("Recommender/model", "Recommender/model/version", "Recommender/changes/k", "archive/a1", "new"):
        assert not allowed(database, "PUT", path, "forged")


def test_the_rules_and_the_validator_agree_on_isbns():
    rules = (ROOT / "database.rules.json").read_text()
    assert f"/^{ISBN_PATTERN}$/" in rules


def test_storage_rules_let_signed_in_readers_get_models_and_nobody_write():
    rules = (ROOT / "storage.rules").read_text()
    assert "match /models/{version}/{file}" in rules
    assert "allow get: if request.auth != null && file != 'report.html';" in rules
    assert "allow list, write: if false;" in rules
    assert rules.count("allow ") == 2
