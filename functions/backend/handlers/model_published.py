"""A new model is live: it is checked, and every user's list is refreshed with it."""

from __future__ import annotations

import hashlib

from backend import logs
from backend.handlers.retraining import RetrainingQueue
from backend.lists import NO_MODEL, ListRefresher
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
            return
        user_ids = self._database.user_ids()
        starts = range(0, len(user_ids), self._shard_size)
        state = {"version": model.version, "shards": len(starts), "users": len(user_ids), "at": TIMESTAMP}
        self._database.update({FANOUT: state})
        for shard, start in enumerate(starts):
            part = list(user_ids[start : start + self._shard_size])
            identity = f"{model.version}:{shard}:{','.join(part)}"
            task_id = hashlib.sha256(identity.encode()).hexdigest()[:32]
            self._tasks.enqueue("fanout", {"version": model.version, "shard": shard, "users": part}, task_id)
        if self._database.pending().changes:
            self._retraining.ask()
        logs.info("a model is live", model=model.version, users=len(user_ids), shards=len(starts))


class FanoutHandler:
    """Refreshes the lists of one shard of users."""

    def __init__(self, database: Database, lists: ListRefresher) -> None:
        self._database, self._lists = database, lists

    def __call__(self, version: str, shard: int, user_ids: list[str]) -> None:
        """Refresh with the newest model, which may be newer than the ``version`` that asked for it."""
        used = self._lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
        if used in (version, NO_MODEL):
            self._database.update({f"{FANOUT}/done/{shard}": True})
        logs.info("a shard of lists is refreshed", model=used, shard=shard, users=len(user_ids))
