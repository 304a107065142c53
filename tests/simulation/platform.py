"""Firebase and Google Cloud at their worst: events late, twice, in any order or never, and crashes half-way."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace

from firebase_admin.exceptions import UnavailableError

from backend.composition import Services, build
from backend.handlers.dismissed_written import DismissedWritten
from backend.handlers.entry_written import EntryWritten
from backend.handlers.model_published import QUEUEING_MS
from backend.models import LOAD_S
from backend.parameters import Settings
from bookrec.errors import StoreUnavailable
from bookrec.life_cycle.retraining import Policy
from bookrec.paths import children
from bookrec.recommender import Recommender
from tests.fakes import FakeBucket, load_fake
from tests.memory_database import MemoryDatabase
from tests.simulation.scheduler import Crash

POLICY = Policy(
    quiet_ms=20_000, minimum_changes=3, maximum_age_ms=600_000, retry_ms=30_000, longest_retry_ms=120_000, attempts=3
)
SETTINGS = Settings(
    project="demo-bookrec", region="us-central1", database_url="", bucket="", policy=POLICY, trainer_job="",
    trainer_timeout_s=600, trainer_start_s=120, lease_s=120, fanout_shard_size=2, catalogue_ttl_s=5, is_emulated=True,
    sweep_rest_s=600, similar_page_size=5,
)  # fmt: skip
INSTANCES = 3
TASK_ATTEMPTS = 5
WITH_DISMISSED = ((), ("dismissed",))
"""Where a write of a reader's node may change dismissals: at the node itself, or at these."""

LIMITS_MS = {"reconcile": 300_000, "published": 540_000}
"""How long functions may live, if that is watched."""

OF_A_MODEL = ("fanout", "similar")
"""The tasks that a publication queues."""

TASK_MS = 35_000
"""How long it takes at most to queue a task of a fan-out, if the queue is slow."""

SLOW_MS = 3_000
"""The longest time that a slow request takes: others of the same reader come and go meanwhile."""

STALL_MS = 900_000
"""The longest time that a request may hang: longer than a lease lasts."""
LOAD_MS = int(LOAD_S * 1000)
"""The longest time that a download of the functions may hang: they have a deadline."""


@dataclass
class Faults:
    """The probabilities of faults; with all at zero, nothing goes wrong."""

    fail_before: float = 0.0
    fail_after: float = 0.0
    crash: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    delay_ms: int = 0
    damage: float = 0.0
    stall: float = 0.0
    slow: float = 0.0


class Clock:
    """A clock that is wrong by a constant."""

    def __init__(self, scheduler, skew_ms=0):
        self._scheduler, self._skew_ms = scheduler, skew_ms

    def now_ms(self):
        return self._scheduler.now + self._skew_ms

    def elapsed_ms(self):
        return self._scheduler.now

    def sleep(self, seconds):
        self._scheduler.sleep(int(seconds * 1000))


class Bucket(FakeBucket):
    """Cloud Storage; the functions' reads and the trainer's writes may damage the content."""

    def __init__(self, platform):
        super().__init__(Clock(platform.scheduler))
        self._platform = platform

    def download(self, name, max_bytes):
        try:
            read = lambda: super(Bucket, self).download(name, max_bytes)  # noqa: E731
            content = self._platform.perform("read", read, LOAD_MS)
        except UnavailableError as problem:
            raise StoreUnavailable("the store does not answer") from problem
        return self._damaged(content)

    def create(self, name, content, content_type):
        if name not in self.objects:
            content = self._damaged(content)
        self._platform.perform("write", lambda: super(Bucket, self).create(name, content, content_type))

    def read(self, name):
        return self._platform.perform("read", lambda: super(Bucket, self).read(name))

    def delete(self, name):
        self._platform.perform("write", lambda: self._platform.monitor.removing(name))
        super().delete(name)

    def _damaged(self, content):
        platform = self._platform
        is_hit = content and platform.faults.damage and platform.rng.random() < platform.faults.damage
        return content[:-1] + bytes([content[-1] ^ 1]) if is_hit else content


class Platform:
    """All services, with the functions deployed on a few instances.

    Attributes:
        is_silent: no write has an event.
        fatigue_half_life, has_events: the functions' settings.
        memory: an instance of the functions dies if it reads a node with more children.
        exploration: the share of the readers who explore.
        is_queue_slow: a task of a fan-out takes long to queue, and functions that take too long are killed.

    Args:
        forgets_task_ids: a used task id can be used again after an hour, as in Cloud Tasks; otherwise never, and tasks
            come too early, as in the emulator.
    """

    def __init__(self, scheduler, rng, faults, monitor, forgets_task_ids):
        self.scheduler, self.rng, self.faults, self.monitor = scheduler, rng, faults, monitor
        self._forgets = forgets_task_ids
        self.database = MemoryDatabase(lambda: scheduler.now, self._changed, self.perform)
        self.bucket = Bucket(self)
        self.authors, self._task_ids, self.waiting_tasks, self._events = {}, {}, 0, 0
        self.fan_outs, self.slow_queue = defaultdict(set), None
        self._backends, self._skews = {}, [rng.randrange(-1_500, 1_500) for _ in range(INSTANCES)]
        self.start_trainer = lambda run_id, fence: None
        self.fatigue_half_life, self.has_events = 0, False
        self.is_silent, self.memory, self.is_queue_slow = False, None, False
        self.exploration = 0.0
        scheduler.on_crash = lambda instance: self._backends.pop(instance, None)

    def perform(self, kind, request, longest_ms=STALL_MS):
        """Make a process's request: it may fail before or after its effect, and other processes may run first."""
        if self.scheduler.current is None:
            return request()
        is_stalled = self.faults.stall and self.rng.random() < self.faults.stall
        is_slow = self.faults.slow and self.rng.random() < self.faults.slow
        most_ms = longest_ms if is_stalled else SLOW_MS if is_slow else 1
        self.scheduler.sleep(self.rng.randrange(most_ms))
        if self.rng.random() < self.faults.fail_before:
            self.scheduler.note("FAIL before", kind)
            raise UnavailableError("the service does not answer")
        result = request()
        is_function = self.scheduler.current.instance.startswith("functions")
        if is_function and self.memory is not None and isinstance(result, dict) and len(result) > self.memory:
            self.end("out of memory")
        if kind != "read":
            if self.rng.random() < self.faults.crash:
                self.scheduler.kill(self.scheduler.current.instance)
                raise Crash
            if self.rng.random() < self.faults.fail_after:
                if kind == "conditional write" and self.rng.random() < 0.5:
                    self.scheduler.note("REPEAT", kind)  # as the client does on its own: the condition no longer holds
                    return request()
                self.scheduler.note("FAIL after", kind)
                raise UnavailableError("the answer was lost")
        return result

    def end(self, why):
        """Kill the instance of the present process."""
        self.scheduler.note(why.upper())
        self.scheduler.kill(self.scheduler.current.instance)
        raise Crash

    # -- functions ---------------------------------------------------------------------------------------------------

    def backend(self, number):
        """Return the handlers of an instance; if it has died, of a new one."""
        name = f"functions-{number}"
        if name not in self._backends:
            clock = Clock(self.scheduler, self._skews[number])
            from bookrec_database.database import FirebaseDatabase

            services = Services(
                database=FirebaseDatabase(self.database.reference, self.concurrently),
                store=self.bucket,
                load=self.load,
                tasks=self,
                jobs=self,
                clock=clock,
                concurrently=self.concurrently,
                name="demo",
            )
            own = {"exploration": self.exploration, "fatigue_half_life": self.fatigue_half_life}
            settings = replace(SETTINGS, **own, list_events=self.has_events)
            self._backends[name] = build(settings, services)
        return self._backends[name]

    def concurrently(self, calls):
        """Run a process's calls as processes of the same instance."""
        calls = list(calls)
        parent = self.scheduler.current
        if parent is None or len(calls) < 2:
            return [call() for call in calls]
        children = [self.scheduler.spawn(f"{parent.name}+", call, parent.instance) for call in calls]
        self.scheduler.wait(lambda: all(child.is_done for child in children))
        for child in children:
            if child.error is not None:
                raise child.error
        return [child.result for child in children]

    def invoke(self, name, call, after_ms=0):
        """Run ``call(backend)`` as an invocation on some instance."""
        number = self.rng.randrange(INSTANCES)
        instance = f"functions-{number}"
        process = self.scheduler.spawn(name, lambda: self._invoked(name, number, call), instance, after_ms)
        if self.is_queue_slow and name in LIMITS_MS:
            limit_ms = after_ms + LIMITS_MS[name]
            self.scheduler.spawn(f"limit of {name}", lambda: self._watch(process, limit_ms), "platform")
        return process

    def _watch(self, process, limit_ms):
        self.scheduler.sleep(limit_ms)
        if not process.is_done:
            self.monitor.violated(11, f"{process.name} takes longer than the function may live")
            self.scheduler.kill(process.instance)

    def _invoked(self, name, number, call):
        self.scheduler.note(name)
        try:
            return call(self.backend(number))
        except Exception as problem:
            self.scheduler.note(name, "failed:", repr(problem)[:100])
            raise

    # -- events ------------------------------------------------------------------------------------------------------

    def _changed(self, write):
        self.monitor.changed(write)
        if self.is_silent:
            return
        for path in write.paths:
            if path[0] == "User_Book" and len(path) > 1:
                before, after = write.before(path[:2]), write.after(path[:2])
                if before != after:
                    self._events += 1
                    author = self.authors.pop(path[1], write.caller.auth_id)
                    event = EntryWritten(f"event-{self._events}", path[1], before, after, author)
                    self._deliver(event.event_id, lambda backend, event=event: backend.of("demo").entry_written(event))
            elif path[0] == "Users" and path[2:3] == ("shown",) and write.after(path[:3]) is not None:
                self._deliver("shown", lambda backend, user_id=path[1]: backend.of("demo").list_shown(user_id))
            elif path[:2] == ("Recommender", "model"):
                self._deliver("published", self._published)
        for user_id in sorted({path[1] for path in write.paths if path[0] == "Users" and path[2:3] in WITH_DISMISSED}):
            self._dismissals_changed(write, user_id)

    def _dismissals_changed(self, write, user_id):
        before, after = (children(read(("Users", user_id, "dismissed"))) for read in (write.before, write.after))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                self._events += 1
                author = write.caller.auth_id
                event = DismissedWritten(f"event-{self._events}", user_id, key in after, author)
                self._deliver(event.event_id, lambda backend, event=event: backend.of("demo").dismissed_written(event))

    def _published(self, backend):
        """Do what ``composition.model_published`` does."""
        until = self.scheduler.now + QUEUEING_MS
        backend.model_published()
        backend.similar_books(until - self.scheduler.now)

    def of_another_database(self, event, task):
        """Deliver an event and a task of a database instance that nobody has configured."""

        def ignored(backend, handle):
            known = backend.of("staging")
            if known is not None:
                handle(known)

        self._deliver("staging", lambda backend: ignored(backend, lambda known: known.entry_written(event)))
        self._deliver("staging", lambda backend: ignored(backend, lambda known: known.fanout(*task)))

    def _deliver(self, name, call):
        chance = self.rng.random()
        if chance < self.faults.drop:
            self.scheduler.note("DROP", name)
            return
        for _ in range(2 if chance < self.faults.drop + self.faults.duplicate else 1):
            self.invoke(name, call, self.rng.randrange(self.faults.delay_ms + 1))

    # -- Cloud Tasks -------------------------------------------------------------------------------------------------

    def enqueue(self, function, payload, task_id, at_ms=None):
        """Implement ``ports.TaskQueue``; on some days, a fan-out takes longer to queue than a model stays live."""
        if self.slow_queue and function in OF_A_MODEL:
            self.scheduler.sleep(self.slow_queue.randrange(180_000))
        if self.is_queue_slow and function in OF_A_MODEL:
            self.scheduler.sleep(self.rng.randrange(TASK_MS // 2, TASK_MS))
        self.perform("write", lambda: self._enqueue(function, dict(payload), task_id, at_ms))

    def _enqueue(self, function, payload, task_id, at_ms):
        used_at = self._task_ids.get(task_id)
        if used_at is not None and not (self._forgets and self.scheduler.now - used_at > 3_600_000):
            return
        self._task_ids[task_id] = self.scheduler.now
        if function == "fanout":
            self.fan_outs[payload["publication"]].add(payload["shard"])
        wait_ms = max((at_ms or 0) - self.scheduler.now, 0) if self._forgets else 0
        self.waiting_tasks += 1
        for copy in range(2 if self.rng.random() < self.faults.duplicate else 1):
            self.scheduler.spawn(
                f"task {function}", lambda c=copy: self._dispatch(function, payload, c), after_ms=wait_ms
            )

    def _dispatch(self, function, payload, copy):
        """Deliver a task until it is done or its attempts are used up."""
        for attempt in range(TASK_ATTEMPTS):
            process = self.invoke(f"task {function}", lambda backend: _task(backend, function, payload))
            self.scheduler.wait(lambda: process.is_done)  # noqa: B023
            if process.error is None and not process.is_dead:
                break
            self.scheduler.sleep(10_000 << attempt)
        if not copy:
            self.waiting_tasks -= 1

    # -- the trainer -------------------------------------------------------------------------------------------------

    def start(self, run_id, fence):
        """Implement ``ports.TrainerJobs``."""

        def begin():
            self.monitor.starting(run_id, fence)
            self.start_trainer(run_id, fence)

        self.perform("write", begin)

    def load(self, version, model, items):
        """Implement ``ports.ModelLoader``: scores show which model gave them."""
        self.monitor.loading(version, model, items)
        loaded = load_fake(version, model, items)
        mark = score_of(version)

        def recommend(**inputs):
            out = loaded.recommend(**inputs)
            return {**out, "scores": out["scores"] * 0.01 + mark}

        return Recommender(version, loaded.items, recommend, loaded.rate, loaded.similar)


def score_of(version):
    """Return the whole number in all scores of a version."""
    return int(hashlib.sha256(version.encode()).hexdigest()[:4], 16) % 1000


def _task(backend, function, payload):
    if function == "retrain":
        return backend.retrain(payload["notBefore"])
    if function == "similar":
        names = ("publication", "attempt", "page", "after", "last")
        return backend.similar_books.page(*(payload[name] for name in names))
    return backend.fanout(payload["publication"], payload["shard"], json.loads(json.dumps(payload["users"])))
