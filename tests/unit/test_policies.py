"""The lease, the retraining policy and the manifest."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookrec.errors import BadModel
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.manifest import parse_manifest, parse_pointer
from bookrec.life_cycle.retraining import Pending, Policy, check_window, decide
from tests.unit.test_entries import JSON

POLICY = Policy(quiet_ms=1_000, minimum_changes=5, maximum_age_ms=60_000)


def test_a_held_lease_is_not_given_twice_and_an_expired_one_is_given_with_a_greater_fence():
    first = leases.acquire(Lease(), "a", 0, 10, 100)
    assert leases.acquire(first, "b", 9, 10, 100) is None
    second = leases.acquire(first, "b", 10, 10, 100)
    assert (second.holder, second.fence) == ("b-2", first.fence + 1)
    assert leases.renew(second, "a-1", first.fence, 11, 10) is None
    assert leases.release(second, "a-1", first.fence, "published", 11) is None


def test_a_fence_is_never_given_again_even_when_the_lease_node_is_lost():
    assert leases.acquire(Lease(), "a", 0, 10, 100, live_fence=41).fence == 42


def test_no_renewal_extends_beyond_the_time_limit_and_a_run_that_reaches_it_timed_out():
    held = leases.acquire(Lease(), "run", 0, 10, 25)
    for now in (5, 14, 22):
        held = leases.renew(held, "run-1", 1, now, 10)
    assert held.expires_at == 25
    assert leases.renew(held, "run-1", 1, 25, 10) is None
    assert leases.free_expired(held, 24, 0) is None
    assert leases.free_expired(held, 25, 0) == Lease(None, 1, outcome="timed out", failures=1, failed_at=25)


def test_a_run_that_stopped_renewing_died_unless_it_had_published():
    held = leases.acquire(Lease(), "run", 0, 10, 100)
    assert leases.free_expired(held, 10, 0).outcome == "died"
    assert leases.free_expired(held, 10, 1) == Lease(None, 1, outcome="published")
    assert leases.acquire(held, "run", 10, 10, 100, live_fence=1).failures == 0


@pytest.mark.parametrize("failures", [4, 5])
def test_a_rollback_that_was_killed_before_or_after_its_switch_changes_no_failures_in_a_row(failures):
    before = Lease(None, 6, outcome="failed", failures=failures, failed_at=1)
    held = leases.acquire(before, leases.ROLLBACK, 1_000, 240_000, 240_000, 6)
    for live_fence in (6, held.fence):
        assert leases.free_expired(held, 300_000, live_fence) == replace(before, fence=7)
        taken = leases.acquire(held, "run", 300_000, 10, 100, live_fence)
        assert (taken.holder, taken.outcome, taken.failures, taken.failed_at) == ("run-8", "failed", failures, 1)
    for outcome in ("failed", "published", None):
        assert leases.release(held, "rollback-7", 7, outcome, 2_000) == replace(before, fence=7)


@pytest.mark.parametrize(("outcome", "failures"), [("failed", 3), ("published", 0), ("refused", 0), (None, 2)])
def test_failures_count_until_a_run_has_a_verdict(outcome, failures):
    held = Lease("run-4", 4, 10, 100, failures=2)
    released = leases.release(held, "run-4", 4, outcome, 5)
    assert (released.outcome, released.failures) == (outcome, failures)


def test_a_run_that_was_interrupted_has_not_ended_as_the_one_before():
    held = Lease("run-4", 4, 10, 100, "published")
    assert leases.release(held, "run-4", 4, None, 5).outcome is None
    assert leases.give_back(held, "run-4", 4) == Lease(None, 4, 0, 0, "published")
    assert leases.give_back(held, "run-4", 3) is None


def test_retries_wait_twice_as_long_each_time_up_to_a_limit_and_then_are_parked_until_released():
    policy = Policy(1_000, 1, 60_000, retry_ms=10, longest_retry_ms=35, attempts=4)
    waits = [policy.retry_at(Lease(outcome="failed", failures=n, failed_at=100)) for n in range(5)]
    assert waits == [0, 110, 120, 135, 135]
    pending = Pending(5, 0, 0)
    for failures, now, due in ((1, 109, False), (1, 5_000, True), (3, 5_000, True), (4, 50_000, False)):
        lease = Lease(outcome="died", failures=failures, failed_at=100)
        assert decide(policy, pending, lease, now, True).due is due
    assert decide(policy, pending, leases.forgive(lease), 5_000, True).due


@given(JSON)
def test_a_damaged_lease_node_is_a_free_lease(node):
    assert isinstance(leases.read_lease(node), Lease)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 10**400, 1e308, -1, "9", True, [], {}])
@pytest.mark.parametrize("field", ["fence", "expiresAt", "endsBy", "failures", "failedAt"])
def test_a_number_of_a_lease_that_is_out_of_its_range_counts_as_none(field, value):
    node = Lease("run-3", 3, 99, 100, "died", 2, 50).to_node()
    assert leases.read_lease(node | {field: value}).to_node() == node | {field: 0}


def test_a_lease_survives_its_node():
    lease = Lease("run-3", 3, 99, 100, "died", 2, 50)
    assert leases.read_lease(lease.to_node()) == lease


@pytest.mark.parametrize(
    ("pending", "now", "live", "due"),
    [
        (Pending(), 0, True, False),
        (Pending(5, 0, 0), 999, True, False),
        (Pending(5, 0, 0), 1_000, True, True),
        (Pending(4, 0, 0), 59_999, True, False),
        (Pending(4, 0, 0), 60_000, True, True),
        (Pending(1, 0, 0), 1_000, False, True),
        (Pending(500, 0, 60_000), 60_000, True, True),
    ],
)
def test_the_policy_waits_for_quiet_and_enough_changes_but_not_for_ever(pending, now, live, due):
    assert decide(POLICY, pending, Lease(), now, live).due is due


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_every_change_has_a_check_that_comes_after_its_quiet_time(times):
    for at in times:
        _, due = check_window(POLICY, at)
        assert at + POLICY.quiet_ms < due <= at + 2 * POLICY.quiet_ms


def test_a_burst_shares_one_check():
    assert len({check_window(POLICY, at) for at in range(5_000, 6_000)}) == 1


@given(JSON)
def test_an_untrusted_manifest_or_pointer_is_accepted_or_rejected_and_never_crashes(value):
    with contextlib.suppress(BadModel):
        assert parse_manifest(value).files
    with contextlib.suppress(BadModel):
        assert parse_pointer(value) is None or parse_pointer(value).version


def test_a_manifest_survives_its_json():
    files = {name: {"size": 3, "sha256": "0" * 64} for name in ("recommend.tflite", "items.json")}
    value = {"schema": 1, "version": "v1", "files": files, "gate": {"passed": True}}
    assert json.loads(json.dumps(parse_manifest(value).to_json())) == value
