"""A new model is live: it is checked, and all users' lists are refreshed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from backend import logs
from backend.handlers.retrain import RetrainingQueue
from backend.lists import ListRefresher
from backend.models import Live, LiveModel
from backend.ports import TIMESTAMP, Clock, Database, TaskQueue
from backend.shard_writer import ShardWriter
from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import Pointer, usable_pointer

FANOUT = f"{paths.STATUS}/fanout"

FANOUT_PATIENCE_MS, PATIENCE_A_SHARD_MS = 900_000, 3_000
"""How long a fan-out may take before its shards are queued again: the longer of the two."""


class ModelPublishedHandler:
    """Loads the model that the pointer names, and splits the users of a database instance into shards, one task each.

    Args:
        instance: the name of the database instance; "" for the first one.
    """

    def __init__(
        self,
        database: Database,
        model: LiveModel,
        tasks: TaskQueue,
        retraining: RetrainingQueue,
        clock: Clock,
        shard_size: int,
        instance: str = "",
    ) -> None:
        self._database, self._model, self._tasks, self._instance = database, model, tasks, instance
        self._retraining, self._clock, self._shard_size = retraining, clock, shard_size

    def __call__(self) -> bool:
        """Fan out for the model that is live now, whatever the event named; return whether anything was queued."""
        try:
            live = self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "a published model is not used", reason=str(problem))
            return False  # a retry would not help; StoreUnavailable propagates, since it would
        if live is None:
            return False  # the pointer was removed
        state = paths.children(self._database.status("fanout"))
        attempt = self._attempt(state, live.pointer.publication)
        is_queued = attempt is not None and self._fan_out(live.pointer, attempt)
        if self._database.pending().changes:
            self._retraining.ask()
        return is_queued

    def _attempt(self, state: Mapping[str, Any], publication: str) -> int | None:
        """Return the number of the fan-out to queue, or None if all shards are done or may still be."""
        if state.get("publication") != publication:
            return 0
        attempt = int(state.get("attempt", 0))
        if not is_queued(state):
            return attempt  # it was interrupted: with the same ids, only the missing tasks are queued
        shards = state.get("shards", 0)
        patience = max(FANOUT_PATIENCE_MS, shards * PATIENCE_A_SHARD_MS)
        is_done = len(paths.children(state.get("done"))) >= shards
        if is_done or self._clock.now_ms() - state.get("at", 0) < patience:
            return None
        logs.alarm("fanout-incomplete", "some lists were not refreshed", publication=publication, attempt=attempt)
        return attempt + 1

    def _fan_out(self, pointer: Pointer, attempt: int) -> bool:
        """Queue one task per shard; return False if another fan-out has taken its place.

        The tasks' ids are deterministic: a repetition queues what is missing. If the trainer has made the lists, a task
        names its shard of them; otherwise it names its users.
        """
        publication, parts = pointer.publication, self._parts(pointer.shards)
        if not self._begin(pointer, attempt, len(parts)):
            return False
        where = {"instance": self._instance} if self._instance else {}
        for shard, part in enumerate(parts):
            identity = f"{self._instance}{publication}:{attempt}:{shard}:{','.join(part)}"
            task_id = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
            users = {} if pointer.shards else {"users": part}
            task = {"publication": publication, "shard": shard, **users, **where}
            self._tasks.enqueue("fanout", task, task_id)
        # Another fan-out may have begun meanwhile: the mark says whose tasks are queued, and counts for no other.
        self._database.update({f"{FANOUT}/queued": _queued(publication, attempt)})
        logs.info("a model is live", publication=publication, shards=len(parts))
        return True

    def _begin(self, pointer: Pointer, attempt: int, shards: int) -> bool:
        """Record that a fan-out begins; return False if another one has taken its place.

        Reading all users takes a while. Another event of the pointer may have been handled completely meanwhile: the
        marks of its tasks stay, since a task with a used id does not run again to set them.
        """
        present = usable_pointer(self._database.pointer())
        if present is None or present.publication != pointer.publication:
            return False  # the event of the model that is live now fans out, or the reconciler does
        state = paths.children(self._database.status("fanout"))
        is_begun = state.get("publication") == pointer.publication
        begun = int(state.get("attempt", 0)) if is_begun else -1
        if begun > attempt:
            return False
        if begun == attempt:
            self._database.update({f"{FANOUT}/shards": shards, f"{FANOUT}/at": TIMESTAMP})
            return True
        done = paths.children(state.get("done")) if is_begun and pointer.shards else {}
        node = {"publication": pointer.publication, "attempt": attempt, "shards": shards, "at": TIMESTAMP}
        self._database.update({FANOUT: {**node, "done": dict(done) or None}})
        return True

    def _parts(self, ready: int) -> list[list[str]]:
        """Return the users of each shard; nobody for each of the ``ready`` shards, so that users need not be read."""
        if ready:
            return [[] for _ in range(ready)]
        user_ids = self._database.user_ids()
        return [list(user_ids[start : start + self._shard_size]) for start in range(0, len(user_ids), self._shard_size)]


def is_queued(state: Mapping[str, Any]) -> bool:
    """Return whether all tasks of the fan-out that ``/Recommender/status/fanout`` is about are queued."""
    return bool(state.get("queued") == _queued(state.get("publication"), state.get("attempt", 0)))


def _queued(publication: object, attempt: object) -> str:
    return f"{publication}:{attempt}"


class FanoutHandler:
    """Refreshes the lists of one shard of users with the live model."""

    def __init__(self, database: Database, lists: ListRefresher, model: LiveModel, shards: ShardWriter) -> None:
        self._database, self._lists, self._model, self._shards = database, lists, model, shards

    def __call__(self, publication: str, shard: int, user_ids: list[str] | None = None) -> None:
        """Refresh ``user_ids``, with whichever model is live by now, or write the publication's shard of ready lists.

        Raises:
            StoreUnavailable: if this instance cannot load the model or the shard at present. The task is tried again:
                lists of an older model, or of none, would count as done.
        """
        try:
            live = self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "a shard keeps its lists", shard=shard, reason=str(problem))
            return
        if user_ids is None:
            version, written = self._write_shard(live, publication, shard)
        else:
            done = self._lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
            version, written = done.version, done.written
        state = self._database.status("fanout")
        if paths.children(state).get("publication") == publication and publication.startswith(f"{version}@"):
            self._database.update({f"{FANOUT}/done/{shard}": True})
        logs.info("a shard of lists is refreshed", model=version, shard=shard, lists=written)

    def _write_shard(self, live: Live | None, publication: str, shard: int) -> tuple[str, int]:
        """Return the lists' model and how many were written: none if the publication is no longer live."""
        if live is None or live.pointer.publication != publication:
            return "", 0
        if not paths.children(self._database.status("fanout/done")).get(str(shard)):
            return live.pointer.version, self._shards(live, shard)
        return live.pointer.version, 0
