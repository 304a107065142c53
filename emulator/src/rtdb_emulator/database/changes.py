"""A write that took effect, as listeners and triggers are told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtdb_emulator.data.keys import Path
from rtdb_emulator.data.tree import Node
from rtdb_emulator.database.auth import Caller


@dataclass(frozen=True, slots=True)
class Change:
    """One write that took effect, however many places it wrote.

    Attributes:
        before: the whole tree before it.
        after: the whole tree after it.
        paths: the places that were written; one that ends in ``.priority`` is of a node's priority alone.
    """

    namespace: str
    before: Node
    after: Node
    paths: tuple[Path, ...]
    caller: Caller


Subscriber = Callable[[Change], None]
