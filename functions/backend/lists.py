"""From shelves to lists in the database: the one path for every list."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from backend.catalogue_cache import CatalogueCache
from backend.guards import event_gate
from backend.list_writes import DEFAULT_SIZES, Basis, Replaced, writes_for
from backend.models import InUse, LiveModel
from backend.ports import Clock, Concurrently, Database, increment
from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.entries import Entry
from bookrec.errors import BookrecError
from bookrec.further.sizes import Sizes
from bookrec.reader import Reader
from bookrec.reordering.exploration import OFF, Exploration
from bookrec.shelf import Shelf, build_shelf, is_full, sort_out
from bookrec.usage.quality import NO_MODEL

MAX_ROUNDS = 10
"""How many times a list is made because its shelf, the model or the catalogue keeps changing."""

WRITES = f"{paths.STATUS}/counters/listWrites"
"""Counts the multi-path updates that write lists."""

MAX_STEP = 1 << 20
"""By how much the count of a list's writes grows with one of them, at most."""

Extra = Callable[[], Mapping[str, object]]
"""Returns what to write with an event's list, by path; called when the list is written."""

Pace = Callable[[Mapping[str, object]], None]
"""Waits as long as lists that were just written, by path, need to stay below the database's limits."""

MAX_LISTS_A_WRITE, MAX_BYTES_A_WRITE = 50, 1 << 20
"""Bounds of one multi-path update."""

READERS_AT_ONCE = 25
"""How many shelves are in memory at a time: about 50 MB if all of them are as large as may be."""


class StillChangingError(BookrecError):
    """A shelf changed in every round; the last event that changed it makes the list."""


class ListsFailedError(BookrecError):
    """Some lists could not be made; those of all other users were."""


@dataclass(slots=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        version: the model that made the lists.
        written: how many lists were written.
        purged: how many readers had left and were purged.
        full: the readers who have as many entries as count, or more.
    """

    version: str = NO_MODEL
    written: int = 0
    purged: int = 0
    full: set[str] = field(default_factory=set)

    def add(self, other: Refreshed) -> None:
        """Add what another refresh did."""
        self.version, self.written = other.version, self.written + other.written
        self.purged, self.full = self.purged + other.purged, self.full | other.full

    def count(self, version: str, writes: Mapping[str, Mapping[str, object]], readers: Mapping[str, Reader]) -> None:
        """Count the writes of one round, by user."""
        self.version = version
        for user_id, write in writes.items():
            self.purged += readers[user_id].is_gone and bool(write)
            self.written += write.get(paths.recommendations(user_id)) is not None


@dataclass(frozen=True, slots=True)
class _Shelves:
    """The shelves of some users, and the keys of all entries that name each user, including bad ones."""

    by_user: Mapping[str, Shelf]
    keys: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round of a refresh has read, and the basis of its lists.

    Attributes:
        counts: of each list's writes, as read before shelves and readers.
    """

    shelves: _Shelves
    readers: Mapping[str, Reader]
    basis: Basis
    counts: Mapping[str, int] = field(default_factory=dict)

    def writes(
        self, user_ids: Sequence[str], changes: Sequence[str] | None, again: bool, replaced: Mapping[str, Replaced]
    ) -> tuple[dict[str, dict[str, object]], dict[str, Exception]]:
        """Return what to write for each user, and the errors of those whose list cannot be made."""
        writes, problems = dict[str, dict[str, object]](), dict[str, Exception]()
        for user_id in user_ids:
            try:
                shelf, keys, reader = self.shelves.by_user[user_id], self.shelves.keys[user_id], self.readers[user_id]
                write = writes_for(shelf, keys, reader, self.basis, changes, again, replaced.get(user_id))
                json.dumps(write, allow_nan=False)  # what cannot be written would keep back the others' lists
                writes[user_id] = write
            except Exception as problem:  # a list that cannot be made must not delay the others
                problems[user_id] = problem
        return writes, problems

    def replaced_by(self, writes: Mapping[str, Mapping[str, object]]) -> dict[str, Replaced]:
        """Return the lists that the writes replace, by user."""
        assignment = self.basis.in_use.assignment
        return {
            user_id: Replaced(self.shelves.by_user[user_id], self.readers[user_id], assignment)
            for user_id, write in writes.items()
            if write.get(paths.recommendations(user_id)) is not None
        }


class ListRefresher:
    """Computes users' lists from their present shelves, and writes them with the marks that go with them.

    Args:
        sizes: of the lists that go with each list.
        pace: is called after each write without an event, to wait; None writes as fast as the database does.
    """

    def __init__(
        self,
        database: Database,
        model: LiveModel,
        catalogue: CatalogueCache,
        clock: Clock,
        concurrently: Concurrently,
        exploration: Callable[[], Exploration] = lambda: OFF,
        sizes: Sizes = DEFAULT_SIZES,
        pace: Pace | None = None,
        fatigue_half_life: float = 0.0,
        events_date: Callable[[], str] = str,
    ) -> None:
        self._database, self._model, self._catalogue, self._clock = database, model, catalogue, clock
        self._concurrently, self._exploration = concurrently, exploration
        self._sizes, self._pace = sizes, pace
        self._fatigue_half_life, self._events_date = fatigue_half_life, events_date

    def refresh(
        self, user_ids: Sequence[str], changes: Sequence[str] | None = None, extra: Extra | None = None
    ) -> Refreshed:
        """Bring the lists of some users up to date.

        An event's list takes two rounds of reads, only of the reader's own nodes, and one write: it is made with the
        model and the catalogue that this instance has. After the write, model and catalogue are read again, and
        whether somebody else has written the list meanwhile; each list that was made with outdated ones is made again.
        So if two runs overlap, the one that ends last leaves the list of the latest shelf and dismissals.

        Cost of an event: the reader (3 kB, and 30 bytes a dismissal), the shelf once (120 bytes an entry), the pointer
        (1 kB) and three answers of some bytes. Each of at most ``MAX_ROUNDS`` rounds costs as much; a second one needs
        another write of the list within the milliseconds of the first.

        A list and the marks of its changes are one write. So a list that matches its shelf proves that the shelf was
        marked for retraining, and a shelf that was not marked shows: its list does not match.

        Args:
            user_ids: whose lists.
            changes: the entries that changed according to an event: they are marked, and the lists are written in any
                case. Empty if it was an event of a dismissal: the lists are written in any case, and a mark is made
                only if entries have changed too. None if there is no event: then only lists that are not right are
                written, and a mark is made if entries have changed.
            extra: what to write with the first of the lists, in the same update.

        Raises:
            StillChangingError: if shelves changed in each of ``MAX_ROUNDS`` rounds.
            ListsFailedError: if some lists could not be made.
        """
        everybody, done = sorted(set(user_ids)), Refreshed()
        problems, changing = dict[str, Exception](), 0
        for start in range(0, len(everybody), READERS_AT_ONCE):
            failed, left = self._refresh(everybody[start : start + READERS_AT_ONCE], changes, extra, done)
            problems, changing, extra = problems | failed, changing + left, None
        if changing:
            raise StillChangingError(f"{changing} shelves changed in each of {MAX_ROUNDS} rounds")
        if problems:
            first = next(iter(problems.values()))
            raise ListsFailedError(f"{len(problems)} lists could not be made: {type(first).__name__}") from first
        return done

    def _refresh(
        self, waiting: Sequence[str], changes: Sequence[str] | None, extra: Extra | None, done: Refreshed
    ) -> tuple[dict[str, Exception], int]:
        """Refresh a few readers' lists; return the errors by user, and how many shelves changed in every round."""
        problems, replaced = dict[str, Exception](), dict[str, Replaced]()
        basis_of = self._current if changes is None else self._cached
        for turn in range(MAX_ROUNDS):
            if not waiting:
                break
            read, step = self._read(waiting, basis_of), secrets.randbelow(MAX_STEP) + 1
            writes, failed = read.writes(waiting, changes, turn > 0, replaced)
            for user_id, write in writes.items():
                if write:
                    write.setdefault(f"{paths.LIST_WRITES}/{user_id}", increment(step))
            for batch in batches(writes.values()):
                extra_values, extra = extra() if extra else {}, None
                self._database.update(batch | {WRITES: increment(1)} | event_gate.counted(batch) | dict(extra_values))
                if changes is None and self._pace is not None:
                    self._pace(batch)
            done.count(read.basis.in_use.version, writes, read.readers)
            done.full |= {user_id for user_id, keys in read.shelves.keys.items() if is_full(len(keys))}
            problems |= failed
            listed = read.replaced_by(writes)
            replaced = listed | replaced  # the list before the first write of this refresh
            used = {user_id: read.shelves.by_user[user_id] for user_id, write in writes.items() if write}
            waiting = self._outdated(used, read, step, listed)
        return problems, len(waiting)

    def _read(self, user_ids: Sequence[str], basis_of: Callable[[], Basis]) -> _Round:
        # The counts first: a write of a list that they include was made from no newer shelf, and no newer dismissals.
        counts, basis = self._concurrently([lambda: self._database.list_writes(user_ids), basis_of])
        readers, shelves = self._shelves(user_ids)
        return _Round(shelves, readers, basis, counts)

    def wrong(self, readers: Mapping[str, Reader], nodes: Mapping[str, object]) -> list[str]:
        """Return the readers whose list, mark or traces are not right, as far as what was read of them tells.

        It reads the pointer and, at most once per its time to live, whether the catalogue has changed.

        Args:
            nodes: the entries of these readers that count (``shelf.newest_of_each``), including bad ones.
        """
        read = _Round(_shelves_of(readers, nodes, self._clock.now_ms()), readers, self._current())
        writes, problems = read.writes(list(readers), None, again=False, replaced={})
        return sorted({user_id for user_id, write in writes.items() if write} | problems.keys())

    def _shelves(self, user_ids: Sequence[str]) -> tuple[Mapping[str, Reader], _Shelves]:
        database = self._database
        readers, nodes = self._concurrently(
            [lambda: database.readers(user_ids), lambda: database.shelf_nodes(user_ids)]
        )
        return readers, _shelves_of(readers, nodes, self._clock.now_ms())

    def _cached(self) -> Basis:
        in_use, catalogue = self._concurrently([self._model.cached, self._catalogue.cached])
        return self._basis(in_use, catalogue)

    def _current(self) -> Basis:
        in_use, catalogue = self._concurrently([self._model.current, self._catalogue.current])
        return self._basis(in_use, catalogue)

    def _basis(self, in_use: InUse, catalogue: Catalogue) -> Basis:
        exploration, date = self._exploration(), self._events_date()
        return Basis(in_use, catalogue, exploration, self._sizes, self._fatigue_half_life, date)

    def _outdated(self, used: Mapping[str, Shelf], read: _Round, step: int, listed: Container[str]) -> list[str]:
        """Return the users whose shelf is not the ``used`` one; all if the model or the catalogue has changed.

        So are those whose list was written (``listed``) after somebody else had purged them: their count is lower.

        Each write here adds a random ``step`` to the list's count; ``ShardWriter`` adds none, and looks at the marks.
        The count was read before shelf and dismissals. If only this run's step was added since, nobody else has written
        the list: a run that knows of newer ones will write it later, and replace this list. Otherwise they are read
        again. The steps are random since the count begins again after a purge.

        While another event of this instance loads a model, nobody waits for it: that event makes these lists again.

        Cost: a number a user; shelf and reader of those whose list somebody else has written.
        """
        if not used:
            return []
        counts, now = self._concurrently([lambda: self._database.list_writes(list(used)), self._current])
        if not now.is_still(read.basis):
            return list(used)
        if now.in_use.is_loading and not self._model.once_loaded(partial(self.refresh, list(used))):
            return list(used)  # it has been loaded just now
        contested = [user_id for user_id in used if counts[user_id] != read.counts[user_id] + step]
        if not contested:
            return []
        present = self._shelves(contested)[1]
        return [
            user_id
            for user_id in contested
            if (user_id in listed and counts[user_id] < read.counts[user_id] + step)
            or present.by_user[user_id].digest != used[user_id].digest
        ]


def _shelves_of(readers: Mapping[str, Reader], nodes: Mapping[str, object], now_ms: int) -> _Shelves:
    """Return the shelves of some users in nodes of ``/User_Book``, in time linear in the nodes."""
    entries: dict[str, list[Entry]] = {user_id: [] for user_id in readers}
    keys: dict[str, list[str]] = {user_id: [] for user_id in readers}
    for entry in sort_out(nodes)[0]:
        if entry.user_id in entries:
            entries[entry.user_id].append(entry)
    for key, node in nodes.items():
        user_id = paths.children(node).get("userId")
        if isinstance(user_id, str) and user_id in keys:
            keys[user_id].append(key)
    dismissed = {user_id: reader.dismissals.counted(now_ms) for user_id, reader in readers.items()}
    return _Shelves({user_id: build_shelf(user_id, its, dismissed[user_id]) for user_id, its in entries.items()}, keys)


def pace(clock: Clock, lists_per_second: float, bytes_per_second: float) -> Pace:
    """Return what waits until so many lists and bytes a second were written."""
    # What goes with a list, or tells of it, is written with it, and is not a write of its own.
    no_writes = tuple(f"{node}/" for node in (paths.MORE_LISTS, paths.EVENTS, paths.LIST_WRITES, paths.CONVERSIONS))

    def wait(batch: Mapping[str, object]) -> None:
        lists = sum(not path.startswith(no_writes) for path in batch)
        clock.sleep(max(lists / lists_per_second, len(json.dumps(batch)) / bytes_per_second))

    return wait


def batches(writes: Iterable[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    """Yield multi-path updates that make all ``writes``, each of bounded count and size, without splitting a write."""
    batch: dict[str, object] = {}
    number = size = 0
    for write in writes:
        added = len(json.dumps(write))
        if batch and (number >= MAX_LISTS_A_WRITE or size + added > MAX_BYTES_A_WRITE):
            yield batch
            batch, number, size = {}, 0, 0
        batch.update(write)
        number += bool(write)
        size += added
    if batch:
        yield batch
