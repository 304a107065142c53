"""What an operator asks for from afar: a run, an earlier version, an experiment, a release, a reconciliation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from backend.handlers.retrain import RetrainHandler
from backend.models import LiveModel
from backend.ports import Clock, Database
from bookrec.errors import BadArgument
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.manifest import is_version
from bookrec_operations.experiment import end_experiment, start_experiment
from bookrec_operations.lease_holder import LeaseHolder, never_beat
from bookrec_operations.release import release
from bookrec_operations.rollback import roll_back

ROLLBACK_MS = 240_000
"""How long a rollback may take: its lease is not renewed, and the function has longer."""

START, END = "start", "end"
"""What can be done about an experiment."""

Reconcile = Callable[[bool], Sequence[Mapping[str, int]]]
"""Reconciles all instances, whose sweeps may rest or not; returns what was repaired in each."""


class OperatingHandler:
    """Does what an operator asks for; who may ask is checked before. Arguments are JSON as a client has sent it."""

    def __init__(
        self, database: Database, model: LiveModel, retrain: RetrainHandler, clock: Clock, reconcile: Reconcile
    ) -> None:
        self._database, self._model, self._retrain, self._clock = database, model, retrain, clock
        self._reconcile = reconcile

    def retrain(self) -> dict[str, object]:
        """Start a run, whatever has changed, and though retraining is parked; ``busy`` if one is live."""
        return {"outcome": self._retrain.at_once()}

    def rollback(self, version: object) -> dict[str, object]:
        """Make a kept version live again.

        Raises:
            BadArgument: if it is not the name of a version.
            BookrecError: as ``bookrec_operations.rollback.roll_back`` does.
        """
        now_ms = _steady(self._clock)
        lease = LeaseHolder(self._database, now_ms, never_beat, ROLLBACK_MS, ROLLBACK_MS, purpose=leases.ROLLBACK)
        pointer = roll_back(self._database, self._model.try_out, lease, now_ms, _version(version))
        return {"version": pointer.version}

    def release(self) -> dict[str, object]:
        """Let retraining start again after failures; say how many there were in a row."""
        failures = release(self._database)
        self._retrain.note()
        return {"failures": failures}

    def experiment(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """Start an experiment, a kept ``version`` for a ``share`` of the readers; or end the one there is.

        The ``action`` is ``start``, also if it is missing, or ``end``: arguments that got lost end nothing.

        Raises:
            BadArgument: if action or version is not one, or if ``end`` comes with a version or a share.
            BookrecError: as ``bookrec_operations.experiment.start_experiment`` does.
        """
        action, version, share = arguments.get("action", START), arguments.get("version"), arguments.get("share")
        if action == END and version is None and share is None:
            end_experiment(self._database)
            return {"experiment": None}
        if action != START:
            raise BadArgument(f'action is "{START}", with version and share, or "{END}", with neither')
        begun = start_experiment(self._database, self._model.try_out, _version(version), share, self._clock.now_ms())
        return {"experiment": begun.to_node()}

    def reconcile(self, *, rests: bool = False) -> dict[str, object]:
        """Reconcile now; say how many of each kind were repaired, in all instances.

        Args:
            rests: a sweep does not begin shortly after the last one; an operator does not wait for that.

        Raises:
            BookrecError: naming the steps that failed; all others were done.
        """
        repaired: Counter[str] = Counter()
        for counts in self._reconcile(rests):
            repaired.update(counts)
        return {"repaired": dict(sorted(repaired.items()))}


def _steady(clock: Clock) -> Callable[[], int]:
    """Return the time in milliseconds since 1970, as it is now and as it passes: it never steps back."""
    since_1970 = clock.now_ms() - clock.elapsed_ms()
    return lambda: since_1970 + clock.elapsed_ms()


def _version(value: object) -> str:
    if not is_version(value):
        raise BadArgument("version is the name of one of the kept versions")
    return str(value)
