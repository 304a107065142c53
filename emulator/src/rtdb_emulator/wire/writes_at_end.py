"""The ``onDisconnect`` writes of a client, carried out when its connection ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rtdb_emulator.data.keys import PRIORITY, Path


class WritesAtEnd:
    """JSON values by path, in the order in which they came; those of one request together."""

    def __init__(self) -> None:
        self._writes: list[dict[Path, Any]] = []

    def __iter__(self) -> Iterator[dict[Path, Any]]:
        return iter([dict(values) for values in self._writes])

    def as_one(self) -> dict[Path, Any]:
        """Return all of them as one write: a value that came after one above it becomes part of that one."""
        merged: dict[Path, Any] = {}
        for values in self._writes:
            for path, value in values.items():
                above = next((path[:depth] for depth in range(len(path)) if path[:depth] in merged), None)
                if above is None:
                    merged[path] = value
                else:
                    merged[above] = _grafted(merged[above], path[len(above) :], value)
        return merged

    def add(self, values: Mapping[Path, Any]) -> None:
        """Add values; earlier ones at the same places, or below them, are dropped."""
        for path in values:
            self._drop(path)
        self._writes.append(dict(values))

    def cancel(self, path: Path) -> None:
        """Cancel the values at ``path`` and below it; of a write above it, the siblings stay.

        Source: the SDKs' documentation of ``OnDisconnect.cancel``.
        """
        for values in self._writes:
            for place in [place for place in values if place == path[: len(place)]]:
                _split(values, place, path)
        self._drop(path)

    def _drop(self, path: Path) -> None:
        for values in self._writes:
            for place in [place for place in values if place[: len(path)] == path]:
                del values[place]
        self._writes = [values for values in self._writes if values]


def _grafted(value: Any, path: Path, part: Any) -> Any:
    """Return a JSON value with another one at ``path`` in it."""
    if not path:
        return part
    key = path[0]
    if isinstance(value, list):
        value = {str(i): child for i, child in enumerate(value)}
    if not isinstance(value, Mapping) or ".sv" in value:
        value = {".value": value}
    if key == PRIORITY:
        return {**value, PRIORITY: part}
    if ".value" in value:
        value = {PRIORITY: value.get(PRIORITY)}  # a scalar gives way to children, and leaves its priority
    return {**value, key: _grafted(value.get(key), path[1:], part)}


def _split(values: dict[Path, Any], place: Path, path: Path) -> None:
    """Replace the value at ``place`` by its children, down to ``path``, so that it can be dropped alone."""
    while place != path and isinstance(values.get(place), (Mapping, list)):
        value = values[place]
        if ".value" in value or ".sv" in value:
            return  # a scalar
        del values[place]
        items = enumerate(value) if isinstance(value, list) else value.items()
        values.update({(*place, str(key)): child for key, child in items if key != PRIORITY})
        place = path[: len(place) + 1]
