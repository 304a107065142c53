"""``snapshot.json``: the files of a snapshot, and when each was read. It names no reader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bookrec.life_cycle.ranges import is_time
from trainer.data.ingest.parts import Part

STATE = "snapshot.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Delta:
    """The shelves of some readers, which replace those in older files.

    Attributes:
        parts: the files with their entries.
        readers: the file that names all of them, including those without entries.
    """

    parts: tuple[Part, ...]
    readers: str


@dataclass(frozen=True, slots=True)
class State:
    """The parts of a snapshot.

    Attributes:
        base_taken: when reading the whole database began, by its clock; milliseconds since 1970.
        taken: the same for the newest delta, or for the base if there is none.
        base: files with the whole database.
        deltas: the oldest first.
        rejected: number of entries rejected when the base was read, by ``entry:reason``.
    """

    base_taken: int
    taken: int
    base: tuple[Part, ...]
    deltas: tuple[Delta, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of entries in the base."""
        return sum(part.rows for part in self.base)

    @property
    def files(self) -> frozenset[str]:
        """The names of all files."""
        parts = [*self.base, *(part for delta in self.deltas for part in delta.parts)]
        return frozenset({part.name for part in parts} | {delta.readers for delta in self.deltas})

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        node = asdict(self)
        node["refused"] = node.pop("rejected")  # the file's own word
        return json.dumps({"format": FORMAT, **node}, indent=1, sort_keys=True).encode()


def parse_state(content: bytes | None) -> State | None:
    """Return the state in a file; None if there is none, or it is damaged or of another format."""
    try:
        node: Any = json.loads(content or b"null")
        if node["format"] != FORMAT or not (is_time(node["base_taken"]) and is_time(node["taken"])):
            return None
        deltas = tuple(Delta(_parts(delta["parts"]), str(delta["readers"])) for delta in node["deltas"])
        times = int(node["base_taken"]), int(node["taken"])
        return State(*times, _parts(node["base"]), deltas, {str(k): int(v) for k, v in node["refused"].items()})
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        OverflowError,
    ):  # JSON has infinite numbers
        return None


def _parts(node: Any) -> tuple[Part, ...]:
    return tuple(Part(str(part["name"]), int(part["rows"])) for part in node)
