"""The live model, and the other arm's during an experiment; loaded once and replaced when the pointer changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backend import logs
from backend.guards import deadline
from backend.ports import Clock, Database, ModelLoader, ModelStore
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.manifest import (
    ITEMS,
    MANIFEST,
    RECOMMEND_MODEL,
    REQUIRED_FILES,
    Manifest,
    Pointer,
    fetch_files,
    fetch_manifest,
    parse_pointer,
    usable_pointer,
)
from bookrec.recommender import Recommender
from bookrec.usage.quality import NO_MODEL

TRY_AGAIN_AFTER_MS = 30_000
"""How long to wait, after an attempt has failed, before loading the model again."""

LOAD_S, TRY_OUT_S = 20.0, 120.0
"""How long all downloads of an attempt to load a model may take together; and those of trying out a whole version."""

STEP_S = 0.05
PATIENCE_S, FIRST_PATIENCE_S = LOAD_S + 5, 5.0
"""How long whoever needs the model waits for another thread's attempt; and how long a list does, if no model has been
loaded yet. With a model, a list does not wait."""

MAX_CALLS, CALLS_MS = 100, 10_000
"""How many calls wait for an attempt to succeed at most, and after which time the event that loaded the model makes no
further one of them: the fan-out and the sweep find the lists of all others."""


class _StillLoading(StoreUnavailable):
    """Another thread is loading the model."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the model that the pointer names could not be loaded, and when that was tried (``Clock.elapsed_ms``)."""

    node: object
    at_ms: int
    problem: BadModel | StoreUnavailable


@dataclass(frozen=True, slots=True)
class Live:
    """A loaded model with the pointer that named it.

    Attributes:
        other: the model of arm ``b`` during an experiment; None without one, or if it cannot be loaded: then all
            readers get ``model``.
        missing: why it could not be loaded.
    """

    node: object
    pointer: Pointer
    model: Recommender
    other: Recommender | None = None
    missing: Failure | None = None

    @property
    def experiment(self) -> Experiment | None:
        """The experiment that lists are made for, if there is one."""
        return self.pointer.experiment if self.other else None

    def model_of(self, user_id: str) -> Recommender:
        """Return the model of a reader's arm."""
        if self.other and self.pointer.experiment and self.pointer.experiment.arm(user_id) == "b":
            return self.other
        return self.model


@dataclass(frozen=True, slots=True)
class InUse:
    """What lists are made with now.

    Attributes:
        live: a model, or None if there is none.
        is_degraded: it is not the model that the pointer names, since that one cannot be loaded: lists of any model
            will do.
        is_loading: another thread is loading that model.
    """

    live: Live | None
    is_degraded: bool = False
    is_loading: bool = False

    @property
    def version(self) -> str:
        """The model version of lists that are made now, except in an experiment's other arm."""
        return self.live.pointer.version if self.live else NO_MODEL

    @property
    def assignment(self) -> tuple[str, Experiment | None]:
        """What determines each reader's model: equal assignments give equal lists."""
        return self.version, self.live.experiment if self.live else None

    def model_of(self, user_id: str) -> Recommender | None:
        """Return the model for a reader, if there is one."""
        return self.live.model_of(user_id) if self.live else None

    def version_of(self, user_id: str) -> str:
        """Return the version of the model for a reader."""
        model = self.model_of(user_id)
        return model.version if model else NO_MODEL


class LiveModel:
    """The model that the pointer names. If that cannot be loaded, the last good one; None if there is none.

    One thread at a time tries to load a model, and then leaves it alone for a while if it failed.
    """

    def __init__(self, database: Database, store: ModelStore, load: ModelLoader, clock: Clock) -> None:
        self._database, self._store, self._load, self._clock = database, store, load, clock
        self._lock = threading.Lock()  # for the next two; nobody waits for a service while holding it
        self._is_loading = False
        self._calls: list[Callable[[], object]] = []
        self._loaded: Live | None = None
        self._in_use: InUse | None = None
        self._failure: Failure | None = None

    def cached(self) -> InUse:
        """Return what ``current`` returned last, no matter how long ago; call it only if it never was."""
        return self._in_use or self.current()

    def current(self) -> InUse:
        """Return the model to use now; reads the pointer, and the files only if it has changed.

        While another thread loads the model that the pointer names, this is the last good one, at once.
        """
        try:
            in_use = InUse(self._named(0.0 if self._loaded else FIRST_PATIENCE_S))
        except _StillLoading:
            in_use = InUse(self._loaded, is_degraded=True, is_loading=True)
        except (BadModel, StoreUnavailable) as problem:
            in_use = InUse(self._loaded, is_degraded=True)
            logs.alarm("model-unusable", "the live model cannot be used", reason=str(problem), using=in_use.version)
        self._in_use = in_use
        return in_use

    def load(self) -> Live | None:
        """Return the model that the pointer names, or None if there is no pointer.

        Raises:
            BadModel, StoreUnavailable: if it cannot be loaded; ``/Recommender/status/model`` has the reason.
                An unusable model of an experiment raises nothing: all readers get the live one.
        """
        return self._named(PATIENCE_S)

    def once_loaded(self, call: Callable[[], object]) -> bool:
        """Call ``call`` once an attempt has succeeded, in its thread; return False if none is under way.

        Cost of the event that loads the model: ``CALLS_MS`` and one call more. A call is a refresh, as of an event.
        Calls for which there is no time, and all but the newest ``MAX_CALLS``, are left out.
        """
        with self._lock:
            if self._is_loading:
                self._calls = [*self._calls, call][-MAX_CALLS:]
            return self._is_loading

    def _named(self, patience_s: float) -> Live | None:
        """Return the model that the pointer names; wait ``patience_s`` at most for another thread that loads it."""
        node, steps = self._database.pointer(), int(patience_s / STEP_S)
        while not self._is_settled(node):
            self._raise_if_resting(node)
            if self._attempt():
                break
            if not steps:
                raise _StillLoading("another event is loading the model")
            steps -= 1
            self._clock.sleep(STEP_S)
        loaded = self._loaded if node is not None else None
        if loaded and loaded.missing and isinstance(loaded.missing.problem, StoreUnavailable):
            raise StoreUnavailable(str(loaded.missing.problem))
        return loaded

    def _attempt(self) -> bool:
        """Load the model that the pointer names now; return False if another thread is at it."""
        with self._lock:
            if self._is_loading:
                return False
            self._is_loading = True
        has_succeeded = False
        try:
            node = self._database.pointer()
            if not self._is_settled(node):
                with deadline.within(LOAD_S):
                    self._switch(node)
            has_succeeded = True
        finally:
            with self._lock:
                self._is_loading = False
                calls, self._calls = (self._calls, []) if has_succeeded else ([], self._calls)
        until_ms = self._clock.elapsed_ms() + CALLS_MS
        for number, call in enumerate(calls):
            if self._clock.elapsed_ms() >= until_ms:
                logs.info("lists of the last model are left to the fan-out and the sweep", lists=len(calls) - number)
                break
            try:
                call()
            except Exception as problem:
                logs.alarm("lists-failed", "lists of the last model could not be made again",
                           reason=type(problem).__name__)  # fmt: skip
        return True

    def try_out(self, version: str, manifest_sha256: str) -> Manifest:
        """Check all files of a version and load its model, without using it for lists; return its manifest.

        Raises:
            BadModel, StoreUnavailable: if something is wrong.
        """
        with deadline.within(TRY_OUT_S):
            manifest = fetch_manifest(self._store.download, version, manifest_sha256)
            files = fetch_files(self._store.download, manifest, manifest.files)
            kept = {name: content for name, content in files if name in REQUIRED_FILES}  # of the others, one at a time
        self._load(version, kept[RECOMMEND_MODEL], kept[ITEMS])
        return manifest

    def _is_settled(self, node: object) -> bool:
        if node is None:
            return True
        loaded = self._loaded
        return loaded is not None and loaded.node == node and not (loaded.missing and self._is_over(loaded.missing))

    def _is_over(self, failure: Failure) -> bool:
        return self._clock.elapsed_ms() - failure.at_ms >= TRY_AGAIN_AFTER_MS

    def _raise_if_resting(self, node: object) -> None:
        failure = self._failure
        if failure and failure.node == node and not self._is_over(failure):
            raise type(failure.problem)(str(failure.problem))

    def _switch(self, node: object) -> None:
        self._raise_if_resting(node)
        try:
            pointer = parse_pointer(node)
            if pointer is None:
                raise BadModel("/Recommender/model names no model")
            live = Live(node, pointer, self._fetch(pointer.version, pointer.manifest_sha256))
        except (BadModel, StoreUnavailable) as problem:
            self._failure = Failure(node, self._clock.elapsed_ms(), problem)
            if self._loaded is None and isinstance(problem, BadModel):
                self._loaded = self._newest_kept(node)
            self._record(node, str(problem))
            raise
        self._failure = None
        self._loaded = self._with_other(live)
        self._record(node, "")

    def _with_other(self, live: Live) -> Live:
        """Load the model of an experiment's other arm, in addition to the live one."""
        experiment = live.pointer.experiment
        if experiment is None:
            return live
        try:
            return replace(live, other=self._fetch(experiment.version, live.pointer.kept[experiment.version]))
        except (BadModel, StoreUnavailable) as problem:
            logs.alarm("model-unusable", "an experiment's model cannot be used", reason=str(problem),
                       using=live.pointer.version)  # fmt: skip
            return replace(live, missing=Failure(live.node, self._clock.elapsed_ms(), problem))

    def _newest_kept(self, node: object) -> Live | None:
        """Return the newest kept model that is usable: an instance that has just started has loaded none before."""
        pointer = usable_pointer(node)
        if pointer is None:
            return None
        for version in sorted(pointer.kept.keys() - {pointer.version}, reverse=True):
            name, digest = paths.model_object(version, MANIFEST), pointer.kept[version]
            before = Pointer(version, name, digest, 0, pointer.published_at, 0)
            try:
                return Live(None, before, self._fetch(version, digest))
            except (BadModel, StoreUnavailable) as problem:
                logs.info("a kept model cannot be used either", model=version, reason=str(problem))
        return None

    def _fetch(self, version: str, manifest_sha256: str) -> Recommender:
        """Return a version's model, from the bucket unless it is already in use. Versions are immutable."""
        before = self._loaded
        if before and before.pointer.vouched().get(version) == manifest_sha256:
            for model in (before.model, before.other):
                if model and model.version == version:
                    return model
        manifest = fetch_manifest(self._store.download, version, manifest_sha256)
        files = dict(fetch_files(self._store.download, manifest, (RECOMMEND_MODEL, ITEMS)))
        return self._load(version, files[RECOMMEND_MODEL], files[ITEMS])

    def _record(self, node: object, problem: str) -> None:
        version, loaded = node.get("version") if isinstance(node, Mapping) else None, self._loaded
        used = loaded.pointer.version if loaded else None
        state = {"version": str(version)[:64], "loads": not problem, "problem": problem or None, "using": used}
        experiment = loaded.pointer.experiment if loaded and not problem else None
        if loaded and experiment:
            missing = str(loaded.missing.problem) if loaded.missing else None
            state["experiment"] = {"version": experiment.version, "loads": loaded.other is not None, "problem": missing}
        self._database.update({f"{paths.STATUS}/model": state})
