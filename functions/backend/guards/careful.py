"""Refreshes lists so that a reader who makes a function die does not do so for ever: nobody else waits for that one.

Before some lists are made, their readers are noted; if the function dies, the note stays. The next run finds it, and
makes these lists one at a time, each with a note of its own. Who was alone in a note that stayed is tried once more,
then left out for a while. A task may be delivered twice at the same time, so a note that stayed may be of a run that is
at work: only one that is older than one list takes says that a run has died. Readers appear as the hash of the logs.
A function that dies for other reasons costs an innocent reader no more than that while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from backend import logs
from backend.lists import ListRefresher, ListsFailedError, Refreshed
from backend.ports import TIMESTAMP, Clock, Database
from bookrec import paths
from bookrec.errors import BookrecError
from bookrec.life_cycle.ranges import CLOCKS_MS
from bookrec.paths import children
from bookrec.reader import Reader

SUSPECTS, LEFT_OUT = f"{paths.STATUS}/suspects", f"{paths.STATUS}/leftOut"

ATTEMPTS = 2
"""So often a reader is tried alone."""

ONE_LIST_MS = 60_000
"""One list never takes so long: the function that noted its reader alone, so long ago, has died."""

FIRST_MS, LONGEST_MS, FORGOTTEN_MS = 3_600_000, 86_400_000, 7 * 86_400_000
"""How long a reader is left out: doubled each time, up to a day. A week after that, nothing is known of it any more."""


class Careful:
    """Refreshes lists for one run; has the interface of ``ListRefresher``, as far as there is no event.

    Args:
        place: what the run works on. Notes of other places are not looked at.
    """

    def __init__(self, database: Database, lists: ListRefresher, clock: Clock, place: str) -> None:
        self._database, self._lists, self._clock, self._place = database, lists, clock, place
        self._is_noted = self._is_loaded = False
        self._suspects: dict[str, int] = {}
        self._left_out: dict[str, Mapping[str, object]] = {}

    def refresh(self, user_ids: Sequence[str]) -> Refreshed:
        """Bring lists up to date as ``ListRefresher.refresh`` does, but those of readers who are left out.

        If nobody is left, the version in the answer is "".

        Raises:
            BookrecError: as there; all other lists were made.
        """
        done = Refreshed(version="")
        self._work_through(user_ids, lambda group: done.add(self._lists.refresh(group)), clears=True)
        return done

    def wrong(self, readers: Mapping[str, Reader], nodes: Mapping[str, object]) -> list[str]:
        """Return whose lists are not right as ``ListRefresher.wrong`` does, but for readers who are left out.

        Raises:
            BookrecError: as there.
        """
        wrong = list[str]()
        self._work_through(
            list(readers),
            lambda group: wrong.extend(self._lists.wrong({user_id: readers[user_id] for user_id in group}, nodes)),
            clears=False,
        )
        return sorted(wrong)

    def _work_through(self, user_ids: Sequence[str], work: Callable[[Sequence[str]], None], *, clears: bool) -> None:
        """Do some work for all readers but those who are left out: together, and for each suspect alone.

        Args:
            clears: whether nothing is held against a suspect for whom the work was done. Comparing a list proves
                nothing: the function may still die when it reads the shelf again or writes the list.

        Raises:
            BookrecError: if the work did; it was done for the others.
        """
        self._load()
        together, alone = list[str](), list[str]()
        for user_id in user_ids:
            key = logs.user_key(user_id)
            (alone if key in self._suspects or key in self._left_out else together).append(user_id)
        problems = list[BookrecError]()
        for group in filter(None, (together, *([user_id] for user_id in alone if self._may_try(user_id)))):
            self._note(group)
            try:
                work(group)
            except BookrecError as problem:
                problems.append(problem)
            if clears and group is not together:
                self._clear(logs.user_key(group[0]))
        if problems:
            raise problems[0] if len(problems) == 1 else ListsFailedError("several groups of lists could not be made")

    @contextmanager
    def noted(self) -> Iterator[Careful]:
        """Remove the note at the end, also after an error: only a function that dies leaves it."""
        try:
            yield self
        except Exception:
            self.end()
            raise
        self.end()

    def end(self) -> int:
        """Remove the note; return 0, since that is not a repair."""
        if self._is_noted:
            self._database.update({f"{SUSPECTS}/{self._place}": None})
            self._is_noted = False
        return 0

    def _load(self) -> None:
        if self._is_loaded:
            return
        self._left_out = {key: children(node) for key, node in children(self._database.status("leftOut")).items()}
        noted = children(self._database.status(f"suspects/{self._place}"))
        tries = int(noted.get("tries", 0))
        if self._clock.now_ms() - _number(noted.get("at")) < ONE_LIST_MS:
            tries = max(tries - 1, 0)
        self._suspects = dict.fromkeys(children(noted.get("readers")), tries)
        self._is_loaded, self._is_noted = True, bool(noted)

    def _may_try(self, user_id: str) -> bool:
        """Return whether a reader who was noted when a function died is tried (again); if not, leave the reader out."""
        key, now = logs.user_key(user_id), self._clock.now_ms()
        # A time that is further ahead than any clock could have written does not count.
        if key in self._left_out and 0 < _number(self._left_out[key].get("until")) - now < LONGEST_MS + CLOCKS_MS:
            return False
        if self._suspects.get(key, 0) < ATTEMPTS:
            return True
        times = int(_number(self._left_out.get(key, {}).get("times"))) + 1
        node = {"times": times, "until": now + min(FIRST_MS << (times - 1), LONGEST_MS)}
        self._database.update({f"{LEFT_OUT}/{key}": node, f"{SUSPECTS}/{self._place}": None})
        self._left_out[key], self._is_noted = node, False
        self._suspects.pop(key)
        logs.alarm("reader-left-out", "a function died each time it made a reader's list", reader=key, times=times)
        return False

    def _note(self, group: Sequence[str]) -> None:
        keys = [logs.user_key(user_id) for user_id in group]
        is_alone = len(keys) == 1 and (keys[0] in self._suspects or keys[0] in self._left_out)
        tries = self._suspects.get(keys[0], 0) + 1 if is_alone else 0
        node = {"readers": dict.fromkeys(keys, True), "tries": tries, "at": TIMESTAMP}
        self._database.update({f"{SUSPECTS}/{self._place}": node})
        self._is_noted = True

    def _clear(self, key: str) -> None:
        """Forget what was held against a reader: the function is still alive."""
        self._suspects.pop(key, None)
        if self._left_out.pop(key, None) is not None:
            self._database.update({f"{LEFT_OUT}/{key}": None})


def forget(database: Database, now_ms: int) -> int:
    """Remove what is known of readers who were left out long ago, and notes of tasks that never ran again.

    Return 0, since that is not a repair.
    """
    old: dict[str, object] = {}
    for path, name, time in ((LEFT_OUT, "leftOut", "until"), (SUSPECTS, "suspects", "at")):
        for key, node in children(database.status(name)).items():
            if now_ms - _number(children(node).get(time)) > FORGOTTEN_MS:
                old[f"{path}/{key}"] = None
    if old:
        database.update(old)
    return 0


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
