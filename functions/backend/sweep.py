"""Goes through the database page by page and repairs what is wrong."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from backend import logs
from backend.guards.careful import Careful
from backend.lists import ListsFailedError, StillChangingError
from backend.ports import Clock, Database
from backend.rejected import MAX_RECORDS, is_of_forged, is_same_forged, record
from backend.shelf_walk import LISTED, ShelfWalk
from bookrec import paths
from bookrec.entries import Entry, is_accepted, problem_of, user_id_of
from bookrec.errors import BadData
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.life_cycle.ranges import CLOCKS_MS, is_time
from bookrec.paths import children
from bookrec.reader import GONE, Reader
from bookrec.shelf import newest_of_each, sort_out
from bookrec.usage.quality import Standing, Tally, is_final, read_tally, standing

PAGE = 200
"""How many nodes are compared at a time."""

MAX_WITHOUT = 1_000
"""How many readers without a list a run knows of; the sweep finds the others. Most have a profile of 200 bytes."""

SHELVES, NUMBERED = "shelves", "numbered"
PHASES = (SHELVES, NUMBERED, paths.REJECTED, paths.CONVERSIONS)
"""The parts of a sweep. The first goes through all readers with their shelves; the second through those readers whose
ids the database sorts as integers: whether their entries are all gone does not show in the first."""


@dataclass(slots=True)
class Counted:
    """What a sweep has counted so far, in all its runs.

    Attributes:
        rejected: the number of bad entries by reason, among those that count for a shelf.
        quality: what readers shelved while having which lists.
        dismissed: the number of ``readers`` who have dismissed books, and of their dismissals, ``books``.
    """

    rejected: Counter[str] = field(default_factory=Counter)
    quality: Tally = field(default_factory=lambda: Tally(Standing(frozenset())))
    dismissed: Counter[str] = field(default_factory=Counter)

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        dismissed = dict(self.dismissed)
        return {"refused": dict(self.rejected), "quality": self.quality.to_node(), "dismissed": dismissed}


def read_counted(node: object) -> Counted:
    """Return the counts in a database node from ``Counted.to_node``."""
    fields = children(node)
    rejected = {str(reason): int(number) for reason, number in children(fields.get("refused")).items()}
    dismissed = {name: paths.whole(children(fields.get("dismissed")).get(name)) for name in ("readers", "books")}
    return Counted(Counter(rejected), read_tally(fields.get("quality")), Counter(dismissed))


class Sweep:
    """One run's part of a sweep.

    Args:
        count: is called with the valid entries on some whole shelves, each shelf once a sweep.
        add_showings: adds the last showings of some readers (``ListShownHandler.add``).

    Attributes:
        repaired: how many repairs of each kind were made.
    """

    def __init__(
        self,
        database: Database,
        lists: Careful,
        clock: Clock,
        count: Callable[[Iterable[Entry]], None],
        add_showings: Callable[[Mapping[str, Reader]], int],
    ) -> None:
        self._database, self._lists, self._walk, self._clock = database, lists, ShelfWalk(database), clock
        self._count, self._add_showings = count, add_showings
        self._visited: set[str] = set()
        self.repaired: Counter[str] = Counter()

    def page(self, phase: str, after: str, counted: Counted) -> str | None:
        """Repair the page of ``phase`` that follows the key ``after``; return its last key, or None at the phase's end.

        Cost, if nothing is wrong: of all pages of ``SHELVES``, each entry (120 bytes) and each reader with the list
        (3 kB) and the count of writes (40 bytes) once, and for each page the pointer and the note of ``Careful`` (20
        bytes a reader); of ``NUMBERED``, a list and a shelf for each such reader; of the others, the records with their
        entries, and the conversions with 100 bytes a reader.

        Args:
            counted: the page's counts are added to it.
        """
        if phase == SHELVES:
            return self._shelves(after, counted)
        if phase == NUMBERED:
            readers, last = self._database.readers_after(after, PAGE, numbered=True)
            listed = self._database.listed(after, last, LISTED, numbered=True)
            self._remove_more_lists(user_id for user_id in listed if user_id not in readers)
            self.repaired["showings"] += self._add_showings(readers)
            self._lists_of(readers)
            self._remove_dirty_marks(readers)
            self._remove_dismissals(readers)
            self._count_dismissals(readers, counted, numbered=True)
            return last
        page = self._database.page(phase, after, PAGE)
        if phase == paths.REJECTED:
            self._records(page)
        else:
            if not after:
                counted.quality = Tally(standing(usable_pointer(self._database.pointer())))
            self._conversions(page, counted.quality)
        return list(page)[-1] if len(page) == PAGE else None

    def first_lists(self, after: str) -> str:
        """Make the lists of readers who have none: they signed up without a book, or have deleted their list.

        Those whose lists cannot be made stay without: the runs take turns among all, so that they delay nobody else.

        Cost: a query of at most ``MAX_WITHOUT`` of them, and a visit of each of at most ``PAGE``.

        Args:
            after: what the last run returned.

        Returns:
            The hash of the last reader that was visited; "" if all were.
        """
        waiting = sorted(self._database.without_list(MAX_WITHOUT), key=logs.user_key)
        turn = bisect_right(waiting, after, key=logs.user_key)
        visited = [*waiting[turn:], *waiting[:turn]][:PAGE]
        self._lists_of(visited)
        return logs.user_key(visited[-1]) if len(waiting) > PAGE else ""

    def new_entries(self, page: Mapping[str, object]) -> None:
        """Repair the lists of the readers of some entries, and record bad entries.

        A run visits each reader once, however many of the entries are the reader's: a list is made from the shelf as it
        is at the visit.
        """
        valid, rejected = sort_out(page)
        user_ids = {entry.user_id for entry in valid} - self._visited
        self._lists_of(sorted(user_ids))
        self._visited |= user_ids
        self._record(page, rejected)

    def _shelves(self, after: str, counted: Counted) -> str | None:
        """Compare a stretch of readers with their shelves as they are read; visit only those who seem to be wrong."""
        stretch = self._walk.after(after)
        self._remove_more_lists(stretch.left)
        nodes = newest_of_each(stretch.nodes)
        self.repaired["showings"] += self._add_showings(stretch.readers)
        self._lists_of(self._lists.wrong(stretch.readers, nodes))
        self._remove_dirty_marks(stretch.readers)
        self._remove_dismissals(stretch.readers)
        self._count_dismissals(stretch.readers, counted, numbered=False)
        valid, rejected = sort_out(stretch.nodes)
        gone = {user_id for user_id, reader in stretch.readers.items() if reader.is_gone}
        self._count(entry for entry in valid if entry.key in nodes and entry.user_id not in gone)
        self._record(stretch.nodes, rejected)
        counted.rejected.update(problem.reason for key, problem in rejected.items() if key in nodes)
        return stretch.last

    def _record(self, page: Mapping[str, object], rejected: Mapping[str, BadData]) -> None:
        """Record the bad ones among some entries."""
        if rejected:
            gone, recorded = set(self._database.gone()), set(self._database.rejected_keys())
            missing = [key for key in rejected if key not in recorded and user_id_of(page[key]) not in gone]
            missing = missing[: max(MAX_RECORDS - len(recorded), 0)]
            self._write({f"{paths.REJECTED}/{key}": record(rejected[key]) for key in missing})

    def _remove_more_lists(self, listed: Iterable[str]) -> None:
        """Remove what went with lists that are gone together with all else of their readers: no other step finds it.

        A list may be written while this runs, with what goes with it. So both change in one update: a list that loses
        what went with it says so, and is made again.

        Cost: a small request for each of the readers.

        Args:
            listed: who had a list written, and had no node under ``/Users`` a moment ago.
        """
        candidates = list(listed)
        left = sorted(set(candidates) - set(self._database.present(candidates)))
        changes: dict[str, object] = {}
        for user_id in left:
            gone = paths.more_lists(user_id), f"{paths.recommendations(user_id)}/more", f"{paths.LIST_WRITES}/{user_id}"
            changes |= dict.fromkeys(gone)
        if changes:
            self._database.update(changes)
            self.repaired["farewells"] += len(left)

    def paused(self, now_ms: int) -> int:
        """Make the lists of paused readers, whose last writes no event has handled; end the pauses that are over.

        So is one with a time that no clock can have written.
        """
        page = self._database.page(paths.PAUSED, "", PAGE)
        self._lists_of(page)
        times = {user_id: children(pause).get("until") for user_id, pause in page.items()}
        over = [user_id for user_id, until in times.items() if not is_time(until) or not 0 < until - now_ms < CLOCKS_MS]
        if over:
            self._database.update({f"{paths.PAUSED}/{user_id}": None for user_id in over})
        return 0

    def _lists_of(self, user_ids: Iterable[str]) -> None:
        try:
            done = self._lists.refresh([user_id for user_id in user_ids if paths.is_key(user_id)])
        except (ListsFailedError, StillChangingError) as problem:
            logs.alarm("lists-failed", "some lists could not be made", reason=str(problem))
            return
        self.repaired["lists"] += done.written
        self.repaired["farewells"] += done.purged

    def _remove_dirty_marks(self, those: Mapping[str, Reader]) -> None:
        """Remove the dirty marks of readers who left: a list that was written late, then purged, leaves one.

        Cost: a request for each reader who left and whose entries are still there.
        """
        gone = [user_id for user_id, reader in those.items() if reader.mark == GONE]
        readers = self._database.readers(self._database.dirty(gone))
        marks = {f"{paths.DIRTY}/{user_id}": None for user_id, reader in readers.items() if reader.is_gone}
        if marks:
            self._database.update(marks)
            self.repaired["farewells"] += len(marks)

    def _remove_dismissals(self, readers: Mapping[str, Reader]) -> None:
        """Remove dismissals that do not count: bad, old and surplus ones; correct their count.

        Cost: a read and a write of each reader who has some.
        """
        now = self._clock.now_ms()
        for user_id, reader in readers.items():
            if reader.dismissals.is_sound(now) or reader.is_gone or not paths.is_key(user_id):
                continue
            reasons = reader.dismissals.removable(now)
            removed = self._database.remove_dismissals(user_id, lambda present: present.removable(now).keys())
            if removed is None:
                continue
            for reason, number in sorted(Counter(reasons[key].reason for key in removed if key in reasons).items()):
                logs.warning("dismissals are removed", reader=logs.user_key(user_id), reason=reason, number=number)
            self.repaired["dismissals"] += 1

    def _count_dismissals(self, readers: Mapping[str, Reader], counted: Counted, *, numbered: bool) -> None:
        """Add the dismissals that count, of those readers whose ids are sorted as integers, or of the others."""
        now = self._clock.now_ms()
        for user_id, reader in readers.items():
            books = len(reader.dismissals.counted(now)) if paths.is_number(user_id) is numbered else 0
            counted.dismissed.update({"readers": int(books > 0), "books": books})

    def _records(self, page: Mapping[str, object]) -> None:
        """Remove the records of entries that are good or gone, or whose reader is; finish removing forged entries.

        Cost: a request for each record, of which there are at most ``MAX_RECORDS``.
        """
        changes: dict[str, object] = {}
        gone = set(self._database.gone()) if page else set()
        for key, recorded in page.items():
            entry = self._database.entry(key)
            problem = problem_of(entry)
            is_void = is_accepted(entry) or (entry is None and not is_of_forged(recorded))
            if is_same_forged(recorded, entry):
                self.repaired["records"] += self._database.reject(key, entry, children(recorded))
            elif is_void or user_id_of(entry) in gone:
                changes[f"{paths.REJECTED}/{key}"] = None
            elif problem is not None and children(recorded).get("reason") != problem.reason:
                changes[f"{paths.REJECTED}/{key}"] = record(problem)
        self._write(changes)

    def _conversions(self, page: Mapping[str, object], quality: Tally) -> None:
        """Count a page of conversions; remove those with final figures and those of readers who left.

        Cost: a request of some 100 bytes a reader.
        """
        known = children(self._database.status("quality/labels")) if page else {}
        left = set(page) - set(self._database.present(list(page)))
        changes: dict[str, object] = {f"{paths.CONVERSIONS}/{user_id}": None for user_id in left}
        for user_id in page.keys() - left:
            for label, node in children(page[user_id]).items():
                if is_final(known.get(label)):
                    changes[f"{paths.CONVERSIONS}/{user_id}/{label}"] = None
                else:
                    quality.add(label, node)
        if changes:
            self._database.update(changes)
            self.repaired["farewells"] += len(left)

    def _write(self, changes: Mapping[str, object]) -> None:
        if changes:
            self._database.update(changes)
            self.repaired["records"] += len(changes)


Until = Callable[[], bool]
"""Returns whether a run's time is over."""


def follow_watermark(sweep: Sweep, database: Database, after: str, settled: str, ahead: str, is_over: Until) -> str:
    """Check the entries that follow ``after``; return the key after which the next run begins.

    Cost: each new entry, and the visit of each of their readers, once a run; if there are none, a page at most.

    Args:
        settled: entries before this key need not be checked again.
        ahead: entries from this key on are left to the sweep, until the time in their keys has come. Some never settle,
            such as those whose keys are not push keys: each run would check all of them.
    """
    while page := database.page(paths.USER_BOOK, after, PAGE):
        due = {key: node for key, node in page.items() if paths.key_order(key) < paths.key_order(ahead)}
        sweep.new_entries(due)
        after = list(page)[-1]
        if len(page) < PAGE or len(due) < len(page) or is_over():
            break
    return min(after, settled, key=paths.key_order)
