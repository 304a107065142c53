"""The reconciler: finds what lost triggers left behind, one bounded slice a run."""

from __future__ import annotations

from backend import logs
from backend.handlers.model_published import ModelPublishedHandler
from backend.handlers.retraining import RetrainHandler
from backend.lists import NO_MODEL, ListRefresher
from backend.models import LiveModel
from backend.ports import TIMESTAMP, Clock, Database
from bookrec import paths
from bookrec.shelf import build_shelf, sort_out

SLICE = 2_000
"""Entries a run."""

STATE = f"{paths.STATUS}/reconcile"


class ReconcileHandler:
    """Compares lists with shelves, records with entries, the fan-out with the pointer; repairs what differs."""

    def __init__(
        self,
        database: Database,
        lists: ListRefresher,
        model: LiveModel,
        published: ModelPublishedHandler,
        retrain: RetrainHandler,
        clock: Clock,
    ) -> None:
        self._database, self._lists, self._model = database, lists, model
        self._published, self._retrain, self._clock = published, retrain, clock

    def __call__(self) -> dict[str, int]:
        """Run one slice; return how many of each were repaired."""
        state = self._database.status("reconcile") or {}
        page = self._database.entries_page(str(state.get("cursor", "")), SLICE)
        repaired = {
            "lists": self._repair_lists(page),
            "rejected": self._repair_records(page),
            "fanout": self._repair_fanout(),
        }
        cursor = max(page) if len(page) == SLICE else None
        self._database.update({STATE: {"cursor": cursor, "at": TIMESTAMP, "repaired": repaired}})
        self._retrain(self._clock.now_ms())
        logs.info("reconciled a slice", entries=len(page), **repaired)
        return repaired

    def _repair_lists(self, page: object) -> int:
        """Refresh whoever has an entry on this page, or a profile but no entry, and a list of something else."""
        entries, _ = sort_out(page if isinstance(page, dict) else {})
        user_ids = sorted({entry.user_id for entry in entries} | set(self._database.user_ids()))
        model = self._model.current()
        version = model.version if model else NO_MODEL
        whole, _ = sort_out(self._database.shelf_nodes(user_ids))
        wrong = [
            user_id
            for user_id in user_ids
            if self._database.list_state(user_id) != (build_shelf(user_id, whole).digest, version)
        ]
        self._lists.refresh(wrong)
        return len(wrong)

    def _repair_records(self, page: object) -> int:
        """Record every bad entry of the page, and drop the records of entries that are good or gone."""
        nodes = page if isinstance(page, dict) else {}
        _, refused = sort_out(nodes)
        recorded = set(self._database.rejected_keys())
        changes: dict[str, object] = {
            f"{paths.REJECTED}/{key}": {"reason": p.reason, "message": p.message, "at": TIMESTAMP}
            for key, p in refused.items()
            if key not in recorded
        }
        changes.update({f"{paths.REJECTED}/{key}": None for key in recorded if key in nodes and key not in refused})
        if changes:
            self._database.update(changes)
        return len(changes)

    def _repair_fanout(self) -> int:
        """Repeat a fan-out that was never begun for the live model."""
        model = self._model.current()
        if model is None or (self._database.status("fanout") or {}).get("version") == model.version:
            return 0
        self._published()
        return 1
