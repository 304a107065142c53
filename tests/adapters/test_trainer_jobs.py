"""Both ways to start the trainer: as a local process and as a Cloud Run job."""

import json
import sys
import time

from backend.adapters.cloud_run import run_request
from backend.adapters.local_process import LocalTrainerJobs

ENVIRONMENT = {"GOOGLE_CLOUD_PROJECT": "p", "DATABASE_URL": "https://p.firebasedatabase.app", "MODEL_BUCKET": "b"}


def test_a_cloud_run_job_gets_its_arguments_its_time_and_the_functions_own_database_and_bucket():
    request = run_request("projects/p/locations/r/jobs/book-trainer", 3600, ENVIRONMENT, "run-1", 7)
    assert request.name == "projects/p/locations/r/jobs/book-trainer"
    assert request.overrides.timeout.total_seconds() == 3600
    (container,) = request.overrides.container_overrides
    assert list(container.args) == ["run", "--run-id", "run-1", "--fence", "7"]
    assert {variable.name: variable.value for variable in container.env} == ENVIRONMENT


def test_a_local_run_has_the_trainers_environment_and_not_the_functions(tmp_path, monkeypatch):
    seen, python = tmp_path / "seen.json", tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        f"target = pathlib.Path({str(seen)!r})\n"
        "seen = [sys.argv[1:], dict(os.environ), os.getsid(0) == os.getpid()]\n"
        "part = target.with_suffix('.part')\n"
        "part.write_text(json.dumps(seen))\n"
        "part.rename(target)\n"
    )
    python.chmod(0o755)
    monkeypatch.setenv("TRAINER_PYTHON", str(python))
    monkeypatch.setenv("TRAINER_LOG", str(tmp_path / "logs" / "trainer.log"))
    monkeypatch.setenv("VIRTUAL_ENV", "functions/venv")
    monkeypatch.setenv("FUNCTION_TARGET", "retrain")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("MODEL_BUCKET", "")
    LocalTrainerJobs(ENVIRONMENT).start("run-1", 7)
    deadline = time.monotonic() + 20
    while not seen.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    arguments, environment, is_detached = json.loads(seen.read_text())
    assert arguments == ["-m", "trainer", "run", "--run-id", "run-1", "--fence", "7"]
    assert is_detached
    assert environment["MODEL_BUCKET"] == "b"
    assert environment["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:1"
    assert not {"VIRTUAL_ENV", "FUNCTION_TARGET"} & set(environment)
    assert (tmp_path / "logs" / "trainer.log").read_text() == ""
