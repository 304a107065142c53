"""``snapshot.json``: which files a snapshot has, and of when. It names no reader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.data.ingest.parts import Part

STATE = "snapshot.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Delta:
    """The shelves of some readers, which replace what older files hold of these readers.

    Attributes:
        parts: their entries.
        readers: the file that names all of them, also those without an entry.
    """

    parts: tuple[Part, ...]
    readers: str


@dataclass(frozen=True, slots=True)
class State:
    """What a snapshot is made of.

    Attributes:
        base_taken: when reading the whole database began, by its clock; milliseconds since 1970.
        taken: the same of the newest delta, or of the base where there is none.
        base: files with the whole database.
        deltas: the oldest first.
        rejected: how many entries were rejected when the base was read, by ``entry:reason``.
    """

    base_taken: int
    taken: int
    base: tuple[Part, ...]
    deltas: tuple[Delta, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Entries of the base."""
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
    """Return the state in a file; None where there is none, or it is damaged or of another format."""
    try:
        node: Any = json.loads(content or b"null")
        if node["format"] != FORMAT:
            return None
        deltas = tuple(Delta(_parts(delta["parts"]), str(delta["readers"])) for delta in node["deltas"])
        times = int(node["base_taken"]), int(node["taken"])
        return State(*times, _parts(node["base"]), deltas, {str(k): int(v) for k, v in node["refused"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _parts(node: Any) -> tuple[Part, ...]:
    return tuple(Part(str(part["name"]), int(part["rows"])) for part in node)
