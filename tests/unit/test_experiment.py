"""The A/B split: who is in which arm, and what a publish does to it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookrec.errors import BadModel, NotNow
from bookrec.life_cycle.experiment import Experiment, usable_experiment
from bookrec.life_cycle.manifest import KEPT_VERSIONS, Manifest, Pointer, parse_pointer
from bookrec.life_cycle.publishing import experiment_ended, experiment_started, next_pointer, rolled_back

SHA = "0" * 64


def pointer(version="v2", fence=2, kept=("v1", "v2"), **more):
    return Pointer(version, f"models/{version}/manifest.json", SHA, fence, 1, 1, dict.fromkeys(kept, SHA), **more)


def started(share=0.5, version="v1", now_ms=1_000, **more):
    return experiment_started(pointer(**more).to_node(), version, share, now_ms)


def test_a_readers_arm_is_the_one_of_the_interface():
    experiment = Experiment("ab-1", "v1", 0.3, 1)
    for user_id in ("ana", "ben", "\N{DRAGON}"):
        number = int(hashlib.sha256(f"ab-1:{user_id}".encode()).hexdigest()[:8], 16) / 2**32
        assert experiment.arm(user_id) == ("b" if number < 0.3 else "a")


@given(st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_about_the_share_of_the_readers_is_in_arm_b(share, number):
    experiment = Experiment(f"ab-{number}", "v1", share, 1)
    part = sum(experiment.arm(f"reader-{n}") == "b" for n in range(2_000)) / 2_000
    assert abs(part - share) < 0.07


def test_the_arms_of_two_experiments_are_independent():
    one, two = (Experiment(name, "v1", 0.5, 1) for name in ("ab-1", "ab-2"))
    both = sum(one.arm(f"r{n}") == two.arm(f"r{n}") == "b" for n in range(4_000)) / 4_000
    assert abs(both - 0.25) < 0.04


def test_an_experiment_that_starts_or_ends_is_another_publication():
    before = pointer()
    running = parse_pointer(started())
    assert running.experiment == Experiment("ab-1000", "v1", 0.5, 1_000)
    after = parse_pointer(experiment_ended(running.to_node()))
    assert after.experiment is None
    assert len({before.publication, running.publication, after.publication}) == 3
    assert (after.version, after.fence, after.kept) == (before.version, before.fence, before.kept)


def test_an_end_without_an_experiment_changes_nothing():
    assert experiment_ended(pointer().to_node()) is None
    assert experiment_ended(None) is None


@pytest.mark.parametrize(
    ("version", "problem", "says"),
    [("v9", BadModel, "v9 is not kept; these are: v1, v2"), ("v2", NotNow, "v2 is live")],
)
def test_only_another_kept_version_can_be_tried(version, problem, says):
    with pytest.raises(problem, match=says):
        started(version=version)
    with pytest.raises(BadModel, match="these are: none"):
        experiment_started(None, "v1", 0.5, 1)


def test_a_second_experiment_waits_for_the_end_of_the_first():
    with pytest.raises(NotNow, match="ab-1000 is running: end it first"):
        experiment_started(started(), "v1", 0.5, 2_000)


def test_a_publish_keeps_the_experiment():
    node = next_pointer(started(), pointer("v3", 3, ()))
    assert (node["version"], node["experiment"]["version"]) == ("v3", "v1")


def test_a_publish_of_the_experiments_own_version_ends_it():
    back = rolled_back(parse_pointer(started()), Manifest("v1", {}, {"data": {"snapshotAt": 7}}), 3, 9)
    assert (back.snapshot_at, back.published_at) == (7, 9)
    assert "experiment" not in next_pointer(started(), back, is_rollback=True)


@pytest.mark.parametrize("time", ["7", None, True, -1, float("inf"), float("nan"), 1e300, {}])
def test_a_version_whose_manifest_has_no_usable_time_is_not_rolled_back_to(time):
    with pytest.raises(BadModel, match="version v1 does not say when its data were read"):
        rolled_back(parse_pointer(started()), Manifest("v1", {}, {"data": {"snapshotAt": time}}), 3, 9)


def test_an_experiment_ends_when_its_version_is_no_longer_kept():
    node = started()
    for fence in range(3, 3 + KEPT_VERSIONS):
        assert node["experiment"]["version"] in node["kept"]
        node = next_pointer(node, pointer(f"w{fence:02}", fence, ()))
        if "experiment" not in node:
            break
    assert "v1" not in node["kept"]


@pytest.mark.parametrize(
    "change",
    [{"version": "v9"}, {"version": "v2"}, {"version": 1}, {"share": 0}, {"share": 1}, {"share": True}, {"share": "1"},
     {"id": ""}, {"id": "a/b"}, {"id": 7}, {"startedAt": None}],
)  # fmt: skip
def test_a_damaged_experiment_counts_as_none_and_the_model_stays_live(change):
    node = {**started(), "experiment": {**started()["experiment"], **change}}
    parsed = parse_pointer(node)
    assert (parsed.version, parsed.experiment) == ("v2", None)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_value_in_place_of_an_experiment_raises(node):
    assert usable_experiment(node, "v2", {"v1", "v2"}) is None
