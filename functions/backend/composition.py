"""The composition root: builds the handlers with their adapters on the first event of an instance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.guards.foreign_writes import NOBODY
from backend.handlers.dismissed_written import DismissedWritten
from backend.handlers.entry_written import EntryWritten
from bookrec.further.sizes import MORE_GENRES, MORE_PAGES

if TYPE_CHECKING:
    from firebase_functions import db_fn

    from backend.handlers.dismissed_written import DismissedWrittenHandler
    from backend.handlers.entry_written import EntryWrittenHandler
    from backend.handlers.list_shown import ListShownHandler
    from backend.handlers.model_published import FanoutHandler, ModelPublishedHandler
    from backend.handlers.operating import OperatingHandler
    from backend.handlers.retrain import RetrainHandler
    from backend.handlers.similar_books import SimilarBooksHandler
    from backend.handlers.unknown_instance import UnknownInstanceHandler
    from backend.parameters import Settings
    from backend.ports import Clock, Concurrently, Database, ModelLoader, ModelStore, TaskQueue, TrainerJobs


@dataclass(frozen=True, slots=True)
class Backend:
    """One handler per trigger, for one database instance.

    Attributes:
        reconcile: does one run; with ``rests=False``, a sweep begins even if the last one has just ended.
        operating: handles operators' requests; the same for all instances.
        name: of the database instance.
        unknown_instance: handles what belongs to no configured instance.
        similar_books: the same for all instances: the nodes are in the first one, with the catalogue.
        others: the handlers of the other instances by name; only the first instance has them.
    """

    entry_written: EntryWrittenHandler
    dismissed_written: DismissedWrittenHandler
    list_shown: ListShownHandler
    retrain: RetrainHandler
    model_published: ModelPublishedHandler
    fanout: FanoutHandler
    reconcile: Callable[..., Mapping[str, int]]
    operating: OperatingHandler
    name: str
    unknown_instance: UnknownInstanceHandler
    similar_books: SimilarBooksHandler
    others: Mapping[str, Backend] = field(default_factory=dict)

    def of(self, instance: str) -> Backend | None:
        """Return the handlers of a database instance by its name; "" is the first one.

        If nobody configured it, return None: the caller ignores what comes from there, and an alarm says so.
        """
        if instance in ("", self.name):
            return self
        if instance not in self.others:
            self.unknown_instance(instance)
        return self.others.get(instance)


@dataclass(frozen=True, slots=True)
class Services:
    """One adapter per port. ``concurrently`` runs calls of the handlers at the same time.

    Attributes:
        database: the first instance.
        name: of the first instance.
        others: further instances by name, each with the first one's catalogue, pointer and lease.
    """

    database: Database
    store: ModelStore
    load: ModelLoader
    tasks: TaskQueue
    jobs: TrainerJobs
    clock: Clock
    concurrently: Concurrently
    name: str = ""
    others: Mapping[str, Database] = field(default_factory=dict)


_lock = threading.Lock()
_backend: Backend | None = None


def backend() -> Backend:
    """Return this instance's handlers."""
    global _backend
    with _lock:
        if _backend is None:
            from backend.parameters import read_settings

            settings = read_settings()
            _backend = build(settings, connect(settings))
        return _backend


def use(replacement: Backend | None) -> None:
    """Replace this instance's handlers; None makes ``backend`` build them again."""
    global _backend
    with _lock:
        _backend = replacement


def entry_written(event: db_fn.Event[db_fn.Change[Any]]) -> EntryWritten:
    """Return the domain's event for an event of the platform."""
    at_ms = int(event.time.timestamp() * 1000)
    return EntryWritten(event.id, event.params["entryId"], event.data.before, event.data.after, _author(event), at_ms)


def dismissed_written(event: db_fn.Event[db_fn.Change[Any]]) -> DismissedWritten:
    """Return the domain's event for an event of the platform."""
    at_ms, is_there = int(event.time.timestamp() * 1000), event.data.after is not None
    return DismissedWritten(event.id, event.params["uid"], is_there, _author(event), at_ms)


def _author(event: db_fn.Event[db_fn.Change[Any]]) -> str | None:
    return None if event.auth_type in ("admin", "unknown") else event.auth_id or NOBODY


def reconcile() -> None:
    """Reconcile all instances at the same time: each has a run's whole time.

    Raises:
        BookrecError: of the first instance that failed; all others were reconciled.
    """
    backend().operating.reconcile(rests=True)


def model_published() -> None:
    """Fan out in all instances, which share the time that the function has; then refresh the similar books.

    Raises:
        Exception: of the first of these that failed; for all others, tasks were queued.
    """
    from backend.handlers.model_published import QUEUEING_MS

    first, until = backend(), time.monotonic() + QUEUEING_MS / 1000
    every = (first, *first.others.values())
    steps = list[Callable[[], object]]()
    steps += [partial(one.model_published, QUEUEING_MS // len(every)) for one in every]
    steps.append(lambda: first.similar_books(int((until - time.monotonic()) * 1000)))
    problems = list[Exception]()
    for step in steps:
        try:
            step()
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def build(settings: Settings, services: Services) -> Backend:
    """Wire the handlers."""
    from backend.catalogue_cache import CatalogueCache
    from backend.guards.event_gate import EventGate
    from backend.handlers.dismissed_written import DismissedWrittenHandler
    from backend.handlers.entry_written import EntryWrittenHandler
    from backend.handlers.list_shown import ListShownHandler
    from backend.handlers.model_published import FanoutHandler, ModelPublishedHandler
    from backend.handlers.operating import OperatingHandler
    from backend.handlers.reconcile import Reconciliation
    from backend.handlers.retrain import RetrainHandler, RetrainingQueue
    from backend.handlers.shared_lists import SharedLists
    from backend.handlers.similar_books import SimilarBooksHandler
    from backend.handlers.unknown_instance import UnknownInstanceHandler
    from backend.handlers.write_rate import WriteRate
    from backend.lists import ListRefresher, pace
    from backend.models import LiveModel
    from backend.parameters import FANOUT_TASKS, LIST_BYTES_PER_SECOND
    from backend.shard_writer import ShardWriter
    from bookrec.reordering.exploration import Exploration, day_of

    clock, concurrently = services.clock, services.concurrently
    model = LiveModel(services.database, services.store, services.load, clock)
    catalogue = CatalogueCache(services.database, clock, settings.catalogue_ttl_s * 1000)
    per_second = settings.list_writes_per_second, LIST_BYTES_PER_SECOND
    in_task = pace(clock, *(number / FANOUT_TASKS for number in per_second))
    queue = RetrainingQueue(services.tasks, settings.policy, clock)
    start_ms, limit_ms = settings.trainer_start_s * 1000, settings.trainer_timeout_s * 1000
    others = list(services.others.values())
    retrain = RetrainHandler(services.database, services.jobs, settings.policy, clock, start_ms, limit_ms, others)
    similar_books = SimilarBooksHandler(
        services.database,
        model,
        catalogue,
        services.tasks,
        clock,
        concurrently,
        settings.similar_page_size,
        settings.sweep_rest_s * 1000,
    )
    every: list[Backend] = []
    unknown = UnknownInstanceHandler(services.database, clock)
    operating = OperatingHandler(
        services.database,
        model,
        retrain,
        clock,
        lambda rests: concurrently([partial(backend.reconcile, rests=rests) for backend in every]),
    )

    def exploration() -> Exploration:
        return Exploration(settings.exploration, day_of(clock.now_ms()))

    def of_instance(name: str, database: Database) -> Backend:
        half_life, gate = settings.fatigue_half_life, EventGate(database, clock, is_on=settings.list_events)
        lists, fanned_out, repaired = (
            ListRefresher(
                database,
                model,
                catalogue,
                clock,
                concurrently,
                exploration,
                settings.sizes,
                its_pace,
                half_life,
                gate.date,
            )
            for its_pace in (None, in_task, pace(clock, *per_second))
        )
        shown = ListShownHandler(database, gate.date, remembers=half_life > 0)
        shards = ShardWriter(
            database, services.store, catalogue, in_task, exploration(), settings.sizes, half_life, gate.date
        )
        size, rate = settings.fanout_shard_size, WriteRate(database, clock)
        published = ModelPublishedHandler(database, model, services.tasks, queue, clock, concurrently, size, name)
        return Backend(
            entry_written=EntryWrittenHandler(database, lists, queue, clock, concurrently, rate),
            dismissed_written=DismissedWrittenHandler(lists, clock, rate),
            list_shown=shown,
            retrain=retrain,
            model_published=published,
            fanout=FanoutHandler(database, fanned_out, model, shards, clock),
            reconcile=lambda rests=True: Reconciliation(
                database,
                repaired,
                shown,
                published,
                retrain,
                clock,
                SharedLists(database, catalogue, clock, settings.trend),
                settings.sweep_rest_s * 1000 if rests else 0,
                None if name else similar_books,
            )(),
            operating=operating,
            name=name or services.name,
            unknown_instance=unknown,
            similar_books=similar_books,
        )

    further = {name: of_instance(name, database) for name, database in services.others.items()}
    first = replace(of_instance("", services.database), others=further)
    every += [first, *further.values()]
    return first


def connect(settings: Settings) -> Services:
    """Return the real services. Their clients are imported here, so that discovery does not wait for them."""
    from backend.adapters.cloud_storage import CloudModelStore
    from backend.adapters.cloud_tasks import CloudTaskQueue
    from backend.adapters.system import SystemClock
    from backend.adapters.tflite_model import load_recommender
    from bookrec.environment import default_buckets
    from bookrec_database.concurrency import run_concurrently
    from bookrec_database.connection import connect as connect_database
    from bookrec_database.connection import instance_name
    from bookrec_database.database import FirebaseDatabase

    first = connect_database(settings.project, settings.database_url)
    return Services(
        database=FirebaseDatabase(first, run_concurrently),
        store=CloudModelStore(*([settings.bucket] if settings.bucket else default_buckets(settings.project))),
        load=load_recommender,
        tasks=CloudTaskQueue(settings.project, settings.region, settings.is_emulated),
        jobs=_trainer_jobs(settings),
        clock=SystemClock(),
        concurrently=run_concurrently,
        name=instance_name(settings.database_url),
        others={
            instance_name(url): FirebaseDatabase(connect_database(settings.project, url), run_concurrently, first)
            for url in settings.databases
        },
    )


def _trainer_jobs(settings: Settings) -> TrainerJobs:
    # The trainer works for the database and the bucket of these functions, not for its defaults.
    environment = {
        "GOOGLE_CLOUD_PROJECT": settings.project,
        "DATABASE_URL": settings.database_url,
        "DATABASES": ",".join(settings.databases),
        "MODEL_BUCKET": settings.bucket,
        "TRAINER_TIMEOUT_SECONDS": str(settings.trainer_timeout_s),
        "LEASE_SECONDS": str(settings.lease_s),
        MORE_PAGES: str(settings.sizes.pages),
        MORE_GENRES: str(settings.sizes.genres),
    }
    if settings.is_emulated:
        from backend.adapters.local_process import LocalTrainerJobs

        return LocalTrainerJobs(environment)
    from backend.adapters.cloud_run import CloudRunTrainerJobs

    job = f"projects/{settings.project}/locations/{settings.region}/jobs/{settings.trainer_job}"
    return CloudRunTrainerJobs(job, settings.trainer_timeout_s, environment)
