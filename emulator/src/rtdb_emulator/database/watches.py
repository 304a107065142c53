"""Who listens to which nodes, and what a write tells each listener: only what changed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtdb_emulator.data.index import Index, Row
from rtdb_emulator.data.keys import PRIORITY, Path
from rtdb_emulator.data.places import PlaceMap
from rtdb_emulator.data.query import Query
from rtdb_emulator.data.tree import Node, children, get, json_text, priority_of, same, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.changes import Change


class Update:
    """What to tell a listener: the nodes that are now at some places, as one.

    Attributes:
        path: the place of the one node, or where the places of ``nodes`` begin.
        nodes: by place below ``path``; or the one at ``path`` itself, by the empty place.
        is_merge: whether there may be several, and all else below ``path`` stays as it is.
        memo: for the sender, which makes a message to many clients once.
    """

    __slots__ = ("is_merge", "memo", "nodes", "path")

    def __init__(self, path: Path, nodes: Mapping[Path, Node], *, is_merge: bool) -> None:
        self.path, self.nodes, self.is_merge = path, nodes, is_merge
        self.memo: dict[Any, Any] = {}

    def text(self, *, export: bool) -> str:
        """Return the JSON text of the node, or of the object of several; with priorities for ``export``."""
        if export not in self.memo:
            values = {"/".join(place): to_json(node, export=export) for place, node in self.nodes.items()}
            value = values if self.is_merge else values[""]
            self.memo[export] = json_text(value)
        text: str = self.memo[export]
        return text


@dataclass(eq=False, slots=True)
class Listener:
    """One client's interest in one node.

    Attributes:
        path: of the node.
        query: what of it is asked for, or None for all.
        caller: who asks; a session changes it at sign-in.
        tell: is called with what changed, from within the write.
        revoke: is called when the rules no longer allow it; the listener has been removed by then.
    """

    path: Path
    query: Query | None
    caller: Caller
    tell: Callable[[Update], None]
    revoke: Callable[[], None]


@dataclass(eq=False, slots=True)
class _Watch:
    """All listeners that have to be told the same.

    Attributes:
        query: what selects the children to tell of, or None for the whole node.
        ends: the first and the last row that the query selected after the last write, or None for none.
    """

    path: Path
    query: Query | None
    listeners: dict[Listener, None] = field(default_factory=dict)
    ends: tuple[Row, Row] | None = None


class Watches:
    """All listeners of one database.

    Args:
        index_of: returns the index for a query at a path, or None if there are no children.
    """

    def __init__(self, index_of: Callable[[Path, Query], Index | None]) -> None:
        self._index_of = index_of
        self._by_path: PlaceMap[dict[str, _Watch]] = PlaceMap()

    def add(self, listener: Listener) -> None:
        """Add a listener."""
        watches = self._by_path.get(listener.path)
        if watches is None:
            self._by_path.set(listener.path, watches := {})
        watch = watches.setdefault(repr(listener.query), _Watch(listener.path, listener.query))
        watch.listeners[listener] = None
        if listener.query is not None and len(watch.listeners) == 1:
            watch.ends = self._ends(watch.path, listener.query)

    def remove(self, listener: Listener) -> None:
        """Remove a listener; an unknown one is ignored."""
        watches = self._by_path.get(listener.path) or {}
        name = repr(listener.query)
        if name in watches:
            watches[name].listeners.pop(listener, None)
            if not watches[name].listeners:
                del watches[name]
        if not watches:
            self._by_path.remove(listener.path)

    def all(self) -> list[Listener]:
        """Return every listener."""
        return [each for watches in self._around(()) for watch in watches.values() for each in watch.listeners]

    def tell(self, change: Change) -> None:
        """Tell every listener for whom something changed."""
        for watch in self._concerned(change.paths):
            update = _whole(watch.path, change) if watch.query is None else self._selected(watch, watch.query, change)
            if update is not None:
                for listener in list(watch.listeners):
                    listener.tell(update)

    def _around(self, path: Path) -> Iterator[dict[str, _Watch]]:
        """Yield what listens above ``path``, at it and below it."""
        for _, watches in self._by_path.along(path):
            yield watches
        yield from self._by_path.below(path)

    def _concerned(self, written: Iterable[Path]) -> list[_Watch]:
        watches = (watch for place in written for by_query in self._around(place) for watch in by_query.values())
        return list({id(watch): watch for watch in watches}.values())

    def _ends(self, path: Path, query: Query) -> tuple[Row, Row] | None:
        index = self._index_of(path, query)
        low, high = index.span(query) if index else (0, 0)
        return (index.at(low), index.at(high - 1)) if index and low < high else None

    def _selected(self, watch: _Watch, query: Query, change: Change) -> Update | None:
        """Return what changed among the children that a query selects."""
        path, old = watch.path, watch.ends
        before, after = get(change.before, path), get(change.after, path)
        watch.ends = new = self._ends(path, query)
        places = _below(path, change)
        index = self._index_of(path, query)
        if index is None or places is None:
            node = {key: children(after)[key] for key in index.keys(*index.span(query))} if index else None
            return None if old is None and new is None else Update(path, {(): node or None}, is_merge=False)
        touched: dict[str, list[Path]] = {}
        for place in places:
            if place != (PRIORITY,):
                touched.setdefault(place[0], []).append(place)
        nodes: dict[Path, Node] = {}
        for key, inner in touched.items():
            child, now = children(before).get(key), children(after).get(key)
            was_in = child is not None and _is_within(index.row(key, child), old)
            is_in = now is not None and _is_within(index.row(key, now), new)
            if was_in and is_in:
                nodes.update(_changed(inner, before, after))
            elif was_in or is_in:
                nodes[(key,)] = now if is_in else None
        # The others can only have entered or left at the two ends.
        was = (index.place(old[0]), index.place_after(old[1])) if old else (0, 0)
        low, high = index.span(query)
        for key in _outside((low, high), was, index):
            if key not in touched:
                nodes[(key,)] = children(after)[key]
        for key in _outside(was, (low, high), index):
            if key not in touched:
                nodes[(key,)] = None
        nodes = _without_losses(nodes, before, after, 1)
        return Update(path, nodes, is_merge=True) if nodes else None


def _outside(span: tuple[int, int], other: tuple[int, int], index: Index) -> list[str]:
    """Return the keys of the rows in one span and not in another."""
    (low, high), (from_, to) = span, other
    if from_ >= to:
        return list(index.keys(low, high))
    return [*index.keys(low, min(high, max(low, from_))), *index.keys(max(low, min(to, high)), high)]


def _is_within(row: Row, ends: tuple[Row, Row] | None) -> bool:
    return ends is not None and ends[0] <= row <= ends[1]


def _below(path: Path, change: Change) -> list[Path] | None:
    """Return what was written below ``path``, from there; None where its node was written as a whole."""
    depth = len(path)
    if any(path[: len(place)] == place for place in change.paths):
        return None
    return [place[depth:] for place in change.paths if place[:depth] == path]


def _changed(places: Iterable[Path], before: Node, after: Node) -> dict[Path, Node]:
    """Return the nodes of ``after`` at those places at which it differs from ``before``."""
    nodes = {}
    for place in places:
        now = get(after, place)
        if not same(get(before, place), now):
            nodes[place] = now
    return nodes


def _without_losses(nodes: dict[Path, Node], before: Node, after: Node, least: int) -> dict[Path, Node]:
    """Return nodes to tell, with a whole node in place of its parts if a client would lose its priority otherwise.

    Clients apply a merge part by part, in the order of keys: a node that does not exist yet, or that loses all that it
    had before the rest comes, has no priority afterwards. ``least`` is the smallest depth of such a node.
    """
    if len(nodes) < 2:
        return nodes
    above = {place[:depth] for place in nodes for depth in range(least, len(place))}
    wholes = {place for place in above if _is_lost(get(before, place), get(after, place))}
    if not wholes:
        return nodes
    told: dict[Path, Node] = {}
    for place, node in nodes.items():
        whole = next((place[:depth] for depth in range(len(place)) if place[:depth] in wholes), None)
        told[place if whole is None else whole] = node if whole is None else get(after, whole)
    return told


def _is_lost(before: Node, after: Node) -> bool:
    if priority_of(after) is None:
        return False
    kept = children(after)
    return not any(key in kept for key in children(before))


def _whole(path: Path, change: Change) -> Update | None:
    """Return what changed of a node that is listened to as a whole."""
    places = _below(path, change)
    before, after = get(change.before, path), get(change.after, path)
    nodes = _without_losses(_changed([()] if places is None else places, before, after), before, after, 0)
    if len(nodes) == 1:
        place, node = nodes.popitem()
        return Update((*path, *place), {(): node}, is_merge=False)
    return Update(path, nodes, is_merge=True) if nodes else None
