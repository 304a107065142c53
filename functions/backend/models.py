"""The live model, loaded once and replaced when the pointer moves."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from backend import logs
from backend.ports import Clock, Database, ModelLoader, ModelStore
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.manifest import (
    ITEMS,
    MAX_FILE_BYTES,
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


@dataclass(slots=True)
class _Failure:
    pointer: Pointer | None
    at_ms: int


class LiveModel:
    """What the pointer names. If that cannot be loaded, the last model that could; None where there is none."""

    def __init__(self, database: Database, store: ModelStore, load: ModelLoader, clock: Clock) -> None:
        self._database, self._store, self._load, self._clock = database, store, load, clock
        self._lock = threading.Lock()
        self._pointer: Pointer | None = None
        self._model: Recommender | None = None
        self._failure: _Failure | None = None

    def current(self) -> Recommender | None:
        """Return the model to use now; reads the pointer, and the files only when it has moved."""
        try:
            return self.load()
        except (BadModel, StoreUnavailable) as problem:
            logs.warning("the live model cannot be used", reason=str(problem))
            return self._model

    def load(self) -> Recommender | None:
        """Return the model that the pointer names, or None where nothing was published.

        Raises:
            BadModel, StoreUnavailable: saying what is wrong; the reason is kept in ``/Recommender/status/model``.
        """
        with self._lock:
            pointer = parse_pointer(self._database.pointer())
            if pointer is None or pointer == self._pointer:
                return self._model
            failure = self._failure
            if failure and failure.pointer == pointer and self._clock.now_ms() - failure.at_ms < TRY_AGAIN_AFTER_MS:
                raise StoreUnavailable(f"version {pointer.version} could not be loaded a moment ago")
            try:
                self._model, self._pointer = self._fetch(pointer), pointer
            except (BadModel, StoreUnavailable) as problem:
                self._failure = _Failure(pointer, self._clock.now_ms())
                self._record(pointer, str(problem))
                raise
            self._failure = None
            self._record(pointer, "")
            return self._model

    def _fetch(self, pointer: Pointer) -> Recommender:
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
            files[name] = self._store.download(paths.model_object(pointer.version, name), MAX_FILE_BYTES)
            manifest.files[name].check(name, files[name])
        return self._load(pointer.version, files[RECOMMEND_MODEL], files[ITEMS])

    def _record(self, pointer: Pointer, problem: str) -> None:
        state = {"version": pointer.version, "loads": not problem, "problem": problem or None}
        self._database.update({f"{paths.STATUS}/model": state})
