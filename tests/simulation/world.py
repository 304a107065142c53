"""One simulated history: a day of faults, a quiet night, and the invariants in the morning."""

import random
import sys
from unittest import mock

from backend import catalogue_cache, list_writes, logs, models, shelf_walk, sweep
from backend.handlers import model_published, reconcile, similar_books, write_rate
from backend.list_writes import make_list
from bookrec import paths, shelf
from bookrec.errors import BadModel
from bookrec.life_cycle import publishing
from bookrec.life_cycle.lease import read_lease
from bookrec.paths import children
from bookrec.reordering import exploration
from bookrec.shelf import MAX_SHELF
from bookrec.usage import dismissed
from bookrec.usage.dismissed import MAX_DISMISSED
from bookrec_database import marks
from tests.fakes import load_fake
from tests.simulation import checks
from tests.simulation.actors import BEGIN_MS, Operator, Reader, Trainer, change_catalogue, librarian, phone, stranger
from tests.simulation.monitor import Monitor
from tests.simulation.platform import POLICY, STALL_MS, Faults, Platform
from tests.simulation.scheduler import Lock, Scheduler
from trainer.publishing import versions

DAY_MS, RECONCILE_MS = 900_000, 300_000
HUGE = 50_000
"""Entries of one reader, in one history of ``HUGE_EVERY``; in these, as many count as in production."""

HUGE_EVERY = 500

KINDS = (("", 0.64), ("large shelf", 0.12), ("deadly reader", 0.12), ("slow queue", 0.12))
"""What else may happen in a history, and in what share of them."""

EXPLORING = 0.5
"""The share of the readers who explore, in some histories; the models of these have diversity too."""

DATE_MS = 600_000
"""How long a date lasts in these: a new one begins twice a day, and every second run of the reconciler at night."""

NIGHTS = 200
"""How many runs of the reconciler it may take until nothing changes any more."""


class World:
    """One history: everything follows from the seed."""

    def __init__(self, seed, trace=False):
        self.seed, self.rng = seed, random.Random(seed)
        self.scheduler = Scheduler(self.rng, BEGIN_MS)
        self.scheduler.trace = [] if trace else None
        self.note = self.scheduler.note
        self.log, self.is_day = [], True
        kinds = random.Random(f"kind of {seed}")
        self.kind = kinds.choices([kind for kind, _ in KINDS], [share for _, share in KINDS])[0]
        dismissing = random.Random(f"{seed}: dismissals")
        self._has_dismissals = dismissing.random() < 0.35
        self._most_dismissed = dismissing.choice([3, MAX_DISMISSED])
        self._is_huge, self._has_strangers = seed % HUGE_EVERY == HUGE_EVERY // 2, kinds.random() < 0.25
        self.are_writes_counted = self.kind == "" and kinds.random() < 0.15
        if self._is_huge:
            self.kind = "large shelf"
        self.had_tensorflow = "tensorflow" in sys.modules  # other tests may have imported it
        self._page, self._budget_ms = (4, 0) if self.rng.random() < 0.15 else (200, 80_000)
        self._readers_page, self._entries_page = (2, 5) if self.rng.random() < 0.4 else (200, 2_000)
        self._most_marks = marks.LARGEST
        self.isbns = [f"isbn-{number:03}" for number in range(16)]
        if self.kind == "large shelf" and not self._is_huge:
            self._page, self._readers_page, self._entries_page, self._most_marks = 4, 2, 5, 40
        self.user_ids = [f"reader-{number}" for number in range(self.rng.randrange(2, 5))]
        self.deadly = self.user_ids[-1] if self.kind == "deadly reader" else None
        self.readers = [Reader(self, user_id) for user_id in self.user_ids]
        self.monitor = Monitor(self)
        self.platform = Platform(self.scheduler, self.rng, self._faults(), self.monitor, self.rng.random() < 0.5)
        for number in range(len(self.isbns)):
            self.platform.database.update({f"{paths.ARCHIVE}/a{number:03}": self.book(number)})
        self.explores = random.Random(f"{seed}: exploration").random() < 0.2
        self.platform.exploration = EXPLORING if self.explores else 0.0
        self.platform.has_events = random.Random(f"{seed}: events").random() < 0.4
        self.platform.fatigue_half_life = random.Random(f"{seed}: fatigue").choice([0, 0, 1, 3])
        self.platform.is_silent = True
        self._prepare()
        self.platform.is_silent = False
        trainer = Trainer(self)
        self.platform.start_trainer = trainer.start
        self._operator = Operator(self, trainer)
        slow = random.Random(f"{seed}: the queue")
        if not self.is_mild and self.kind != "slow queue" and slow.random() < 0.25:
            self.platform.slow_queue = slow
        self.loses_arguments = random.Random(f"{seed}: arguments").random() < 0.15
        self.kills_rollbacks = not self.is_mild and self.rng.random() < 0.4
        self._trains_by_hand = not self.is_mild and self.rng.random() < 0.4

    def _prepare(self):
        """Set up what the kind of history needs."""
        if self.kind == "large shelf":
            self.platform.memory = 2 * MAX_SHELF if self._is_huge else 60
            self.readers[0].import_shelf(HUGE if self._is_huge else self.rng.randrange(70, 120))
        elif self.kind == "slow queue":
            self.platform.is_queue_slow = True
            accounts = {f"{paths.USERS}/account-{number}": {"id": "x"} for number in range(40)}
            self.platform.database.update(accounts)

    def make_list(self, shelf, *given):
        """Replace ``list_writes.make_list``: nobody survives making the deadly reader's list."""
        if self.deadly is not None and shelf.user_id == self.deadly:
            self.platform.end(f"{self.deadly} is deadly")
        return make_list(shelf, *given)

    def _faults(self):
        """Return the day's faults: on some days everything fails, on some a single thing.

        On mild days, events only come twice, late and in any order. Nothing needs repair then, and no reconciler runs.
        """
        rng = self.rng
        self.is_mild = rng.random() < 0.25 and self.kind in ("", "large shelf") and not self.are_writes_counted
        if self.is_mild:
            slow = rng.choice([0.0, 0.2])
            stall = 0.0 if slow else rng.random() * 0.02
            return Faults(duplicate=rng.random(), delay_ms=rng.choice([0, 500, 60_000]), stall=stall, slow=slow)

        def some(most):
            return rng.random() * most if rng.random() < 0.5 else 0.0

        self.scheduler.crash_rate = some(0.01)
        return Faults(
            some(0.05),
            some(0.05),
            some(0.02),
            some(0.6),
            some(0.4),
            rng.choice([0, 500, 60_000]),
            some(0.05),
            some(0.02) if self.kind != "slow queue" else 0.0,
        )

    def book(self, number, title=None, cover=""):
        """Return a catalogue node; some books are editions of the same book."""
        title = title or f"Title {number // 2 if number < 4 else number}"
        return {
            "isbn": self.isbns[number], "title": title, "author": "Author", "image": cover,
            "publishedYear": str(1990 + number), "rating": str(number % 5),
            "genre": ("Crime", "Crime, History", "")[number % 3],
        }  # fmt: skip

    def answers(self, version, model, items):
        """Implement ``trainer.publishing.versions.Answers``."""
        if not model:
            raise BadModel("it is empty")
        load_fake(version, model, items)

    def run(self):
        """Run the day and the night; return the violations."""
        spawn = self.scheduler.spawn
        with (
            mock.patch.object(models, "threading", mock.Mock(Lock=lambda: Lock(self.scheduler))),
            mock.patch.object(catalogue_cache, "threading", mock.Mock(Lock=lambda: Lock(self.scheduler))),
            mock.patch.object(logs, "logger", _Logger(self.log)),
            mock.patch.object(versions, "RETIRE_AFTER_MS", 300_000),
            mock.patch.object(publishing, "KEPT_VERSIONS", 4),
            mock.patch.object(sweep, "PAGE", self._page),
            mock.patch.multiple(shelf_walk, READERS=self._readers_page, ENTRIES=self._entries_page),
            mock.patch.multiple(reconcile, BUDGET_MS=self._budget_ms, WATERMARK_MS=self._budget_ms),
            mock.patch.object(shelf, "MAX_SHELF", 6 if self.kind == "large shelf" and not self._is_huge else MAX_SHELF),
            mock.patch.multiple(marks, LARGEST=self._most_marks, BATCH=min(marks.BATCH, self._most_marks)),
            mock.patch.object(dismissed, "MAX_DISMISSED", self._most_dismissed),
            mock.patch.object(model_published, "TASKS_AT_ONCE", 1 if self.kind == "slow queue" else 16),
            mock.patch.object(similar_books, "TASKS_AT_ONCE", 1 if self.kind == "slow queue" else 16),
            mock.patch.multiple(similar_books, BOOKS_A_WRITE=2, READ=3),
            mock.patch.object(list_writes, "make_list", self.make_list),
            mock.patch.object(exploration, "DAY_MS", DATE_MS),
            mock.patch.object(write_rate, "threading", mock.Mock(Lock=lambda: Lock(self.scheduler))),
            mock.patch.multiple(write_rate, LIMIT=3 if self.are_writes_counted else 300, PAUSE_MS=200_000),
        ):
            for reader in self.readers:
                spawn(reader.uid, reader.live)
                if reader.uid != self.deadly and random.Random(f"{self.seed}: {reader.uid} may import").random() < 0.2:
                    spawn(f"{reader.uid} imports", reader.import_in_steps)
                if self._has_dismissals and reader.uid != self.deadly:
                    spawn(f"{reader.uid} dismisses", reader.dismiss_now_and_then)
            if self._has_strangers:
                spawn("stranger", lambda: stranger(self))
            spawn("librarian", lambda: librarian(self))
            spawn("phone", lambda: phone(self))
            spawn("operator watches", self._operator.watch, "human")
            spawn("operator tries", self._operator.try_out, "human")
            if self._trains_by_hand:
                spawn("operator at a terminal", self._operator.train_by_hand, "human")
            if not self.is_mild:
                spawn("scheduler", self._reconcile_for_ever)
            self.scheduler.run(BEGIN_MS + DAY_MS)
            self.is_day = False
            self.platform.faults, self.platform.slow_queue, self.scheduler.crash_rate = Faults(), None, 0.0
            self.note("EVENING")
            self.scheduler.run(self.scheduler.now + 2 * STALL_MS)
            if self.is_mild:
                checks.check_mild(self)
            self._night()
            if not self.monitor.violations:
                checks.check_all(self)
        return self.monitor.violations

    def _reconcile_for_ever(self):
        while self.is_day:
            self.scheduler.sleep(RECONCILE_MS)
            self.platform.invoke("reconcile", lambda backend: backend.reconcile())

    def _night(self):
        self.note("NIGHT")
        swept = self._sweeps() + 2  # the first one only completes a sweep that began earlier
        changes = self.rng.randrange(4)  # of the catalogue, once all is quiet: only a sweep can bring them to the lists
        for _ in range(NIGHTS):
            process = self.platform.invoke("reconcile", lambda backend: backend.reconcile())
            self.scheduler.run(self.scheduler.now + RECONCILE_MS)
            if process.error is not None:
                self.monitor.violated(1, f"the reconciler fails on a quiet night: {process.error!r}")
                return
            lease = read_lease(self.platform.database.get(paths.LEASE))
            if POLICY.is_parked(lease):
                self._operator.release()
            if process.is_dead or self._waits_for_innocents() or not self._is_quiet(lease, process.result):
                swept = self._sweeps() + 2
            elif self._sweeps() >= swept:
                if not changes:
                    return
                for _ in range(changes):
                    change_catalogue(self)
                swept, changes = self._sweeps() + 2, 0
        self.monitor.violated(1, f"no rest after {NIGHTS} runs of the reconciler")

    def _waits_for_innocents(self):
        """Return whether somebody is left out whose lists kill nobody: an instance died of something else."""
        left_out = children(self.platform.database.get(f"{paths.STATUS}/leftOut"))
        still = {key for key, node in left_out.items() if node["until"] > self.scheduler.now}
        return bool(still - {logs.user_key(self.deadly or "")})

    def _sweeps(self):
        return self.platform.database.get(f"{paths.STATUS}/reconcile/sweeps") or 0

    def _is_quiet(self, lease, repaired):
        pending = self.platform.database.get(paths.CHANGES)
        return not repaired and not pending and lease.holder is None and not self.platform.waiting_tasks


class _Logger:
    """Replaces the functions' logger."""

    def __init__(self, lines):
        self._lines = lines

    def info(self, message, **fields):
        self._lines.append(checks.log_line(message, fields))

    warn = info
