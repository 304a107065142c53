"""Database triggers: what a function waits for, and the places of a write that it is called for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulator.children import changed_keys
from emulator.database import Change
from emulator.errors import ServiceError
from emulator.keys import Path, node_path
from emulator.tree import Node, children, get, same

EVENT_PREFIX = "google.firebase.database.ref.v1."
EVENT_KINDS = ("created", "updated", "deleted", "written")

_CAPTURE = re.compile(r"\{[^{}=]*(?:=\*)?\}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """One registered trigger.

    Attributes:
        name: ``projects/P/locations/R/triggers/KEY``.
        pattern: the parts of its path, each a key or a pattern in which ``*`` stands for any text.
        kind: one of ``EVENT_KINDS``.
        namespaces: a pattern, ``*`` for all.
    """

    name: str
    pattern: Path
    kind: str
    namespaces: str

    @property
    def location(self) -> str:
        """Its region."""
        return self.name.split("/")[3]

    @property
    def url_path(self) -> str:
        """Where the functions emulator takes its events."""
        parts = self.name.split("/")
        return f"/functions/projects/{parts[1]}/triggers/{parts[5]}"

    def places(self, change: Change) -> Iterator[Path]:
        """Yield each place that it is called for, once."""
        if not fnmatch.fnmatchcase(change.namespace, self.namespaces):
            return
        for place in matches(self.pattern, change):
            if self.wants(get(change.before, place), get(change.after, place)):
                yield place

    def wants(self, before: Node, after: Node) -> bool:
        """Tell whether a change from ``before`` to ``after`` is of its kind."""
        happened = "created" if before is None else "deleted" if after is None else "updated"
        return self.kind in ("written", happened)


def parse_trigger(value: Any) -> Trigger:
    """Return the trigger in a registration; ``{names}`` in its path match any key.

    Raises:
        ServiceError: 400 where a field is missing or the event is not of the database.
    """
    try:
        name, kind = value["name"], value["event"].removeprefix(EVENT_PREFIX)
        pattern = tuple(_CAPTURE.sub("*", part) for part in value["path"].split("/") if part)
        namespaces = _CAPTURE.sub("*", value.get("namespacePattern", "*"))
        parts = name.split("/")
    except (KeyError, TypeError, AttributeError) as problem:
        raise ServiceError(400, "a trigger has name, path and event") from problem
    if kind not in EVENT_KINDS or len(parts) != 6:
        raise ServiceError(400, f"a trigger's event is {EVENT_PREFIX} and one of {', '.join(EVENT_KINDS)}")
    if any("**" in part or "{" in part for part in pattern):
        raise ServiceError(400, "a part of a trigger's path is a key or a pattern of one key")
    return Trigger(name, pattern, kind, namespaces)


def matches(pattern: Path, change: Change) -> Iterator[Path]:
    """Yield each place that ``pattern`` matches and whose node changed, once."""
    seen: set[Path] = set()
    for written in map(node_path, change.paths):
        place = written[: len(pattern)]
        if not all(_matches(part, key) for part, key in zip(pattern, place, strict=False)):
            continue
        rest = pattern[len(place) :]
        for found in _below(rest, place, get(change.before, place), get(change.after, place)):
            if found not in seen:
                seen.add(found)
                yield found


def _matches(part: str, key: str) -> bool:
    return part in ("*", key) or ("*" in part and fnmatch.fnmatchcase(key, part))


def _below(pattern: Path, place: Path, before: Node, after: Node) -> Iterator[Path]:
    if not pattern:
        if not same(before, after):
            yield place
        return
    left, right = children(before), children(after)
    keys = sorted(k for k in changed_keys(left, right) if _matches(pattern[0], k)) if "*" in pattern[0] else pattern[:1]
    for key in keys:
        yield from _below(pattern[1:], (*place, key), left.get(key), right.get(key))
