"""What an operator asks for from afar: a run, an earlier version, an experiment, a release, a reconciliation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from backend.handlers.retrain import RetrainHandler
from backend.models import LiveModel
from backend.ports import Clock, Database
from bookrec import lease as leases
from bookrec.errors import BadArgument, LeaseLost, NotNow
from bookrec.experiment import is_share
from bookrec.manifest import is_version, usable_pointer
from bookrec.publishing import experiment_ended, experiment_started, kept_manifest, next_pointer, rolled_back

ROLLBACK_MS = 240_000
"""How long a rollback may take: its lease is not renewed, and the function has longer."""

Reconcile = Callable[[], Sequence[Mapping[str, int]]]
"""Reconciles all instances; returns what was repaired in each."""


class OperatingHandler:
    """Does what an operator asks for; who may ask is checked before. Arguments are JSON as a client has sent it."""

    def __init__(
        self, database: Database, model: LiveModel, retrain: RetrainHandler, clock: Clock, reconcile: Reconcile
    ) -> None:
        self._database, self._model, self._retrain, self._clock = database, model, retrain, clock
        self._reconcile = reconcile

    def retrain(self) -> dict[str, object]:
        """Start a run, whatever has changed, and though retraining is parked; ``busy`` where one is live."""
        return {"outcome": self._retrain.at_once()}

    def rollback(self, version: object) -> dict[str, object]:
        """Make a kept version live again: a publish like any other, under the lease, fenced, its files checked.

        Raises:
            BadArgument: where it is no version's name.
            BadModel: where the version is not kept, or its files are not what they were.
            NotNow: where a run is live.
            LeaseLost: where a run has published meanwhile.
            StoreUnavailable: where the bucket does not answer.
        """
        name = _version(version)
        kept_manifest(usable_pointer(self._database.pointer()), name)  # said at once, whoever holds the lease
        with self._lease() as (holder, fence):
            live = usable_pointer(self._database.pointer())
            manifest = self._model.try_out(name, kept_manifest(live, name))
            now = self._clock.now_ms()
            if self._database.change_lease(lambda held: leases.renew(held, holder, fence, now, ROLLBACK_MS)) is None:
                raise LeaseLost("the rollback took too long; ask for it again")
            pointer = rolled_back(live, manifest, fence, now)
            self._database.change_pointer(lambda node: next_pointer(node, pointer, is_rollback=True))
        return {"version": name}

    def release(self) -> dict[str, object]:
        """Let retraining start again after failures; say how many there were in a row."""
        failures = self._database.lease().failures
        if failures:
            self._database.change_lease(leases.forgive)
        self._retrain.note()
        return {"failures": failures}

    def experiment(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """Start an experiment: a kept ``version`` for a ``share`` of the readers; without both, end the one there is.

        Raises:
            BadArgument: where it is no version's name, or the share is not between 0 and 1.
            BadModel: where the version is not kept, or cannot be used.
            NotNow: where it is live, or another experiment runs.
            StoreUnavailable: where the bucket does not answer.
        """
        version, share = arguments.get("version"), arguments.get("share")
        if version is None and share is None:
            self._database.change_pointer(experiment_ended)
        else:
            self._start_experiment(_version(version), share)
        pointer = usable_pointer(self._database.pointer())
        running = pointer.experiment if pointer else None
        return {"experiment": running.to_node() if running else None}

    def reconcile(self) -> dict[str, object]:
        """Reconcile now; say how many of each kind were repaired, in all instances.

        Raises:
            BookrecError: naming the steps that failed; all others were done.
        """
        repaired: Counter[str] = Counter()
        for found in self._reconcile():
            repaired.update(found)
        return {"repaired": dict(sorted(repaired.items()))}

    def _start_experiment(self, version: str, share: object) -> None:
        if not isinstance(share, (int, float)) or not is_share(share):
            raise BadArgument("the share of readers who get the other model is a number between 0 and 1")
        part, now = float(share), self._clock.now_ms()
        experiment_started(self._database.pointer(), version, part, now)  # what forbids it is said before the download
        self._model.try_out(version, kept_manifest(usable_pointer(self._database.pointer()), version))
        self._database.change_pointer(lambda node: experiment_started(node, version, part, now))

    @contextmanager
    def _lease(self) -> Iterator[tuple[str, int]]:
        """Hold the lease for a rollback; yield its holder and fence."""
        now, live_fence = self._clock.now_ms(), self._retrain.live_fence()
        taken = self._database.change_lease(
            lambda held: leases.acquire(held, leases.ROLLBACK, now, ROLLBACK_MS, ROLLBACK_MS, live_fence)
        )
        if taken is None or taken.holder is None:
            raise NotNow("a run is live: ask again when it has ended")
        holder, fence = taken.holder, taken.fence
        try:
            yield holder, fence
        finally:
            now = self._clock.now_ms()
            self._database.change_lease(lambda held: leases.release(held, holder, fence, None, now))


def _version(value: object) -> str:
    if not is_version(value):
        raise BadArgument("version is the name of one of the kept versions")
    return str(value)
