"""A served model as one file of arrays, for making lists outside the run that fitted it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import scipy.sparse as sp

from trainer.data.features import Facts
from trainer.serving.biases import Biases
from trainer.serving.item_item import Reranker, ServingModel, Table

MODEL = "model.npz"

_RERANKER = ("low", "high", "mean", "deviation", "hidden", "bias", "out", "reach")

_MATRIX = ("data", "indices", "indptr")


def to_bytes(serving: ServingModel) -> bytes:
    """Return the model as an ``.npz`` file without pickled objects."""
    arrays: dict[str, Any] = {
        "isbns": np.array(serving.isbns),
        "vectors": serving.vectors,
        "popularity": serving.popularity,
        "bias_items": serving.biases.items,
        "series": serving.facts.series,
        "numbers": serving.facts.numbers,
        "authors": serving.facts.authors,
        "scalars": np.array(
            [
                serving.biases.mean,
                serving.biases.user_shrinkage,
                serving.popularity_weight,
                serving.interaction,
                serving.unrated_offset,
                serving.diversity,
            ]
        ),
        "shares": np.array([table.share for table in serving.tables]),
    }
    for number, table in enumerate(serving.tables):
        arrays |= {f"{part}_{number}": getattr(table.matrix, part) for part in _MATRIX}
    if serving.reranker is not None:
        arrays |= {f"ranker_{name}": getattr(serving.reranker, name) for name in _RERANKER}
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def from_bytes(content: bytes) -> ServingModel:
    """Return the model from the bytes that ``to_bytes`` returned."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        mean, user_shrinkage, popularity_weight, interaction, unrated_offset, *more = arrays["scalars"].tolist()
        shape = 2 * arrays["isbns"].shape
        tables = [
            Table(sp.csr_matrix(tuple(arrays[f"{part}_{number}"] for part in _MATRIX), shape=shape), share)
            for number, share in enumerate(arrays["shares"].tolist())
        ]
        reranker = None
        if "ranker_mean" in arrays:
            parts = {name: arrays[f"ranker_{name}"] for name in _RERANKER}
            reranker = Reranker(**{**parts, "reach": float(parts["reach"])})
        return ServingModel(
            isbns=tuple(arrays["isbns"].tolist()),
            tables=tuple(tables),
            vectors=arrays["vectors"],
            popularity=arrays["popularity"],
            biases=Biases(mean, arrays["bias_items"], user_shrinkage),
            facts=Facts(arrays["series"], arrays["numbers"], arrays["authors"]),
            popularity_weight=popularity_weight,
            interaction=interaction,
            reranker=reranker,
            unrated_offset=unrated_offset,
            diversity=more[0] if more else 0.0,  # a file of an earlier release has none
        )
