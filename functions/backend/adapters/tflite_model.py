"""TFLite models through LiteRT. It is imported where a model is loaded, while the catalogue is on its way."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel
from bookrec.recommender import UNKNOWN, Recommender, SignatureRunner, Tensors, parse_items

SIGNATURES = ("recommend", "rate")
SIMILAR = "similar"
"""Files of earlier releases lack it. It is tried out where it is used: an event must not wait for it."""


def load_recommender(version: str, model: bytes, items: bytes) -> Recommender:
    """Implement ``ports.ModelLoader``: load the file and let it answer for an empty shelf and a shelf of one book.

    Raises:
        BadModel: where the bytes are no model, lack a signature, or do not answer.
    """
    known = parse_items(items)
    lock = threading.Lock()
    try:
        interpreter = load_interpreter(model)
        recommend, rate = (_locked(interpreter.get_signature_runner(name), lock) for name in SIGNATURES)
        has_similar = SIMILAR in interpreter.get_signature_list()
        similar = _locked(interpreter.get_signature_runner(SIMILAR), lock) if has_similar else None
        for item in (UNKNOWN, 0):
            _try_out(recommend, rate, item, len(known.isbns))
    except (ValueError, RuntimeError, KeyError, TypeError) as problem:
        raise BadModel(f"recommend.tflite does not load or answer: {problem}") from problem
    return Recommender(version, known, recommend, rate, similar)


def load_interpreter(model: bytes) -> Any:
    """Return the interpreter of LiteRT, or of tflite-runtime where that alone is installed; both work alike."""
    if find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter(model_content=model, num_threads=1)


def _locked(run: SignatureRunner, lock: threading.Lock) -> SignatureRunner:
    """An interpreter serves one thread at a time, and its signatures share it."""

    def runner(**inputs: npt.NDArray[Any]) -> Tensors:
        with lock:
            return {name: np.array(value) for name, value in run(**inputs).items()}

    return runner


def _try_out(recommend: SignatureRunner, rate: SignatureRunner, item: int, items: int) -> None:
    shelf = {"items": np.array([item], np.int32), "ratings": np.zeros(1, np.float32)}
    out = recommend(**shelf)
    predicted = [out["predicted_ratings"], rate(targets=np.array([UNKNOWN, 0], np.int32), **shelf)["predicted_ratings"]]
    if not all(np.isfinite(values).all() for values in (out["scores"], *predicted)):
        raise ValueError("it answers with numbers that are not finite")
    indices, because = out["indices"], out["because"]
    if indices.min(initial=0) < UNKNOWN or indices.max(initial=UNKNOWN) >= items or (because > 0).any():
        raise ValueError("it answers with books that it does not know")
    if len(predicted[1]) != 2 or because.shape != (len(indices), 2):
        raise ValueError("its answers have another shape than the contract's")
