"""The children of a node with very many of them, replaced one at a time without copying all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WIDE = 1024
"""A node with this many children or more is ``Wide``; for fewer, copying a dict costs less."""


class Wide(Mapping[str, Any]):
    """A mapping that is never changed; ``with_child`` and ``without`` share all but one shard with it.

    About as many shards as each has children: replacing one of a million copies two thousand references.

    Attributes:
        hash: of the node, once it has been asked for; it never changes.
        text: its JSON text, likewise, if it is kept.
    """

    __slots__ = ("_count", "_shards", "hash", "text")

    def __init__(self, shards: tuple[dict[str, Any], ...], count: int) -> None:
        self._shards, self._count, self.hash, self.text = shards, count, "", ""

    @classmethod
    def of(cls, children: Mapping[str, Any]) -> Wide:
        """Return the same children, sharded."""
        size = 1 << (len(children).bit_length() // 2)
        shards: tuple[dict[str, Any], ...] = tuple({} for _ in range(size))
        for key, child in children.items():
            shards[hash(key) & (size - 1)][key] = child
        return cls(shards, len(children))

    def __getitem__(self, key: str) -> Any:
        return self._shards[hash(key) & (len(self._shards) - 1)][key]

    def __iter__(self) -> Iterator[str]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._count

    def with_child(self, key: str, child: Any) -> Wide:
        """Return a mapping that also holds ``child``."""
        place = hash(key) & (len(self._shards) - 1)
        shard = self._shards[place]
        count = self._count + (key not in shard)
        grown = Wide((*self._shards[:place], {**shard, key: child}, *self._shards[place + 1 :]), count)
        return grown if count < 16 * len(self._shards) ** 2 else Wide.of(grown)

    def without(self, key: str) -> Wide:
        """Return a mapping that lacks ``key``."""
        if key not in self:
            return self
        place = hash(key) & (len(self._shards) - 1)
        shard = dict(self._shards[place])
        del shard[key]
        return Wide((*self._shards[:place], shard, *self._shards[place + 1 :]), self._count - 1)

    def differing(self, other: Wide) -> set[str] | None:
        """Return the keys that may differ from ``other``, or None if it is sharded differently."""
        if len(self._shards) != len(other._shards):
            return None
        pairs = zip(self._shards, other._shards, strict=True)
        return {key for mine, theirs in pairs if mine is not theirs for key in (*mine, *theirs)}


Children = dict[str, Any] | Wide


def compact(children: dict[str, Any]) -> Children:
    """Return children in the form that suits their number."""
    return Wide.of(children) if len(children) >= WIDE else children


def with_child(children: Children, key: str, child: Any) -> Children:
    """Return ``children`` with ``child`` at ``key``; None removes it."""
    if isinstance(children, Wide):
        changed = children.without(key) if child is None else children.with_child(key, child)
        return dict(changed) if len(changed) < WIDE // 2 else changed
    copied = dict(children)
    if child is None:
        copied.pop(key, None)
    else:
        copied[key] = child
    return compact(copied)


def changed_keys(before: Children, after: Children) -> set[str]:
    """Return the keys whose children are not the same object in both."""
    if isinstance(before, Wide) and isinstance(after, Wide):
        keys = before.differing(after)
        if keys is not None:
            return {key for key in keys if before.get(key) is not after.get(key)}
    return {key for key in (*before, *after) if before.get(key) is not after.get(key)}
