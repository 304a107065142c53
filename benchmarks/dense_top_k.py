"""Exact top k by inner product: the trainer's kernel and other libraries, on the same vectors, with the same result."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ranked = tuple[npt.NDArray[Any], npt.NDArray[Any]]
Search = Callable[[Floats], Ranked]

K = 10
SQUARE = 4096
"""Width of the matrix products that measure the machine's rate."""

BATCH = 256
"""Queries per call of TFRS, TensorFlow and NumPy."""

TOLERANCE = 1e-5

_SCANN = """
import sys, time, json, numpy as np, scann
queries, items = np.load(sys.argv[1]), np.load(sys.argv[2])
searcher = scann.scann_ops_pybind.builder(items, 10, "dot_product").score_brute_force().build()
began = time.perf_counter()
indices, scores = searcher.search_batched_parallel(queries)
seconds = time.perf_counter() - began
np.save(sys.argv[3], indices), np.save(sys.argv[4], scores)
print(json.dumps(seconds))
"""


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Yield a dictionary that gets the peak of additional megabytes in use. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    peak: dict[str, float] = {}
    before = _kilobytes("VmRSS")
    yield peak
    peak["megabytes"] = (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def matrix_rate(rng: np.random.Generator) -> Callable[[], float]:
    """Return a function that measures the rate of a large square product once, in flops per second."""
    square = rng.standard_normal((SQUARE, SQUARE), dtype=np.float32)
    out = np.empty_like(square)

    def measure() -> float:
        began = time.perf_counter()
        np.matmul(square, square, out=out)
        return 2 * SQUARE**3 / (time.perf_counter() - began)

    return measure


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Return the figures of all libraries; those that would take minutes get fewer readers."""
    readers, books, dim = (10_000, 20_000, 256) if quick else (100_000, 100_000, 512)
    rng = np.random.default_rng(seed)
    queries, items = _vectors(rng, readers, dim), _vectors(rng, books, dim)
    rate = matrix_rate(rng)
    rate()
    own = _own(queries, items, rate, parts=4 if quick else 10)
    expected = own.pop("top")
    rows = {"trainer.serving.topk": own}
    for name, (make, count) in _contenders(readers, quick).items():
        rows[name] = _row(make(items), queries[:count], items, expected, rate)
    rows["ScaNN brute force"] = _scann(queries[: readers // 10], items, expected, rate)
    sample = rng.choice(readers, 200, replace=False)
    exact = np.argsort(-(queries[sample] @ items.T), axis=1, kind="stable")[:, :K]
    same = float((exact == expected[0][sample]).mean())
    return {"readers": readers, "books": books, "dim": dim, "k": K, "same_as_sorting": same, "rows": rows}


def _vectors(rng: np.random.Generator, count: int, dim: int) -> Floats:
    vectors = rng.standard_normal((count, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _own(queries: Floats, items: Floats, rate: Callable[[], float], parts: int) -> dict[str, Any]:
    """Measure in parts, with a matrix product before and after each, because the machine may be busy."""
    from trainer.serving.topk import top_inner_products

    lists, ratios, seconds, products = [], [], 0.0, [rate()]
    with peak_memory() as memory:
        for part in np.array_split(queries, parts):
            began = time.perf_counter()
            lists.append(top_inner_products(part, items, K))
            took = time.perf_counter() - began
            products.append(rate())
            ratios.append(_flops(part, items) / took / float(np.mean(products[-2:])))
            seconds += took
    both = tuple(np.concatenate([part[side] for part in lists]) for side in (0, 1))
    row = _figures(queries, items, seconds, memory["megabytes"], products)
    return {**row, "of_matrix_rate": float(np.median(ratios)), "same": 1.0, "top": both}


def _row(search: Search, queries: Floats, items: Floats, expected: Ranked, rate: Callable[[], float]) -> dict[str, Any]:
    products = [rate()]
    with peak_memory() as memory:
        began = time.perf_counter()
        ranked = search(queries)
        seconds = time.perf_counter() - began
    products.append(rate())
    row = _figures(queries, items, seconds, memory["megabytes"], products)
    return {**row, "same": _same(ranked, expected)}


def _figures(queries: Floats, items: Floats, seconds: float, megabytes: float, products: list[float]) -> dict[str, Any]:
    flops = _flops(queries, items) / seconds
    return {
        "readers": len(queries),
        "seconds": seconds,
        "readers_per_second": len(queries) / seconds,
        "gigaflops": flops / 1e9,
        "matrix_gigaflops": float(np.mean(products)) / 1e9,
        "of_matrix_rate": flops / float(np.mean(products)),
        "peak_megabytes": megabytes,
    }


def _flops(queries: Floats, items: Floats) -> float:
    return 2.0 * len(queries) * items.size


def _same(ranked: Ranked, expected: Ranked) -> float:
    """Return the share of positions with the same item, or with another of the same score."""
    indices, scores = np.asarray(ranked[0]), np.asarray(ranked[1])
    wanted, known = expected[0][: len(indices)], expected[1][: len(indices)]
    return float(((indices == wanted) | (np.abs(scores - known) < TOLERANCE)).mean())


def _contenders(readers: int, quick: bool) -> dict[str, tuple[Callable[[Floats], Search], int]]:
    """Return, by name, a function that makes the search, and the number of readers to run it for."""
    few = readers // 2 if quick else readers // 20
    return {
        "FAISS flat": (_faiss, readers),
        "implicit": (_implicit, few),
        "TFRS BruteForce": (_tfrs, few),
        "TensorFlow": (_tensorflow, few),
        "NumPy": (_numpy, few),
    }


def _faiss(items: Floats) -> Search:
    import faiss

    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)

    def search(queries: Floats) -> Ranked:
        scores, indices = index.search(queries, K)
        return indices, scores

    return search


def _implicit(items: Floats) -> Search:
    from implicit.cpu.topk import topk

    return lambda queries: topk(items, queries, K, num_threads=0)


def _tfrs(items: Floats) -> Search:
    import tensorflow_recommenders as tfrs

    layer = tfrs.layers.factorized_top_k.BruteForce(k=K)
    layer.index(items)

    def search(queries: Floats) -> Ranked:
        scores, indices = layer(queries)
        return indices.numpy(), scores.numpy()

    return lambda queries: _in_batches(search, queries)


def _tensorflow(items: Floats) -> Search:
    import tensorflow as tf

    known = tf.constant(items)

    @tf.function(reduce_retracing=True)
    def best(queries: Any) -> Any:
        return tf.math.top_k(tf.matmul(queries, known, transpose_b=True), K)

    def search(queries: Floats) -> Ranked:
        scores, indices = best(tf.constant(queries))
        return indices.numpy(), scores.numpy()

    return lambda queries: _in_batches(search, queries)


def _numpy(items: Floats) -> Search:
    def search(queries: Floats) -> Ranked:
        products = queries @ items.T
        best = np.argpartition(-products, K, axis=1)[:, :K]
        scores = np.take_along_axis(products, best, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(scores, order, axis=1)

    return lambda queries: _in_batches(search, queries)


def _in_batches(search: Search, queries: Floats) -> Ranked:
    parts = [search(queries[start : start + BATCH]) for start in range(0, len(queries), BATCH)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _scann(queries: Floats, items: Floats, expected: Ranked, rate: Callable[[], float]) -> dict[str, Any]:
    """Measure ScaNN with ``BASELINES_PYTHON``; without it, return no figures."""
    python = os.environ.get("BASELINES_PYTHON")
    if not python:
        return {"missing": "BASELINES_PYTHON does not name an environment with ScaNN"}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{name}.npy") for name in ("queries", "items", "indices", "scores")]
        np.save(paths[0], queries)
        np.save(paths[1], items)
        words = [python, "-c", _SCANN, *paths]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        ranked = np.load(paths[2]), np.load(paths[3])
    row = _figures(queries, items, json.loads(answer), float("nan"), [rate()])
    return {**row, "same": _same(ranked, expected)}
