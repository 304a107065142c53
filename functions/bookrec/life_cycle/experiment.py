"""An A/B split: some readers get the lists of another kept model; what they shelve shows which one is better."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from bookrec import paths
from bookrec.life_cycle.ranges import is_time

Arm = Literal["a", "b"]
"""``a`` has the live model, ``b`` the experiment's."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """``/Recommender/model/experiment``.

    Attributes:
        id: unique; a database key, and not the name of any version.
        version: the model of arm ``b``, one of the kept versions.
        share: the share of the readers in arm ``b``; more than 0 and less than 1.
        started_at: milliseconds since 1970.
    """

    id: str
    version: str
    share: float
    started_at: int

    def arm(self, user_id: str) -> Arm:
        """Return a reader's arm: always the same in one experiment, and independent of the arms in others.

        Source: Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments" (2020), chapter 4: hash the unit of
        randomisation together with the experiment's name.
        """
        digest = hashlib.sha256(f"{self.id}:{user_id}".encode("utf-8", "replace")).hexdigest()
        return "b" if int(digest[:8], 16) / 2**32 < self.share else "a"

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        return {"id": self.id, "version": self.version, "share": self.share, "startedAt": self.started_at}


def is_share(value: object) -> bool:
    """Return whether a value can be the share of arm ``b``."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1


def usable_experiment(node: object, live: str, kept: Container[str]) -> Experiment | None:
    """Return the experiment in a database node, or None if there is no usable one.

    An experiment is not usable if it is damaged, or if its version is live or no longer kept: the pointer does not
    vouch for it then, and the live model serves everybody.
    """
    if not isinstance(node, Mapping):
        return None
    name, version, share, started_at = (node.get(field) for field in ("id", "version", "share", "startedAt"))
    is_named = isinstance(name, str) and name != "" and paths.is_key(name)
    is_vouched_for = isinstance(version, str) and version != live and version in kept
    if not (is_named and is_vouched_for and is_share(share) and is_time(started_at)):
        return None
    return Experiment(str(name), str(version), float(share or 0), int(started_at))
