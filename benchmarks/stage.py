"""What the functions need around them, on loopback: the database, Cloud Storage with a published model, Cloud Tasks."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks import random_model
from bookrec import paths
from bookrec.life_cycle.publishing import next_pointer
from local.database_emulator import running
from local.processes import Processes, free_port
from local.stack import storage_program
from trainer.publishing import versions

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
PYTHON = FUNCTIONS / "venv" / "bin" / "python"
PROJECT = "demo-bookrec"
NAMESPACE, BUCKET = f"{PROJECT}-default-rtdb", f"{PROJECT}.appspot.com"
ADMIN = {"Authorization": "Bearer owner"}
VERSION = "20260101T000000Z-1"
SHELF = 50
PATIENCE_S = 60.0
IN_FLIGHT = 16
"""Events that one instance is handed at a time, as ``main.py`` has it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Services that run.

    Attributes:
        database, storage, functions: where they listen; nobody does at ``functions`` yet.
        files: the live model's.
        catalogue: ``/archive`` as it was written.
        tasks: how many tasks were queued.
        environment: what the functions need in order to find all of it.
    """

    database: str
    storage: str
    functions: str
    files: Mapping[str, bytes]
    catalogue: Mapping[str, Any]
    tasks: list[str]
    environment: Mapping[str, str]

    def request(self, method: str, path: str, value: object = None, **query: str) -> Any:
        """Make one request of the database, as an admin."""
        url = f"http://{self.database}/{path}.json"
        answer = requests.request(
            method, url, params={"ns": NAMESPACE, **query}, json=value, headers=ADMIN, timeout=PATIENCE_S
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def stage(seed: int, processes: Processes, logs: Path) -> Iterator[Stage]:
    """Start everything, write the rules and a catalogue of ``random_model.BOOKS``, and publish the model."""
    functions, storage = free_port(), free_port()
    options = ["--functions_emulator_port", str(functions), "--in-flight", str(IN_FLIGHT)]
    with running(*options) as emulator, _tasks() as (tasks_port, tasks):
        start_storage(processes, storage, logs)
        environment = {
            "GCLOUD_PROJECT": PROJECT,
            "FIREBASE_CONFIG": json.dumps({"projectId": PROJECT, "storageBucket": BUCKET}),
            "FIREBASE_DATABASE_EMULATOR_HOST": emulator.address,
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{storage}",
            "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{tasks_port}",
            "FUNCTIONS_EMULATOR": "true",
            "FUNCTION_TARGET": "on_user_book_written",
            "FUNCTION_SIGNATURE_TYPE": "cloudevent",
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        }
        files, catalogue = random_model.files(seed), catalogue_of(seed)
        ready = Stage(
            emulator.address, f"127.0.0.1:{storage}", f"127.0.0.1:{functions}", files, catalogue, tasks, environment
        )
        url = f"http://{emulator.address}/.settings/rules.json"
        rules = (ROOT / "database.rules.json").read_bytes()
        requests.put(url, params={"ns": NAMESPACE}, data=rules, headers=ADMIN, timeout=30).raise_for_status()
        ready.request("PUT", paths.ARCHIVE, catalogue, print="silent")
        _publish(ready)
        yield ready


def shelve(stage: Stage, seed: int, readers: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Write ``SHELF`` entries and a profile for each of some readers; return the entries by reader and key."""
    rng, isbns = np.random.default_rng((seed, 2)), random_model.isbns()
    shelves: dict[str, dict[str, dict[str, Any]]] = {}
    for number in range(readers):
        uid, books = f"reader{number:022}", rng.choice(len(isbns), SHELF, replace=False)
        shelves[uid] = {
            f"-N{number:06}{place:012}": {
                "userId": uid, "bookId": f"b{place}", "isbn": isbns[book], "myRate": int(rng.integers(0, 11)) / 2
            }
            for place, book in enumerate(books)
        }  # fmt: skip
    entries = {key: entry for shelf in shelves.values() for key, entry in shelf.items()}
    stage.request("PUT", paths.USER_BOOK, entries, print="silent")
    profiles = {uid: {"id": uid, "firstname": "A", "lastname": "Reader", "mobile": "", "image": ""} for uid in shelves}
    stage.request("PUT", paths.USERS, profiles, print="silent")
    return shelves


def catalogue_of(seed: int) -> dict[str, dict[str, str]]:
    """Return the nodes of ``/archive``: the model's books, with invented titles and authors."""
    rng = np.random.default_rng((seed, 1))
    words = np.array(["ash", "bell", "crow", "dawn", "elm", "fern", "gull", "hill", "iris", "jade", "kite", "lark"])
    titles = [" ".join(row) for row in words[rng.integers(0, len(words), (random_model.BOOKS, 4))]]
    years, authors = rng.integers(1950, 2026, random_model.BOOKS), rng.integers(0, 2_000, random_model.BOOKS)
    rows = zip(random_model.isbns(), titles, authors.tolist(), years.tolist(), strict=True)
    return {
        f"-A{number:018}": {
            "documentId": f"-A{number:018}", "isbn": isbn, "title": f"{title} {number}", "author": f"Author {author}",
            "publishedYear": str(year), "rating": "4.0", "genre": "Novel", "pages": "300",
            "description": f"A novel by Author {author}, 300 pages.", "image": f"https://covers.example/{isbn}.jpg",
        }
        for number, (isbn, title, author, year) in enumerate(rows)
    }  # fmt: skip


def _publish(stage: Stage) -> None:
    """Put the model's files where the trainer puts them, then the pointer."""
    manifest = versions.make_manifest(VERSION, stage.files, {})
    content = json.dumps(manifest.to_json(), indent=1, sort_keys=True).encode()
    now = int(time.time() * 1000)
    pointer = versions.make_pointer(VERSION, content, 1, now, now)
    for name, data in {**stage.files, pointer.manifest.rsplit("/", 1)[1]: content}.items():
        url = f"http://{stage.storage}/upload/storage/v1/b/{BUCKET}/o"
        query = {"uploadType": "media", "name": paths.model_object(VERSION, name)}
        requests.post(url, params=query, data=data, timeout=PATIENCE_S).raise_for_status()
    stage.request("PUT", paths.MODEL, next_pointer(None, pointer))


def start_storage(processes: Processes, port: int, logs: Path) -> None:
    """Start an empty Cloud Storage with the project's bucket."""
    url = f"http://127.0.0.1:{port}"
    command = [str(storage_program()), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-external-url", url, "-public-host", f"127.0.0.1:{port}"]
    processes.start(command, log=logs / "storage.log")
    wait_for(f"{url}/storage/v1/b")
    requests.post(f"{url}/storage/v1/b", json={"name": BUCKET}, timeout=10).raise_for_status()


def wait_for(url: str) -> None:
    """Wait until somebody answers.

    Raises:
        TimeoutError: where nobody does.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            requests.get(url, timeout=5)
            return
        except requests.RequestException:
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer after {PATIENCE_S:.0f} s")


@contextmanager
def _tasks() -> Iterator[tuple[int, list[str]]]:
    """Serve as the tasks emulator: take each task, and count."""
    queued: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            queued.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, queued
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
