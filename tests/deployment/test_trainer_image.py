"""A rehearsal of the image: the files that the Dockerfile copies run the trainer's entry point, without others."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from deploy.parts import trainer
from tests.missing import skip_without_tflite_runtime
from tests.test_architecture import imports_of
from trainer.serving.runtimes import tflite_python

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "trainer" / "Dockerfile").read_text().splitlines()
COPIED = [line.split()[1:] for line in LINES[LINES.index("WORKDIR /app") :] if line.startswith("COPY ")]
"""Source and target, below /app."""


def packages(file):
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))


@pytest.fixture
def image(tmp_path):
    """/app of the image."""
    for source, target in COPIED:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        options = {"dirs_exist_ok": True} if copy is shutil.copytree else {}
        copy(ROOT / source, tmp_path / target, **options)
    return tmp_path


def entry_point(image, *words):
    start = json.loads(next(line for line in LINES if line.startswith("ENTRYPOINT")).removeprefix("ENTRYPOINT "))
    assert start[0] == "python"
    # -I would hide the working folder; this hides the checkout's packages instead.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"TFLITE_PYTHON": str(tflite_python()), "TFLITE_REQUIRED": "1"}
    hide = "import sys; sys.path[:] = [p for p in sys.path if not p.endswith('/functions')]; "
    run = f"import runpy; sys.argv = {['trainer', *words]!r}; runpy.run_module('trainer', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", hide + run], cwd=image, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_image_runs_as_an_unprivileged_user():
    users = [line.split()[1] for line in LINES if line.startswith("USER ")]
    assert users
    assert users[-1] != "root"


@pytest.mark.parametrize("folder", ["trainer", "functions"])
def test_the_image_has_the_versions_that_the_tests_use(folder):
    deployed, here = packages(f"{folder}/requirements.txt"), packages("requirements-dev.txt")
    assert {name: version for name, version in deployed.items() if here.get(name) != version} == {}


def test_a_model_that_was_not_checked_in_tflite_runtime_is_not_published_from_the_image():
    settings = dict(word.split("=") for line in LINES if line.startswith("ENV ") for word in line.split()[1:])
    assert settings["TFLITE_REQUIRED"] == "1"
    first, last = (line.split()[1] for line in LINES if line.startswith("FROM "))
    assert first.startswith("python:3.11-")
    assert first.rpartition("-")[2] == last.rpartition("-")[2]  # of one Debian: the Python copied needs its libraries
    copied = next(line.split()[2:] for line in LINES if line.startswith("COPY --from=tflite"))
    assert copied == ["/usr/local", settings["TFLITE_PYTHON"].removesuffix("/bin/python3.11")]


BASELINES = {"implicit": "factor_baselines.py", "surprise": "rating_baselines.py"}
"""What `evaluate` compares with, and the image does not have, each with the one module that imports it."""


def test_the_image_installs_all_that_the_copied_files_import():
    installed = {re.sub("[-_.]+", "-", name).lower() for name in packages("trainer/requirements.txt")}
    copied = [source for source, _ in COPIED if (ROOT / source).is_dir()]
    assert set(trainer.SHARED) < set(copied)
    distributions = importlib.metadata.packages_distributions()
    for file, name in chain.from_iterable(map(imports_of, copied)):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in {Path(folder).name for folder in copied}:
            continue
        if top in BASELINES:
            assert file.name == BASELINES[top]
            continue
        if top == "tflite_runtime":
            assert file.name == "tflite_runtime_program.py"  # which another Python runs
            continue
        owners = {re.sub("[-_.]+", "-", owner).lower() for owner in distributions[top]}
        assert owners & installed, f"{file} imports {name}"


def test_the_copied_files_train_evaluate_and_export(image, tmp_path):
    skip_without_tflite_runtime()
    done = entry_point(image, "--help")
    assert done.returncode == 0, done.stderr
    rows = [
        f"u{user},i{(user * 3 + book) % 20},{(user + book) % 10 / 2 + 0.5}" for user in range(12) for book in range(8)
    ]
    for name, part in (("train", rows), ("test", [f"u{user},i{(user * 3 + 9) % 20},4" for user in range(12)])):
        (tmp_path / f"{name}.csv").write_text("userId,isbn,myRate\n" + "\n".join(part) + "\n")
    done = entry_point(
        image, "evaluate", "--train", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv"),
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model" / "recommend.tflite").stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["verified_in"] == ["LiteRT", "tflite-runtime"]
