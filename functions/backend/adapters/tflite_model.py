"""TFLite models through tflite-runtime."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite_runtime.interpreter import Interpreter

from bookrec.errors import BadModel
from bookrec.recommender import UNKNOWN, Recommender, SignatureRunner, Tensors, parse_items

SIGNATURES = ("recommend", "rate")


def load_recommender(version: str, model: bytes, items: bytes) -> Recommender:
    """Implement ``ports.ModelLoader``: load the file and let it answer once.

    Raises:
        BadModel: where the bytes are no model, lack a signature, or do not answer.
    """
    known = parse_items(items)
    lock = threading.Lock()
    try:
        interpreter = Interpreter(model_content=model, num_threads=1)
        runners = [_locked(interpreter.get_signature_runner(name), lock) for name in SIGNATURES]
        _try_out(runners[0], len(known.isbns))
    except (ValueError, RuntimeError, KeyError, TypeError) as problem:
        raise BadModel(f"recommend.tflite does not load or answer: {problem}") from problem
    return Recommender(version, known, *runners)


def _locked(run: SignatureRunner, lock: threading.Lock) -> SignatureRunner:
    """An interpreter serves one thread at a time, and its signatures share it."""

    def runner(**inputs: npt.NDArray[Any]) -> Tensors:
        with lock:
            return {name: np.array(value) for name, value in run(**inputs).items()}

    return runner


def _try_out(recommend: SignatureRunner, items: int) -> None:
    out = recommend(items=np.array([UNKNOWN], np.int32), ratings=np.zeros(1, np.float32))
    if not np.isfinite(out["scores"]).all() or out["indices"].max(initial=UNKNOWN) >= items:
        raise ValueError("its answer for an empty shelf is not a list of known books")
