"""The live model, loaded once and replaced when the pointer moves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from backend import logs
from backend.ports import Clock, Database, ModelLoader, ModelStore
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.manifest import (
    ITEMS,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    RECOMMEND_MODEL,
    Pointer,
    parse_pointer,
    read_manifest,
    usable_pointer,
)
from bookrec.recommender import Recommender

TRY_AGAIN_AFTER_MS = 30_000
"""How long a model that could not be loaded is left alone."""

NO_MODEL = "none"
"""The model version of lists that are made without a model."""


@dataclass(frozen=True, slots=True)
class Live:
    """A loaded model with the pointer that named it."""

    node: object
    pointer: Pointer
    model: Recommender


@dataclass(frozen=True, slots=True)
class InUse:
    """What lists are made with now.

    Attributes:
        live: a model, or None where there is none.
        is_degraded: it is not what the pointer names, since that cannot be loaded: lists of any model will do.
    """

    live: Live | None
    is_degraded: bool = False

    @property
    def version(self) -> str:
        """The model version of lists that are made now."""
        return self.live.pointer.version if self.live else NO_MODEL


@dataclass(frozen=True, slots=True)
class _Failure:
    node: object
    at_ms: int
    problem: BadModel | StoreUnavailable


class LiveModel:
    """What the pointer names. If that cannot be loaded, the last good one; None where there is none."""

    def __init__(self, database: Database, store: ModelStore, load: ModelLoader, clock: Clock) -> None:
        self._database, self._store, self._load, self._clock = database, store, load, clock
        self._lock = threading.Lock()
        self._loaded: Live | None = None
        self._in_use: InUse | None = None
        self._failure: _Failure | None = None

    def cached(self) -> InUse:
        """Return what ``current`` returned last, however long ago; it is called here only if it never was."""
        return self._in_use or self.current()

    def current(self) -> InUse:
        """Return the model to use now; reads the pointer, and the files only when it has moved."""
        try:
            in_use = InUse(self.load())
        except (BadModel, StoreUnavailable) as problem:
            in_use = InUse(self._loaded, is_degraded=True)
            logs.alarm("model-unusable", "the live model cannot be used", reason=str(problem), using=in_use.version)
        self._in_use = in_use
        return in_use

    def load(self) -> Live | None:
        """Return the model that the pointer names, or None where it names none.

        Raises:
            BadModel, StoreUnavailable: saying what is wrong; the reason is kept in ``/Recommender/status/model``.
        """
        node = self._database.pointer()
        if not self._is_settled(node):
            with self._lock:  # one download an instance; whoever waited here finds it done
                node = self._database.pointer()
                if not self._is_settled(node):
                    self._switch(node)
        return self._loaded if node is not None else None

    def _is_settled(self, node: object) -> bool:
        return node is None or (self._loaded is not None and self._loaded.node == node)

    def _switch(self, node: object) -> None:
        failure, now = self._failure, self._clock.now_ms()
        if failure and failure.node == node and now - failure.at_ms < TRY_AGAIN_AFTER_MS:
            raise type(failure.problem)(str(failure.problem))
        try:
            pointer = parse_pointer(node)
            if pointer is None:
                raise BadModel("/Recommender/model names no model")
            self._loaded = Live(node, pointer, self._fetch(pointer.version, pointer.manifest_sha256))
        except (BadModel, StoreUnavailable) as problem:
            self._failure = _Failure(node, now, problem)
            if self._loaded is None and isinstance(problem, BadModel):
                self._loaded = self._newest_kept(node)
            self._record(node, str(problem))
            raise
        self._failure = None
        self._record(node, "")

    def _newest_kept(self, node: object) -> Live | None:
        """Return the newest model before the one that cannot be used: an instance that starts now knows no other."""
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
        content = self._store.download(paths.model_object(version, MANIFEST), MAX_MANIFEST_BYTES)
        manifest = read_manifest(version, content, manifest_sha256)
        files: dict[str, bytes] = {}
        for name in (RECOMMEND_MODEL, ITEMS):
            entry = manifest.files[name]
            files[name] = self._store.download(paths.model_object(version, name), entry.size)
            entry.check(name, files[name])
        return self._load(version, files[RECOMMEND_MODEL], files[ITEMS])

    def _record(self, node: object, problem: str) -> None:
        version = node.get("version") if isinstance(node, Mapping) else None
        used = self._loaded.pointer.version if self._loaded else None
        state = {"version": str(version)[:64], "loads": not problem, "problem": problem or None, "using": used}
        self._database.update({f"{paths.STATUS}/model": state})
