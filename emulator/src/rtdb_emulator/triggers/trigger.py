"""Database triggers: what a function waits for, and the places of a write that it is called for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rtdb_emulator.data.children import changed_keys
from rtdb_emulator.data.keys import Path, node_path
from rtdb_emulator.data.tree import Node, children, get, same
from rtdb_emulator.database.changes import Change
from rtdb_emulator.errors import ServiceError

EVENT_PREFIX = "google.firebase.database.ref.v1."
EVENT_KINDS = ("created", "updated", "deleted", "written")

LEGACY_PREFIX = "providers/google.firebase.database/eventTypes/ref."
LEGACY_KINDS = {"create": "created", "update": "updated", "delete": "deleted", "write": "written"}
"""What functions of the first generation wait for, in the words of the second."""

_CAPTURE = re.compile(r"\{[^{}=]*(?:=([^{}/]*))?\}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """One registered trigger.

    Attributes:
        name: ``projects/P/locations/R/triggers/KEY``, or ``projects/P/locations/_/functions/KEY`` of a function of
            the first generation.
        pattern: the parts of its path, each a key or a pattern in which ``*`` matches any text.
        kind: one of ``EVENT_KINDS``.
        namespaces: a pattern, ``*`` for all.
        is_legacy: whether the function is of the first generation, which takes other events.
    """

    name: str
    pattern: Path
    kind: str
    namespaces: str
    is_legacy: bool = False

    @property
    def event_type(self) -> str:
        """What its events are called."""
        if not self.is_legacy:
            return EVENT_PREFIX + self.kind
        return LEGACY_PREFIX + next(name for name, kind in LEGACY_KINDS.items() if kind == self.kind)

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
        """Yield each place that the function is called for, once."""
        if not _matches(self.namespaces, change.namespace):
            return
        for place in matches(self.pattern, change):
            if self.wants(get(change.before, place), get(change.after, place)):
                yield place

    def wants(self, before: Node, after: Node) -> bool:
        """Return whether it waits for a change from ``before`` to ``after``."""
        happened = "created" if before is None else "deleted" if after is None else "updated"
        return self.kind in ("written", happened)


def parse_trigger(value: Any, namespace: str | None = None) -> Trigger:
    """Return the trigger in a registration.

    ``{name}`` in its path matches any key, ``{name=pattern}`` the keys of a pattern with ``*`` in it.

    Args:
        value: the registration, as firebase-tools sends it.
        namespace: the only one that a function of the first generation is for; None for all.

    Raises:
        ServiceError: 400 if a field is missing, the event is not of the database, or a part of the path matches
            more than one key (``**``), which the database does not support.
    """
    try:
        name, event = value["name"], value["event"]
        is_legacy = event.startswith(LEGACY_PREFIX)
        kind = LEGACY_KINDS.get(event.removeprefix(LEGACY_PREFIX)) if is_legacy else event.removeprefix(EVENT_PREFIX)
        pattern = tuple(_as_pattern(part) for part in value["path"].split("/") if part)
        namespaces = _as_pattern(value.get("namespacePattern") or (namespace if is_legacy and namespace else "*"))
        parts = name.split("/")
    except (KeyError, TypeError, AttributeError) as problem:
        raise ServiceError(400, "a trigger has name, path and event") from problem
    if kind not in EVENT_KINDS or len(parts) != 6:
        raise ServiceError(400, f"a trigger's event is {EVENT_PREFIX} and one of {', '.join(EVENT_KINDS)}")
    if any("**" in part or "{" in part for part in pattern):
        raise ServiceError(400, "a part of a trigger's path is a key or a pattern of one key")
    return Trigger(name, pattern, kind, namespaces, is_legacy)


def _as_pattern(part: str) -> str:
    """Return a part of a path with ``*`` for each capture that does not say what it captures."""
    return _CAPTURE.sub(lambda capture: capture[1] or "*", part)


def matches(pattern: Path, change: Change) -> Iterator[Path]:
    """Yield each place that ``pattern`` matches and whose node changed, once."""
    seen: set[Path] = set()
    for written in map(node_path, change.paths):
        place = written[: len(pattern)]
        if not all(_matches(part, key) for part, key in zip(pattern, place, strict=False)):
            continue
        rest = pattern[len(place) :]
        for place_below in _below(rest, place, get(change.before, place), get(change.after, place)):
            if place_below not in seen:
                seen.add(place_below)
                yield place_below


def _matches(part: str, key: str) -> bool:
    return part in ("*", key) or ("*" in part and _expression(part).fullmatch(key) is not None)


@lru_cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _below(pattern: Path, place: Path, before: Node, after: Node) -> Iterator[Path]:
    if not pattern:
        if not same(before, after):
            yield place
        return
    left, right = children(before), children(after)
    keys = sorted(k for k in changed_keys(left, right) if _matches(pattern[0], k)) if "*" in pattern[0] else pattern[:1]
    for key in keys:
        yield from _below(pattern[1:], (*place, key), left.get(key), right.get(key))
