"""Reads only what has changed: each run brings a snapshot in a folder up to date.

How changes are detected, and which ones cannot be: ``docs/decisions/0014-snapshots.md``.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from bookrec import paths
from bookrec.entries import user_id_of
from bookrec.errors import LeaseLost
from bookrec.push_keys import first_key
from bookrec_database.key_range import KeyRange
from trainer.data.ingest import parts, rows
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.ingest.books import Books
from trainer.data.ingest.folders import Folder, open_file
from trainer.data.ingest.pages import Nodes, Page, Reading, pages, parallel_pages, read_concurrently
from trainer.data.ingest.snapshot import READER_GONE, Snapshot, SourceError
from trainer.data.ingest.state import STATE, Delta, State, parse_state

SETTLE_MS = 3_600_000
"""How long new entries are read again: the times in their keys come from clients' clocks."""

DAY_MS = 86_400_000

MAX_DELTAS = 100

ROWS_A_SHELF = 400
"""Reading one shelf costs about as much as so many entries in pages: if all pages are cheaper, everything is read."""

log = logging.getLogger(__name__)


class ChangingDatabase(Nodes, Protocol):
    """The part of the database that updating a snapshot needs."""

    def gone(self) -> Collection[str]:
        """Return the readers who have left but whose entries are still there."""
        ...

    def dirty_readers(self) -> Collection[str]:
        """Return the readers whose shelf has changed since the last published model's snapshot."""
        ...

    def cleared(self) -> int:
        """Return the time up to which marks of dirty readers may have been removed (milliseconds since 1970)."""
        ...

    def shelf_nodes(self, user_ids: Sequence[str]) -> Page:
        """Return the entries of some readers by key."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshots:
    """A snapshot in a folder, and how it is brought up to date.

    Attributes:
        folder: the folder; its files contain user ids.
        how: how the database is read.
        full_every_ms: the greatest age of a base.
        is_full: whether to read everything now.
        backup: file to start from, instead of a full read, if there is no usable base.
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
            database: the database to read.
            taken: the database's clock before this call, milliseconds since 1970.

        Raises:
            ReadError: if the database cannot be read.
            SourceError: if the folder or the backup cannot be read.
            LeaseLost: if another run has updated the snapshot meanwhile.
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
        return Snapshot(rows.table(self._rows(state), rejected), books.frame(), dict(rejected), source)

    def _up_to_date(self, database: ChangingDatabase, state: State | None, taken: int) -> State:
        gone = database.gone()
        reason = self._why_not(state, database.cleared(), taken)
        if reason and self.backup and not self.is_full:
            state = self._from_backup(self.backup, gone)
            reason = self._why_not(state, database.cleared(), taken)
        if state is not None and not reason:
            changed = self._changed(database, state) | set(gone)
            if len(changed) * ROWS_A_SHELF <= max(state.rows, ROWS_A_SHELF):
                return self._increment(database, state, taken, changed, gone)
            reason = "too many readers have changed"
        log.info("reading the whole database: %s", reason)
        return self._base(parallel_pages(database, paths.USER_BOOK, how=self.how), taken, gone)

    def _why_not(self, state: State | None, cleared: int, taken: int) -> str:
        """Return why a snapshot cannot be brought up to date, or an empty text if it can."""
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

    def _base(self, read: Iterable[Page], taken: int, gone: Collection[str]) -> State:
        rejected: Counter[str] = Counter()
        left = pa.array(sorted(gone), pa.string())

        def of_present_readers() -> Iterator[pa.RecordBatch]:
            for batch in rows.batches(read, rejected):
                kept = rows.without(batch, left)
                rejected[READER_GONE] += rows.valid(batch) - rows.valid(kept)
                yield kept

        base = parts.write(self.folder, _stem(taken), of_present_readers())
        return State(taken, taken, base, (), {reason: number for reason, number in rejected.items() if number})

    def _from_backup(self, name: str, gone: Collection[str]) -> State:
        taken = time_of_backup(name)
        if taken is None:
            raise SourceError(f"{name}: has no time in its name; name it TIME_INSTANCE_data.json.gz, with TIME in ISO")
        with open_file(name) as file:
            entries = (page for node, page in sections(file, name) if node == paths.USER_BOOK)
            return self._base(entries, taken, gone)

    def _changed(self, database: ChangingDatabase, state: State) -> set[str]:
        """Return the readers whose shelves may have changed: those with a mark or with new entries."""
        changed = set(database.dirty_readers())
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
            return [self.how.with_retries(lambda: database.shelf_nodes([user_id]), "a reader's shelf")]

        shelves = read_concurrently(shelf, sorted(set(changed) - set(gone)), self.how.workers)
        stem = _stem(taken)
        written = parts.write(self.folder, stem, rows.batches(shelves, Counter()))
        delta = Delta(written, parts.write_readers(self.folder, stem, sorted(changed)))
        return replace(state, taken=taken, deltas=(*state.deltas, delta))

    def _rows(self, state: State) -> Iterator[pa.RecordBatch]:
        """Yield the current entries: a reader's come from the newest file that covers the reader."""
        newer = pa.array([], pa.string())
        for delta in reversed(state.deltas):
            for batch in parts.read(self.folder, delta.parts):
                yield rows.without(batch, newer)
            newer = pa.concat_arrays([newer, parts.read_readers(self.folder, delta.readers)])
        for batch in parts.read(self.folder, state.base):
            yield rows.without(batch, newer)

    def _remove_others(self, state: State) -> None:
        """Remove files that are no longer used or that dead runs left; keep what a later run may be writing."""
        for name in self.folder.names():
            is_ours = name.endswith(parts.SUFFIX) and name < _stem_time(state.taken)
            if is_ours and name not in state.files:
                self.folder.delete(name)


def _stem_time(taken: int) -> str:
    return f"{taken:015d}"


def _stem(taken: int) -> str:
    """Return the beginning of the names of a run's files, which is unique to the run."""
    return f"{_stem_time(taken)}-{secrets.token_hex(4)}"
