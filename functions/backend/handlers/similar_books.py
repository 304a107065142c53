"""Similar books: the nodes ``/Similar_Books/{key}`` are kept as the live model and the catalogue say.

A run covers all books, in pages: one task each. It begins when another model is published, and when the catalogue has
changed. A page is a range of keys, so whatever is in the node belongs to exactly one page, also books that have left
the catalogue. A task compares what is there with what should be, and writes the difference.

A task writes only if its run is the present one. It may be overtaken between that look and its write, so each write
names its run in ``status/similar/writers``, which a run's beginning empties: if a stranger is there, all is done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend import logs
from backend.catalogue_cache import CatalogueCache
from backend.models import Live, LiveModel
from backend.ports import TIMESTAMP, Clock, Concurrently, Database, TaskQueue
from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.paths import children, key_order, whole
from bookrec.ranking import similar_books

STATE = f"{paths.STATUS}/similar"

PATIENCE_MS, PATIENCE_A_PAGE_MS = 900_000, 10_000
"""How long a run may take, once all is queued, before it is done again: the longer of the two."""

TASKS_AT_ONCE = 16
"""So many tasks are queued between two looks at the clock, several at a time; then the place is recorded."""

READ = 500
"""How many nodes are read at a time."""

BOOKS_A_WRITE = 100
"""Bound of one multi-path update: some 30 kB."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run over all books.

    Attributes:
        release: the publication that it is made from, whatever experiments there are.
        attempt: counts the runs of a publication.
    """

    release: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.release}:{self.attempt}"


class SimilarBooksHandler:
    """Queues the tasks of a run, and does them. Catalogue and nodes are in the first database instance.

    Args:
        page_size: books of one task.
        rest_ms: how long after a run has begun the catalogue may begin the next one.
    """

    def __init__(
        self,
        database: Database,
        model: LiveModel,
        catalogue: CatalogueCache,
        tasks: TaskQueue,
        clock: Clock,
        concurrently: Concurrently,
        page_size: int,
        rest_ms: int,
    ) -> None:
        self._database, self._model, self._catalogue, self._tasks = database, model, catalogue, tasks
        self._clock, self._concurrently, self._page_size, self._rest_ms = clock, concurrently, page_size, rest_ms

    def __call__(self, budget_ms: int = 0, *, rests: bool = True) -> bool:
        """Begin a run or go on with it, if one is needed; return whether anything was queued.

        Cost, if nothing is: the state, some kilobytes with 10,000 books, and at most once per their times to live the
        model and the catalogue.

        Args:
            budget_ms: after this time, at least ``TASKS_AT_ONCE`` tasks later, the rest is left to the next call. If it
                is below 0, everything is.
            rests: a changed catalogue does not begin a run shortly after the last one.

        Raises:
            StoreUnavailable: if the model cannot be loaded at present.
        """
        until_ms = self._clock.elapsed_ms() + budget_ms
        live = self._usable() if budget_ms >= 0 else None
        if live is None:
            return False
        catalogue, state = self._catalogue.current(), children(self._database.status("similar"))
        attempt = self._attempt(state, live.pointer.release, catalogue.fingerprint, self._rest_ms if rests else 0)
        return attempt is not None and self._queue(Run(live.pointer.release, attempt), live, catalogue, until_ms)

    def page(self, release: str, attempt: int, number: int, after: str, last: str | None) -> None:
        """Do one page of a run: the books whose keys follow ``after``, up to ``last``; None is all that follow.

        Cost: the page's nodes, 200 bytes a book, and an update for each ``BOOKS_A_WRITE`` books that have changed.

        Raises:
            StoreUnavailable: if the model cannot be loaded at present; the task is tried again.
        """
        run, live = Run(release, attempt), self._usable()
        if live is None or live.pointer.release != release or not self._is_present(run):
            return
        if self._database.status(f"similar/done/{number}") == str(run):
            return
        catalogue = self._catalogue.fresh()  # what began the run may be newer than what this instance has read before
        present = self._present(after, last)
        try:
            wanted = _wanted(live, catalogue, present, after, last)
        except BadModel as problem:
            logs.alarm("model-unusable", "similar books stay as they are", page=number, reason=str(problem))
            return
        changed = {
            key: wanted.get(key)
            for key in sorted(present.keys() | wanted.keys(), key=key_order)
            if present.get(key) != wanted.get(key)
        }
        keys = list(changed)
        for start in range(0, len(keys), BOOKS_A_WRITE):
            part = {f"{paths.SIMILAR}/{key}": changed[key] for key in keys[start : start + BOOKS_A_WRITE]}
            self._database.update({**part, f"{STATE}/writers/{run}": True})
        if self._is_present(run):
            self._database.update({f"{STATE}/done/{number}": str(run)})
        logs.info("similar books are up to date", model=live.pointer.version, page=number, books=len(keys))

    def _usable(self) -> Live | None:
        """Return the live model, or None if there is none that can be used."""
        try:
            return self._model.load()
        except BadModel as problem:
            logs.alarm("model-unusable", "similar books stay as they are", reason=str(problem))
            return None

    def _attempt(self, state: Mapping[str, Any], release: str, fingerprint: str, rest_ms: int) -> int | None:
        """Return the number of the run to queue, or None if all is up to date, or may soon be."""
        if state.get("publication") != release:
            return 0
        attempt = whole(state.get("attempt"))
        run, age_ms = str(Run(release, attempt)), self._clock.now_ms() - whole(state.get("at"))
        if state.get("queued") != run:
            return attempt  # it was interrupted: it goes on where it was
        if children(state.get("writers")).keys() - {run}:
            logs.info("a task of another run has written similar books", publication=release, attempt=attempt)
            return attempt + 1
        pages = whole(state.get("pages"))
        if sum(done == run for done in children(state.get("done")).values()) < pages:
            if age_ms < max(PATIENCE_MS, pages * PATIENCE_A_PAGE_MS):
                return None
            logs.alarm("similar-incomplete", "some similar books were not refreshed", publication=release,
                       attempt=attempt)  # fmt: skip
            return attempt + 1
        return attempt + 1 if state.get("catalogue") != fingerprint and age_ms >= rest_ms else None

    def _queue(self, run: Run, live: Live, catalogue: Catalogue, until_ms: int) -> bool:
        """Queue one task per page, as many as there is time for; return False if another run has taken its place.

        The tasks' ids are deterministic, so a repetition queues what is missing. The place that was reached is
        recorded by its key, so an interrupted run goes on there, even if the catalogue has changed meanwhile.
        """
        place = children(self._database.status("similar/place"))
        is_begun = place.get("run") == str(run)
        number, after = (whole(place.get("page")), str(place.get("after", ""))) if is_begun else (0, "")
        ranges = self._ranges(live, catalogue, after)
        if not self._begin(run, number + len(ranges), catalogue):
            return False
        for start in range(0, len(ranges), TASKS_AT_ONCE):
            block = ranges[start : start + TASKS_AT_ONCE]
            numbered = enumerate(block, number + start)
            self._concurrently([partial(self._enqueue, run, page, *keys) for page, keys in numbered])
            if not self._is_present(run):
                return False
            if start + len(block) == len(ranges):
                break
            page = number + start + len(block)
            self._database.update({f"{STATE}/place": {"run": str(run), "page": page, "after": block[-1][1]}})
            if self._clock.elapsed_ms() >= until_ms:
                logs.info("similar books are queued in part", publication=run.release, pages=page)
                return True
        queued = {f"{STATE}/queued": str(run), f"{STATE}/place": None, f"{STATE}/at": TIMESTAMP}
        self._database.update(queued)
        logs.info("similar books are queued", publication=run.release, attempt=run.attempt, pages=number + len(ranges))
        return True

    def _ranges(self, live: Live, catalogue: Catalogue, after: str) -> list[tuple[str, str | None]]:
        """Return the ranges of keys from ``after`` on: each but the last has ``page_size`` books."""
        known = {paths.book_key(isbn) for isbn in live.model.items.isbns if isbn in catalogue}
        keys = [key for key in sorted(known, key=key_order) if not after or key_order(key) > key_order(after)]
        ends = keys[self._page_size - 1 : -1 : self._page_size]
        return [*zip([after, *ends], [*ends, None], strict=True)]

    def _begin(self, run: Run, pages: int, catalogue: Catalogue) -> bool:
        """Record that a run begins or goes on; return False if another one has taken its place."""

        def begun(node: object) -> dict[str, object] | None:
            # The pointer is read after the state: a run that has begun meanwhile makes the transaction begin again.
            pointer, state = usable_pointer(self._database.pointer()), children(node)
            if pointer is None or pointer.release != run.release:
                return None
            before = whole(state.get("attempt")) if state.get("publication") == run.release else -1
            if before > run.attempt:
                return None
            if before == run.attempt:
                return {**state, "pages": pages}
            place = {"publication": run.release, "attempt": run.attempt, "pages": pages, "at": TIMESTAMP}
            return {**place, "catalogue": catalogue.fingerprint}

        return self._database.change_status("similar", begun)

    def _enqueue(self, run: Run, number: int, after: str, last: str | None) -> None:
        task_id = hashlib.sha256(f"similar:{run}:{number}:{after}:{last}".encode()).hexdigest()[:32]
        page = {"publication": run.release, "attempt": run.attempt, "page": number, "after": after, "last": last}
        self._tasks.enqueue("similar", page, task_id)

    def _is_present(self, run: Run) -> bool:
        """Return whether no other run has begun meanwhile."""
        names = ("similar/publication", "similar/attempt")
        publication, attempt = self._concurrently([partial(self._database.status, name) for name in names])
        return publication == run.release and whole(attempt) == run.attempt

    def _present(self, after: str, last: str | None) -> dict[str, object]:
        """Return the nodes of a page by key."""
        nodes: dict[str, object] = {}
        while page := self._database.page(paths.SIMILAR, after, READ):
            nodes |= {key: page[key] for key in page if _is_in(key, "", last)}
            after = list(page)[-1]
            if len(page) < READ or (last is not None and key_order(after) >= key_order(last)):
                break
        return nodes


def _wanted(
    live: Live, catalogue: Catalogue, present: Mapping[str, object], after: str, last: str | None
) -> dict[str, list[str]]:
    """Return what the nodes of a page should be, by key; books that have nothing similar have none.

    A model of an earlier release finds none: what is ``present`` then counts as similar.
    """

    def similar_to(isbn: str) -> Iterable[str]:
        if live.model.similar is not None:
            return live.model.similar_to(isbn)
        return [other for other in children(present.get(paths.book_key(isbn))).values() if isinstance(other, str)]

    isbns = [isbn for isbn in catalogue if _is_in(paths.book_key(isbn), after, last)]
    chosen = ((isbn, similar_books(isbn, similar_to(isbn), catalogue)) for isbn in isbns)
    return {paths.book_key(isbn): list(books) for isbn, books in chosen if books}


def _is_in(key: str, after: str, last: str | None) -> bool:
    """Return whether a key follows ``after``, which "" always does, and is not beyond ``last``."""
    order = key_order(key)
    return (not after or order > key_order(after)) and (last is None or order <= key_order(last))
