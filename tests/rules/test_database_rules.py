"""The security rules allow what the app does today, and deny what is not a valid entry, copy or profile."""

import pytest

from bookrec.entries import ISBN_PATTERN
from clients.contract import PROFILE
from tests.database_server import ROOT
from tests.rules.world import COPY, entry, profile

GOOD = entry("ana", "-Nbook")


@pytest.mark.parametrize(
    "change", [{}, {"myRate": 0}, {"myRate": 5}, {"myRate": 0.5}, {"isbn": None}, {"isbn": ""}, {"isbn": "043965548X"}]
)
def test_todays_app_can_write_its_entries(allowed, change):
    assert allowed("PUT", "User_Book/k1", {**GOOD, **change})
    assert allowed("PATCH", "User_Book/k1", {"myRate": 2.5})
    assert allowed("PATCH", "User_Book/k1", {"isbn": "09780143036357"})
    assert allowed("DELETE", "User_Book/k1")


def test_todays_app_can_write_a_profile_without_and_with_a_list(database, allowed):
    database.put("Users/ana", {})
    assert allowed("PUT", "Users/ana", profile("ana"))
    database.put("Users/ana/recommendations", {"listId": "x"})
    assert allowed("PATCH", "Users/ana", {"firstname": "B", "image": "i"})
    assert allowed("PUT", "Users/ana/lastname", "C")
    assert allowed("DELETE", "Users/ana/image")
    assert database.get("Users/ana") == {
        "id": "ana",
        "firstname": "B",
        "lastname": "C",
        "mobile": "",
        "recommendations": {"listId": "x"},
    }


def test_setting_the_whole_profile_deletes_the_list(database, allowed):
    assert allowed("PUT", "Users/ana", profile("ana"))
    assert database.get("Users/ana/recommendations") is None
    assert allowed("DELETE", "Users/ana")


def test_a_reader_may_delete_their_list(database, allowed):
    assert allowed("PATCH", "Users/ana", {"firstname": "B", "recommendations": None})
    assert database.get("Users/ana/recommendations") is None


@pytest.mark.parametrize(
    "change",
    [
        {"myRate": "five"},
        {"myRate": 7},
        {"myRate": 5.5},
        {"myRate": -1},
        {"myRate": -0.5},
        {"myRate": 3.3},
        {"myRate": True},
        {"myRate": None},
        {"userId": None},
        {"userId": 7},
        {"isbn": "\N{DRAGON}"},
        {"isbn": "0978\n"},
        {"isbn": "1" * 65},
        {"isbn": "1" * 1_000_000},
        {"isbn": 9780143036357},
        {"isbn": {"deep": "value"}},
        {"bookId": None},
        {"bookId": ""},
        {"bookId": 7},
        {"bookId": "x" * 129},
        {"extra": 1},
    ],
)
def test_a_bad_entry_is_denied(allowed, change):
    assert allowed("PUT", "User_Book/k1", GOOD)
    assert not allowed("PUT", "User_Book/k1", {**GOOD, **change})
    assert not allowed("PUT", "User_Book/k2", {**GOOD, **change})
    assert not allowed("PATCH", "User_Book/k1", change)


@pytest.mark.parametrize("value", ["", "text", 0, 2.5, True, False])
def test_a_copy_may_have_any_scalar(allowed, value):
    assert allowed("PUT", "Books/k1", {**COPY, "field": value})
    assert allowed("PUT", "Books/k1/field", value)


@pytest.mark.parametrize("value", [{"title": "x" * 10_001}, {"t" * 65: "x"}, {"title": {"deep": 1}}, "scalar", 7])
def test_a_bad_copy_is_denied(allowed, value):
    assert allowed("PUT", "Books/k1", {**COPY, "title": "x" * 10_000})
    assert not allowed("PUT", "Books/k1", value)
    assert not allowed("PUT", f"Books/{'k' * 65}", COPY)


@pytest.mark.parametrize(("until", "may_write"), [(None, True), (1, True), (1 << 50, False)])
def test_a_paused_reader_can_delete_entries_but_not_write_any_until_the_pause_is_over(
    database, allowed, until, may_write
):
    database.put("Recommender/paused", {"ana": {"until": until}, "ben": {"until": 1 << 50}})
    assert allowed("PUT", "User_Book/-Nnew", entry("ana", "-Nbook3")) is may_write
    assert allowed("PATCH", "User_Book/-Nana", {"myRate": 2}) is may_write
    assert allowed("PUT", "User_Book/-Nana/myRate", 3) is may_write
    both = {"User_Book/-Nx": entry("ana", "-Nbook4"), "Books/-Nbook4": COPY}
    assert allowed("PATCH", "", both) is may_write
    assert allowed("PATCH", "Users/ana", {"firstname": "B"})
    assert allowed("DELETE", "User_Book/-Nana")
    assert database.get("User_Book/-Nana") is None


def test_only_the_backend_pauses_and_ends_a_pause(database, allowed):
    database.put("Recommender/paused", {"ana": {"until": 1 << 50}})
    assert not allowed("DELETE", "Recommender/paused/ana")
    assert not allowed("PUT", "Recommender/paused/ben/until", 1 << 50)
    assert not allowed("GET", "Recommender/paused/ana")


LENGTHS = {"id": 128, "firstname": 256, "lastname": 256, "mobile": 64, "image": 10_000}


@pytest.mark.parametrize("name", LENGTHS)
def test_each_field_of_a_profile_has_a_greatest_length(allowed, name):
    assert allowed("PATCH", "Users/ana", {name: "\N{DRAGON}" * (LENGTHS[name] // 2)})  # two UTF-16 code units each
    assert not allowed("PATCH", "Users/ana", {name: "x" * (LENGTHS[name] + 1)})
    assert not allowed("PUT", f"Users/ana/{name}", "x" * (LENGTHS[name] + 1))
    assert not allowed("PUT", "Users/ana", {**profile("ana"), name: "x" * (LENGTHS[name] + 1)})


def test_a_profile_has_no_other_fields_and_those_of_earlier_rules_can_be_deleted(database, allowed):
    assert set(LENGTHS) == set(profile("ana")) == {field.name for field in PROFILE.fields}
    for name in ("nickname", "Firstname", "firstname ", "recommendation", "0"):
        assert not allowed("PUT", f"Users/ana/{name}", "x")
        assert not allowed("PATCH", "Users/ana", {"firstname": "B", name: "x"})
        assert not allowed("PUT", "Users/ana", {**profile("ana"), name: "x"})
    database.put("Users/ana/nickname", "x")
    assert allowed("PATCH", "Users/ana", {"firstname": "B"})
    assert not allowed("PUT", "Users/ana/nickname", "y")
    assert allowed("DELETE", "Users/ana/nickname")
    assert database.get("Users/ana/nickname") is None


@pytest.mark.parametrize(
    "value", [{"image": "x" * 10_001}, {"f" * 65: "x"}, {"firstname": {"deep": "x"}}, {"mobile": 7}, {"admin": True}]
)
def test_a_bad_profile_is_denied(allowed, value):
    assert allowed("PATCH", "Users/ana", {"image": "x" * 10_000})
    assert not allowed("PATCH", "Users/ana", value)
    assert not allowed("PUT", "Users/ana", {**profile("ana"), **value})


@pytest.mark.parametrize("value", ["scalar", 7, True])
def test_a_profile_is_not_a_scalar(database, allowed, value):
    assert not allowed("PUT", "Users/ana", value)
    database.put("Users/ana", {})
    assert not allowed("PUT", "Users/ana", value)


def test_the_rules_and_the_validator_agree_on_isbns():
    rules = (ROOT / "database.rules.json").read_text()
    assert f"/^{ISBN_PATTERN}$/" in rules


def test_storage_rules_let_signed_in_readers_read_models_and_nobody_write():
    rules = (ROOT / "storage.rules").read_text()
    assert "match /models/{version}/{file}" in rules
    assert "allow get: if request.auth != null && file != 'report.html';" in rules
    assert "allow list, write: if false;" in rules
    assert rules.count("allow ") == 2
    assert rules.count("match ") == 2


@pytest.mark.parametrize("name", LENGTHS)
def test_each_field_of_a_profile_is_a_text_that_only_its_reader_writes(allowed, name):
    assert allowed("PUT", f"Users/ana/{name}", "text")
    assert not allowed("PUT", f"Users/ana/{name}", 5)
    assert not allowed("PUT", f"Users/ana/{name}", "text", uid="ben")
    assert not allowed("PUT", f"Users/ana/{name}", "text", uid=None)


def test_a_field_that_earlier_rules_allowed_is_deleted_only_by_its_reader(database, allowed):
    database.put("Users/ana/nickname", "A")
    assert not allowed("PUT", "Users/ana/nickname", "B")
    assert not allowed("DELETE", "Users/ana/nickname", uid="ben")
    assert not allowed("DELETE", "Users/ana/nickname", uid=None)
    assert allowed("DELETE", "Users/ana/nickname")
