"""Runs model files in tflite-runtime: a program for an environment with that and NumPy alone, started by ``runtimes``.

Standard input and output are archives of arrays (npz). In: ``file/NAME`` is a model file as uint8, and
``call/NUMBER/NAME/SIGNATURE/INPUT`` an input of a call. Out: ``NUMBER/OUTPUT`` is an output of a call, or ``problem``
says why a file does not load or answer.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from tflite_runtime.interpreter import Interpreter


def answers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of all calls, by their keys in the archive.

    Raises:
        ValueError, RuntimeError, KeyError, TypeError: a file is not a model, lacks a signature, or does not answer.
    """
    calls: dict[tuple[str, str, str], dict[str, Any]] = {}
    for key in given:
        if key.startswith("call/"):
            _, number, name, signature, tensor = key.split("/")
            calls.setdefault((number, name, signature), {})[tensor] = given[key]
    names = {name for _, name, _ in calls}
    loaded = {name: Interpreter(model_content=given[f"file/{name}"].tobytes(), num_threads=1) for name in names}
    runners = {
        (name, signature): loaded[name].get_signature_runner(signature)
        for name, signature in {(name, signature) for _, name, signature in calls}
    }
    outputs = {}
    for (number, name, signature), inputs in calls.items():
        for tensor, value in runners[name, signature](**inputs).items():
            # Texts come as objects, which an archive without pickles cannot hold.
            outputs[f"{number}/{tensor}"] = value.astype(np.bytes_) if value.dtype == object else value
    return outputs


def main() -> None:
    """Answer one archive with another."""
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as given:
        try:
            outputs = answers(given)
        except (ValueError, RuntimeError, KeyError, TypeError) as problem:
            outputs = {"problem": np.array(str(problem))}
    archive = io.BytesIO()
    np.savez(archive, **outputs)
    sys.stdout.buffer.write(archive.getvalue())


if __name__ == "__main__":
    main()
