"""The reconciler: finds what lost triggers left behind, one bounded slice a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend import logs
from backend.handlers.entry_written import FORGED
from backend.handlers.model_published import ModelPublishedHandler, is_fanned_out
from backend.handlers.retraining import RetrainHandler
from backend.lists import ListRefresher
from backend.models import LiveModel
from backend.ports import TIMESTAMP, Clock, Database
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf, build_shelf, sort_out

ENTRIES_A_RUN, PROFILES_A_RUN, SHARD = 2_000, 500, 100
"""Bounds of one run, and how many lists are compared at a time."""

STATE = f"{paths.STATUS}/reconcile"


class ReconcileHandler:
    """Compares lists with shelves, records with entries, the fan-out with the pointer; repairs what differs.

    One cursor pages through the entries and one through the profiles, so that a reader is met also
    without a profile, and also without an entry.
    """

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
        state = self._database.status("reconcile")
        state = state if isinstance(state, Mapping) else {}
        after = str(state.get("cursor", ""))
        page = self._database.entries_page(after, ENTRIES_A_RUN)
        cursor = list(page)[-1] if len(page) == ENTRIES_A_RUN else None
        profiles = [u for u in self._database.user_ids() if u > str(state.get("profileCursor", ""))][:PROFILES_A_RUN]
        model = self._live_model()
        repaired = {
            "fanout": self._repair_fanout(model),
            "lists": self._repair_lists(page, profiles, model.version if model else None),
            "rejected": self._repair_records(page, after, cursor),
        }
        profile_cursor = profiles[-1] if len(profiles) == PROFILES_A_RUN else None
        progress = {"cursor": cursor, "profileCursor": profile_cursor, "at": TIMESTAMP, "repaired": repaired}
        self._database.update({STATE: progress})
        self._retrain(self._clock.now_ms())
        logs.info("reconciled a slice", entries=len(page), profiles=len(profiles), **repaired)
        return repaired

    def _live_model(self) -> Recommender | None:
        """Return the live model, or None where this instance has none: then a list of any model will do."""
        try:
            return self._model.load()
        except (BadModel, StoreUnavailable) as problem:
            logs.warning("lists are not compared with the live model", reason=str(problem))
            return None

    def _repair_fanout(self, model: Recommender | None) -> int:
        """Repeat a fan-out that was not queued, or not to its end."""
        if model is None or is_fanned_out(self._database.status("fanout"), model.version):
            return 0
        self._published()
        return 1

    def _repair_lists(self, page: Mapping[str, object], profiles: Sequence[str], version: str | None) -> int:
        """Refresh whoever has an entry on the page or a profile in the slice, and a list of something else."""
        entries, _ = sort_out(page)
        user_ids = sorted({entry.user_id for entry in entries} | set(profiles))
        shards = [user_ids[start : start + SHARD] for start in range(0, len(user_ids), SHARD)]
        return sum(self._repair_shard(shard, version) for shard in shards)

    def _repair_shard(self, user_ids: Sequence[str], version: str | None) -> int:
        whole, _ = sort_out(self._database.shelf_nodes(user_ids))
        wrong: list[str] = []
        marks: dict[str, object] = {}
        for user_id, (digest, listed) in self._database.list_states(user_ids).items():
            shelf = build_shelf(user_id, whole)
            if digest != shelf.digest:
                wrong.append(user_id)
                marks.update(_marks(shelf, had_list=digest is not None))
            elif version is not None and listed != version:
                wrong.append(user_id)
        if marks:
            self._database.update(marks)
        self._lists.refresh(wrong)
        return len(wrong)

    def _repair_records(self, page: Mapping[str, object], after: str, last: str | None) -> int:
        """Record every bad entry of the page, and drop the records of entries that are good or gone."""
        _, refused = sort_out(page)
        recorded = [key for key in self._database.rejected_keys() if _is_between(after, key, last)]
        changes: dict[str, object] = {
            f"{paths.REJECTED}/{key}": {"reason": p.reason, "message": p.message, "at": TIMESTAMP}
            for key, p in refused.items()
            if key not in recorded
        }
        changes.update({f"{paths.REJECTED}/{key}": None for key in recorded if self._is_void(key, page, refused)})
        if changes:
            self._database.update(changes)
        return len(changes)

    def _is_void(self, key: str, page: Mapping[str, object], refused: Mapping[str, object]) -> bool:
        if key in page:
            return key not in refused
        record: Any = self._database.record(key)
        is_forged = isinstance(record, Mapping) and record.get("reason") == FORGED.reason
        return not is_forged and self._database.entry(key) is None


def _marks(shelf: Shelf, had_list: bool) -> dict[str, object]:
    """Return what the lost trigger would have marked: without it no run would train on the change.

    Which entries changed can't be told any more, so the newest stands for them, and for a shelf that was
    emptied its reader does.
    """
    if not shelf.entries and not had_list:
        return {}
    change = shelf.entries[-1].key if shelf.entries else shelf.user_id
    return {f"{paths.CHANGES}/{change}": {"at": TIMESTAMP}, f"{paths.DIRTY}/{shelf.user_id}": {"at": TIMESTAMP}}


def _is_between(after: str, key: str, last: str | None) -> bool:
    begun = not after or paths.key_order(key) > paths.key_order(after)
    return begun and (last is None or paths.key_order(key) <= paths.key_order(last))
