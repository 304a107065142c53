"""Values by place in the tree, found by what lies above or below another place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from rtdb_emulator.data.keys import Path

T = TypeVar("T")


class _Place(Generic[T]):
    __slots__ = ("below", "value")

    def __init__(self) -> None:
        self.value: T | None = None
        self.below: dict[str, _Place[T]] = {}


class PlaceMap(Generic[T]):
    """A mapping of paths; looking along a path costs its length, however many others there are."""

    def __init__(self) -> None:
        self._root: _Place[T] = _Place()

    def get(self, path: Path) -> T | None:
        """Return the value at ``path``, or None."""
        place: _Place[T] | None = self._root
        for key in path:
            place = place.below.get(key) if place else None
        return place.value if place else None

    def set(self, path: Path, value: T) -> None:
        """Put a value at ``path``."""
        place = self._root
        for key in path:
            place = place.below.setdefault(key, _Place())
        place.value = value

    def remove(self, path: Path) -> None:
        """Remove what is at ``path``."""
        way = [self._root]
        for key in path:
            if key not in way[-1].below:
                return
            way.append(way[-1].below[key])
        way[-1].value = None
        for key, above in zip(reversed(path), reversed(way[:-1]), strict=True):
            place = above.below[key]
            if place.value is not None or place.below:
                return
            del above.below[key]

    def cut(self, path: Path) -> None:
        """Remove what is at ``path`` and below it."""
        place: _Place[T] | None = self._root
        for key in path:
            place = place.below.get(key) if place else None
        if place:
            place.below.clear()
            self.remove(path)

    def along(self, path: Path) -> Iterator[tuple[int, T]]:
        """Yield the values at ``path`` and above it with the length of each one's path, from the root."""
        place: _Place[T] | None = self._root
        for depth, key in enumerate((*path, None)):
            if place is None:
                return
            if place.value is not None:
                yield depth, place.value
            place = place.below.get(key) if key is not None else None

    def below(self, path: Path) -> Iterator[T]:
        """Yield the values below ``path``, not at it."""
        place: _Place[T] | None = self._root
        for key in path:
            place = place.below.get(key) if place else None
        waiting = list(place.below.values()) if place else []
        while waiting:
            place = waiting.pop()
            if place.value is not None:
                yield place.value
            waiting.extend(place.below.values())
