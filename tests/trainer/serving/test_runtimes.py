"""The runtimes of model files: what a file that does not load does, and what happens without tflite-runtime."""

import sys

import numpy as np
import pytest

from bookrec.errors import BadModel, BadSetting
from tests.adapters.test_tflite_model import ISBNS, ITEMS, make_file
from tests.missing import skip_without_tflite_runtime
from tests.trainer.serving.batch.models import random_model
from trainer.config import DEFAULTS
from trainer.data.ingest.snapshot import empty_snapshot
from trainer.pipeline import answers, make
from trainer.run import Order
from trainer.serving import runtimes, tflite
from trainer.serving.runtimes import LITERT, TFLITE_RUNTIME, Call, run_tflite_runtime

EMPTY = {"items": np.array([-1], np.int32), "ratings": np.zeros(1, np.float32)}
RECOMMEND = Call("recommend.tflite", "recommend", EMPTY)


@pytest.fixture(scope="module")
def model():
    return make_file()


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Makes TFLITE_PYTHON a script, given its lines."""

    def write(lines):
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
        monkeypatch.setenv("TFLITE_PYTHON", str(script))
        return script

    return write


def test_calls_are_answered_in_their_order(model, runtime):
    (run,) = runtime.values()
    first = np.array([2], np.int32)
    known = Call("recommend.tflite", "recommend", {"items": first, "ratings": np.ones(1, np.float32)})
    rate = Call("recommend.tflite", "rate", {**known.inputs, "targets": np.array([5, -1], np.int32)})
    unknown, rated, again, listed = run({"recommend.tflite": model}, [RECOMMEND, rate, RECOMMEND, known])
    assert (unknown["because"] == -1).all()
    assert listed["indices"].tolist() == [3, 4, 5, 0, 1]
    assert rated["predicted_ratings"] == pytest.approx([3.0, 2.4])
    assert {name: value.tolist() for name, value in again.items()} == {
        name: value.tolist() for name, value in unknown.items()
    }


@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 4096])
def test_bytes_that_are_not_a_model_are_a_bad_model(content, runtime):
    ((name, run),) = runtime.items()
    with pytest.raises(BadModel, match=name):
        run({"recommend.tflite": content}, [RECOMMEND])


def test_a_signature_that_is_missing_is_a_bad_model(model, runtime):
    (run,) = runtime.values()
    with pytest.raises(BadModel):
        run({"recommend.tflite": model}, [RECOMMEND._replace(signature="other")])


def test_an_export_takes_one_process(monkeypatch):
    skip_without_tflite_runtime()
    started = []
    popen = runtimes.subprocess.run
    monkeypatch.setattr(
        runtimes.subprocess, "run", lambda *words, **more: started.append(words) or popen(*words, **more)
    )
    serving = random_model(books=30)
    checked = tflite.verify(serving, tflite.export(serving), tflite.sample_shelves(serving, 20, seed=1))
    assert (checked, len(started)) == ([LITERT, TFLITE_RUNTIME], 1)


def test_without_its_environment_models_are_checked_in_litert_alone_with_a_warning(monkeypatch, tmp_path, caplog):
    monkeypatch.delenv("TFLITE_PYTHON", raising=False)
    monkeypatch.delenv("TFLITE_REQUIRED", raising=False)
    monkeypatch.setattr(runtimes, "ENVIRONMENT", tmp_path)
    assert list(runtimes.runtimes()) == [LITERT]
    assert "Models are checked in LiteRT alone" in caplog.text
    monkeypatch.setenv("TFLITE_REQUIRED", "1")
    with pytest.raises(BadSetting, match="no environment with tflite-runtime"):
        runtimes.runtimes()
    with pytest.raises(BadSetting):
        answers("v", make_file(), ITEMS)


def test_a_missing_runtime_is_known_before_anything_is_fitted(monkeypatch, tmp_path):
    monkeypatch.delenv("TFLITE_PYTHON", raising=False)
    monkeypatch.setenv("TFLITE_REQUIRED", "1")
    monkeypatch.setattr(runtimes, "ENVIRONMENT", tmp_path)
    with pytest.raises(BadSetting, match="does not exist"):
        make(DEFAULTS, Order("v", empty_snapshot("nobody"), 0, None, pytest.fail), pytest.fail)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("cat > /dev/null; echo hello", "is not a Python that runs tflite_runtime_program.py"),
        ("cat > /dev/null", "is not a Python that runs tflite_runtime_program.py"),
        ("cat", "is not a Python that runs tflite_runtime_program.py"),
        ("exit 3", "does not run tflite-runtime"),
    ],
)
def test_a_program_that_is_no_python_is_a_bad_setting(model, python, lines, message):
    script = python(lines)
    with pytest.raises(BadSetting, match=f"^{script} {message}"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])


def test_a_call_that_is_not_answered_is_a_bad_setting(model, python):
    python(f"cat > /dev/null; exec {sys.executable} -c 'import numpy, sys; numpy.savez(sys.stdout.buffer)'")
    assert run_tflite_runtime({}, []) == []
    with pytest.raises(BadSetting, match="does not answer every call"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])


def test_a_broken_runtime_is_known_before_anything_is_fitted(monkeypatch, python):
    order = Order("v", empty_snapshot("nobody"), 0, None, pytest.fail)
    python("cat > /dev/null; echo hello")
    with pytest.raises(BadSetting, match="is not a Python"):
        make(DEFAULTS, order, pytest.fail)
    monkeypatch.setattr(runtimes, "PATIENCE_S", 0.2)
    python("exec sleep 60")
    with pytest.raises(BadSetting, match="does not answer in"):
        make(DEFAULTS, order, pytest.fail)


def test_without_a_model_every_runtime_that_works_passes_the_check(runtime, monkeypatch):
    monkeypatch.setattr(runtimes, "runtimes", lambda: runtime)
    runtimes.check_runtimes()


def test_a_python_that_is_named_has_to_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("TFLITE_PYTHON", str(tmp_path / "python"))
    with pytest.raises(BadSetting, match="does not exist"):
        runtimes.runtimes()


def test_a_python_without_tflite_runtime_is_a_bad_setting(model, python, monkeypatch):
    monkeypatch.setenv("TFLITE_PYTHON", sys.executable)
    with pytest.raises(BadSetting, match="does not run tflite-runtime: ModuleNotFoundError"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])
    python("exec /nowhere").chmod(0o644)
    with pytest.raises(BadSetting, match="Permission denied"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])


def test_a_model_that_ends_the_process_or_never_answers_is_a_bad_model(model, python, monkeypatch):
    python("cat > /dev/null; kill -SEGV $$")
    with pytest.raises(BadModel, match="signal 11"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])
    monkeypatch.setattr(runtimes, "PATIENCE_S", 0.2)
    python("exec sleep 60")
    with pytest.raises(BadModel, match="no answer"):
        run_tflite_runtime({"recommend.tflite": model}, [RECOMMEND])


def test_an_uploaded_model_has_to_answer_in_every_runtime(model, runtime, monkeypatch):
    monkeypatch.setattr("trainer.pipeline.runtimes", lambda: runtime)
    answers("v", model, ITEMS)
    (name,) = runtime
    for content in (b"text", make_file(score=float("nan")), make_file(beyond=len(ISBNS))):
        with pytest.raises(BadModel, match=name):
            answers("v", content, ITEMS)
