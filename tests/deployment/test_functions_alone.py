"""A rehearsal of the deployment: functions/ by itself, in its own environment, answers an event."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests

from bookrec.ranking import LIST_SIZE
from local.processes import Processes, free_port
from tests.database_server import Server

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "fanout", "on_dismissed_written", "on_list_shown", "on_model_published", "on_user_book_written",
    "operator_experiment", "operator_reconcile", "operator_release", "operator_retrain", "operator_rollback",
    "reconcile", "retrain", "similar",
]  # fmt: skip
PYTHON = ROOT / "functions" / "venv" / "bin" / "python"


@pytest.fixture
def processes():
    processes = Processes()
    yield processes
    processes.stop(patience_s=5)
    assert not processes.alive()


@pytest.fixture
def deployed(tmp_path):
    """The upload: the folder without what firebase.json ignores."""
    ignored = json.loads((ROOT / "firebase.json").read_text())["functions"][0]["ignore"]
    names = [pattern for pattern in ignored if "/" not in pattern]
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns(*names))
    return tmp_path / "functions"


def wait_until_it_answers(url, log, patience_s=60):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            return requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer:\n{log.read_text()}")


def test_only_what_is_needed_is_deployed(deployed):
    names = {path.name for path in deployed.iterdir()}
    packages = {"backend", "bookrec", "bookrec_database", "bookrec_operations"}
    assert names == packages | {"main.py", "requirements.txt"}


def test_the_deployed_folder_is_discovered_and_does_not_import_tensorflow(deployed):
    code = (
        "import sys, json; sys.path.insert(0, '.'); from firebase_functions.private import serving;"
        "import main; from backend import composition; from backend.parameters import read_settings;"
        "from backend.adapters import cloud_run, tflite_model, cloud_storage, cloud_tasks;"
        "from bookrec_database import connection, database; from backend.handlers import operating;"
        "names = sorted(serving.get_functions());"
        "heavy = ('tensorflow', 'trainer', 'pandas', 'google.cloud.storage');"
        "print(json.dumps([names, [m for m in sys.modules if m.startswith(heavy)]]))"
    )
    done = subprocess.run([PYTHON, "-c", code], cwd=deployed, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names, strangers = json.loads(done.stdout)
    assert names == NAMES
    assert strangers == []


def test_firebase_tools_accepts_the_functions_in_a_chosen_region(deployed):
    code = (
        "import sys; sys.path.insert(0, '.'); from firebase_functions.private import serving;"
        "print(serving.functions_as_yaml(serving.get_functions()))"
    )
    declared = subprocess.run([PYTHON, "-c", code], cwd=deployed, capture_output=True, text=True, timeout=120)
    check = ["node", str(ROOT / "tests" / "deployment" / "check_deployment.js")]
    done = subprocess.run(check, input=declared.stdout, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + declared.stderr
    endpoints = json.loads(done.stdout)
    assert sorted(endpoint["id"].replace("-", "_") for endpoint in endpoints) == NAMES
    assert all(e["region"] == "europe-west1" and e["cpu"] >= 1 and e["concurrency"] > 1 for e in endpoints)


def test_the_deployed_folder_answers_an_event(deployed, processes, tmp_path):
    database, functions = free_port(), free_port()
    server = Server(database, "demo-bookrec-default-rtdb")
    log = tmp_path / "functions.log"
    python = str(ROOT / ".venv" / "bin" / "python")
    processes.start([python, "-m", "rtdb_emulator", "--port", str(database)], cwd=ROOT, log=tmp_path / "database.log")
    wait_until_it_answers(f"http://127.0.0.1:{database}/", tmp_path / "database.log")
    server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes())
    for number in range(12):
        book = {"isbn": f"isbn{number:02}", "title": f"Title {number}", "author": f"Author {number}", "image": ""}
        server.put(f"archive/a{number:02}", book)
    entry = {"userId": "u1", "bookId": "b1", "isbn": "isbn03", "myRate": 4.5}
    server.put("User_Book/k1", entry)

    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {
        "FUNCTION_TARGET": "on_user_book_written",
        "FUNCTION_SIGNATURE_TYPE": "cloudevent",
        "GCLOUD_PROJECT": "demo-bookrec",
        "FIREBASE_CONFIG": json.dumps({"projectId": "demo-bookrec", "storageBucket": "demo-bookrec.appspot.com"}),
        "FIREBASE_DATABASE_EMULATOR_HOST": f"127.0.0.1:{database}",
        "FUNCTIONS_EMULATOR": "true",
        "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{free_port()}",  # nothing listens: the list must arrive anyway
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{free_port()}",
        "PORT": str(functions),
    }
    command = [str(PYTHON), "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(functions)]
    command += ["--target", "on_user_book_written", "--signature-type", "cloudevent", "--source", "main.py"]
    processes.start(command, cwd=deployed, env=environment, log=log)
    wait_until_it_answers(f"http://127.0.0.1:{functions}/", log)
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "//firebasedatabase.googleapis.com/projects/_/locations/us-central1/instances/demo",
        "subject": "refs/User_Book/k1",
        "type": "google.firebase.database.ref.v1.written",
        "time": "2026-01-02T03:04:05.678Z",
        "datacontenttype": "application/json",
        "location": "us-central1",
        "instance": "demo-bookrec-default-rtdb",
        "ref": "User_Book/k1",
        "firebasedatabasehost": f"127.0.0.1:{database}",
        "authtype": "app_user",
        "authid": "u1",
        "data": {
            "@type": "type.googleapis.com/google.events.firebase.database.v1.ReferenceEventData",
            "data": None,
            "delta": entry,
        },
    }
    headers = {"content-type": "application/cloudevents+json"}
    answer = requests.post(f"http://127.0.0.1:{functions}/", data=json.dumps(event), headers=headers, timeout=60)
    assert answer.ok, log.read_text()
    reader_list = server.get("Users/u1/recommendations")
    assert len(reader_list["items"]) == LIST_SIZE
    assert "isbn03" not in [item["isbn"] for item in reader_list["items"]]
