"""A new model is live: it is checked, and every user's list is refreshed with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from backend import logs
from backend.handlers.retraining import RetrainingQueue
from backend.lists import ListRefresher
from backend.models import LiveModel
from backend.ports import TIMESTAMP, Database, TaskQueue
from bookrec import paths
from bookrec.errors import BadModel

FANOUT = f"{paths.STATUS}/fanout"


class ModelPublishedHandler:
    """Loads what the pointer names, and splits all users into shards, one task each."""

    def __init__(
        self, database: Database, model: LiveModel, tasks: TaskQueue, retraining: RetrainingQueue, shard_size: int
    ) -> None:
        self._database, self._model, self._tasks = database, model, tasks
        self._retraining, self._shard_size = retraining, shard_size

    def __call__(self) -> None:
        """Fan out for the model that is live now, whichever event woke us."""
        try:
            model = self._model.load()
        except BadModel as problem:
            logs.warning("a published model is not used", reason=str(problem))
            return  # it will not get better; a store that is away is left to propagate
        if model is None:
            return  # the pointer was removed
        if not is_fanned_out(self._database.status("fanout"), model.version):
            self._fan_out(model.version)
        if self._database.pending().changes:
            self._retraining.ask()

    def _fan_out(self, version: str) -> None:
        """Queue one task a shard. Their ids are deterministic: a repetition queues what is missing."""
        user_ids = self._database.user_ids()
        starts = range(0, len(user_ids), self._shard_size)
        state = {"version": version, "shards": len(starts), "users": len(user_ids), "at": TIMESTAMP}
        self._database.update({FANOUT: state})
        for shard, start in enumerate(starts):
            part = list(user_ids[start : start + self._shard_size])
            identity = f"{version}:{shard}:{','.join(part)}"
            task_id = hashlib.sha256(identity.encode()).hexdigest()[:32]
            self._tasks.enqueue("fanout", {"version": version, "shard": shard, "users": part}, task_id)
        self._database.update({f"{FANOUT}/queued": True})
        logs.info("a model is live", model=version, users=len(user_ids), shards=len(starts))


def is_fanned_out(state: object, version: str) -> bool:
    """Tell whether all shards of a version were queued; a crash in the middle leaves them to the reconciler."""
    return isinstance(state, Mapping) and state.get("version") == version and state.get("queued") is True


class FanoutHandler:
    """Refreshes the lists of one shard of users."""

    def __init__(self, database: Database, lists: ListRefresher, model: LiveModel) -> None:
        self._database, self._lists, self._model = database, lists, model

    def __call__(self, version: str, shard: int, user_ids: list[str]) -> None:
        """Refresh with the newest model, which may be newer than the ``version`` that asked for it.

        Raises:
            StoreUnavailable: where this instance cannot load it now: the task is tried again, since lists of
                an older model, or of none, would count as done.
        """
        try:
            self._model.load()
        except BadModel as problem:
            logs.warning("a shard keeps its lists", shard=shard, reason=str(problem))
            return
        used = self._lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
        if used == version:
            self._database.update({f"{FANOUT}/done/{shard}": True})
        logs.info("a shard of lists is refreshed", model=used, shard=shard, users=len(user_ids))
