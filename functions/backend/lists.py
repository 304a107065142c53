"""From shelves to lists in the database: the one path that every list takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from backend.models import NO_MODEL, InUse, Live, LiveModel
from backend.ports import TIMESTAMP, Clock, Database, Together, increment
from bookrec import paths
from bookrec.catalogue import Catalogue, parse_catalogue
from bookrec.errors import BookrecError
from bookrec.push_keys import push_time
from bookrec.ranking import LIST_SIZE, Candidate, RecommendationList, top_list
from bookrec.reader import GONE, HERE, Reader
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf, build_shelf, sort_out

MAX_ROUNDS = 10
"""How often a list is made again because its shelf or the model changed meanwhile."""

WRITES = f"{paths.STATUS}/counters/listWrites"
"""How many multi-path updates have written lists."""

MAX_LISTS_A_WRITE, MAX_BYTES_A_WRITE = 50, 1 << 20
"""Bounds of one multi-path update."""


class StillChangingError(BookrecError):
    """A shelf changed in every round; the event that changed it last makes the list."""


class ListsFailedError(BookrecError):
    """Some lists could not be made; those of all other users were."""


@dataclass(slots=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        version: the model that the lists are of.
        written: how many lists were written.
        farewells: how many readers were found gone.
    """

    version: str = NO_MODEL
    written: int = 0
    farewells: int = 0

    def count(self, version: str, writes: Mapping[str, Mapping[str, object]], readers: Mapping[str, Reader]) -> None:
        """Count the writes of one round, by user."""
        self.version = version
        for user_id, write in writes.items():
            self.farewells += readers[user_id].is_gone and bool(write)
            self.written += write.get(paths.recommendations(user_id)) is not None


@dataclass(frozen=True, slots=True)
class _Shelves:
    """The shelves of some users, and by user the keys of all entries that name them, bad ones too."""

    by_user: Mapping[str, Shelf]
    keys: Mapping[str, Sequence[str]]


class CatalogueCache:
    """The catalogue, read again only where its ETag has changed, and asked for at most once in ``ttl_ms``."""

    def __init__(self, database: Database, clock: Clock, ttl_ms: int) -> None:
        self._database, self._clock, self._ttl_ms = database, clock, ttl_ms
        self._lock = threading.Lock()
        self._catalogue, self._etag, self._checked_at = Catalogue(()), "", -ttl_ms - 1

    def current(self) -> Catalogue:
        """Return the catalogue, at most ``ttl_ms`` old."""
        with self._lock:
            if self._clock.now_ms() - self._checked_at > self._ttl_ms:
                nodes, self._etag = self._database.catalogue(self._etag)
                if nodes is not None:
                    self._catalogue, _ = parse_catalogue(nodes)
                self._checked_at = self._clock.now_ms()
            return self._catalogue


class ListRefresher:
    """Computes users' lists from their shelves as they stand, and writes them with the marks that go with them."""

    def __init__(self, database: Database, model: LiveModel, catalogue: CatalogueCache, together: Together) -> None:
        self._database, self._model, self._catalogue, self._together = database, model, catalogue, together

    def refresh(self, user_ids: Sequence[str], changes: Sequence[str] | None = None) -> Refreshed:
        """Bring the lists of some users up to date.

        After writing, shelves and model are read again: whoever changed meanwhile is done once more. So of
        two runs that overlap, the one that ends last leaves the list of the last shelf.

        A list and the marks of the changes that it follows are one write: a list that matches its shelf proves
        that the shelf was marked for retraining, and a shelf whose list does not match is found.

        Args:
            user_ids: whose lists.
            changes: the entries that an event says have changed: they are marked, and the lists written, whatever
                the lists say. None where no event says so: then only lists that are not the right ones are
                written, and those that follow another shelf than before are marked as changed.

        Raises:
            StillChangingError: after ``MAX_ROUNDS`` rounds without rest.
            ListsFailedError: where single lists could not be made.
        """
        waiting, done, problems = sorted(set(user_ids)), Refreshed(), {}
        for _ in range(MAX_ROUNDS):
            if not waiting:
                break
            shelves, readers, in_use, catalogue = self._together(
                [
                    lambda: self._shelves(waiting),  # noqa: B023
                    lambda: self._database.readers(waiting),  # noqa: B023
                    self._model.current,
                    self._catalogue.current,
                ]
            )
            writes: dict[str, dict[str, object]] = {}
            for user_id in waiting:
                try:
                    writes[user_id] = _write(user_id, shelves, readers[user_id], in_use, catalogue, changes)
                except Exception as problem:  # one list that cannot be made is no reason to keep others waiting
                    problems[user_id] = problem
            for batch in batches(writes.values()):
                self._database.update(batch | {WRITES: increment(1)})
            done.count(in_use.version, writes, readers)
            written = {user_id: shelves.by_user[user_id] for user_id, write in writes.items() if write}
            waiting = self._outdated(written, in_use.version)
        if waiting:
            raise StillChangingError(f"{len(waiting)} shelves changed in each of {MAX_ROUNDS} rounds")
        if problems:
            first = next(iter(problems.values()))
            raise ListsFailedError(f"{len(problems)} lists could not be made: {type(first).__name__}") from first
        return done

    def _shelves(self, user_ids: Sequence[str]) -> _Shelves:
        nodes = self._database.shelf_nodes(user_ids)
        entries, _ = sort_out(nodes)
        keys: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
        for key, node in nodes.items():
            keys[paths.children(node)["userId"]].append(key)
        return _Shelves({user_id: build_shelf(user_id, entries) for user_id in user_ids}, keys)

    def _outdated(self, used: Mapping[str, Shelf], version: str) -> list[str]:
        """Return whose shelf is not what was ``used``, or all where the model is another."""
        if not used:
            return []
        present, in_use = self._together([lambda: self._shelves(list(used)), self._model.current])
        if in_use.version != version:
            return list(used)
        return [user_id for user_id, shelf in used.items() if present.by_user[user_id].digest != shelf.digest]


def _write(
    user_id: str,
    shelves: _Shelves,
    reader: Reader,
    in_use: InUse,
    catalogue: Catalogue,
    changes: Sequence[str] | None,
) -> dict[str, object]:
    """Return what has to be written for one user, by path; nothing where all is as it should be."""
    shelf = shelves.by_user[user_id]
    if reader.is_gone:
        return _farewell(shelf, shelves.keys[user_id], reader)
    values: dict[str, object] = {}
    if reader.has_profile and reader.mark != HERE:
        values[f"{paths.READERS}/{user_id}"] = HERE
    wanted = None if in_use.is_degraded else in_use.version
    is_served = changes is None and reader.is_served(shelf.digest, wanted, catalogue)
    if is_served and len(reader.isbns) == LIST_SIZE:
        return values
    made = make_list(shelf, in_use.live.model if in_use.live else None, catalogue)
    if is_served and made.list_id == reader.list_id:  # a short list is right as long as the catalogue has no more
        return values
    values[paths.recommendations(user_id)] = made.to_node(catalogue, TIMESTAMP)
    return values | _marks(shelf, changes if changes is not None else _changed(shelf, reader, in_use.live))


def _changed(shelf: Shelf, reader: Reader, live: Live | None) -> Sequence[str]:
    """Return which entry stands for what changed unnoticed on a shelf; for one that was emptied, a hash does.

    The shelf of a reader whom nobody has met was trained on if it is older than the live model's snapshot: an import.
    """
    if reader.digest == shelf.digest or (not shelf.entries and reader.digest is None):
        return ()
    snapshot_at = live.pointer.snapshot_at if live else 0
    is_met = reader.digest is not None or reader.mark is not None
    if not is_met and all(0 <= push_time(entry.key) < snapshot_at for entry in shelf.entries):
        return ()
    if not shelf.entries:
        return (hashlib.sha256(shelf.user_id.encode()).hexdigest()[:20],)
    return (shelf.entries[-1].key,)


def _marks(shelf: Shelf, changes: Iterable[str]) -> dict[str, object]:
    marks: dict[str, object] = {f"{paths.CHANGES}/{key}": {"at": TIMESTAMP} for key in changes}
    return marks | {f"{paths.DIRTY}/{shelf.user_id}": {"at": TIMESTAMP}} if marks else {}


def _farewell(shelf: Shelf, keys: Sequence[str], reader: Reader) -> dict[str, object]:
    """Return what removes the traces of a reader who left.

    The entries are the app's to remove. As long as there are any, the reader stays marked as gone, so that no model
    is trained on them.
    """
    if reader.mark == GONE and keys and not reader.has_list:
        return {}
    traces = [paths.recommendations(shelf.user_id), f"{paths.DIRTY}/{shelf.user_id}"]
    values: dict[str, object] = dict.fromkeys([*traces, *(f"{paths.REJECTED}/{key}" for key in keys)])
    values[f"{paths.READERS}/{shelf.user_id}"] = GONE if keys else None
    if shelf.entries and reader.mark != GONE:
        values[f"{paths.CHANGES}/{shelf.entries[-1].key}"] = {"at": TIMESTAMP}
    return values


def make_list(shelf: Shelf, model: Recommender | None, catalogue: Catalogue) -> RecommendationList:
    """Return a shelf's list: the model's, filled up with popular and new books; without a model only those."""
    if model is None:
        best = [isbn for isbn in catalogue.best_rated if catalogue[isbn].average_rating > 0]
        fill = [Candidate(isbn, 0.0, None, "popular") for isbn in best]
        fill += [Candidate(isbn, 0.0, None, "newest") for isbn in catalogue.newest]
        return top_list(shelf, NO_MODEL, [], fill, catalogue)
    return top_list(shelf, model.version, model.candidates(shelf), model.fill(shelf, catalogue.newest), catalogue)


def batches(writes: Iterable[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    """Yield multi-path updates that make all ``writes``, each bounded in writes and bytes, no write split."""
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
