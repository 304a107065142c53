"""Writes the lists that the trainer made to the database, shard by shard, without replacing newer ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from backend import logs
from backend.catalogue_cache import CatalogueCache
from backend.guards import event_gate
from backend.guards.careful import Careful
from backend.guards.list_sample import check_sample
from backend.list_writes import DEFAULT_SIZES
from backend.lists import WRITES, Pace, batches
from backend.models import Live
from backend.ports import TIMESTAMP, Database, ModelStore, increment
from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.errors import BadModel
from bookrec.further.sizes import Sizes
from bookrec.life_cycle.manifest import Pointer, sha256, usable_pointer
from bookrec.list_shards import (
    INDEX,
    MAX_INDEX_BYTES,
    MAX_SHARD_BYTES,
    ReadyList,
    ShardIndex,
    read_index,
    read_shard,
    shard_name,
)
from bookrec.paths import children, key_order
from bookrec.reader import HERE, Reader
from bookrec.reordering import fatigue
from bookrec.reordering.exploration import OFF, Exploration
from bookrec.usage.list_events import Rows

PAGE = 200
"""How many readers or marks are read at a time."""


class ShardWriter:
    """Writes the lists of one shard; readers for whom it has no right list are refreshed on the usual path.

    The lists of a shard are the live model's, and made without dismissals, exploration and showings: readers in the
    other arm of an experiment, those who have dismissed books, those who explore, and those whose order is another
    because of what they were shown, are refreshed too.

    A shard's list never stays in place of a newer one. An event writes a list and its mark in ``/Recommender/dirty`` in
    one update. If the event comes before the marks are read, its reader is left to the usual path. If it comes after
    that but before the shard's list is written, the mark shows when the marks are read again, and the list is made
    again from the shelf. If it comes later, it replaces the shard's list. Marks since the snapshot are removed only
    once another model is live: if the pointer has changed by the end, all written lists are made again.

    Only what the pointer vouches for is written, and only if a sample of the lists is what the model says.

    Args:
        pace: is called after each write, to wait.
        exploration: who explores; the day does not matter.
        sizes: of the lists that go with each list.
    """

    def __init__(
        self,
        database: Database,
        store: ModelStore,
        catalogue: CatalogueCache,
        pace: Pace,
        exploration: Exploration = OFF,
        sizes: Sizes = DEFAULT_SIZES,
        fatigue_half_life: float = 0.0,
        events_date: Callable[[], str] = str,
    ) -> None:
        self._fatigue_half_life, self._events_date = fatigue_half_life, events_date
        self._database, self._store, self._catalogue, self._pace = database, store, catalogue, pace
        self._exploration, self._form = exploration, sizes.form

    def __call__(self, live: Live, number: int, lists: Careful) -> int:
        """Write a shard of the live model's lists; return how many were written.

        Args:
            lists: makes lists on the usual path.

        Raises:
            StoreUnavailable: if the bucket does not answer; the task is tried again.
            BookrecError: if lists could not be made on the usual path.
        """
        version, written = live.pointer.version, list[str]()
        try:
            index = self._index(live.pointer, number)
        except BadModel as problem:
            _raise_alarm(number, problem)
            return 0  # the readers are unknown without the index: the sweep makes their lists
        ready: dict[str, ReadyList] = {}
        try:
            name = paths.list_object(version, shard_name(number))
            checked = read_shard(self._store.download(name, MAX_SHARD_BYTES), index.shards[number])
            check_sample(checked, live.model, self._catalogue.current(), self._database)
            ready = checked
        except BadModel as problem:
            _raise_alarm(number, problem)
        for after, readers in self._readers(*index.range_of(number), list(ready)):
            written += self._write(after, readers, ready, live, lists)
        pointer = usable_pointer(self._database.pointer())
        if written and (pointer is None or pointer.publication != live.pointer.publication):
            lists.refresh(written)
        return len(written)

    def _index(self, pointer: Pointer, number: int) -> ShardIndex:
        if not pointer.shards:
            raise BadModel("the pointer does not vouch for any lists")
        content = self._store.download(paths.list_object(pointer.version, INDEX), MAX_INDEX_BYTES)
        if sha256(content) != pointer.lists_sha256:
            raise BadModel("the index of the lists does not match the SHA-256 in the pointer")
        index = read_index(content, pointer.version)
        if len(index.shards) != pointer.lists or not 0 <= number < pointer.lists:
            raise BadModel("the index of the lists has another number of shards than the pointer says")
        return index

    def _readers(
        self, after: str, last: str | None, listed: Sequence[str]
    ) -> Iterator[tuple[str, Mapping[str, Reader]]]:
        """Yield the readers of a range of keys in pages: those of ``/Users``, and those in ``listed``.

        With each page comes the key after which its readers begin.

        Args:
            listed: readers of the range, in any order.
        """
        waiting, is_over = sorted(listed, key=key_order), False
        while not is_over:
            before, page = after, self._database.readers_page(after, PAGE)
            after = list(page)[-1] if page else after
            in_range = {key: page[key] for key in page if last is None or key_order(key) <= key_order(last)}
            is_over = len(page) < PAGE or len(in_range) < len(page)
            here = [key for key in waiting if is_over or key_order(key) <= key_order(after)]
            waiting = waiting[len(here) :]
            # Who has neither a profile nor an entry has left since, or is of another database instance.
            missing = self._database.with_entries([key for key in here if key not in in_range])
            yield before, {**self._database.readers(missing), **in_range}

    def _write(
        self,
        after: str,
        readers: Mapping[str, Reader],
        ready: Mapping[str, ReadyList],
        live: Live,
        lists: Careful,
    ) -> list[str]:
        """Write the shard's lists of some readers, make the others' on the usual path; return whose were written."""
        if not readers:
            return []
        catalogue, since, date = self._catalogue.current(), live.pointer.snapshot_at, self._events_date()
        kept = self._dirty(after, readers, since)
        writes: dict[str, dict[str, object]] = {}
        for user_id, reader in readers.items():
            rows = Rows(user_id, date, live.experiment)
            values = _values(ready.get(user_id), reader, catalogue, live.pointer.version, self._form, rows)
            is_of_live = live.model_of(user_id) is live.model and not self._exploration.is_for(user_id)
            is_reordered = fatigue.matters(reader.seen.books, self._fatigue_half_life)
            if is_of_live and not is_reordered and user_id not in kept and values is not None:
                writes[user_id] = values
        for batch in batches(writes.values()):
            self._database.update(batch | {WRITES: increment(1)} | event_gate.counted(batch))
            self._pace(batch)
        written = [user_id for user_id, values in writes.items() if values]
        changed = self._dirty(after, readers, since) if written else set()
        lists.refresh([*(readers.keys() - writes.keys()), *(user for user in written if user in changed)])
        return written

    def _dirty(self, after: str, readers: Mapping[str, Reader], since: int) -> set[str]:
        """Return the readers, all after the key ``after``, who were marked later than ``since`` (ms)."""
        dirty, last = set[str](), max(map(key_order, readers))
        while page := self._database.page(paths.DIRTY, after, PAGE):
            dirty.update(key for key, mark in page.items() if _time(mark) > since)
            after = list(page)[-1]
            if len(page) < PAGE or key_order(after) >= last:
                break
        return dirty & readers.keys()


def _values(
    ready: ReadyList | None, reader: Reader, catalogue: Catalogue, version: str, form: str | None, rows: Rows
) -> dict[str, object] | None:
    """Return what to write for a reader, nothing if all is right, or None if the shard's list cannot be used.

    It cannot be used either if other lists go with it than the settings say, if books were shelved since the present
    list was made, or if that one was shown and this is not counted yet: a shard counts neither.

    Args:
        rows: takes the event of the list.
    """
    if ready is None or reader.is_gone or ready.form != form:
        return None
    if reader.entries is not None and reader.entries < ready.entries:
        return None
    if reader.dismissals.at or (reader.is_shown and not reader.is_showing_added):
        return None
    node = ready.to_node(catalogue, version, TIMESTAMP)
    if node is None:
        return None
    values: dict[str, object] = {}
    if reader.has_profile and reader.mark != HERE:
        values[f"{paths.READERS}/{ready.user_id}"] = HERE
    is_same = reader.digest == ready.digest and reader.isbns == ready.isbns and reader.more == form
    if not (is_same and reader.shows(ready.isbns, catalogue)):
        values[paths.recommendations(ready.user_id)] = node
        values[paths.more_lists(ready.user_id)] = ready.more_node(catalogue, version)
        values[f"{paths.LIST_WRITES}/{ready.user_id}"] = increment(0)  # by the count, a sweep knows of the list
        items = {str(item["isbn"]): str(item["source"]) for item in ready.node["items"]}
        rows.made(str(node["listId"]), version, items, reader, TIMESTAMP)
        values |= rows.values
    return values


def _time(mark: object) -> float:
    at = children(mark).get("at")
    return at if isinstance(at, (int, float)) else 0


def _raise_alarm(number: int, problem: BadModel) -> None:
    reason = str(problem)
    logs.alarm("list-shard-unusable", "lists are made on the usual path instead", shard=number, reason=reason)
