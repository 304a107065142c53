"""What lists are made with: a loaded model, and while an experiment runs that of the other arm beside it."""

from __future__ import annotations

from dataclasses import dataclass

from bookrec.errors import BadModel, StoreUnavailable
from bookrec.experiment import Experiment
from bookrec.manifest import Pointer
from bookrec.quality import NO_MODEL
from bookrec.recommender import Recommender


@dataclass(frozen=True, slots=True)
class Failure:
    """Why what the pointer names could not be loaded, and when that was tried."""

    node: object
    at_ms: int
    problem: BadModel | StoreUnavailable


@dataclass(frozen=True, slots=True)
class Live:
    """A loaded model with the pointer that named it.

    Attributes:
        other: the model of arm ``b`` while an experiment runs; None without one, and where it cannot be loaded:
            then everybody is given ``model``.
        missing: why it cannot.
    """

    node: object
    pointer: Pointer
    model: Recommender
    other: Recommender | None = None
    missing: Failure | None = None

    @property
    def experiment(self) -> Experiment | None:
        """The experiment that lists are made for, if there is one."""
        return self.pointer.experiment if self.other else None

    def model_of(self, user_id: str) -> Recommender:
        """Return the model of a reader's arm."""
        if self.other and self.pointer.experiment and self.pointer.experiment.arm(user_id) == "b":
            return self.other
        return self.model


@dataclass(frozen=True, slots=True)
class InUse:
    """What lists are made with now.

    Attributes:
        live: a model, or None where there is none.
        is_degraded: it is not what the pointer names, since that cannot be loaded: lists of any model will do.
    """

    live: Live | None
    is_degraded: bool = False

    @property
    def version(self) -> str:
        """The model version of lists that are made now, but for an experiment's other arm."""
        return self.live.pointer.version if self.live else NO_MODEL

    @property
    def arms(self) -> tuple[str, Experiment | None]:
        """What decides which model a reader gets: equal arms give equal lists."""
        return self.version, self.live.experiment if self.live else None

    def model_of(self, user_id: str) -> Recommender | None:
        """Return the model for a reader, if there is one."""
        return self.live.model_of(user_id) if self.live else None

    def version_of(self, user_id: str) -> str:
        """Return the version of the model for a reader."""
        model = self.model_of(user_id)
        return model.version if model else NO_MODEL
