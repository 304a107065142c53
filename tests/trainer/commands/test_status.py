"""``status``: what it says about a database, and when it calls for an operator."""

import pytest

from backend.handlers.similar_books import PATIENCE_MS
from bookrec import paths
from tests import fakes
from tests.fakes import FakeClock
from tests.memory_database import MemoryDatabase
from tests.trainer.commands.command_line import command, project, storage_url
from trainer.commands.status import lines
from trainer.publishing.status import SILENT_MS, age, look

__all__ = ["command", "project", "storage_url"]

SHA = "a" * 64
MINUTE = 60_000


@pytest.fixture
def world():
    return World()


class World:
    """A healthy database."""

    def __init__(self):
        self.now = FakeClock().now
        self.memory = MemoryDatabase(lambda: self.now)
        self.others = []
        self.put(
            {
                paths.MODEL: {
                    "version": "v2",
                    "manifest": "models/v2/manifest.json",
                    "manifestSha256": SHA,
                    "fence": 2,
                    "publishedAt": self.now - 90 * MINUTE,
                    "snapshotAt": self.now - 95 * MINUTE,
                    "kept": {"v1": SHA, "v2": SHA},
                },
                paths.LEASE: {"fence": 2, "outcome": "published"},
                f"{paths.CHANGES}/e1": {"at": self.now - 3 * MINUTE},
                f"{paths.CHANGES}/e2": {"at": self.now - 2 * MINUTE},
                f"{paths.STATUS}/training/run": {
                    "outcome": "published", "version": "v2", "runId": "run-2", "fence": 2, "at": self.now - 90 * MINUTE,
                },
                f"{paths.STATUS}/fanout": {
                    "publication": "v2@2", "shards": 3, "attempt": 0, "queued": True, "at": self.now,
                    "done": {"0": True, "1": True},
                },
                f"{paths.STATUS}/reconcile": {"at": self.now - 2 * MINUTE, "repaired": {"fanouts": 1}},
                f"{paths.STATUS}/model": {"version": "v2", "loads": True, "using": "v2"},
                f"{paths.STATUS}/rejected": {"isbn_missing": 2, "rating_out_of_range": 5},
            }
        )  # fmt: skip

    def put(self, values):
        self.memory.update(values)

    def look(self):
        return look([("", self.memory.reference), *self.others], self.now)

    def text(self):
        return "\n".join(lines(self.look()))

    def urgent(self):
        return [finding.what for finding in self.look().findings if finding.is_urgent]


def test_a_healthy_status_fits_a_screen(world):
    status = world.look()
    assert status.is_healthy
    assert status.findings == []
    text = world.text()
    for part in (
        "v2, published 1 h 30 min ago, fence 2",
        "kept        v1",
        "experiment  none",
        "published v2, 1 h 30 min ago",
        "2 changed entries, the oldest of 3 min ago",
        "free, fence 2",
        "parked      no",
        "2 of 3 shards of v2@2",
        "2 min ago, repaired fanouts 1",
        "readers     0 paused, 0 left out",
        "7 entries: rating_out_of_range 5, isbn_missing 2",
        "hit rate    not counted yet",
    ):
        assert part in text
    facts = status.to_json()
    assert facts["healthy"]
    assert facts["waiting"] == {"changes": 2, "oldestAt": world.now - 3 * MINUTE}
    assert facts["instances"][0]["fanout"]["done"] == 2


def test_readers_who_are_not_served_are_counted_until_their_time_is_over(world):
    later, before = world.now + 20 * MINUTE, world.now - MINUTE
    world.put(
        {
            paths.PAUSED: {"ann": {"until": world.now + MINUTE}, "bob": {"until": before}, "cy": {"until": later}},
            f"{paths.STATUS}/leftOut": {"a1": {"times": 2, "until": later}, "b2": {"until": before}, "c3": "damaged"},
        }
    )
    status = world.look()
    assert status.is_healthy
    assert [finding.what for finding in status.findings] == ["reader-left-out", "reader-paused"]
    assert status.to_json()["instances"][0]["readers"] == {
        "paused": {"readers": 2, "until": later},
        "leftOut": {"readers": 1, "until": later},
    }
    text = world.text()
    assert "readers     2 paused, 1 left out" in text
    assert "readers paused: 2" in text
    assert "ends in 20 min" in text
    assert "ann" not in text


def test_an_empty_database_has_no_model_and_no_reconciler():
    status = look([("", MemoryDatabase(lambda: 0).reference)], 1_700_000_000_000)
    assert [finding.what for finding in status.findings] == ["reconcile-failed"]
    text = "\n".join(lines(status))
    assert "no model" in text
    assert "has not reported yet" in text


def test_parked_retraining_needs_attention_and_says_what_to_do(world):
    world.put(
        {
            f"{paths.LEASE}/failures": 5,
            f"{paths.LEASE}/outcome": "died",
            f"{paths.STATUS}/training/parked": {"at": world.now - MINUTE, "failures": 5, "outcome": "died"},
        }
    )
    assert world.urgent() == ["retraining-parked"]
    text = world.text()
    assert "5 training runs in a row failed (died)" in text
    assert "then `release`" in text
    assert "docs/operations.md, section retraining-parked" in text


@pytest.mark.parametrize(
    "damage",
    [
        {f"{paths.STATUS}/model": {"version": "v2", "loads": False, "problem": "a file is missing", "using": "v1"}},
        {paths.MODEL: {"version": "v2"}},
        {paths.MODEL: "damaged"},
    ],
)
def test_a_model_that_cannot_be_used_needs_attention(world, damage):
    world.put(damage)
    assert world.urgent() == ["model-unusable"]
    assert "`rollback` to a kept version" in world.text()


def test_an_experiment_whose_model_cannot_be_used_needs_attention(world):
    arm = {"version": "v1", "loads": False, "problem": "a file is altered"}
    world.put({f"{paths.STATUS}/model/experiment": arm})
    assert world.urgent() == []  # it is over
    world.put(
        {f"{paths.MODEL}/experiment": {"id": "ab-1", "version": "v1", "share": 0.5, "startedAt": world.now - MINUTE}}
    )
    assert world.urgent() == ["model-unusable"]
    assert "`experiment end`" in world.text()


@pytest.mark.parametrize(("silent_ms", "is_urgent"), [(SILENT_MS, False), (SILENT_MS + 1, True)])
def test_a_reconciler_that_is_silent_for_15_minutes_needs_attention(world, silent_ms, is_urgent):
    world.put({f"{paths.STATUS}/reconcile/at": world.now - silent_ms})
    assert world.urgent() == (["reconcile-failed"] if is_urgent else [])


def test_a_refused_model_needs_attention_with_the_gates_reason(world):
    world.put({f"{paths.STATUS}/training/run": {"outcome": "refused", "reason": "it loses to popularity"}})
    assert world.urgent() == ["model-refused"]
    assert "it loses to popularity" in world.text()


def test_what_recovers_by_itself_is_a_note(world):
    world.put(
        {
            f"{paths.LEASE}/failures": 1,
            f"{paths.LEASE}/outcome": "timed out",
            f"{paths.STATUS}/fanout/attempt": 1,
            f"{paths.STATUS}/reconcile/failed": "sweep",
        }
    )
    status = world.look()
    assert status.is_healthy
    assert {note["what"] for note in status.to_json()["notes"]} == {
        "run-failed", "fanout-incomplete", "reconcile-failed",
    }  # fmt: skip


def test_similar_books_that_were_queued_again_are_a_note_until_they_are_done():
    functions = fakes.World()
    functions.publish("v1", 1)
    similar_books = functions.backend.similar_books

    def findings():
        status = look([("", functions.database.memory.reference)], functions.clock.now_ms())
        return [(finding.what, finding.is_urgent, finding.why) for finding in status.findings]

    others = findings()
    similar_books()
    assert findings() == others
    functions.clock.sleep(PATIENCE_MS / 1000)
    similar_books()
    why = "pages of similar books were queued again (0 of 1 are done)"
    assert findings() == [*others, ("similar-incomplete", False, why)]
    similar_books.page("v1@1", 1, 0, "", None)
    assert findings() == others
    functions.database.update({f"{paths.STATUS}/similar/done": None})
    functions.publish("v2", 2)  # what is left of the last model's run says nothing
    assert findings() == others


def test_a_running_run_is_shown_with_its_step_and_its_lease(world):
    world.put(
        {
            paths.LEASE: {
                "holder": "run-3", "fence": 3, "expiresAt": world.now + 2 * MINUTE, "endsBy": world.now + 60 * MINUTE,
            },
            f"{paths.STATUS}/training/run": {
                "outcome": "running", "runId": "run-3", "step": "judging", "at": world.now,
            },
        }
    )  # fmt: skip
    assert "run-3, until 2 min from now" in world.text()
    assert "running run-3 (judging)" in world.text()
    world.now += 5 * MINUTE
    assert "run-3 fell silent 3 min ago" in world.text()


def test_events_that_are_no_longer_collected_need_attention(world):
    second = MemoryDatabase(lambda: world.now)
    second.update(
        {
            f"{paths.STATUS}/reconcile/at": world.now,
            f"{paths.STATUS}/events": {"rows": {"2026-01-01": 300_000, "2026-01-02": 200_000}, "isFull": True},
        }
    )
    world.put({f"{paths.STATUS}/events/rows/2026-01-02": 10})
    world.others = [("https://second", second.reference)]
    assert world.urgent() == ["list-events-full"]
    assert "no more events of lists of https://second are collected: 500000 rows wait" in world.text()
    assert "run `events`" in world.text()
    second.update({f"{paths.STATUS}/events/rows/2026-01-01": None})  # it was exported
    assert world.urgent() == []


@pytest.mark.parametrize("odd", ["x", True, -1, [1, 2], {"a": "x"}], ids=str)
def test_a_node_of_any_form_is_looked_at(world, odd):
    fields = ("fanout/shards", "fanout/attempt", "fanout/done", "rejected/x", "quality/labels/x", "events/rows/x",
              "events/isFull", "similar/attempt", "similar/pages", "similar/done")  # fmt: skip
    similar = {f"{paths.STATUS}/similar/publication": "v2@2"}
    world.put({**similar, **{f"{paths.STATUS}/{field}": odd for field in fields}, f"{paths.CHANGES}/k": {"at": odd}})
    assert "waiting" in world.text()


def test_hit_rates_are_shown_with_their_intervals_and_by_arm(world):
    world.put(
        {
            f"{paths.MODEL}/experiment": {
                "id": "ab-1", "version": "v1", "share": 0.25, "startedAt": world.now - MINUTE,
            },
            f"{paths.STATUS}/quality/labels/v2": {
                "readers": 200, "hitReaders": 30, "hits": 41, "low": 0.107, "high": 0.206,
            },
            f"{paths.STATUS}/quality/labels/ab-1": {
                "readers": 0,
                "arms": {"a": {"version": "v2", "readers": 10, "hitReaders": 1}, "b": {"version": "v1", "readers": 0}},
            },
        }
    )  # fmt: skip
    text = world.text()
    assert "25% of the readers have v1, begun 1 min ago" in text
    assert "v2: 15.0% of 200 readers who shelved a book (95%: 10.7–20.6%)" in text
    assert "ab-1, arm a (v2): 10.0% of 10 readers" in text
    assert "ab-1, arm b (v1): no reader has shelved a book yet" in text


def test_several_databases_are_shown_apart_and_counted_together(world):
    second = MemoryDatabase(lambda: world.now)
    second.update(
        {
            f"{paths.CHANGES}/e9": {"at": world.now - 9 * MINUTE},
            f"{paths.STATUS}/rejected": {"isbn_missing": 1},
            f"{paths.STATUS}/reconcile/at": world.now - 20 * MINUTE,
        }
    )
    for memory, hit_readers in ((world.memory, 2), (second, 1)):
        arm = {"readers": 10, "hitReaders": hit_readers, "hits": 3, "positions": {"2": 3}, "version": "v2"}
        memory.update({f"{paths.STATUS}/quality/labels/ab-1": {**arm, "version": None, "arms": {"a": arm}}})
    world.others = [("https://second", second.reference)]
    status = world.look()
    assert status.facts["waiting"] == {"changes": 3, "oldestAt": world.now - 9 * MINUTE}
    assert status.facts["rejected"] == {"isbn_missing": 3, "rating_out_of_range": 5}
    quality = status.facts["quality"]["ab-1"]
    assert (quality["readers"], quality["hitReaders"], quality["positions"]) == (20, 3, {"2": 6})
    assert quality["low"] < 0.15 < quality["high"]
    assert quality["arms"]["a"]["version"] == "v2"
    assert "arm a (v2): 15.0% of 20 readers" in world.text()
    assert [finding.why for finding in status.findings] == [
        "the reconciler of https://second has not reported for 20 min"
    ]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (3_660_000, "1 h 1 min"), (90_000_000, "1 d 1 h")],
)
def test_ages_have_at_most_two_units(milliseconds, text):
    assert age(milliseconds) == text


def test_status_writes_nothing(world):
    before = world.memory.get("")
    world.look()
    assert world.memory.get("") == before


def test_the_command_ends_with_3_if_something_needs_attention(project, command):
    ended = command("status")
    assert ended.code == 3
    assert "needs attention: the reconciler has not reported yet" in ended.out
    ended = command("status", "--json")
    assert (ended.code, ended.json["healthy"]) == (3, False)
    assert ended.json["attention"][0]["see"] == "docs/operations.md#reconcile-failed"
    project.put(f"{paths.STATUS}/reconcile/at", {".sv": "timestamp"})
    ended = command("status", "--json")
    assert (ended.code, ended.json["healthy"], ended.json["live"]) == (0, True, None)
