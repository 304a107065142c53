"""The app's present interface, on request: files that take a reader's key and know the readers of the training.

A key is the SHA-256 (hex) of the user id, so that no file holds an id; but whoever knows an id can look its list up.
Strings are compared with all keys at once, since TensorFlow Lite's hash tables are not builtins in every runtime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadModel
from bookrec.recommender import Recommender
from trainer.data.dataset import Ratings, shelves_of
from trainer.serving.item_item import ServingModel
from trainer.serving.runtimes import Call, runtimes
from trainer.serving.tflite import convert

BY_USER_MODEL = "by_user.tflite"
RATING_MODEL = "rating.tflite"

TASTES = 200
"""Books of each reader whose predicted rating has an interaction: those where it is greatest."""

BLOCK = 512

Rows = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""By reader, and for an unknown one last: item indices [users + 1, K] and a value for each."""


def user_key(user_id: str) -> str:
    """Return what stands for a user id in the files: its SHA-256 in hex."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def export_by_user(serving: ServingModel, model: Recommender, ratings: Ratings, count: int) -> dict[str, bytes]:
    """Return both files, checked in the runtimes.

    ``by_user.tflite``: a key, string [1] → scores float32 [1, count] and ISBNs string [1, count].
    ``rating.tflite``: an ISBN, string [1], and a key, string [1] → the predicted rating, float32 [1, 1].
    An unknown reader gets the popular books, and ratings without a reader's bias.

    Args:
        serving: the model.
        model: the same, as exported.
        ratings: the entries that make the readers' shelves.
        count: books a list.

    Raises:
        BadModel: where a runtime gives something else than the model.
    """
    keys = [user_key(user_id) for user_id in ratings.user_ids]
    lists, tastes = _lists(model, ratings, count), _tastes(serving, ratings)
    user_bias = np.append(serving.biases.users(ratings.star_matrix()), np.float32(0))
    files = {
        BY_USER_MODEL: _by_user_file(serving.isbns, keys, lists),
        RATING_MODEL: _rating_file(serving, keys, user_bias, tastes),
    }
    _verify(files, serving, keys, lists, user_bias, tastes)
    return files


def _lists(model: Recommender, ratings: Ratings, count: int) -> Rows:
    index = {isbn: item for item, isbn in enumerate(model.items.isbns)}
    count = min(count, len(model.items.isbns))
    shelves = shelves_of(ratings)
    items = np.full((len(ratings.user_ids) + 1, count), -1, np.int32)
    scores = np.zeros(items.shape, np.float32)
    for row, user_id in enumerate(ratings.user_ids):
        for place, candidate in enumerate(islice(model.diversified(model.candidates(shelves[user_id])), count)):
            items[row, place], scores[row, place] = index[candidate.isbn], candidate.score
    popular = [index[isbn] for isbn in model.items.popular[:count]]
    items[-1, : len(popular)] = popular
    return items, scores


def _tastes(serving: ServingModel, ratings: Ratings) -> Rows:
    """Return each reader's strongest interactions, in stars."""
    stars, likeness, width = ratings.star_matrix(), serving.likeness, min(TASTES, len(serving.isbns))
    items = np.zeros((len(ratings.user_ids) + 1, width), np.int32)
    values = np.zeros(items.shape, np.float32)
    for start in range(0, stars.shape[0], BLOCK) if serving.interaction else ():
        block = stars[start : start + BLOCK]
        interactions = serving.interactions(block, likeness)
        rows = slice(start, start + block.shape[0])
        items[rows], values[rows] = _strongest(interactions.astype(np.float32), width)
    return items, values


def _strongest(
    values_by_row: npt.NDArray[np.float32], width: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the items and values of the ``width`` values of greatest magnitude in each row [rows, items]."""
    width = min(width, values_by_row.shape[1])
    chosen = np.argpartition(-np.abs(values_by_row), width - 1, axis=1)[:, :width]
    values = np.take_along_axis(values_by_row, chosen, axis=1)
    order = np.lexsort((chosen, -values), axis=1)
    chosen, values = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(values, order, axis=1)
    return chosen.astype(np.int32), values.astype(np.float32)


def _by_user_file(isbns: tuple[str, ...], keys: list[str], lists: Rows) -> bytes:
    import tensorflow as tf

    items, scores = lists
    names = np.array([*(isbn.encode() for isbn in isbns), b""])  # the last is what −1 points to

    class ByUser(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1], tf.string, name="user_key")])
        def recommend(self, user_key: Any) -> dict[str, Any]:
            row = _place(keys, user_key)
            return {
                "output_1": tf.gather(scores, row),
                "output_2": tf.gather(names, tf.gather(np.where(items < 0, len(isbns), items), row)),
            }

    module = ByUser()
    return convert(module, {"serving_default": module.recommend})[0]


def _rating_file(serving: ServingModel, keys: list[str], user_bias: npt.NDArray[np.float32], tastes: Rows) -> bytes:
    import tensorflow as tf

    items, values = tastes
    item_bias = np.append(serving.biases.items, np.float32(0))
    isbns = list(serving.isbns)

    class Rating(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([1], tf.string, name="isbn"), tf.TensorSpec([1], tf.string, name="user_key")]
        )
        def rate(self, isbn: Any, user_key: Any) -> dict[str, Any]:
            book, user = _place(isbns, isbn), _place(keys, user_key)
            same = tf.cast(tf.equal(tf.gather(items, user), book[:, None]), tf.float32)
            taste = tf.reduce_sum(tf.gather(values, user) * same, axis=1)
            bias = tf.gather(item_bias, book) + tf.gather(user_bias, user)
            return {"output_1": tf.clip_by_value(np.float32(serving.biases.mean) + bias + taste, 0.5, 5.0)[:, None]}

    module = Rating()
    return convert(module, {"serving_default": module.rate})[0]


def _place(texts: list[str], text: Any) -> Any:
    """Return where ``text`` string [1] is among ``texts``, int32 [1]; their number where it is not."""
    import tensorflow as tf

    same = tf.cast(tf.equal(tf.constant([item.encode() for item in texts]), text), tf.int32)
    numbers = tf.range(1, len(texts) + 1)
    place = tf.reduce_max(same * numbers, keepdims=True)
    return tf.where(place > 0, place - 1, len(texts))


def _verify(
    files: Mapping[str, bytes],
    serving: ServingModel,
    keys: list[str],
    lists: Rows,
    user_bias: npt.NDArray[np.float32],
    tastes: Rows,
    sample: int = 20,
) -> None:
    rng = np.random.default_rng(0)
    some = [*rng.choice(len(keys), min(sample, len(keys)), replace=False).tolist(), len(keys)]
    asked = rng.integers(len(serving.isbns), size=len(some))
    calls = []
    for row, item in zip(some, asked, strict=True):
        key = np.array([keys[row] if row < len(keys) else "nobody"], np.bytes_)
        calls.append(Call(BY_USER_MODEL, "serving_default", {"user_key": key}))
        isbn = np.array([serving.isbns[item].encode()])
        calls.append(Call(RATING_MODEL, "serving_default", {"isbn": isbn, "user_key": key}))
    for runtime, run in runtimes().items():
        outputs = run(files, calls)
        for row, item, listed, rated in zip(some, asked, outputs[::2], outputs[1::2], strict=True):
            names = [serving.isbns[place].encode() if place >= 0 else b"" for place in lists[0][row]]
            if listed["output_2"][0].tolist() != names or not np.allclose(listed["output_1"][0], lists[1][row]):
                raise BadModel(f"{runtime} gives another list in {BY_USER_MODEL}")
            taste = tastes[1][row][tastes[0][row] == item].sum()
            expected = np.clip(serving.biases.mean + serving.biases.items[item] + user_bias[row] + taste, 0.5, 5.0)
            rating = rated["output_1"]
            if rating.shape != (1, 1) or abs(float(rating[0, 0]) - expected) > 1e-4:
                raise BadModel(f"{runtime} predicts another rating in {RATING_MODEL}")
