"""In-memory twins of the backend's ports. They keep what the real services keep, and can be made to fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backend.composition import Backend, Services, build
from backend.settings import Settings
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.lease import Lease, read_lease
from bookrec.manifest import MANIFEST, FileEntry, Manifest, sha256
from bookrec.recommender import Items, Recommender, parse_items
from bookrec.retraining import Pending, Policy

POLICY = Policy(quiet_ms=3_000, minimum_changes=5, maximum_age_ms=3_600_000)
SETTINGS = Settings(
    project="demo-bookrec",
    region="us-central1",
    database_url="",
    bucket="",
    policy=POLICY,
    trainer_job="book-trainer",
    trainer_timeout_s=3600,
    fanout_shard_size=2,
    catalogue_ttl_s=0,
    is_emulated=True,
)


class FakeClock:
    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class FakeDatabase:
    """A tree of JSON; ``on_shelf_read`` is called before each reading of shelves, with its number."""

    def __init__(self, clock: FakeClock) -> None:
        self.tree: dict[str, Any] = {}
        self.clock = clock
        self.shelf_reads = 0
        self.on_shelf_read: Callable[[int], None] = lambda number: None

    def get(self, path: str) -> Any:
        node: Any = self.tree
        for key in path.strip("/").split("/"):
            node = node.get(key) if isinstance(node, dict) else None
        return json.loads(json.dumps(node))

    def update(self, values: Mapping[str, object]) -> None:
        for path, value in values.items():
            *parents, key = path.strip("/").split("/")
            node = self.tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node.pop(key, None)
            filled = self._fill(value)
            if filled is not None:
                node[key] = filled

    def _fill(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get(".sv") == "timestamp":
                return self.clock.now_ms()
            return {k: v for k, child in value.items() if (v := self._fill(child)) is not None} or None
        return value

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, object]:
        self.shelf_reads += 1
        self.on_shelf_read(self.shelf_reads)
        entries = self.get(paths.USER_BOOK) or {}
        return {k: v for k, v in entries.items() if isinstance(v, dict) and v.get("userId") in user_ids}

    def entry(self, key: str) -> object:
        return self.get(f"{paths.USER_BOOK}/{key}")

    def entries_page(self, after: str, size: int) -> Mapping[str, object]:
        entries = self.get(paths.USER_BOOK) or {}
        keys = sorted(entries, key=paths.key_order)
        keys = [key for key in keys if not after or paths.key_order(key) > paths.key_order(after)]
        return {key: entries[key] for key in keys[:size]}

    def user_ids(self) -> Sequence[str]:
        return sorted(self.get(paths.USERS) or {})

    def list_states(self, user_ids: Sequence[str]) -> Mapping[str, tuple[object, object]]:
        nodes = {user_id: paths.recommendations(user_id) for user_id in user_ids}
        return {u: (self.get(f"{n}/basedOn/digest"), self.get(f"{n}/modelVersion")) for u, n in nodes.items()}

    def pointer(self) -> object:
        return self.get(paths.MODEL)

    def catalogue(self, etag: str) -> tuple[Mapping[str, object] | None, str]:
        nodes = self.get(paths.ARCHIVE) or {}
        now = sha256(json.dumps(nodes, sort_keys=True).encode())
        return (None, etag) if now == etag else (nodes, now)

    def pending(self) -> Pending:
        marks = self.get(paths.CHANGES) or {}
        times = [mark["at"] for mark in marks.values()]
        return Pending(len(times), min(times, default=0), max(times, default=0))

    def status(self, path: str) -> Any:
        return self.get(f"{paths.STATUS}/{path}")

    def rejected_keys(self) -> Sequence[str]:
        return list(self.get(paths.REJECTED) or {})

    def record(self, key: str) -> object:
        return self.get(f"{paths.REJECTED}/{key}")

    def change_lease(self, change: Callable[[Lease], Lease | None]) -> Lease | None:
        changed = change(read_lease(self.get(paths.LEASE)))
        if changed is not None:
            self.update({paths.LEASE: changed.to_node()})
        return changed

    def quarantine(self, key: str, node: object, record: Mapping[str, object]) -> bool:
        if node is None or self.entry(key) != node:
            return False
        self.update({f"{paths.REJECTED}/{key}": record, f"{paths.USER_BOOK}/{key}": None})
        return True


class FakeStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_away = False

    def download(self, name: str, max_bytes: int) -> bytes:
        if self.is_away:
            raise StoreUnavailable("nobody answers")
        if name not in self.objects:
            raise BadModel(f"{name} is not there")
        if len(self.objects[name]) > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
        return self.objects[name]


class FakeTasks:
    def __init__(self) -> None:
        self.queued: dict[str, tuple[str, Mapping[str, object], int | None]] = {}
        self.fails = False

    def enqueue(self, function: str, payload: Mapping[str, object], task_id: str, at_ms: int | None = None) -> None:
        if self.fails:
            raise ConnectionError("the queue is away")
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
    """The backend over fakes, with one model's worth of helpers."""

    def __init__(self, books: int = 30) -> None:
        self.clock = FakeClock()
        self.database = FakeDatabase(self.clock)
        self.store, self.tasks, self.jobs = FakeStore(), FakeTasks(), FakeJobs()
        self._services = Services(
            database=self.database,
            store=self.store,
            load=load_fake,
            tasks=self.tasks,
            jobs=self.jobs,
            clock=self.clock,
            together=lambda calls: [call() for call in calls],
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
        """The handlers of another instance: nothing is cached yet."""
        return build(SETTINGS, self._services)

    def publish(self, version: str, fence: int, *, known: Sequence[str] | None = None) -> None:
        items = json.dumps(Items(tuple(known or self.isbns), tuple((known or self.isbns)[:5])).to_json()).encode()
        files = {"recommend.tflite": version.encode(), "items.json": items}
        manifest = Manifest(version, {n: FileEntry(len(c), sha256(c)) for n, c in files.items()}, {})
        content = json.dumps(manifest.to_json()).encode()
        for name, data in {**files, MANIFEST: content}.items():
            self.store.objects[paths.model_object(version, name)] = data
        node = {
            "version": version,
            "manifest": paths.model_object(version, MANIFEST),
            "manifestSha256": sha256(content),
            "fence": fence,
            "publishedAt": self.clock.now_ms(),
            "snapshotAt": self.clock.now_ms(),
        }
        self.database.update({paths.MODEL: node})

    def list_of(self, user_id: str) -> Any:
        return self.database.get(paths.recommendations(user_id))


def load_fake(version: str, model: bytes, items: bytes) -> Recommender:
    """A model whose best book is the one after the newest on the shelf; ``b"broken"`` does not load."""
    if model.startswith(b"broken"):
        raise BadModel("it does not load")
    known = parse_items(items)
    count = len(known.isbns)

    def recommend(items: Any, ratings: Any) -> Any:
        order = [(int(items[-1]) + step) % count for step in range(1, count + 1)]
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

    return Recommender(version, known, recommend, rate)


def entry(user_id: str, isbn: str, rating: float = 4.0) -> dict[str, object]:
    return {"userId": user_id, "bookId": f"b-{isbn}", "isbn": isbn, "myRate": rating}
