"""A reader dismisses books and takes that back, one in each update, and never has more than the rules allow."""

import time

import pytest

from tests.rules.world import ISBN, profile

NOW, ONE_MORE, ONE_LESS = {".sv": "timestamp"}, {".sv": {"increment": 1}}, {".sv": {"increment": -1}}
ANA = "Users/ana"
PAUSE = "Recommender/paused/ana"


def dismissal(key, at=NOW, count=ONE_MORE, last=None):
    return {f"dismissed/{key}": at, "dismissals/count": count, "dismissals/last": last or key}


def undo(key, count=ONE_LESS, last=None):
    return {f"dismissed/{key}": None, "dismissals/count": count, "dismissals/last": last or key}


@pytest.fixture(params=[True, False], ids=["with a list", "without a list"])
def has_list(request, database):
    """Without a list, the rule of the whole profile allows any write: only the validation is left."""
    database.put(f"{ANA}/dismissed", {})
    database.put(f"{ANA}/dismissals", {})
    if not request.param:
        database.put(f"{ANA}/recommendations", {})
    return request.param


@pytest.fixture
def ana(database, allowed, has_list):
    """Sends an update of ana's node and returns whether it was allowed; a denied one changes nothing."""

    def write(values, uid="ana"):
        before = database.get(ANA)
        is_allowed = allowed("PATCH", ANA, values, uid)
        assert is_allowed or database.get(ANA) == before
        return is_allowed

    return write


def test_a_reader_dismisses_books_and_takes_it_back(database, ana):
    begin = int(time.time() * 1000)
    assert ana(dismissal(ISBN))
    assert ana(dismissal("X1,2_:- "))
    assert database.get(f"{ANA}/dismissals") == {"count": 2, "last": "X1,2_:- "}
    assert all(begin - 60_000 < at < begin + 60_000 for at in database.get(f"{ANA}/dismissed").values())
    assert ana(undo(ISBN))
    assert list(database.get(f"{ANA}/dismissed")) == ["X1,2_:- "]
    assert ana(undo("X1,2_:- "))
    assert database.get(f"{ANA}/dismissed") is None
    assert ana(dismissal(ISBN))
    assert database.get(f"{ANA}/dismissals") == {"count": 1, "last": ISBN}


def test_a_number_can_be_given_instead_of_an_increment(database, ana):
    assert ana(dismissal("1", count=1))
    assert ana(dismissal("2", count=2))
    assert ana(undo("2", count=1))
    assert database.get(f"{ANA}/dismissals/count") == 1


@pytest.mark.parametrize(
    "values",
    [
        {"dismissed/1": NOW},
        {"dismissed/1": NOW, "dismissals/last": "1"},
        {"dismissed/1": NOW, "dismissals/count": ONE_MORE},
        {"dismissals/count": ONE_MORE, "dismissals/last": "1"},
        {"dismissals/count": 1},
        {"dismissals/last": "1"},
        dismissal("1", at=5),
        dismissal("1", at=9_999_999_999_999),
        dismissal("1", at="now"),
        dismissal("1", at=True),
        dismissal("1", at={"deep": NOW}),
        {**dismissal("1"), "dismissed/1": None, "dismissed/1/deep": NOW},
        dismissal("1", count=0),
        dismissal("1", count=2),
        dismissal("1", count=-1),
        dismissal("1", count=ONE_LESS),
        dismissal("1", count="1"),
        dismissal("1", count={"deep": 1}),
        dismissal("1", last="2"),
        dismissal("1", last=1),
        dismissal("1", last={"deep": "1"}),
        dismissal("\N{DRAGON}"),
        dismissal(",1"),
        dismissal("1" * 65),
        {**dismissal("1"), "dismissals/extra": 1},
        {**dismissal("1"), "dismissed/2": NOW},
        {**dismissal("1"), "dismissed/2": NOW, "dismissals/count": 2},
        {"dismissed": {"1": NOW, "2": NOW}, "dismissals": {"count": 2, "last": "1"}},
        {"dismissals": {"count": 1}},
        {"dismissed": "x" * 1000},
        {"dismissed": 5},
        {"dismissed": True},
    ],
)
def test_what_is_not_one_dismissal_at_the_databases_time_is_denied(ana, values):
    values = {path: value for path, value in values.items() if value is not None}
    assert not ana(values)
    assert ana(dismissal("1"))


def test_nobody_else_dismisses_for_a_reader_or_sees_what_was_dismissed(database, allowed, ana):
    assert not ana(dismissal("1"), uid="ben")
    assert not ana(dismissal("1"), uid=None)
    assert ana(dismissal("1"))
    for uid in ("ben", None):
        assert not ana(undo("1"), uid=uid)
        assert not allowed("GET", f"{ANA}/dismissed", uid=uid)
        assert not allowed("GET", f"{ANA}/dismissals", uid=uid)
    assert allowed("GET", f"{ANA}/dismissed")


def test_a_dismissal_is_not_renewed(ana):
    assert ana(dismissal("1"))
    assert not ana(dismissal("1"))
    assert not ana({"dismissed/1": NOW})
    assert ana(undo("1"))
    assert ana(dismissal("1"))


def test_undo_lowers_the_count_by_one_with_the_one_key_that_is_removed(database, ana, has_list):
    for key in ("1", "2", "3"):
        assert ana(dismissal(key))
    for values in (
        undo("1", count=1),
        undo("1", count=4),
        undo("1", count=0),
        undo("1", count=ONE_MORE),
        {"dismissals/count": ONE_LESS, "dismissals/last": "1"},
        {"dismissals/count": ONE_LESS},
        undo("4"),
    ):
        assert not ana(values)
    if has_list:  # without one, these are allowed: the count is too high then, never too low
        assert not ana(undo("1", last="2"))
        assert not ana({"dismissed/1": None})
        assert not ana({**undo("1"), "dismissed/2": None})
        assert not ana({"dismissed": None})
        assert not ana({"dismissals": None})
    assert ana(undo("1"))
    assert database.get(f"{ANA}/dismissals/count") == 2


def test_there_are_at_most_two_hundred(database, ana):
    database.put(f"{ANA}/dismissed", {f"b{number}": 1 for number in range(199)})
    database.put(f"{ANA}/dismissals", {"count": 199, "last": "b1"})
    assert ana(dismissal("1"))
    assert not ana(dismissal("2"))
    assert ana(undo("b7"))
    assert ana(dismissal("2"))
    assert not ana(dismissal("3"))


def test_removing_the_count_does_not_make_room(database, allowed):
    database.put(ANA, profile("ana"))
    database.put(f"{ANA}/dismissed", {f"b{number}": 1 for number in range(200)})
    database.put(f"{ANA}/dismissals", {"count": 200, "last": "b1"})
    assert allowed("DELETE", f"{ANA}/dismissals")
    assert not allowed("PATCH", ANA, dismissal("1"))
    assert not allowed("PATCH", ANA, dismissal("1", count=1))
    assert not allowed("PATCH", ANA, undo("b1", count=-1))
    assert not allowed("PATCH", ANA, undo("b1", count=0))
    assert allowed("DELETE", f"{ANA}/dismissed")
    assert allowed("PATCH", ANA, dismissal("1"))
    assert database.get(f"{ANA}/dismissals") == {"count": 1, "last": "1"}


def test_a_count_that_is_too_high_stays_usable_once_nothing_is_dismissed(database, allowed):
    database.put(ANA, profile("ana"))
    for number in range(3):
        assert allowed("PATCH", ANA, dismissal(f"b{number}"))
    assert allowed("DELETE", f"{ANA}/dismissed")
    assert allowed("PATCH", ANA, dismissal("1"))
    assert database.get(f"{ANA}/dismissals/count") == 4


def test_writing_the_whole_profile_keeps_removes_or_leaves_out_dismissals_but_brings_no_new_ones(database, allowed):
    database.put(ANA, profile("ana"))
    assert allowed("PATCH", ANA, dismissal("X1"))
    assert allowed("PATCH", ANA, dismissal("X2"))
    own = {name: database.get(f"{ANA}/{name}") for name in ("dismissed", "dismissals")}
    assert allowed("PUT", ANA, {**profile("ana"), **own})
    assert not allowed("PUT", ANA, {**profile("ana"), **own, "dismissed": {**own["dismissed"], "X3": NOW}})
    assert not allowed("PUT", ANA, {**profile("ana"), "dismissed": "x" * 1000})
    fewer = {"X1": own["dismissed"]["X1"]}
    assert allowed("PUT", ANA, {**profile("ana"), **own, "dismissed": fewer})
    assert not allowed("PUT", ANA, {**profile("ana"), "dismissed": fewer, "dismissals": {"count": 0, "last": "X2"}})
    assert allowed("PUT", ANA, profile("ana"))
    assert database.get(f"{ANA}/dismissed") is None
    assert database.get(f"{ANA}/dismissals") is None


@pytest.mark.parametrize(("until", "may_write"), [(None, True), (1, True), (1 << 50, False)])
def test_a_paused_reader_can_undo_but_not_dismiss_until_the_pause_is_over(database, ana, until, may_write):
    database.put(PAUSE, {})
    assert ana(dismissal("1"))
    database.put(PAUSE, {"until": until})
    assert ana(dismissal("2")) is may_write
    assert ana(undo("1"))


def test_each_part_of_an_update_is_checked_once_there_are_dismissals(ana):
    assert ana(dismissal("1"))
    assert ana(dismissal("2"))
    assert ana(undo("2"))
    assert not ana({"dismissed/2": NOW})  # the count says nothing of it, and `last` is still its key
    assert not ana(dismissal("2", count=5))
    assert not ana(dismissal("2", count=0))
    for last in ("", "a/b", "\N{DRAGON}", "1" * 65, 5, {"deep": "1"}):
        assert not ana({"dismissals/last": last})
