"""Goes through the database page by page and repairs what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backend import logs
from backend.careful import Careful
from backend.lists import ListsFailedError, StillChangingError
from backend.ports import Database
from backend.rejected import MAX_RECORDS, is_of_forged, is_same_forged, record
from bookrec import paths
from bookrec.entries import is_accepted, problem_of, user_id_of
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.paths import children
from bookrec.reader import GONE
from bookrec.shelf import sort_out
from bookrec.usage.quality import Standing, Tally, is_final, read_tally, standing

PAGE = 200
"""How many nodes are compared at a time."""

PHASES = (paths.USER_BOOK, paths.USERS, paths.READERS, paths.REJECTED, paths.CONVERSIONS)
"""The nodes of a sweep: a reader may have entries, a profile, a list, or only a mark after leaving."""


@dataclass(slots=True)
class Counted:
    """What a sweep has counted so far, in all its runs.

    Attributes:
        rejected: the number of bad entries by reason.
        quality: what readers shelved while having which lists.
    """

    rejected: Counter[str] = field(default_factory=Counter)
    quality: Tally = field(default_factory=lambda: Tally(Standing(frozenset())))

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        return {"refused": dict(self.rejected), "quality": self.quality.to_node()}


def read_counted(node: object) -> Counted:
    """Return the counts in a database node from ``Counted.to_node``."""
    fields = children(node)
    rejected = {str(reason): int(number) for reason, number in children(fields.get("refused")).items()}
    return Counted(Counter(rejected), read_tally(fields.get("quality")))


class Sweep:
    """One run's part of a sweep.

    Attributes:
        repaired: how many repairs of each kind were made.
    """

    def __init__(self, database: Database, lists: Careful) -> None:
        self._database, self._lists = database, lists
        self.repaired: Counter[str] = Counter()

    def page(self, phase: str, after: str, counted: Counted) -> str | None:
        """Repair the page of ``phase`` that follows the key ``after``; return its last key, or None at the phase's end.

        Args:
            counted: the page's counts are added to it.
        """
        if phase == paths.USERS:
            page: Mapping[str, object] = self._database.readers_page(after, PAGE)
        else:
            page = self._database.page(phase, after, PAGE)
        if phase == paths.USER_BOOK:
            counted.rejected.update(self.entries(page))
        elif phase == paths.REJECTED:
            self._records(page)
        elif phase == paths.CONVERSIONS:
            if not after:
                counted.quality = Tally(standing(usable_pointer(self._database.pointer())))
            self._conversions(page, counted.quality)
        else:
            self._lists_of(page)
        if phase == paths.READERS:
            self._remove_dirty_marks([user_id for user_id, mark in page.items() if mark == GONE])
        return list(page)[-1] if len(page) == PAGE else None

    def entries(self, page: Mapping[str, object]) -> Counter[str]:
        """Repair the lists of the readers of some entries, and record bad entries; return how many, by reason."""
        valid, rejected = sort_out(page)
        self._lists_of({entry.user_id for entry in valid})
        if rejected:
            gone, recorded = set(self._database.gone()), set(self._database.rejected_keys())
            missing = [key for key in rejected if key not in recorded and user_id_of(page[key]) not in gone]
            missing = missing[: max(MAX_RECORDS - len(recorded), 0)]
            self._write({f"{paths.REJECTED}/{key}": record(rejected[key]) for key in missing})
        return Counter(problem.reason for problem in rejected.values())

    def paused(self, now_ms: int) -> int:
        """Make the lists of paused readers, whose last writes no event has handled; end the pauses that are over."""
        page = self._database.page(paths.PAUSED, "", PAGE)
        self._lists_of(page)
        times = {user_id: children(pause).get("until") for user_id, pause in page.items()}
        over = [user_id for user_id, until in times.items() if not isinstance(until, int) or until <= now_ms]
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

    def _remove_dirty_marks(self, user_ids: Sequence[str]) -> None:
        """Remove the dirty marks of readers who left: a list that was written late, then purged, leaves one."""
        readers = self._database.readers(self._database.dirty(user_ids))
        marks = {f"{paths.DIRTY}/{user_id}": None for user_id, reader in readers.items() if reader.is_gone}
        if marks:
            self._database.update(marks)
            self.repaired["farewells"] += len(marks)

    def _records(self, page: Mapping[str, object]) -> None:
        """Remove the records of entries that are good or gone, or whose reader is; finish removing forged entries."""
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
        """Count a page of conversions; remove those with final figures and those of readers who left."""
        known = children(self._database.status("quality/labels")) if page else {}
        readers = self._database.readers(list(page))
        left = {user_id for user_id, reader in readers.items() if not (reader.has_profile or reader.has_list)}
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


def follow_watermark(sweep: Sweep, database: Database, after: str, settled: str, is_over: Until) -> str:
    """Check the entries that follow ``after``; return the key after which the next run begins.

    Args:
        settled: entries before this key need not be checked again.
    """
    while page := database.page(paths.USER_BOOK, after, PAGE):
        sweep.entries(page)
        after = list(page)[-1]
        if len(page) < PAGE or is_over():
            break
    return min(after, settled, key=paths.key_order)
