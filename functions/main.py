"""The table of contents of the backend: one function per trigger, in the order of the flow."""

from __future__ import annotations

import gc
import os
from typing import Any

gc.disable()  # Imported objects stay; collecting garbage among them slows the start.

from firebase_functions import db_fn, https_fn, options, scheduler_fn, tasks_fn

from backend import composition
from backend.adapters import identity
from backend.callables import operated, well_formed
from backend.logs import reported
from backend.parameters import FANOUT_TASKS, REGION, SIMILAR_TASKS

CONCURRENCY, MEMORY_MB = 16, 512

# The database's region; memory for TFLite, NumPy and the catalogue (85 MB at rest). Several events share an
# instance, since a handler mostly waits for the database; sharing needs a whole CPU (the default is a third).
# docs/access.md describes the account; the platform adds the project that this is deployed to.
options.set_global_options(
    region=REGION,
    memory=options.MemoryOption(MEMORY_MB),
    cpu=1,
    concurrency=CONCURRENCY,
    max_instances=20,
    service_account="recommender-functions@",
)
# functions-framework reads THREADS once this module is imported. By default it has 4 threads per CPU: the other events
# of an instance would wait for a thread.
os.environ.setdefault("THREADS", str(CONCURRENCY))
identity.prepare()


@db_fn.on_value_written(reference="/User_Book/{entryId}")
def on_user_book_written(event: db_fn.Event[db_fn.Change[Any]]) -> None:
    """A reader shelved, rated or removed a book."""
    with reported("on_user_book_written"):
        backend = composition.backend().of(event.instance)
        if backend is not None:
            backend.entry_written(composition.entry_written(event))


@db_fn.on_value_written(reference="/Users/{uid}/dismissed/{key}")
def on_dismissed_written(event: db_fn.Event[db_fn.Change[Any]]) -> None:
    """A reader is not interested in a book, or has taken that back."""
    with reported("on_dismissed_written"):
        backend = composition.backend().of(event.instance)
        if backend is not None:
            backend.dismissed_written(composition.dismissed_written(event))


@db_fn.on_value_written(reference="/Users/{uid}/shown")
def on_list_shown(event: db_fn.Event[db_fn.Change[Any]]) -> None:
    """A client has shown a reader's list."""
    with reported("on_list_shown"):
        backend = composition.backend().of(event.instance)
        if backend is not None and event.data.after is not None:
            backend.list_shown(event.params["uid"])


@tasks_fn.on_task_dispatched(
    retry_config=options.RetryConfig(max_attempts=5, min_backoff_seconds=30),
    rate_limits=options.RateLimits(max_concurrent_dispatches=1),
    timeout_sec=300,
)
def retrain(request: tasks_fn.CallableRequest[Any]) -> None:
    """Readers may have been quiet for long enough to retrain."""
    with reported("retrain"):
        composition.backend().retrain(int((request.data or {}).get("notBefore", 0)))


@db_fn.on_value_written(reference="/Recommender/model", timeout_sec=540)
def on_model_published(event: db_fn.Event[db_fn.Change[Any]]) -> None:
    """The pointer names another model."""
    with reported("on_model_published"):
        first = composition.backend()
        if first.of(event.instance) is first:  # the others have no pointer
            composition.model_published()


@tasks_fn.on_task_dispatched(
    retry_config=options.RetryConfig(max_attempts=5, min_backoff_seconds=10),
    rate_limits=options.RateLimits(max_concurrent_dispatches=FANOUT_TASKS),
    timeout_sec=540,
)
def fanout(request: tasks_fn.CallableRequest[Any]) -> None:
    """A shard of readers waits for lists of the new model."""
    with reported("fanout"):
        shard = request.data
        backend = composition.backend().of(str(shard.get("instance", "")))
        if backend is not None:
            backend.fanout(str(shard["publication"]), int(shard["shard"]), shard.get("users"))


@tasks_fn.on_task_dispatched(
    retry_config=options.RetryConfig(max_attempts=5, min_backoff_seconds=10),
    rate_limits=options.RateLimits(max_concurrent_dispatches=SIMILAR_TASKS),
    timeout_sec=540,
)
def similar(request: tasks_fn.CallableRequest[Any]) -> None:
    """A page of books waits for the similar ones of the new model."""
    with reported("similar"):
        page = request.data
        last = page.get("last")
        composition.backend().similar_books.page(
            str(page["publication"]),
            int(page["attempt"]),
            int(page["page"]),
            str(page.get("after", "")),
            None if last is None else str(last),
        )


@scheduler_fn.on_schedule(schedule="every 5 minutes", timeout_sec=300)
def reconcile(event: scheduler_fn.ScheduledEvent) -> None:
    """Triggers may have been lost."""
    with reported("reconcile"):
        composition.reconcile()


@well_formed
@https_fn.on_call(timeout_sec=300)
def operator_retrain(request: https_fn.CallableRequest[Any]) -> Any:
    """An operator wants a run now."""
    with operated("operator_retrain", request):
        return composition.backend().operating.retrain()


@well_formed
@https_fn.on_call(timeout_sec=300)
def operator_rollback(request: https_fn.CallableRequest[Any]) -> Any:
    """An operator wants an earlier version back."""
    with operated("operator_rollback", request) as arguments:
        return composition.backend().operating.rollback(arguments.get("version"))


@well_formed
@https_fn.on_call(timeout_sec=300)
def operator_release(request: https_fn.CallableRequest[Any]) -> Any:
    """An operator has looked at why runs failed: they may start again."""
    with operated("operator_release", request):
        return composition.backend().operating.release()


@well_formed
@https_fn.on_call(timeout_sec=300)
def operator_experiment(request: https_fn.CallableRequest[Any]) -> Any:
    """An operator starts an experiment, or ends it."""
    with operated("operator_experiment", request) as arguments:
        return composition.backend().operating.experiment(arguments)


@well_formed
@https_fn.on_call(timeout_sec=300)
def operator_reconcile(request: https_fn.CallableRequest[Any]) -> Any:
    """An operator does not want to wait for the schedule."""
    with operated("operator_reconcile", request):
        return composition.backend().operating.reconcile()


gc.freeze()
gc.enable()
