"""Reading only what has changed: a snapshot in a folder that each run brings up to date.

How it is known what has changed, and what this cannot see: ``docs/decisions/0014-snapshots.md``.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from bookrec import paths
from bookrec.entries import user_id_of
from bookrec.errors import LeaseLost
from bookrec.push_keys import first_key
from trainer.data.ingest import parts, rows
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.ingest.books import Books
from trainer.data.ingest.folders import Folder, open_file
from trainer.data.ingest.keys import KeyRange
from trainer.data.ingest.pages import Nodes, Page, Reading, pages, parallel_pages, side_by_side
from trainer.data.ingest.snapshot import READER_GONE, Snapshot, SourceError
from trainer.data.ingest.state import STATE, Delta, State, parse_state

SETTLE_MS = 3_600_000
"""Entries are looked at again for so long: their keys carry the clocks of clients."""

DAY_MS = 86_400_000

MAX_DELTAS = 100

ROWS_A_SHELF = 400
"""Reading one shelf costs about as much as so many entries in pages: with more readers than that, all is read."""

log = logging.getLogger(__name__)


class ChangingDatabase(Nodes, Protocol):
    """The database, as far as keeping up with it needs it."""

    def gone(self) -> frozenset[str]:
        """Return the readers who have left, and whose entries are still there."""
        ...

    def dirty(self) -> frozenset[str]:
        """Return the readers whose shelf has changed since the last published model's snapshot."""
        ...

    def cleared(self) -> int:
        """Return until when marks of dirty readers may have been removed (milliseconds since 1970)."""
        ...

    def shelf_nodes(self, user_id: str) -> Page:
        """Return one reader's entries by key."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshots:
    """A snapshot that is kept in a folder, and how it is brought up to date.

    Attributes:
        folder: where; user ids are in it.
        how: the database is read.
        full_every_ms: the oldest that a base may become.
        is_full: reads everything now.
        backup: a file to begin with where there is no usable base, instead of a full read.
    """

    folder: Folder
    how: Reading = field(default_factory=Reading)
    full_every_ms: int = DAY_MS
    is_full: bool = False
    backup: str | None = None

    def read(self, database: ChangingDatabase, taken: int) -> Snapshot:
        """Bring the snapshot up to date and return it.

        Marks of dirty readers up to ``taken`` may be removed afterwards.

        Args:
            database: what is read.
            taken: its clock before this call, milliseconds since 1970.

        Raises:
            ReadError: where the database cannot be read.
            SourceError: where the folder or the backup cannot.
            LeaseLost: where another run has brought the snapshot up to date meanwhile.
        """
        content, tag = self.folder.state(STATE)
        state = self._up_to_date(database, parse_state(content), taken)
        if not self.folder.replace(STATE, state.to_bytes(), tag):
            raise LeaseLost("another run has replaced the snapshot meanwhile")
        self._remove_others(state)
        rejected = Counter(state.rejected)
        books = Books(rejected)
        for page in parallel_pages(database, paths.ARCHIVE, how=self.how):
            books.add(page)
        began = datetime.fromtimestamp(state.base_taken / 1000, UTC).isoformat(timespec="seconds")
        source = f"database (all of {began}, {len(state.deltas)} times what had changed)"
        return Snapshot(rows.table(self._rows(state)), books.frame(), dict(rejected), source)

    def _up_to_date(self, database: ChangingDatabase, state: State | None, taken: int) -> State:
        gone = database.gone()
        reason = self._why_not(state, database.cleared(), taken)
        if reason and self.backup and not self.is_full:
            state = self._from_backup(self.backup, gone)
            reason = self._why_not(state, database.cleared(), taken)
        if state is not None and not reason:
            changed = self._changed(database, state) | gone
            if len(changed) * ROWS_A_SHELF <= max(state.rows, ROWS_A_SHELF):
                return self._increment(database, state, taken, changed, gone)
            reason = "too many readers have changed"
        log.info("reading the whole database: %s", reason)
        return self._base(parallel_pages(database, paths.USER_BOOK, how=self.how), taken, gone)

    def _why_not(self, state: State | None, cleared: int, taken: int) -> str:
        """Return why a snapshot cannot be brought up to date, or nothing."""
        if state is None:
            return "there is no snapshot yet"
        if self.is_full:
            return "as asked for"
        if taken - state.base_taken >= self.full_every_ms:
            return "the last time was too long ago"
        if len(state.deltas) >= MAX_DELTAS:
            return "there are too many increments"
        if cleared > state.taken:
            return "a run that did not use this snapshot has removed marks"
        return "" if state.files.issubset(self.folder.names()) else "files are missing"

    def _base(self, found: Iterable[Page], taken: int, gone: Collection[str]) -> State:
        rejected: Counter[str] = Counter()
        left = pa.array(sorted(gone), pa.string())

        def of_present_readers() -> Iterator[pa.RecordBatch]:
            for batch in rows.batches(found, rejected):
                kept = rows.without(batch, left)
                rejected[READER_GONE] += batch.num_rows - kept.num_rows
                yield kept

        base = parts.write(self.folder, _stem(taken), of_present_readers())
        return State(taken, taken, base, (), {reason: number for reason, number in rejected.items() if number})

    def _from_backup(self, name: str, gone: Collection[str]) -> State:
        taken = time_of_backup(name)
        if taken is None:
            raise SourceError(f"{name}: a base needs to know its time; name it TIME_INSTANCE_data.json.gz, TIME in ISO")
        with open_file(name) as file:
            found = (page for node, page in sections(file, name) if node == paths.USER_BOOK)
            return self._base(found, taken, gone)

    def _changed(self, database: ChangingDatabase, state: State) -> set[str]:
        """Return whose shelf may have changed: who is marked, and who has entries that are new."""
        changed = set(database.dirty())
        new = KeyRange(first_key(max(state.taken - SETTLE_MS, 0)))
        for page in pages(database, paths.USER_BOOK, keys=new, how=self.how):
            changed.update(user_id for node in page.values() if (user_id := user_id_of(node)) is not None)
        return changed

    def _increment(
        self, database: ChangingDatabase, state: State, taken: int, changed: Collection[str], gone: Collection[str]
    ) -> State:
        log.info("reading the shelves of %d readers who may have changed", len(changed))
        if not changed:
            return replace(state, taken=taken)

        def shelf(user_id: str) -> list[Page]:
            return [self.how.patiently(lambda: database.shelf_nodes(user_id), "a reader's shelf")]

        shelves = side_by_side(shelf, sorted(set(changed) - set(gone)), self.how.workers)
        stem = _stem(taken)
        written = parts.write(self.folder, stem, rows.batches(shelves, Counter()))
        delta = Delta(written, parts.write_readers(self.folder, stem, sorted(changed)))
        return replace(state, taken=taken, deltas=(*state.deltas, delta))

    def _rows(self, state: State) -> Iterator[pa.RecordBatch]:
        """Yield the entries as they stand: a reader's are those of the newest file that is about the reader."""
        newer = pa.array([], pa.string())
        for delta in reversed(state.deltas):
            for batch in parts.read(self.folder, delta.parts):
                yield rows.without(batch, newer)
            newer = pa.concat_arrays([newer, parts.read_readers(self.folder, delta.readers)])
        for batch in parts.read(self.folder, state.base):
            yield rows.without(batch, newer)

    def _remove_others(self, state: State) -> None:
        """Remove what no longer counts, and what runs left that died; not what a later run may be writing."""
        for name in self.folder.names():
            is_ours = name.endswith(parts.SUFFIX) and name < _stem_time(state.taken)
            if is_ours and name not in state.files:
                self.folder.delete(name)


def _stem_time(taken: int) -> str:
    return f"{taken:015d}"


def _stem(taken: int) -> str:
    """Return how the names of one run's files begin: no two runs' begin alike."""
    return f"{_stem_time(taken)}-{secrets.token_hex(4)}"
