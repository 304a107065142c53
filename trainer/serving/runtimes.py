"""The runtimes of model files: LiteRT in this process, and tflite-runtime in an environment of its own.

LiteRT is what the functions and newer phones run, tflite-runtime what older phones carry. The latter has no wheels for
Pythons after 3.11 and needs NumPy 1, so a small program runs it: ``tflite_runtime_program.py``.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel, BadSetting
from bookrec.recommender import Tensors

LITERT, TFLITE_RUNTIME = "LiteRT", "tflite-runtime"

PATIENCE_S = 600
"""All calls of an export take a few seconds."""

PROGRAM = Path(__file__).with_name("tflite_runtime_program.py")
ENVIRONMENT = Path(__file__).parents[2] / ".venv-tflite"
"""What ``make setup`` makes where there is a Python 3.11, and the trainer's image has."""

ADVICE = "run `make setup` with Python 3.11 installed, or set TFLITE_PYTHON to a Python that has tflite-runtime"

log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A call of a model file's signature.

    Attributes:
        file: the file's name.
        signature: the signature's name.
        inputs: its inputs by name.
    """

    file: str
    signature: str
    inputs: Mapping[str, npt.NDArray[Any]]


Run = Callable[[Mapping[str, bytes], Sequence[Call]], Sequence[Tensors]]
"""Returns the outputs of each call, given files by name; raises ``BadModel`` if a file does not load or answer."""


def interpreter(model: bytes) -> Any:
    """Return LiteRT's interpreter with a model loaded, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=model, num_threads=1)


def run_litert(files: Mapping[str, bytes], calls: Sequence[Call]) -> Sequence[Tensors]:
    """Implement ``Run`` in this process."""
    try:
        loaded = {name: interpreter(files[name]) for name in {call.file for call in calls}}
        runners = {call[:2]: loaded[call.file].get_signature_runner(call.signature) for call in calls}
        return [runners[call[:2]](**call.inputs) for call in calls]
    except (ValueError, RuntimeError, KeyError, TypeError) as problem:
        raise BadModel(f"{LITERT}: {problem}") from problem


def run_tflite_runtime(files: Mapping[str, bytes], calls: Sequence[Call]) -> Sequence[Tensors]:
    """Implement ``Run`` in one process of the environment with tflite-runtime.

    Raises:
        BadSetting: the environment does not run.
    """
    names = {call.file for call in calls}
    given: dict[str, Any] = {f"file/{name}": np.frombuffer(files[name], np.uint8) for name in names}
    for number, call in enumerate(calls):
        given |= {f"call/{number}/{call.file}/{call.signature}/{name}": value for name, value in call.inputs.items()}
    archive = io.BytesIO()
    np.savez(archive, **given)
    python = tflite_python()
    try:
        # -I: neither PYTHONPATH nor this folder's modules are for the other Python.
        done = subprocess.run(
            [python, "-I", PROGRAM], input=archive.getvalue(), capture_output=True, timeout=PATIENCE_S, check=False
        )
    except OSError as problem:
        raise BadSetting(f"{python} does not run: {problem.strerror}; {ADVICE}") from problem
    except subprocess.TimeoutExpired as problem:
        if not calls:
            raise BadSetting(f"{python} does not answer in {PATIENCE_S} seconds; {ADVICE}") from problem
        raise BadModel(f"{TFLITE_RUNTIME}: no answer in {PATIENCE_S} seconds") from problem
    if done.returncode < 0:
        raise BadModel(f"{TFLITE_RUNTIME}: a model ended the process with signal {-done.returncode}")
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise BadSetting(f"{python} does not run tflite-runtime: {last}; {ADVICE}")
    outputs: list[dict[str, npt.NDArray[Any]]] = [{} for _ in calls]
    try:
        with np.load(io.BytesIO(done.stdout)) as answer:
            if "problem" in answer:
                raise BadModel(f"{TFLITE_RUNTIME}: {answer['problem']}")
            for key in answer:
                number, name = key.split("/")
                outputs[int(number)][name] = answer[key]
    except (ValueError, TypeError, LookupError, EOFError, OSError, zipfile.BadZipFile) as problem:
        raise BadSetting(
            f"{python} is not a Python that runs {PROGRAM.name}: it prints other things; {ADVICE}"
        ) from problem
    if not all(outputs):
        raise BadSetting(f"{python} does not answer every call of {PROGRAM.name}; {ADVICE}")
    return outputs


def tflite_python() -> Path:
    """Return the Python that has tflite-runtime, which may not exist."""
    return Path(os.environ.get("TFLITE_PYTHON") or ENVIRONMENT / "bin" / "python")


def check_runtimes() -> None:
    """Check that the runtimes run, without a model.

    Raises:
        BadSetting: as ``runtimes`` does, or if TFLITE_PYTHON names a program that does not run tflite-runtime.
    """
    for run in runtimes().values():
        run({}, [])


def runtimes() -> dict[str, Run]:
    """Return the runtimes that a model is checked in, by name.

    LiteRT is always among them, tflite-runtime if its environment exists. A warning says so if it does not.

    Raises:
        BadSetting: TFLITE_PYTHON names a file that does not exist, or TFLITE_REQUIRED asks for a missing environment.
    """
    if tflite_python().exists():
        return {LITERT: run_litert, TFLITE_RUNTIME: run_tflite_runtime}
    missing = f"no environment with tflite-runtime, the runtime of older phones: {tflite_python()} does not exist"
    if os.environ.get("TFLITE_REQUIRED", "") not in ("", "0") or os.environ.get("TFLITE_PYTHON"):
        raise BadSetting(f"{missing}; {ADVICE}")
    log.warning("%s. Models are checked in LiteRT alone; %s", missing, ADVICE)
    return {LITERT: run_litert}
