"""The live model, loaded once and replaced when the pointer moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from backend import logs
from backend.ports import Clock, Database, ModelLoader, ModelStore
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.manifest import (
    ITEMS,
    MAX_MANIFEST_BYTES,
    RECOMMEND_MODEL,
    Pointer,
    parse_manifest,
    parse_pointer,
    sha256,
)
from bookrec.recommender import Recommender

TRY_AGAIN_AFTER_MS = 30_000
"""How long a model that could not be loaded is left alone."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    node: object
    model: Recommender


@dataclass(frozen=True, slots=True)
class _Failure:
    node: object
    at_ms: int
    problem: BadModel | StoreUnavailable


class LiveModel:
    """What the pointer names. If that cannot be loaded, the last model that could; None where there is none."""

    def __init__(self, database: Database, store: ModelStore, load: ModelLoader, clock: Clock) -> None:
        self._database, self._store, self._load, self._clock = database, store, load, clock
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._failure: _Failure | None = None

    def current(self) -> Recommender | None:
        """Return the model to use now; reads the pointer, and the files only when it has moved."""
        try:
            return self.load()
        except (BadModel, StoreUnavailable) as problem:
            logs.warning("the live model cannot be used", reason=str(problem))
            return self._loaded.model if self._loaded else None

    def load(self) -> Recommender | None:
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
        return self._loaded.model if node is not None and self._loaded else None

    def _is_settled(self, node: object) -> bool:
        return node is None or (self._loaded is not None and self._loaded.node == node)

    def _switch(self, node: object) -> None:
        failure, now = self._failure, self._clock.now_ms()
        if failure and failure.node == node and now - failure.at_ms < TRY_AGAIN_AFTER_MS:
            raise type(failure.problem)(str(failure.problem))
        try:
            self._loaded = _Loaded(node, self._fetch(parse_pointer(node)))
        except (BadModel, StoreUnavailable) as problem:
            self._failure = _Failure(node, now, problem)
            self._record(node, str(problem))
            raise
        self._failure = None
        self._record(node, "")

    def _fetch(self, pointer: Pointer | None) -> Recommender:
        if pointer is None:
            raise BadModel("/Recommender/model names no model")
        content = self._store.download(pointer.manifest, MAX_MANIFEST_BYTES)
        if sha256(content) != pointer.manifest_sha256:
            raise BadModel("the manifest does not match the SHA-256 in the pointer")
        try:
            manifest = parse_manifest(json.loads(content))
        except ValueError as problem:
            raise BadModel("the manifest is no JSON") from problem
        if manifest.version != pointer.version:
            raise BadModel("the manifest is of another version than the pointer")
        files: dict[str, bytes] = {}
        for name in (RECOMMEND_MODEL, ITEMS):
            entry = manifest.files[name]
            files[name] = self._store.download(paths.model_object(pointer.version, name), entry.size)
            entry.check(name, files[name])
        return self._load(pointer.version, files[RECOMMEND_MODEL], files[ITEMS])

    def _record(self, node: object, problem: str) -> None:
        version = node.get("version") if isinstance(node, Mapping) else None
        state = {"version": str(version)[:64], "loads": not problem, "problem": problem or None}
        self._database.update({f"{paths.STATUS}/model": state})
