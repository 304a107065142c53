"""The reconciler: repairs what lost triggers and broken runs left undone, in bounded time per run."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from backend import logs, traffic_counter
from backend.guards import careful, event_gate
from backend.guards.careful import Careful
from backend.handlers.list_shown import ListShownHandler
from backend.handlers.model_published import ModelPublishedHandler
from backend.handlers.retrain import RetrainHandler
from backend.handlers.shared_lists import SharedLists
from backend.handlers.similar_books import SimilarBooksHandler
from backend.lists import ListRefresher
from backend.ports import TIMESTAMP, Clock, Database, increment
from backend.rejected import trim_records
from backend.sweep import PHASES, Counted, Sweep, follow_watermark, read_counted
from bookrec import paths
from bookrec.errors import BookrecError, StoreUnavailable
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.paths import children
from bookrec.push_keys import first_key
from bookrec.usage.quality import standing

WATERMARK_MS, BUDGET_MS = 80_000, 200_000
"""After this time, a run starts no further page of new entries, or of anything; the function's limit is 300 s."""

SIMILAR_MS = 110_000
"""After this time, a run queues at most one block of tasks for similar books: the sweep needs the rest."""

QUEUEING_MS = 260_000
"""After this time, a run queues no further tasks of a fan-out."""

SETTLED_AFTER_MS = 120_000
"""Entries younger than this are checked again by the next run: keys follow the clients' clocks. Those that are so far
ahead of the time are not checked yet."""

STATE = f"{paths.STATUS}/reconcile"


class Reconciliation:
    """One run: compares lists with shelves, records with entries, fan-out and lease with the pointer, and repairs them.

    ``/Recommender/status/reconcile`` keeps two cursors. The watermark follows new entries, so that each run checks
    what was added since the last one. The sweep goes through everything, in as many runs as it takes, and finds
    updates, deletions, readers who left, and changes of the catalogue. Then it rests.

    Args:
        shared: counts for the lists that all readers share.
        rest_ms: how long after a sweep the next one begins; 0 is at once.
        similar_books: of the instance that has the catalogue; None for the others.
    """

    def __init__(
        self,
        database: Database,
        lists: ListRefresher,
        shown: ListShownHandler,
        published: ModelPublishedHandler,
        retrain: RetrainHandler,
        clock: Clock,
        shared: SharedLists,
        rest_ms: int = 0,
        similar_books: SimilarBooksHandler | None = None,
    ) -> None:
        self._database, self._published, self._retrain, self._clock = database, published, retrain, clock
        self._rest_ms, self._began, self._started = rest_ms, clock.now_ms(), clock.elapsed_ms()
        self._lists = Careful(database, lists, clock, "reconcile")
        self._similar_books, self._shared = similar_books, shared
        self._sweep = Sweep(database, self._lists, clock, shared.add, shown.add)
        self._repaired, self._failed = self._sweep.repaired, list[str]()

    def __call__(self) -> dict[str, int]:
        """Do all steps; return the number of repairs of each kind.

        Raises:
            BookrecError: if steps failed; names them. All others were done.
        """
        self._step("leases", self._retrain.free_expired_lease)
        self._step("marks", self._clear_marks)
        self._step("new entries", self._follow_watermark)
        self._step("paused", lambda: self._sweep.paused(self._clock.now_ms()))
        self._step("first lists", self._make_first_lists)
        self._step("similar books", self._refresh_similar_books)
        self._step("sweep", self._go_on_with_sweep)
        self._step("suspects", self._lists.end)
        self._step("left out", lambda: careful.forget(self._database, self._clock.now_ms()))
        self._step("records", lambda: trim_records(self._database))
        self._step("events", lambda: event_gate.check(self._database, self._clock.now_ms()))
        self._step("traffic", lambda: traffic_counter.trim(self._database, self._clock.now_ms()))
        self._step("retraining", self._ask_for_retraining)
        self._step("runs", self._retrain.note)
        self._step("status", self._report)
        # Last, since it may take all the time that is left, and with a slow queue more: the repairs are done by then.
        self._step("fanouts", self._repeat_fanout)
        repaired = {kind: number for kind, number in sorted(self._repaired.items()) if number}
        if repaired.get("fanouts") or "fanouts" in self._failed:
            self._step("status", lambda: self._report({"fanouts"}))
        latency_ms = self._clock.elapsed_ms() - self._started
        logs.info("reconciled", failed=self._failed, repaired=repaired, latency_ms=latency_ms)
        if self._failed:
            raise BookrecError(f"could not reconcile {', '.join(self._failed)}; the next run tries again")
        return repaired

    def _step(self, name: str, step: Callable[[], int]) -> None:
        """Do one step and count its repairs; if it fails, the others are done all the same."""
        try:
            self._repaired[name] += step()
        except Exception as problem:
            logs.alarm("reconcile-failed", "a step of the reconciler failed", step=name, reason=type(problem).__name__)
            self._failed.append(name)

    def _clear_marks(self) -> int:
        """Remove the marks of changes that the last model was trained on, if its run died before it did."""
        pointer = usable_pointer(self._database.pointer())
        return self._database.clear_changes(pointer.snapshot_at if pointer else 0)

    def _repeat_fanout(self) -> int:
        try:
            return int(self._published(self._started + QUEUEING_MS - self._clock.elapsed_ms()))
        except StoreUnavailable as problem:
            logs.alarm("model-unusable", "lists are not compared with the live model", reason=str(problem))
            return 0

    def _refresh_similar_books(self) -> int:
        """Queue what a lost event or a change of the catalogue has left to do; return 0, since that is not a repair."""
        try:
            if self._similar_books is not None:
                budget_ms = self._started + SIMILAR_MS - self._clock.elapsed_ms()
                self._similar_books(budget_ms, rests=self._rest_ms > 0)
        except StoreUnavailable as problem:
            logs.alarm("model-unusable", "similar books are not compared with the live model", reason=str(problem))
        return 0

    def _follow_watermark(self) -> int:
        after = str(self._state().get("watermark", ""))
        settled, ahead = (first_key(self._began + by_ms) for by_ms in (-SETTLED_AFTER_MS, SETTLED_AFTER_MS))
        is_over = lambda: self._clock.elapsed_ms() >= self._started + WATERMARK_MS  # noqa: E731
        reached = follow_watermark(self._sweep, self._database, after, settled, ahead, is_over)
        self._database.update({f"{STATE}/watermark": reached})
        return 0

    def _make_first_lists(self) -> int:
        before = str(self._state().get("withoutList", ""))
        after = self._sweep.first_lists(before)
        if after != before:
            self._database.update({f"{STATE}/withoutList": after or None})
        return 0

    def _go_on_with_sweep(self) -> int:
        """Continue where the last run stopped: at least one page, at most to the end of the sweep; or rest.

        Cost of a sweep: ``Sweep.page``, and nothing while it rests.
        """
        reconciled = self._state()
        state = children(reconciled.get("sweep"))
        if not state and self._is_resting(reconciled.get("sweptAt")):
            return 0
        if state.get("phase") not in PHASES:
            state = {}  # another version of this code has begun it
        phase, after = PHASES.index(state.get("phase", PHASES[0])), str(state.get("after", ""))
        counted = read_counted(state)
        self._shared.begin(goes_on=bool(state))
        while phase < len(PHASES):
            last = self._sweep.page(PHASES[phase], after, counted)
            phase, after = (phase, last) if last is not None else (phase + 1, "")
            if phase < len(PHASES):  # also before the next page: who makes a run die stops the sweep at that page only
                place = {"phase": PHASES[phase], "after": after}
                kept = {f"{STATE}/sweep": {**place, **counted.to_node()}}
                self._database.update({**kept, **self._shared.changes()})
                if self._clock.elapsed_ms() >= self._started + BUDGET_MS:
                    return 0
        ended = {f"{STATE}/sweep": None, f"{STATE}/sweptAt": TIMESTAMP, f"{STATE}/sweeps": increment(1)}
        self._database.update({**ended, **self._reports(counted), **self._shared.lists()})
        return 0

    def _is_resting(self, swept_at: object) -> bool:
        """Return whether the last sweep ended a short time ago."""
        return isinstance(swept_at, int) and 0 <= self._clock.now_ms() - swept_at < self._rest_ms

    def _reports(self, counted: Counted) -> dict[str, object]:
        """Return the counts of a completed sweep, by path."""
        before = children(self._database.status("quality/labels"))
        rejected = {reason: counted.rejected[reason] for reason in sorted(counted.rejected)}
        open_now = standing(usable_pointer(self._database.pointer())).open
        quality = {"at": TIMESTAMP, "labels": counted.quality.report(before, self._clock.now_ms(), open_now)}
        dismissals = {"at": TIMESTAMP, **{name: counted.dismissed[name] for name in ("readers", "books")}}
        reports = {"rejected": rejected or None, "quality": quality, "dismissals": dismissals}
        return {f"{paths.STATUS}/{name}": report for name, report in reports.items()}

    def _ask_for_retraining(self) -> int:
        self._retrain(self._clock.now_ms())
        return 0

    def _report(self, added: Container[str] | None = None) -> int:
        """Write when this run was, what failed, and the repairs: of this run, and in total.

        Args:
            added: the kinds of repairs that the totals do not have yet; None for all.
        """
        repaired = {kind: number for kind, number in sorted(self._repaired.items()) if number}
        new = {kind: number for kind, number in repaired.items() if added is None or kind in added}
        values: dict[str, object] = {f"{STATE}/total/{kind}": increment(number) for kind, number in new.items()}
        state = {"at": TIMESTAMP, "repaired": repaired or None, "failed": ", ".join(self._failed) or None}
        self._database.update(values | {f"{STATE}/{name}": value for name, value in state.items()})
        return 0

    def _state(self) -> dict[str, Any]:
        return dict(children(self._database.status("reconcile")))
