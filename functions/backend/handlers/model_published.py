"""A new model is live: it is checked, and all users' lists are refreshed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend import logs
from backend.guards.careful import Careful
from backend.handlers.retrain import RetrainingQueue
from backend.lists import ListRefresher
from backend.models import Live, LiveModel
from backend.ports import TIMESTAMP, Clock, Concurrently, Database, TaskQueue
from backend.shard_writer import ShardWriter
from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import Pointer, usable_pointer

FANOUT = f"{paths.STATUS}/fanout"

FANOUT_PATIENCE_MS, PATIENCE_A_SHARD_MS = 900_000, 3_000
"""How long a fan-out may take, once all is queued, before its shards are queued again: the longer of the two."""

QUEUEING_MS = 480_000
"""How long the event of a model queues tasks; the function's limit is 540 s. The reconciler goes on after that."""

TASKS_AT_ONCE = 16
"""So many tasks are queued between two looks at the clock, several at a time; then the place is recorded."""


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
        concurrently: Concurrently,
        shard_size: int,
        instance: str = "",
    ) -> None:
        self._database, self._model, self._tasks, self._instance = database, model, tasks, instance
        self._concurrently = concurrently
        self._retraining, self._clock, self._shard_size = retraining, clock, shard_size

    def __call__(self, budget_ms: int = QUEUEING_MS) -> bool:
        """Fan out for the model that is live now, whatever the event named; return whether anything was queued.

        Args:
            budget_ms: after this time, at least ``TASKS_AT_ONCE`` tasks later, the rest is left to the next call.
        """
        until_ms = self._clock.elapsed_ms() + budget_ms
        try:
            live = self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "a published model is not used", reason=str(problem))
            return False  # a retry would not help; StoreUnavailable propagates, since it would
        if live is None:
            return False  # the pointer was removed
        attempt = self._attempt(paths.children(self._database.status("fanout")), live.pointer.publication)
        has_queued = attempt is not None and self._fan_out(live.pointer, attempt, until_ms)
        if self._database.has_pending():
            self._retraining.ask()
        return has_queued

    def _attempt(self, state: Mapping[str, Any], publication: str) -> int | None:
        """Return the number of the fan-out to queue, or None if all shards are done or may still be."""
        if state.get("publication") != publication:
            return 0
        attempt = int(state.get("attempt", 0))
        if not is_queued(state):
            return attempt  # it was interrupted: it goes on where it was
        shards = state.get("shards", 0)
        patience = max(FANOUT_PATIENCE_MS, shards * PATIENCE_A_SHARD_MS)
        is_done = len(done_of(state, publication)) >= shards
        # A time that is far in the future is wrong; the database's clock may be a little ahead.
        if is_done or abs(self._clock.now_ms() - state.get("at", 0)) < patience:
            return None
        logs.alarm("fanout-incomplete", "some lists were not refreshed", publication=publication, attempt=attempt)
        return attempt + 1

    def _fan_out(self, pointer: Pointer, attempt: int, until_ms: int) -> bool:
        """Queue one task per shard, as many as there is time for; return False if another fan-out has taken its place.

        The tasks' ids are deterministic, so a repetition queues what is missing. The place that was reached is
        recorded, so an interrupted fan-out does not begin again. If the trainer has made the lists, a task names its
        shard of them; otherwise it names its users.
        """
        place = self._place(pointer, attempt)
        parts = self._parts(pointer.shards, place)
        if not self._begin(pointer, attempt, place.shard + len(parts)):
            return False
        for start in range(0, len(parts), TASKS_AT_ONCE):
            block = parts[start : start + TASKS_AT_ONCE]
            numbered = enumerate(block, place.shard)
            self._concurrently([partial(self._enqueue, pointer, attempt, shard, part) for shard, part in numbered])
            if not self._is_present(pointer, attempt):
                return False
            place = _Place(place.shard + len(block), block[-1][-1] if block[-1] else "")
            self._database.update({f"{FANOUT}/place": place.to_node(pointer, attempt)})
            if self._clock.elapsed_ms() >= until_ms and start + len(block) < len(parts):
                logs.info("a fan-out is queued in part", publication=pointer.publication, shards=place.shard)
                return True
        # Another fan-out may have begun meanwhile, or another event of this one, which has read more users: the mark
        # says whose tasks are queued, and up to which shard, and counts for no other.
        queued = _queued(pointer.publication, attempt, place.shard)
        self._database.update({f"{FANOUT}/queued": queued, f"{FANOUT}/place": None, f"{FANOUT}/at": TIMESTAMP})
        logs.info("a model is live", publication=pointer.publication, shards=place.shard)
        return True

    def _enqueue(self, pointer: Pointer, attempt: int, shard: int, part: Sequence[str]) -> None:
        identity = f"{self._instance}{pointer.publication}:{attempt}:{shard}:{','.join(part)}"
        task_id = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
        where = {"instance": self._instance} if self._instance else {}
        users = {} if pointer.shards else {"users": part}
        self._tasks.enqueue("fanout", {"publication": pointer.publication, "shard": shard, **users, **where}, task_id)

    def _begin(self, pointer: Pointer, attempt: int, shards: int) -> bool:
        """Record that a fan-out begins or goes on; return False if another one has taken its place.

        Reading all users takes a while. Another event of the pointer may have been handled completely meanwhile: the
        marks of its tasks stay, since a task with a used id does not run again to set them.
        """

        def begun(node: object) -> dict[str, object] | None:
            # The pointer is read after the state: a fan-out that has begun meanwhile makes the transaction begin again.
            present, state = usable_pointer(self._database.pointer()), paths.children(node)
            if present is None or present.publication != pointer.publication:
                return None  # the event of the model that is live now fans out, or the reconciler does
            is_begun = state.get("publication") == pointer.publication
            before = int(state.get("attempt", 0)) if is_begun else -1
            if before > attempt:
                return None
            if before == attempt:
                return {**state, "shards": shards, "at": TIMESTAMP}
            done = dict(done_of(state, pointer.publication)) if is_begun and pointer.shards else {}
            marks = {"done": done, "doneOf": {pointer.publication: done}} if done else {}
            return {"publication": pointer.publication, "attempt": attempt, "shards": shards, "at": TIMESTAMP, **marks}

        return self._database.change_status("fanout", begun)

    def _is_present(self, pointer: Pointer, attempt: int) -> bool:
        """Return whether no other fan-out has begun meanwhile: what is recorded next would be about that one."""
        names = ("fanout/publication", "fanout/attempt")
        publication, begun = self._concurrently([partial(self._database.status, name) for name in names])
        return publication == pointer.publication and begun == attempt

    def _place(self, pointer: Pointer, attempt: int) -> _Place:
        """Return where to go on with this fan-out."""
        node = paths.children(self._database.status("fanout/place"))
        if node.get("publication") != pointer.publication or node.get("attempt") != attempt:
            return _Place()
        return _Place(int(node.get("shard", 0)), str(node.get("after", "")))

    def _parts(self, ready: int, place: _Place) -> list[Sequence[str]]:
        """Return the users of each shard from ``place`` on.

        There is nobody for each of the ``ready`` shards, so that users need not be read.
        """
        if ready:
            return [()] * max(ready - place.shard, 0)
        user_ids = [user_id for user_id in self._database.user_ids() if user_id > place.after]
        return [user_ids[start : start + self._shard_size] for start in range(0, len(user_ids), self._shard_size)]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a fan-out is queued.

    Attributes:
        shard: the number of the first shard that is not.
        after: its users follow this one. Users come and go: the number alone does not tell where a shard began.
    """

    shard: int = 0
    after: str = ""

    def to_node(self, pointer: Pointer, attempt: int) -> dict[str, object]:
        """Return the database node, which says whose place it is."""
        whose = {"publication": pointer.publication, "attempt": attempt}
        return {**whose, "shard": self.shard, "after": self.after or None}


def is_queued(state: Mapping[str, Any]) -> bool:
    """Return whether all tasks of the fan-out that ``/Recommender/status/fanout`` is about are queued."""
    whose = state.get("publication"), state.get("attempt", 0), state.get("shards", 0)
    return bool(state.get("queued") == _queued(*whose))


def done_of(state: Mapping[str, Any], publication: str) -> Mapping[str, Any]:
    """Return the marks of the shards that are done in a publication's fan-out.

    ``done`` in the same node is for people, and for tasks that are repeated: a task of the fan-out before may have
    marked its shard there a moment too late.
    """
    return paths.children(paths.children(state.get("doneOf")).get(publication))


def _queued(publication: object, attempt: object, shards: object) -> str:
    return f"{publication}:{attempt}:{shards}"


class FanoutHandler:
    """Refreshes the lists of one shard of users with the live model."""

    def __init__(
        self, database: Database, lists: ListRefresher, model: LiveModel, shards: ShardWriter, clock: Clock
    ) -> None:
        self._database, self._lists, self._model, self._shards = database, lists, model, shards
        self._clock = clock

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
        with Careful(self._database, self._lists, self._clock, f"fanout-{shard}").noted() as lists:
            if user_ids is None:
                version, written = self._write_shard(live, publication, shard, lists)
            else:
                done = lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
                version, written = done.version or (live.pointer.version if live else ""), done.written
        is_present = self._database.status("fanout/publication") == publication
        if is_present and publication.startswith(f"{version}@"):
            # Another fan-out may begin between the look and this mark: what counts for it is not in the same place.
            of = f"{FANOUT}/doneOf/{publication}/{shard}"
            self._database.update({f"{FANOUT}/done/{shard}": True, of: True})
        logs.info("a shard of lists is refreshed", model=version, shard=shard, lists=written)

    def _write_shard(self, live: Live | None, publication: str, shard: int, lists: Careful) -> tuple[str, int]:
        """Return the lists' model and how many were written: none if the publication is no longer live."""
        if live is None or live.pointer.publication != publication:
            return "", 0
        if not self._database.status(f"fanout/done/{shard}"):
            return live.pointer.version, self._shards(live, shard, lists)
        return live.pointer.version, 0
