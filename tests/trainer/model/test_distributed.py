"""Several workers on loopback: real processes, TensorFlow's own collectives."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from local.processes import free_port
from trainer.model import distributed
from trainer.model.distributed import from_bytes, to_bytes

TIMEOUT_S = 240


@pytest.fixture
def run(tmp_path):
    """Start workers, wait for all, and return their exit codes and what they said; none is left behind."""
    started = []

    def start(mode, count, *, present=None, **environment):
        ports = [f"127.0.0.1:{free_port()}" for _ in range(count)]
        for index in range(count) if present is None else present:
            config = json.dumps({"cluster": {"worker": ports}, "task": {"type": "worker", "index": index}})
            variables = {**os.environ, "TF_CONFIG": config if count > 1 else "", "TF_CPP_MIN_LOG_LEVEL": "3"}
            variables |= {"PYTHONPATH": f"functions{os.pathsep}.", **environment}
            words = [sys.executable, "-m", "tests.trainer.model.worker_program", mode, str(tmp_path)]
            log = (tmp_path / f"{mode}-{count}-{index}.log").open("w+")
            started.append((subprocess.Popen(words, env=variables, stdout=log, stderr=log), log))
        found = []
        for process, log in started:
            code = process.wait(TIMEOUT_S)
            log.seek(0)
            found.append((code, log.read()))
            log.close()
        started.clear()
        return found

    yield start
    for process, log in started:
        process.kill()
        process.wait()
        log.close()


@pytest.mark.whole
def test_two_workers_train_the_model_that_one_trains(run, tmp_path):
    (code, said), *_ = run("train", 1)
    assert code == 0, said
    alone = {name: np.load(tmp_path / f"{name}-0.npy") for name in ("batch", "catalogue")}
    both = run("train", 2)
    assert [code for code, _ in both] == [0, 0], both
    for name, vectors in alone.items():
        for worker in (0, 1):
            np.testing.assert_allclose(np.load(tmp_path / f"{name}-{worker}.npy"), vectors, rtol=0, atol=1e-4)


@pytest.mark.whole
def test_the_chief_alone_exports_what_both_have_trained(run, tmp_path):
    found = run("publishes", 2)
    assert [code for code, _ in found] == [0, 0], found
    assert "recommend.tflite" in (tmp_path / "files.txt").read_text()
    assert "exporting" in found[0][1]
    assert "exporting" not in found[1][1]


@pytest.mark.whole
def test_a_worker_that_dies_ends_the_run_with_a_clear_error(run):
    (chief, said), (dead, _) = run("dies", 2)
    assert (chief, dead) == (1, 9)
    assert "lost another in the middle of training; nothing was published" in said


@pytest.mark.whole
def test_a_worker_that_does_not_come_ends_the_run_with_a_clear_error(run):
    ((code, said),) = run("train", 2, present=[0], WORKERS_PATIENCE_SECONDS="5")
    assert code == 1
    assert "if one has not come in 5 s, this process ends with an error" in said
    assert "Timeout (0:00:05)!" in said


def test_a_cluster_has_one_chief_and_an_order(monkeypatch):
    config = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distributed.workers() == ["a:1", "b:1", "c:1"]
    assert (distributed.rank(), distributed.is_chief()) == (2, False)
    monkeypatch.delenv("TF_CONFIG")
    assert (distributed.workers(), distributed.rank(), distributed.is_chief()) == ([], 0, True)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": Infinity}}',
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": []}, "task": 3}',
    ],
)
def test_a_damaged_configuration_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG is not a JSON object with cluster and task"):
        distributed.workers(), distributed.rank()


def test_a_snapshot_reaches_the_workers_without_the_keys_of_its_entries():
    from tests.trainer.model.worker_program import snapshot

    whole = snapshot()
    found = from_bytes(to_bytes(whole))
    assert found.ratings.equals(whole.ratings.drop(columns="key")[found.ratings.columns])
    assert set(found.ratings) == {"at", "userId", "isbn", "myRate"}
    assert found.books.equals(whole.books)
    assert (found.rejected, found.source) == (whole.rejected, whole.source)
