"""The reranker's features of a candidate: one definition, in TensorFlow for one shelf and in NumPy for many.

Arrays may have leading axes, then n for the shelf's books, then C for the candidates: [n, C] for one shelf, or
[readers, n, C] for readers with shelves of one size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FEATURES = (
    "blend",
    "ridge",
    "learned",
    "popularity",
    "unrated",
    "closest",
    "affinity",
    "taste",
    "strongest",
    "same_series",
    "next_in_series",
    "previous_in_series",
    "same_author",
    "shelf_popularity",
    "popularity_difference",
    "log_shelf",
)

FAR = 1e6
"""More than any likeness or contribution; small enough to keep results computed from it finite."""


@dataclass(frozen=True, slots=True)
class Maths:
    """The functions of a library that the features need.

    Attributes:
        total, greatest: sum and maximum over an ``axis``, which is kept with ``keepdims``.
        greatest_known: maximum of [..., n, C] over those of the n books whose ``known`` [..., n] is 1.
        equal: float32, 1 where two arrays are equal.
    """

    total: Callable[..., Any]
    greatest: Callable[..., Any]
    greatest_known: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    sqrt: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    ones_like: Callable[[Any], Any]
    stack: Callable[..., Any]
    equal: Callable[[Any, Any], Any]


def _greatest_known(values: Any, known: Any) -> Any:
    if not known.all():  # rarely true, and another pass over the array is not cheap
        values = np.where(known[..., None] > 0, values, np.float32(-FAR))
    return values.max(axis=-2)


NUMPY = Maths(
    total=np.sum,
    greatest=np.max,
    greatest_known=_greatest_known,
    maximum=np.maximum,
    sqrt=np.sqrt,
    log1p=np.log1p,
    ones_like=np.ones_like,
    stack=np.stack,
    equal=lambda one, other: np.equal(one, other).astype(np.float32),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known about shelves and candidates, all float32.

    Attributes:
        on_shelf: [..., n], 0 for a book that the model does not know.
        residuals: [..., n], stars minus the prediction by biases; 0 if not rated.
        shelf_popularity: [..., n]; 0 for an unknown book.
        shelf_numbers: [..., n], the places in a series.
        blend: [..., C], ``MASKED`` for books on the shelf.
        parts: [..., C] each, the tables' summands of the blend before their shares, the learned model's first.
        popularity: [..., C].
        unrated: [..., C], 1 for a book without any entry.
        numbers: [..., C], the places in a series.
        likeness: [..., n, C], inner products of the learned vectors.
        contributions: [..., n, C], each shelf book's summands of the blend.
        series, authors: [..., n, C], 1 where shelf book and candidate share one.
    """

    on_shelf: Any
    residuals: Any
    shelf_popularity: Any
    shelf_numbers: Any
    blend: Any
    parts: Any
    popularity: Any
    unrated: Any
    numbers: Any
    likeness: Any
    contributions: Any
    series: Any
    authors: Any


def features(maths: Maths, seen: Seen) -> Any:
    """Return the features of the candidates, float32 [..., C, features], in the order of ``FEATURES``."""
    total, greatest = maths.total, maths.greatest
    count = maths.maximum(total(seen.on_shelf, axis=-1, keepdims=True), 1.0)
    shelf_popular = total(seen.shelf_popularity, axis=-1, keepdims=True) / count
    steps = seen.numbers[..., None, :] - seen.shelf_numbers[..., :, None]
    everywhere = maths.ones_like(seen.blend)
    columns = {
        "blend": maths.maximum(seen.blend, -10.0),
        "ridge": seen.parts[-1],
        "learned": seen.parts[0],
        "popularity": seen.popularity,
        "unrated": seen.unrated,
        "closest": maths.greatest_known(seen.likeness, seen.on_shelf),
        "affinity": total(seen.likeness, axis=-2) / maths.sqrt(count),
        "taste": total(seen.likeness * seen.residuals[..., :, None], axis=-2) / maths.sqrt(count),
        "strongest": maths.greatest_known(seen.contributions, seen.on_shelf),
        "same_series": maths.log1p(total(seen.series, axis=-2)),
        "next_in_series": greatest(seen.series * maths.equal(steps, 1.0), axis=-2),
        "previous_in_series": greatest(seen.series * maths.equal(steps, -1.0), axis=-2),
        "same_author": maths.log1p(total(seen.authors, axis=-2)),
        "shelf_popularity": shelf_popular * everywhere,
        "popularity_difference": seen.popularity - shelf_popular,
        "log_shelf": maths.log1p(count) * everywhere,
    }
    return maths.stack([columns[name] for name in FEATURES], axis=-1)
