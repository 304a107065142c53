"""In-memory fakes for the backend's ports. They store what the real services store, and can be made to fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backend.composition import Backend, Services, build
from backend.parameters import Settings
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.life_cycle.manifest import MANIFEST, FileEntry, Manifest, sha256
from bookrec.life_cycle.retraining import Policy
from bookrec.recommender import Items, Recommender, parse_items
from bookrec_database.database import FirebaseDatabase
from tests.memory_database import MemoryDatabase

POLICY = Policy(quiet_ms=3_000, minimum_changes=5, maximum_age_ms=3_600_000)
SETTINGS = Settings(
    project="demo-bookrec",
    region="us-central1",
    database_url="",
    bucket="",
    policy=POLICY,
    trainer_job="book-trainer",
    trainer_timeout_s=3600,
    trainer_start_s=600,
    lease_s=120,
    fanout_shard_size=2,
    catalogue_ttl_s=0,
    is_emulated=True,
)


class FakeClock:
    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now, self.set_by = now, 0

    def now_ms(self) -> int:
        return self.now

    def elapsed_ms(self) -> int:
        return self.now - self.set_by

    def set(self, by_ms: int) -> None:
        """Set the clock, forward or back: no time passes."""
        self.now += by_ms
        self.set_by += by_ms

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def one_by_one(calls):
    """Run calls, which could run concurrently, in order."""
    return [call() for call in calls]


def database_of(memory: MemoryDatabase, *others: MemoryDatabase) -> FirebaseDatabase:
    """The real adapter over databases in memory: the first, and others whose readers are read with its own."""
    return FirebaseDatabase(memory.reference, one_by_one, others=[other.reference for other in others])


class FakeDatabase(FirebaseDatabase):
    """The real adapter over a database in memory.

    ``on_shelf_read`` is called before each read of shelves, with its number; ``on_second_look`` before each look at the
    counts of lists' writes after a write.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.memory = MemoryDatabase(clock.now_ms)
        super().__init__(self.memory.reference, one_by_one)
        self.get = self.memory.get
        self.shelf_reads = 0
        self.on_shelf_read: Callable[[int], None] = lambda number: None
        self.second_looks, self._has_written = 0, False
        self.on_second_look: Callable[[int], None] = lambda number: None

    def update(self, values: Mapping[str, object]) -> None:
        super().update(values)
        self._has_written |= any(path.startswith(paths.LIST_WRITES) for path in values)

    def list_writes(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        if self._has_written:  # the first look of a round comes before its write
            self._has_written = False
            self.second_looks += 1
            self.on_second_look(self.second_looks)
        return super().list_writes(user_ids)

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, object]:
        self.shelf_reads += 1
        self.on_shelf_read(self.shelf_reads)
        return super().shelf_nodes(user_ids)


class FakeBucket:
    """Cloud Storage, for the functions to read and for the trainer to write."""

    def __init__(self, clock: FakeClock) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.is_away = False
        self._clock = clock

    def download(self, name: str, max_bytes: int) -> bytes:
        if self.is_away:
            raise StoreUnavailable("nobody answers")
        content = self.read(name)
        if not content:
            raise BadModel(f"{name} is empty")
        if len(content) > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
        return content

    def create(self, name: str, content: bytes, content_type: str) -> None:
        if self.objects.get(name, content) != content:
            raise BadModel(f"{name} exists in the bucket with other content: versions are immutable")
        self.objects[name] = content
        self.times.setdefault(name, self._clock.now_ms())

    def read(self, name: str) -> bytes:
        if name not in self.objects:
            raise BadModel(f"{name} is not in the bucket")
        return self.objects[name]

    def created(self) -> Iterator[tuple[str, int]]:
        yield from sorted(self.times.items())

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)
        self.times.pop(name, None)


class FakeTasks:
    def __init__(self) -> None:
        self.queued: dict[str, tuple[str, Mapping[str, object], int | None]] = {}
        self.fails = False

    def enqueue(self, function: str, payload: Mapping[str, object], task_id: str, at_ms: int | None = None) -> None:
        if self.fails:
            raise ConnectionError("the queue does not answer")
        self.queued.setdefault(task_id, (function, payload, at_ms))


class FakeJobs:
    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.fails = False

    def start(self, run_id: str, fence: int) -> None:
        if self.fails:
            raise ConnectionError("no trainer")
        self.started.append((run_id, fence))


class World:
    """The backend over fakes, with methods to publish a model and read lists."""

    def __init__(self, books: int = 30, **settings: Any) -> None:
        self._settings = replace(SETTINGS, **settings)
        self.clock = FakeClock()
        self.database = FakeDatabase(self.clock)
        self.store, self.tasks, self.jobs = FakeBucket(self.clock), FakeTasks(), FakeJobs()
        self._services = Services(
            database=self.database,
            store=self.store,
            load=load_fake,
            tasks=self.tasks,
            jobs=self.jobs,
            clock=self.clock,
            concurrently=one_by_one,
            name="demo",
        )
        self.backend = self.restarted()
        self.isbns = [f"isbn{number:03}" for number in range(books)]
        for number, isbn in enumerate(self.isbns):
            book = {
                "isbn": isbn,
                "title": f"Title {number}",
                "author": f"Author {number}",
                "publishedYear": str(1990 + number),
            }
            self.database.update({f"{paths.ARCHIVE}/a{number:03}": book})

    def restarted(self) -> Backend:
        """Return the handlers of another instance: nothing is cached yet."""
        return build(self._settings, self._services)

    def publish(self, version: str, fence: int, *, known: Sequence[str] | None = None, model: bytes = b"") -> None:
        items = json.dumps(Items(tuple(known or self.isbns), tuple((known or self.isbns)[:5])).to_json()).encode()
        files = {"recommend.tflite": model or version.encode(), "items.json": items}
        manifest = Manifest(version, {n: FileEntry(len(c), sha256(c)) for n, c in files.items()}, {})
        content = json.dumps(manifest.to_json()).encode()
        for name, data in {**files, MANIFEST: content}.items():
            self.store.objects[paths.model_object(version, name)] = data
        before = self.database.get(paths.MODEL) or {}
        node = {
            "version": version,
            "manifest": paths.model_object(version, MANIFEST),
            "manifestSha256": sha256(content),
            "fence": fence,
            "publishedAt": self.clock.now_ms(),
            "snapshotAt": self.clock.now_ms(),
            "kept": {**before.get("kept", {}), version: sha256(content)},
            "experiment": before.get("experiment"),
        }
        self.database.update({paths.MODEL: node})

    def list_of(self, user_id: str) -> Any:
        return self.database.get(paths.recommendations(user_id))


def load_fake(version: str, model: bytes, items: bytes) -> Recommender:
    """Return a model whose best book is the first or the second after the newest book on the shelf.

    Versions ending in 2, 3, 6 or 7 give the same lists, all others those of ``v1``; so it is with similar books.
    ``b"broken"`` does not load, ``b"earlier"`` does not find similar books.
    """
    first = 1 + (version[-1] in "2367")
    if model.startswith(b"broken"):
        raise BadModel("it does not load")
    known = parse_items(items)
    count = len(known.isbns)

    def recommend(items: Any, ratings: Any) -> Any:
        order = [(int(items[-1]) + step) % count for step in range(first, count + first)]
        order = [index for index in order if index not in set(items.tolist())][:20]
        because = [[0, -1] if items[0] >= 0 else [-1, -1]] * len(order)
        return {
            "indices": np.array(order, np.int32),
            "scores": np.linspace(1, 0.1, len(order), dtype=np.float32),
            "predicted_ratings": np.full(len(order), 4.0, np.float32),
            "because": np.array(because, np.int32).reshape(-1, 2),
        }

    def rate(items: Any, ratings: Any, targets: Any) -> Any:
        return {"predicted_ratings": np.full(len(targets), 3.5, np.float32)}

    def similar(item: Any) -> Any:
        order = [(int(item[0]) + step) % count for step in range(first, count + first)]
        order = [index for index in order if index != item[0]][:20]
        return {"indices": np.array(order, np.int32), "scores": np.linspace(1, 0.1, len(order), dtype=np.float32)}

    return Recommender(version, known, recommend, rate, None if model.startswith(b"earlier") else similar)


def entry(user_id: str, isbn: str, rating: float = 4.0) -> dict[str, object]:
    return {"userId": user_id, "bookId": f"b-{isbn}", "isbn": isbn, "myRate": rating}
