"""Exports: ``recommend.tflite`` with two named signatures, ``items.json``, and the check that they agree.

The interface is described in ``functions/bookrec/recommender.py``. Only TensorFlow Lite builtins are used, so
that the file runs in tflite-runtime and LiteRT alike.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel
from bookrec.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.recommender import UNKNOWN, Items, Recommender, parse_items
from trainer.serving import MASKED, ServingModel

CANDIDATES = 100
REASONS = 2

Shelf = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Item indices and stars, as the signatures take them."""


def make_module(serving: ServingModel) -> Any:
    """Return the model as a ``tf.Module`` with the functions ``recommend`` and ``rate``."""
    import tensorflow as tf

    items, width = serving.neighbours.shape
    top = min(CANDIDATES, items)
    # One row more than there are books: what an unknown book points to.
    neighbours = np.vstack([serving.neighbours, np.zeros((1, width), np.int32)])
    weights = np.vstack([serving.weights, np.zeros((1, width), np.float32)])
    biases = serving.biases

    class Module(tf.Module):
        """The tables as constants of the graph."""

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)])
        def recommend(self, items: Any, ratings: Any) -> dict[str, Any]:
            rows = _known_rows(items)
            near, weight = tf.gather(neighbours, rows), tf.gather(weights, rows)
            count = tf.maximum(tf.reduce_sum(tf.cast(items >= 0, tf.float32)), 1.0)
            personal = _scatter(near, weight) / tf.sqrt(count)
            on_shelf = tf.scatter_nd(rows[:, None], tf.ones_like(rows, tf.float32), [len(neighbours)])[:-1] > 0
            scores = tf.where(on_shelf, MASKED, personal + serving.popularity)
            best, indices = tf.math.top_k(scores, top)
            found = best > MASKED / 2
            because = _because(near, weight, indices)
            return {
                "indices": tf.where(found, indices, UNKNOWN),
                "scores": tf.where(found, best, 0.0),
                "predicted_ratings": _rate(rows, ratings, indices),
                "because": tf.where(found[:, None], because, UNKNOWN),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ]
        )
        def rate(self, items: Any, ratings: Any, targets: Any) -> dict[str, Any]:
            return {"predicted_ratings": _rate(_known_rows(items), ratings, _known_rows(targets))}

    def _known_rows(indices: Any) -> Any:
        return tf.where((indices < 0) | (indices >= items), items, indices)

    def _scatter(near: Any, weight: Any) -> Any:
        return tf.scatter_nd(tf.reshape(near, [-1, 1]), tf.reshape(weight, [-1]), [items])

    def _because(near: Any, weight: Any, indices: Any) -> Any:
        """Positions on the shelf of the books that contributed most to each of ``indices`` [top, 2]."""
        matches = tf.cast(near[:, :, None] == indices[None, None, :], tf.float32)
        contributions = tf.transpose(tf.reduce_sum(weight[:, :, None] * matches, axis=1))
        padded = tf.pad(contributions, [[0, 0], [0, REASONS]])  # a shelf may be smaller than the reasons asked for
        values, positions = tf.math.top_k(padded, REASONS)
        return tf.where(values > 0, positions, UNKNOWN)

    def _rate(rows: Any, ratings: Any, targets: Any) -> Any:
        bias = np.append(biases.items, np.float32(0))
        known = (ratings > 0) & (rows < items)
        residuals = tf.where(known, ratings - np.float32(biases.mean) - tf.gather(bias, rows), 0.0)
        doubt = tf.reduce_sum(tf.cast(known, tf.float32)) + np.float32(biases.user_shrinkage)
        predicted = np.float32(biases.mean) + tf.gather(bias, targets) + tf.reduce_sum(residuals) / doubt
        if serving.interaction:
            weight = tf.gather(weights, rows) * residuals[:, None]
            likeness = tf.concat([_scatter(tf.gather(neighbours, rows), weight), [0.0]], axis=0) / doubt
            predicted += np.float32(serving.interaction) * tf.gather(likeness, targets)
        return tf.clip_by_value(predicted, 0.5, 5.0)

    return Module()


def export(serving: ServingModel) -> dict[str, bytes]:
    """Return the files that the app and the functions need, by name.

    Raises:
        BadModel: where the converter would need more than TensorFlow Lite's builtins.
    """
    import tensorflow as tf

    module = make_module(serving)
    signatures = {"recommend": module.recommend, "rate": module.rate}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            model: bytes = converter.convert()
        except Exception as problem:
            raise BadModel(f"the model does not convert to TensorFlow Lite builtins: {problem}") from problem
    items = Items(serving.isbns, serving.popular).to_json()
    return {RECOMMEND_MODEL: model, ITEMS: json.dumps(items, separators=(",", ":")).encode()}


def load(files: dict[str, bytes], version: str, runtime: str = "tflite_runtime") -> Recommender:
    """Return exported files as the functions use them.

    Args:
        files: as ``export`` returns them.
        version: the model's name.
        runtime: ``tflite_runtime`` or ``ai_edge_litert``; phones carry both.
    """
    if runtime == "ai_edge_litert":
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    interpreter = Interpreter(model_content=files[RECOMMEND_MODEL], num_threads=1)
    runners = [interpreter.get_signature_runner(name) for name in ("recommend", "rate")]
    return Recommender(version, parse_items(files[ITEMS]), *runners)


def verify(serving: ServingModel, files: dict[str, bytes], shelves: Sequence[Shelf], tolerance: float = 1e-4) -> None:
    """Check that both runtimes agree with TensorFlow on some shelves: the same top ten, scores within ``tolerance``.

    Raises:
        BadModel: naming the runtime and the shelf that differ.
    """
    module = make_module(serving)
    for runtime in ("tflite_runtime", "ai_edge_litert"):
        exported = load(files, "check", runtime)
        for number, (items, ratings) in enumerate(shelves):
            expected = {name: value.numpy() for name, value in module.recommend(items, ratings).items()}
            found = exported.recommend(items=items, ratings=ratings)
            if not (expected["indices"][:10] == found["indices"][:10]).all():
                raise BadModel(f"{runtime} ranks shelf {number} otherwise than TensorFlow")
            for name in ("scores", "predicted_ratings"):
                if not np.allclose(expected[name], found[name], atol=tolerance):
                    raise BadModel(f"{runtime} gives shelf {number} other {name} than TensorFlow")


def sample_shelves(serving: ServingModel, count: int, seed: int) -> list[Shelf]:
    """Return random shelves for ``verify``, among them an empty one and one with an unknown book."""
    rng = np.random.default_rng(seed)
    items = len(serving.isbns)
    shelves: list[Shelf] = [
        (np.array([UNKNOWN], np.int32), np.zeros(1, np.float32)),
        (np.array([UNKNOWN, 0], np.int32), np.array([3.5, 5.0], np.float32)),
    ]
    while len(shelves) < count:
        size = int(rng.integers(1, min(60, items) + 1))
        chosen = rng.choice(items, size, replace=False).astype(np.int32)
        shelves.append((chosen, (rng.integers(0, 11, size) / 2).astype(np.float32)))
    return shelves


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write files by name into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
