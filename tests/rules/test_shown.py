"""What a client may say about lists that it has shown: of its reader's present list, once, at the time of writing."""

import pytest

from tests.rules.world import SEEN, profile, ten

NOW = {".sv": "timestamp"}
PATH = "Users/ana/shown"


@pytest.fixture
def show(allowed):
    """Writes that a list was shown, and returns whether the rules allow it."""
    return lambda list_id, at=NOW, **more: allowed("PUT", PATH, {"listId": list_id, "at": at}, **more)


def test_a_reader_says_once_that_the_present_list_was_shown(show, database):
    assert show("of-ana")
    assert not show("of-ana")
    database.put("Users/ana/recommendations/listId", "next")
    assert not show("of-ana")
    assert show("next")


def test_nobody_says_it_for_another_reader_or_of_another_list(show, allowed):
    assert not show("of-ana", uid="ben")
    assert not show("of-ana", uid=None)
    assert not show("of-ben")
    assert not show(True)
    assert not allowed("PUT", PATH, {"listId": "of-ana"})
    assert not allowed("PUT", PATH, "of-ana")


@pytest.mark.parametrize("at", [1, 4_000_000_000_000, "now", True])
def test_the_time_is_the_database_s_own(show, at):
    assert not show("of-ana", at)


def test_no_part_is_written_alone_and_nothing_is_added(show, allowed):
    assert show("of-ana")
    for method, path, value in (
        ("PUT", f"{PATH}/at", NOW),
        ("PATCH", PATH, {"at": NOW}),
        ("PUT", f"{PATH}/listId", "of-ana"),
        ("PUT", f"{PATH}/extra", 1),
        ("PUT", f"{PATH}/at/deep", 1),
        ("PATCH", "Users/ana", {"shown/at": NOW}),
    ):
        assert not allowed(method, path, value), path
    assert not allowed("DELETE", PATH)
    assert not allowed("DELETE", f"{PATH}/at")


def test_it_takes_no_other_fields(allowed):
    assert not allowed("PUT", PATH, {"listId": "of-ana", "at": NOW, "extra": 1})


def test_without_a_list_nothing_was_shown(show, database):
    assert database.request("DELETE", "Users/ana/recommendations").ok
    assert not show("of-ana")


def test_what_the_backend_remembers_cannot_be_written_in_any_way(allowed, database):
    before = database.get("Users/ana")
    for method, path, value in (
        ("PUT", "Users/ana/seen", SEEN),
        ("PUT", "Users/ana/seen/at", 2),
        ("DELETE", "Users/ana/seen", None),
        ("PATCH", "Users/ana", {"seen": SEEN}),
        ("PUT", "Users/ana", {**profile("ana"), "seen": SEEN}),
        ("PUT", "Users/ana", {**profile("ana"), "recommendations": ten("ana"), "seen": SEEN}),
    ):
        assert not allowed(method, path, value), path
    assert database.get("Users/ana") == before


def test_a_whole_profile_removes_what_was_shown_and_remembered(show, allowed, database):
    assert show("of-ana")
    assert allowed("PUT", "Users/ana", profile("ana"))
    assert database.get("Users/ana") == profile("ana")
