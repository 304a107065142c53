"""The actors of the chaos: readers who write, the scheduler and the operator, a watcher of the pointer."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import requests

from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle.lease import read_lease
from bookrec.life_cycle.manifest import parse_pointer
from local.chaos_checks import read_whole
from local.reader import Reader
from local.stack import Stack

LARGEST_SHELF = 25
"""A reader with more books than this removes one."""


class Background(threading.Thread):
    """Repeats a step until it is told to finish; a failure ends it and is kept.

    Attributes:
        problems: everything that was wrong.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._told = threading.Event()
        self.problems: list[str] = []

    def run(self) -> None:
        """Work."""
        try:
            while not self._told.is_set():
                self.step()
        except Exception as problem:
            self.problems.append(f"{self.name} failed: {problem!r}"[:500])

    def step(self) -> None:
        """Do one step."""
        raise NotImplementedError

    def pause(self, seconds: float) -> None:
        """Wait, but only until it is told to finish."""
        self._told.wait(seconds)

    def finish(self) -> None:
        """Wait for the end of the current step."""
        self._told.set()
        self.join()


class Writer(Background):
    """A reader who changes some entries now and then.

    Attributes:
        writes: the number of writes of each kind.
    """

    def __init__(self, reader: Reader, isbns: Sequence[str], chance: random.Random) -> None:
        super().__init__(f"reader {reader.uid}")
        self._reader, self._isbns, self._chance = reader, isbns, chance
        self._keys: list[str] = []
        self.writes: Counter[str] = Counter()

    def step(self) -> None:
        """Write a few times, then rest."""
        for _ in range(self._chance.randint(1, 6)):
            self._write()
            self.pause(self._chance.uniform(0.1, 0.4))
        self.pause(self._chance.uniform(3, 12))

    def _write(self) -> None:
        kind = self._chance.choices(("added", "rated", "changed", "removed"), (45, 25, 15, 15))[0]
        if len(self._keys) > LARGEST_SHELF:
            kind = "removed"
        elif not self._keys:
            kind = "added"
        isbn, stars = self._chance.choice(self._isbns), self._chance.randint(0, 10) / 2
        if kind == "added":
            self._keys.append(self._reader.shelve(isbn, stars))
        elif kind == "rated":
            self._reader.rate(self._chance.choice(self._keys), stars)
        elif kind == "changed":
            self._reader.replace(self._chance.choice(self._keys), isbn)
        else:
            self._reader.remove(self._keys.pop(self._chance.randrange(len(self._keys))))
        self.writes[kind] += 1


class Keeper(Background):
    """Cloud Scheduler and the operator: calls ``reconcile``, and releases retraining if it is parked.

    Attributes:
        calls: the number of calls of ``reconcile``.
        failed: the number of these calls that failed.
        releases: the number of times that retraining was released.
    """

    def __init__(self, stack: Stack, every_s: float) -> None:
        super().__init__("the keeper")
        self._stack, self._every_s = stack, every_s
        self.calls = self.failed = self.releases = 0

    def step(self) -> None:
        """Call, release, and wait."""
        self.calls += 1
        try:
            self._stack.call_scheduled("reconcile")
        except requests.RequestException:
            self.failed += 1
        is_parked = self._stack.admin_get(f"{paths.STATUS}/training/parked") is not None
        if is_parked and read_lease(self._stack.admin_get(paths.LEASE)).failures:
            released = self._stack.start_trainer("release", log=self._stack.logs / "release.log")
            if code := released.wait(120):
                raise subprocess.CalledProcessError(code, released.args)
            self.releases += 1
        self.pause(self._every_s)


class Watcher(Background):
    """Checks the pointer all the time: its fence must only grow, and the files that it names must be complete at once.

    Attributes:
        published: version and fence of each model that was live.
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__("the watcher")
        self._stack = stack
        self._seen: Any = None
        self.published: list[tuple[str, int]] = []

    def step(self) -> None:
        """Check once."""
        node = self._stack.admin_get(paths.MODEL)
        if node != self._seen:
            self._seen = node
            try:
                self._note(node)
            except BadModel as problem:
                self.problems.append(f"the pointer named files that are not complete: {problem}")
        self.pause(0.1)

    def _note(self, node: Any) -> None:
        pointer = parse_pointer(node)
        if pointer is None:
            raise BadModel("the pointer is gone")
        before = self.published[-1][1] if self.published else 0
        if pointer.fence <= before:
            self.problems.append(f"the fence went from {before} to {pointer.fence}")
        self.published.append((pointer.version, pointer.fence))
        read_whole(self._stack, pointer)
