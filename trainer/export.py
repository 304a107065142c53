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
from trainer.serving import LEAST_DEVIATION, MASKED, ServingModel

CANDIDATES = 100
REASONS = 2
SUM_BLOCK = 128

Shelf = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Item indices and stars, as the signatures take them."""


def make_module(serving: ServingModel) -> Any:
    """Return the model as a ``tf.Module`` with the functions ``recommend`` and ``rate``."""
    import tensorflow as tf

    book_count = len(serving.isbns)
    top = min(CANDIDATES, book_count)
    # One row more than there are books: what an unknown book points to.
    tables = [
        (
            np.vstack([table.neighbours, np.zeros((1, table.neighbours.shape[1]), np.int32)]),
            np.vstack([table.weights, np.zeros((1, table.weights.shape[1]), np.float32)]),
            np.float32(table.share),
        )
        for table in serving.tables
    ]
    biases = serving.biases

    class Module(tf.Module):
        """The tables as constants of the graph."""

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)])
        def recommend(self, items: Any, ratings: Any) -> dict[str, Any]:
            rows = _known_rows(items)
            ones = tf.ones_like(rows, tf.float32)
            on_shelf = tf.scatter_nd(rows[:, None], ones, [book_count + 1])[:-1] > 0
            scores, scales = tf.constant(serving.popularity), []
            for neighbours, weights, share in tables:
                sums = _scatter(tf.gather(neighbours, rows), tf.gather(weights, rows))
                mean, deviation = _moments(sums, on_shelf)
                scales.append(share / deviation)
                scores += (sums - mean) * scales[-1]
            scores = tf.where(on_shelf, MASKED, scores)
            best, indices = tf.math.top_k(scores, top)
            found = best > MASKED / 2
            because = _because(rows, scales, indices)
            return {
                "indices": tf.where(found, indices, UNKNOWN),
                "scores": tf.where(found, best, 0.0),
                "predicted_ratings": tf.where(found, _rate(rows, ratings, indices), 0.0),
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
        return tf.where((indices < 0) | (indices >= book_count), book_count, indices)

    def _scatter(near: Any, weight: Any) -> Any:
        return tf.scatter_nd(tf.reshape(near, [-1, 1]), tf.reshape(weight, [-1]), [book_count])

    def _moments(sums: Any, on_shelf: Any) -> Any:
        """Mean and deviation over the books that are not on the shelf."""
        kept = tf.cast(tf.logical_not(on_shelf), tf.float32)
        left = tf.maximum(_total(kept), 1.0)
        mean = _total(sums * kept) / left
        deviation = tf.sqrt(_total(tf.square(sums - mean) * kept) / left)
        return mean, tf.maximum(deviation, LEAST_DEVIATION)

    def _total(values: Any) -> Any:
        """Sum over all books in two steps: the runtimes add one by one, and thousands of summands would drift."""
        rows = -(-book_count // SUM_BLOCK)
        padded = tf.pad(values, [[0, rows * SUM_BLOCK - book_count]])
        return tf.reduce_sum(tf.reduce_sum(tf.reshape(padded, [rows, SUM_BLOCK]), axis=1))

    def _because(rows: Any, scales: Any, indices: Any) -> Any:
        """Positions on the shelf of the books that contributed most to each of ``indices`` [top, 2]."""
        contributions = tf.zeros([tf.shape(indices)[0], tf.shape(rows)[0]])
        for (neighbours, weights, _), scale in zip(tables, scales, strict=True):
            near, weight = tf.gather(neighbours, rows), tf.gather(weights, rows)
            matches = tf.cast(near[:, :, None] == indices[None, None, :], tf.float32)
            contributions += scale * tf.transpose(tf.reduce_sum(weight[:, :, None] * matches, axis=1))
        padded = tf.pad(contributions, [[0, 0], [0, REASONS]])  # a shelf may be smaller than the reasons asked for
        values, positions = tf.math.top_k(padded, REASONS)
        return tf.where(values > 0, positions, UNKNOWN)

    def _rate(rows: Any, ratings: Any, targets: Any) -> Any:
        bias = np.append(biases.items, np.float32(0))
        known = (ratings > 0) & (rows < book_count)
        residuals = tf.where(known, ratings - np.float32(biases.mean) - tf.gather(bias, rows), 0.0)
        doubt = tf.reduce_sum(tf.cast(known, tf.float32)) + np.float32(biases.user_shrinkage)
        predicted = np.float32(biases.mean) + tf.gather(bias, targets) + tf.reduce_sum(residuals) / doubt
        if serving.interaction:
            likeness = tf.zeros([book_count])
            for neighbours, weights, share in tables:
                weight = tf.gather(weights, rows) * residuals[:, None] * share
                likeness += _scatter(tf.gather(neighbours, rows), weight)
            likeness = tf.concat([likeness, [0.0]], axis=0) / doubt
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
    """Check that both runtimes agree with TensorFlow on some shelves: the same top ten, and the same scores.

    Scores and predicted ratings may differ by ``tolerance``.

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
            if not np.allclose(expected["scores"], found["scores"], rtol=0, atol=tolerance):
                raise BadModel(f"{runtime} gives shelf {number} other scores than TensorFlow")
            # Below the top ten, books of all but equal scores may change places.
            by_index = dict(zip(found["indices"].tolist(), found["predicted_ratings"].tolist(), strict=True))
            for index, rating in zip(expected["indices"].tolist(), expected["predicted_ratings"], strict=True):
                if abs(by_index.get(index, rating) - rating) > tolerance:
                    raise BadModel(f"{runtime} predicts another rating for book {index} and shelf {number}")


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
