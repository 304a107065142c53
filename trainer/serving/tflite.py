"""Exports: ``recommend.tflite`` with its named signatures, ``items.json``, and the check that they agree.

The interface is described in ``functions/bookrec/recommender.py``. Only TensorFlow Lite builtins are used, so
that the file runs in tflite-runtime and LiteRT alike. ``recommend`` and ``rate`` are there twice: with open sizes, and
under ``FIXED`` with those that runtimes take which plan all memory beforehand, such as a browser's.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.ranking import LIST_SIZE
from bookrec.recommender import UNKNOWN, Recommender, Tensors, parse_items
from trainer.serving.item_item import ServingModel
from trainer.serving.runtimes import Call, Run, interpreter, runtimes

SAVED_MODEL = "saved_model.zip"

FIXED = "_fixed"
"""Ends the names of the signatures whose inputs have ``FIXED_SIZE`` places, those left over being padding."""

FIXED_SIZE = 256
"""More books than nearly every shelf has; what is computed for padding costs time on every shelf."""

USED = ("recommend", "rate")
"""The signatures that the functions use."""

SIMILAR = "similar"
"""The signature that the functions use for whole pages of books; a candidate need not have it."""

SIGNATURES = (*USED, *(f"{name}{FIXED}" for name in USED), SIMILAR)

Shelf = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Item indices and stars, as the signatures take them."""


def make_module(serving: ServingModel) -> Any:
    """Return the model as a ``tf.Module`` whose functions are the signatures, by their names."""
    import tensorflow as tf

    from trainer.serving.tf_graph import Graph

    graph = Graph(serving)

    def recommend(items: Any, ratings: Any) -> dict[str, Any]:
        return graph.recommend(items, ratings)

    def rate(items: Any, ratings: Any, targets: Any) -> dict[str, Any]:
        return {"predicted_ratings": graph.rating(graph.rows(items), ratings, graph.rows(targets))}

    def similar(item: Any) -> dict[str, Any]:
        return graph.similar(item)

    module = tf.Module()  # the arrays are constants of its graphs
    for ending, size in (("", None), (FIXED, FIXED_SIZE)):
        places, stars = tf.TensorSpec([size], tf.int32), tf.TensorSpec([size], tf.float32)
        for function, signature in ((recommend, [places, stars]), (rate, [places, stars, places])):
            compiled = tf.function(function, input_signature=signature, autograph=False)
            setattr(module, f"{function.__name__}{ending}", compiled)
    one = [tf.TensorSpec([1], tf.int32)]  # a fixed size, for all runtimes
    module.similar = tf.function(similar, input_signature=one, autograph=False)
    return module


def convert(module: Any, signatures: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return a module as a TensorFlow Lite file, and its SavedModel as a zip file.

    Raises:
        BadModel: where the converter would need more than TensorFlow Lite's builtins.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=dict(signatures))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            model: bytes = converter.convert()
        except Exception as problem:
            raise BadModel(f"the model does not convert to TensorFlow Lite builtins: {problem}") from problem
        return model, _zipped(Path(folder))


def export(serving: ServingModel, module: Any = None) -> dict[str, bytes]:
    """Return the files that the app and the functions need, by name, and the SavedModel that they come from.

    Args:
        serving: the model.
        module: what ``make_module`` returned for it, if it is there already.

    Raises:
        BadModel: where the converter would need more than TensorFlow Lite's builtins.
    """
    module = module or make_module(serving)
    model, saved = convert(module, {name: getattr(module, name) for name in SIGNATURES})
    return {RECOMMEND_MODEL: model, SAVED_MODEL: saved, ITEMS: _items(serving)}


def as_served(serving: ServingModel, name: str) -> Recommender:
    """Return a model as the functions would load it, to be judged: exported with the signatures that they use alone.

    Raises:
        BadModel: as ``export`` does.
    """
    module = make_module(serving)
    model, _ = convert(module, {name: getattr(module, name) for name in USED})
    return load({RECOMMEND_MODEL: model, ITEMS: _items(serving)}, name)


def _items(serving: ServingModel) -> bytes:
    return json.dumps(serving.items.to_json(), separators=(",", ":")).encode()


def load(files: Mapping[str, bytes], version: str, ending: str = "") -> Recommender:
    """Return exported files as the functions use them, in LiteRT.

    Args:
        files: as ``export`` returns them.
        version: the model's name.
        ending: ``FIXED`` for the signatures that take padded inputs alone, which is up to the caller.
    """
    loaded = interpreter(files[RECOMMEND_MODEL])
    recommend, rate = (loaded.get_signature_runner(f"{name}{ending}") for name in USED)
    has_similar = SIMILAR in loaded.get_signature_list()
    similar = loaded.get_signature_runner(SIMILAR) if has_similar else None
    return Recommender(version, parse_items(files[ITEMS]), recommend, rate, similar)


def padded(items: npt.NDArray[np.int32], ratings: npt.NDArray[np.float32]) -> Shelf:
    """Return a shelf as the signatures with fixed sizes take it: its last ``FIXED_SIZE`` books, and padding."""
    places, stars = np.full(FIXED_SIZE, UNKNOWN, np.int32), np.zeros(FIXED_SIZE, np.float32)
    count = min(len(items), FIXED_SIZE)
    places[:count], stars[:count] = items[len(items) - count :], ratings[len(ratings) - count :]
    return places, stars


def verify(
    serving: ServingModel,
    files: Mapping[str, bytes],
    shelves: Sequence[Shelf],
    tolerance: float = 1e-4,
    checked_in: Mapping[str, Run] | None = None,
    module: Any = None,
) -> list[str]:
    """Check that the runtimes agree with TensorFlow on some shelves: the same top ten, and the same scores.

    Both signatures that recommend are called, the one with fixed sizes only if the shelf fits. The first book of each
    shelf is asked for similar ones. Scores may differ by ``tolerance`` times the greater of 1 and their magnitude;
    books whose scores differ by no more may change places. Predicted ratings may differ by ``tolerance``.

    Args:
        serving: the model.
        files: what it was exported to.
        shelves: what to ask.
        tolerance: relative for scores, in stars for ratings.
        checked_in: the runtimes by name; None takes those that are here.
        module: what ``make_module`` returned for the model, if it is there already.

    Returns:
        The names of the runtimes that agree.

    Raises:
        BadModel: naming the runtime and the shelf that differ.
        BadSetting: a runtime is missing or broken.
    """
    checked_in = runtimes() if checked_in is None else checked_in
    module = module or make_module(serving)
    expected, calls = [], []
    for number, (items, ratings) in enumerate(shelves):
        answer = {name: value.numpy() for name, value in module.recommend(items, ratings).items()}
        places = {"": ("recommend", items, ratings)}
        if len(items) <= FIXED_SIZE:
            places[" with padding"] = (f"recommend{FIXED}", *padded(items, ratings))
        for how, (signature, books, stars) in places.items():
            expected.append((f"shelf {number}{how}", answer))
            calls.append(Call(RECOMMEND_MODEL, signature, {"items": books, "ratings": stars}))
        similar = {name: value.numpy() for name, value in module.similar(items[:1]).items()}
        expected.append((f"similar to the first book of shelf {number}", similar))
        calls.append(Call(RECOMMEND_MODEL, SIMILAR, {"item": items[:1]}))
    for runtime, run in checked_in.items():
        for (where, answer), outputs in zip(expected, run(files, calls), strict=True):
            _compare(answer, outputs, f"{runtime}, {where}", tolerance)
    return list(checked_in)


def _compare(expected: Tensors, actual: Tensors, where: str, tolerance: float) -> None:
    if not same_ranking(expected["indices"], expected["scores"], actual["indices"], tolerance):
        raise BadModel(f"{where}: TensorFlow ranks the books in another order")
    if (np.abs(expected["scores"] - actual["scores"]) > _allowed(expected["scores"], tolerance)).any():
        raise BadModel(f"{where}: the scores differ from TensorFlow's")
    if "predicted_ratings" not in expected:
        return
    # Below the top ten, books with nearly equal scores may change places.
    by_index = dict(zip(actual["indices"].tolist(), actual["predicted_ratings"].tolist(), strict=True))
    for index, rating in zip(expected["indices"].tolist(), expected["predicted_ratings"], strict=True):
        if abs(by_index.get(index, rating) - rating) > tolerance:
            raise BadModel(f"{where}: the predicted rating of book {index} differs from TensorFlow's")


def same_ranking(
    indices: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], actual: npt.NDArray[np.int32], tolerance: float
) -> bool:
    """Return whether a runtime's top ten is the expected one; books with nearly equal scores may change places.

    Args:
        indices: int32 [K], the expected books, the best first; −1 where there is none.
        scores: float32 [K], their scores.
        actual: int32 [K], the books that the runtime gives.
        tolerance: how far apart the scores of two books may be that change places, relative to scores above 1.
    """
    known = dict(zip(indices.tolist(), scores.tolist(), strict=True))
    first, top = actual[:LIST_SIZE].tolist(), scores[:LIST_SIZE].tolist()
    books = [book for book in first if book != UNKNOWN]
    if len(set(books)) != len(books):
        return False
    return all(
        abs(known.get(book, np.inf) - score) <= _allowed(score, tolerance)
        for book, score in zip(first, top, strict=True)
    )


def _allowed(score: Any, tolerance: float) -> Any:
    """Return by how much a runtime's score may differ."""
    return tolerance * np.maximum(1, np.abs(score))


def sample_shelves(serving: ServingModel, count: int, seed: int) -> list[Shelf]:
    """Return random shelves for ``verify``, every other one without stars, and an empty one and an unknown book."""
    rng = np.random.default_rng(seed)
    items = len(serving.isbns)
    shelves: list[Shelf] = [
        (np.array([UNKNOWN], np.int32), np.zeros(1, np.float32)),
        (np.array([UNKNOWN, 0], np.int32), np.array([3.5, 5.0], np.float32)),
    ]
    while len(shelves) < count:
        size = int(rng.integers(1, min(60, items) + 1))
        chosen = rng.choice(items, size, replace=False).astype(np.int32)
        stars = (rng.integers(0, 11, size) / 2).astype(np.float32)
        shelves.append((chosen, stars if len(shelves) % 2 else np.zeros_like(stars)))
    return shelves


def _zipped(folder: Path) -> bytes:
    """Return a folder as a zip file in which nothing tells when it was made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
    return content.getvalue()


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write files by name into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
