"""The reconciler: finds what lost triggers and broken runs left behind, within a bounded time a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend import logs, traffic_counter
from backend.handlers.model_published import ModelPublishedHandler
from backend.handlers.retrain import RetrainHandler
from backend.lists import ListRefresher
from backend.ports import TIMESTAMP, Clock, Database, increment
from backend.rejected import trim_records
from backend.sweep import PHASES, Counted, Sweep, follow_watermark, read_counted
from bookrec import paths
from bookrec.errors import BookrecError, StoreUnavailable
from bookrec.manifest import usable_pointer
from bookrec.paths import children
from bookrec.push_keys import first_key

WATERMARK_MS, BUDGET_MS = 80_000, 200_000
"""After so long a run begins no further page of new entries, or of anything; the function has 300 s."""

SETTLED_AFTER_MS = 120_000
"""Entries younger than this are looked at again by the next run: keys carry the clocks of the clients."""

STATE = f"{paths.STATUS}/reconcile"


class Reconciliation:
    """One run: compares lists with shelves, records with entries, fan-out and lease with the pointer, and repairs.

    Two cursors, kept in ``/Recommender/status/reconcile``. The watermark goes through new entries, so that the next
    run meets whatever was added; the sweep goes through everything, over as many runs as it takes, and meets
    updates, deletions and readers who left.
    """

    def __init__(
        self,
        database: Database,
        lists: ListRefresher,
        published: ModelPublishedHandler,
        retrain: RetrainHandler,
        clock: Clock,
    ) -> None:
        self._database, self._published, self._retrain, self._clock = database, published, retrain, clock
        self._began = clock.now_ms()
        self._sweep = Sweep(database, lists)
        self._repaired, self._failed = self._sweep.repaired, list[str]()

    def __call__(self) -> dict[str, int]:
        """Do it; return how many of each kind were repaired.

        Raises:
            BookrecError: naming the steps that failed; all others were done.
        """
        self._step("leases", lambda: self._retrain.bury(self._retrain.live_fence()))
        self._step("marks", self._clear_marks)
        self._step("fanouts", self._repeat_fanout)
        self._step("new entries", self._follow_watermark)
        self._step("sweep", self._go_on_with_sweep)
        self._step("records", lambda: trim_records(self._database))
        self._step("traffic", lambda: traffic_counter.forget(self._database, self._clock.now_ms()))
        self._step("retraining", self._ask_for_retraining)
        self._step("runs", self._retrain.note)
        repaired = {kind: number for kind, number in sorted(self._repaired.items()) if number}
        self._step("status", lambda: self._report(repaired))
        logs.info("reconciled", failed=self._failed, repaired=repaired, latency_ms=self._clock.now_ms() - self._began)
        if self._failed:
            raise BookrecError(f"could not reconcile {', '.join(self._failed)}; the next run tries again")
        return repaired

    def _step(self, name: str, step: Callable[[], int]) -> None:
        """Do one step and count what it repaired; its failure is no reason to leave out the others."""
        try:
            self._repaired[name] += step()
        except Exception as problem:
            logs.alarm("reconcile-failed", "a step of the reconciler failed", step=name, reason=type(problem).__name__)
            self._failed.append(name)

    def _clear_marks(self) -> int:
        """Remove the marks of what the live model was trained on, where its run died before it did."""
        pointer = usable_pointer(self._database.pointer())
        return self._database.clear_changes(pointer.snapshot_at) if pointer else 0

    def _repeat_fanout(self) -> int:
        try:
            return int(self._published())
        except StoreUnavailable as problem:
            logs.alarm("model-unusable", "lists are not compared with the live model", reason=str(problem))
            return 0

    def _follow_watermark(self) -> int:
        after = str(self._state().get("watermark", ""))
        settled = first_key(self._began - SETTLED_AFTER_MS)
        is_over = lambda: self._clock.now_ms() >= self._began + WATERMARK_MS  # noqa: E731
        reached = follow_watermark(self._sweep, self._database, after, settled, is_over)
        self._database.update({f"{STATE}/watermark": reached})
        return 0

    def _go_on_with_sweep(self) -> int:
        """Go on where the last run stopped, a page at least, to the end of the sweep at most."""
        state = children(self._state().get("sweep"))
        phase, after = int(state.get("phase", 0)), str(state.get("after", ""))
        counted = read_counted(state)
        while phase < len(PHASES):
            last = self._sweep.page(PHASES[phase], after, counted)
            phase, after = (phase, last) if last is not None else (phase + 1, "")
            if phase < len(PHASES) and self._clock.now_ms() >= self._began + BUDGET_MS:
                self._database.update({f"{STATE}/sweep": {"phase": phase, "after": after, **counted.to_node()}})
                return 0
        ended = {f"{STATE}/sweep": None, f"{STATE}/sweptAt": TIMESTAMP, f"{STATE}/sweeps": increment(1)}
        self._database.update({**ended, **self._reports(counted)})
        return 0

    def _reports(self, counted: Counted) -> dict[str, object]:
        """Return what a whole sweep has counted, by path."""
        before = children(self._database.status("quality/labels"))
        rejected = {reason: counted.rejected[reason] for reason in sorted(counted.rejected)}
        quality = {"at": TIMESTAMP, "labels": counted.quality.report(before, self._clock.now_ms())}
        return {f"{paths.STATUS}/rejected": rejected or None, f"{paths.STATUS}/quality": quality}

    def _ask_for_retraining(self) -> int:
        self._retrain(self._clock.now_ms())
        return 0

    def _report(self, repaired: dict[str, int]) -> int:
        """Leave a sign of life, and what was repaired: by this run, and ever."""
        values: dict[str, object] = {f"{STATE}/total/{kind}": increment(number) for kind, number in repaired.items()}
        state = {"at": TIMESTAMP, "repaired": repaired or None, "failed": ", ".join(self._failed) or None}
        self._database.update(values | {f"{STATE}/{name}": value for name, value in state.items()})
        return 0

    def _state(self) -> dict[str, Any]:
        return dict(children(self._database.status("reconcile")))
