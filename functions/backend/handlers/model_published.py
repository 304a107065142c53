"""A new model is live: it is checked, and every user's list is refreshed with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from backend import logs
from backend.handlers.retraining import RetrainingQueue
from backend.lists import ListRefresher
from backend.models import LiveModel
from backend.ports import TIMESTAMP, Clock, Database, TaskQueue
from bookrec import paths
from bookrec.errors import BadModel

FANOUT = f"{paths.STATUS}/fanout"

FANOUT_PATIENCE_MS = 900_000
"""How long the shards of a fan-out may take before all of them are queued once more."""


class ModelPublishedHandler:
    """Loads what the pointer names, and splits all users into shards, one task each."""

    def __init__(
        self,
        database: Database,
        model: LiveModel,
        tasks: TaskQueue,
        retraining: RetrainingQueue,
        clock: Clock,
        shard_size: int,
    ) -> None:
        self._database, self._model, self._tasks = database, model, tasks
        self._retraining, self._clock, self._shard_size = retraining, clock, shard_size

    def __call__(self) -> bool:
        """Fan out for the model that is live now, whichever event woke us; return whether anything was queued."""
        try:
            live = self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "a published model is not used", reason=str(problem))
            return False  # it will not get better; a store that is away is left to propagate
        if live is None:
            return False  # the pointer was removed
        state = paths.children(self._database.status("fanout"))
        attempt = self._attempt(state, live.pointer.publication)
        if attempt is not None:
            self._fan_out(live.pointer.publication, attempt)
        if self._database.pending().changes:
            self._retraining.ask()
        return attempt is not None

    def _attempt(self, state: Mapping[str, Any], publication: str) -> int | None:
        """Return the number of the fan-out to queue, or None where all shards are done or still may be."""
        if state.get("publication") != publication:
            return 0
        attempt = int(state.get("attempt", 0))
        if state.get("queued") is not True:
            return attempt  # it was interrupted: the same ids again, so that only what is missing is queued
        is_done = len(paths.children(state.get("done"))) >= state.get("shards", 0)
        if is_done or self._clock.now_ms() - state.get("at", 0) < FANOUT_PATIENCE_MS:
            return None
        logs.alarm("fanout-incomplete", "some lists were not refreshed", publication=publication, attempt=attempt)
        return attempt + 1

    def _fan_out(self, publication: str, attempt: int) -> None:
        """Queue one task a shard. Their ids are deterministic: a repetition queues what is missing."""
        user_ids = self._database.user_ids()
        starts = range(0, len(user_ids), self._shard_size)
        state = {"publication": publication, "attempt": attempt, "shards": len(starts), "users": len(user_ids)}
        self._database.update({FANOUT: {**state, "at": TIMESTAMP}})
        for shard, start in enumerate(starts):
            part = list(user_ids[start : start + self._shard_size])
            identity = f"{publication}:{attempt}:{shard}:{','.join(part)}"
            task_id = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
            self._tasks.enqueue("fanout", {"publication": publication, "shard": shard, "users": part}, task_id)
        self._database.update({f"{FANOUT}/queued": True})
        logs.info("a model is live", publication=publication, users=len(user_ids), shards=len(starts))


class FanoutHandler:
    """Refreshes the lists of one shard of users."""

    def __init__(self, database: Database, lists: ListRefresher, model: LiveModel) -> None:
        self._database, self._lists, self._model = database, lists, model

    def __call__(self, publication: str, shard: int, user_ids: list[str]) -> None:
        """Refresh with the newest model, which may be newer than the ``publication`` that asked for it.

        Raises:
            StoreUnavailable: where this instance cannot load it now: the task is tried again, since lists of
                an older model, or of none, would count as done.
        """
        try:
            self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "a shard keeps its lists", shard=shard, reason=str(problem))
            return
        done = self._lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
        state = self._database.status("fanout")
        if paths.children(state).get("publication") == publication and publication.startswith(f"{done.version}@"):
            self._database.update({f"{FANOUT}/done/{shard}": True})
        logs.info("a shard of lists is refreshed", model=done.version, shard=shard, lists=done.written)
