"""Tasks through firebase-admin, with a server that answers like the tasks emulator."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import firebase_admin
import pytest

from backend.adapters.cloud_tasks import CloudTaskQueue


class TasksEmulator:
    """Accepts each task name once; ``status`` is its answer to a new one."""

    def __init__(self):
        self.tasks, self.paths, self.status = {}, [], 200
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                task = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["task"]
                emulator.paths.append(self.path)
                status = 409 if task["name"] in emulator.tasks else emulator.status
                if status == 200:
                    emulator.tasks[task["name"]] = task
                body = json.dumps({"task": task}).encode() if status == 200 else b"no"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def emulator(monkeypatch):
    emulator = TasksEmulator()
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", f"127.0.0.1:{emulator.server.server_port}")
    yield emulator
    emulator.stop()


@pytest.fixture
def queue(emulator):
    yield CloudTaskQueue("demo-bookrec", "europe-west1", is_emulated=True)
    firebase_admin.delete_app(firebase_admin.get_app("tasks"))


def test_a_task_is_wrapped_placed_in_its_region_and_due_at_its_time(queue, emulator):
    queue.enqueue("retrain", {"notBefore": 1}, "id-1", at_ms=1_700_000_000_000)
    (task,) = emulator.tasks.values()
    assert json.loads(base64.b64decode(task["httpRequest"]["body"])) == {"data": {"notBefore": 1}}
    assert task["scheduleTime"].startswith("2023-11-14T22:13:20")
    assert emulator.paths == ["/projects/demo-bookrec/locations/europe-west1/queues/retrain/tasks"]


def test_a_used_id_is_the_same_task(queue, emulator):
    for _ in range(3):
        queue.enqueue("fanout", {"shard": 0}, "id-1")
    assert len(emulator.tasks) == 1


def test_a_queue_that_fails_raises(queue, emulator):
    emulator.status = 404
    with pytest.raises(firebase_admin.exceptions.NotFoundError):
        queue.enqueue("nobody", {}, "id-1")


def test_a_malformed_id_raises(queue):
    with pytest.raises(ValueError, match="task_id"):
        queue.enqueue("retrain", {}, "an id")
