"""Lists for all readers: the dense kernel and its alternatives, served lists in blocks and one by one, and Beam."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import dense_top_k, synthetic
from benchmarks.data import keep
from benchmarks.dense_top_k import peak_memory
from bookrec.ranking import LIST_SIZE, RecommendationList, top_list
from bookrec.recommender import Recommender
from trainer.config import DEFAULTS
from trainer.data.features import item_facts
from trainer.serving.batch.making import ListMaker, shelves_in_key_order
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import Reranker, ServingModel, Table, popularity
from trainer.serving.reranker_features import FEATURES

NEAR = 120
"""A book's neighbours are chosen from this many adjacent books, in the order of tastes."""

VERSION = "20260101T000000Z-1"


@dataclass(frozen=True, slots=True)
class World:
    """Readers' entries, the catalogue, and a model of it."""

    ratings: pd.DataFrame
    books: pd.DataFrame
    serving: ServingModel


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Return all figures; quick ones use smaller catalogues and fewer readers."""
    dense = dense_top_k.measure(seed, quick)
    served = {}
    for books, readers, singly, dim in (
        ((10_000, 2_000, 150, 256),)
        if quick
        else (
            (10_000, 20_000, 1_000, 256),
            (100_000, 20_000, 300, 512),
        )
    ):
        world = make_world(seed, readers, books, dim)
        served[str(books)] = _served(world, singly)
        if books == 10_000:
            beam = _beam(world, 500 if quick else 5_000)
    figures = {"seed": seed, "quick": quick, "dense": dense, "served": served, "beam": beam}
    return {**figures, "targets": _targets(figures)}


def _targets(figures: dict[str, Any]) -> list[dict[str, Any]]:
    dense = figures["dense"]
    rows = [
        (
            "dense kernel, share of the matrix product's rate",
            dense["rows"]["trainer.serving.topk"]["of_matrix_rate"],
            0.8,
        ),
        ("dense kernel, places as sorting everything has them", dense["same_as_sorting"], 1.0),
        ("Beam, share of shards equal to one process's", figures["beam"]["same"], 1.0),
    ]
    for books, row in figures["served"].items():
        rows.append((f"{books} books, share of lists equal to the exported file's", row["same"], 0.999))
        rows.append((f"{books} books, lists in blocks per list one by one", row["ratio"], 2.0))
    return [{"name": n, "measured": m, "bound": b, "met": bool(m >= b)} for n, m, b in rows]


def make_world(seed: int, readers: int, books: int, dim: int) -> World:
    """Return synthetic entries and a model with random weights between books of one taste."""
    made = synthetic.make(readers * synthetic.ENTRIES_A_READER, seed, readers, books)
    ratings, catalogue = made.ratings(), made.catalogue()
    rng = np.random.default_rng(seed)
    order = np.argsort(made.clusters, kind="stable")
    place = np.empty(books, np.int64)
    place[order] = np.arange(books)
    offsets = np.r_[-NEAR // 2 : 0, 1 : NEAR // 2 + 1]

    def table(share: float) -> Table:
        chosen = np.argsort(rng.random((books, NEAR), np.float32), axis=1)[:, : DEFAULTS.neighbours]
        near = order[(place[:, None] + offsets[chosen]) % books].astype(np.int32)
        return Table.of(near, rng.gamma(1, 0.1, near.shape).astype(np.float32), share)

    vectors = rng.standard_normal((books, dim), np.float32)
    networks, width, count = DEFAULTS.reranker_members, DEFAULTS.reranker_width, len(FEATURES)
    serving = ServingModel(
        ratings.isbns,
        (table(0.4), table(0.6)),
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        popularity(ratings.items, books),
        fit_biases(ratings.star_matrix(), DEFAULTS.item_shrinkage, DEFAULTS.user_shrinkage),
        item_facts(ratings.isbns, catalogue),
        0.25,
        0.5,
        Reranker(
            np.full(count, -5, np.float32),
            np.full(count, 5, np.float32),
            np.zeros(count, np.float32),
            np.ones(count, np.float32),
            rng.normal(0, 0.1, (networks, count, width)).astype(np.float32),
            np.zeros((networks, width), np.float32),
            rng.normal(0, 0.1, (networks, width)).astype(np.float32),
        ),
    )
    frame = made.frame().assign(key=synthetic.entry_keys(made.at))
    return World(frame, catalogue, serving)


def _served(world: World, singly: int) -> dict[str, Any]:
    """Time all lists in blocks, from rows to lists, and some of them through the exported file, on one thread each."""
    from trainer.serving import tflite
    from trainer.serving.batch.making import make_lists

    with peak_memory() as blocks_memory:
        began = time.perf_counter()
        maker = ListMaker(world.serving, VERSION, world.books)
        made = list(make_lists(maker, world.ratings))
        seconds = time.perf_counter() - began
    model = tflite.load(tflite.export(world.serving), VERSION)
    step = max(1, len(made) // singly)
    shelves = [shelf for number, shelf in enumerate(shelves_in_key_order(world.ratings)) if number % step == 0][:singly]
    with peak_memory() as memory:
        began = time.perf_counter()
        one_by_one = [_one(model, shelf, maker) for shelf in shelves]
        single_seconds = time.perf_counter() - began
    chosen = made[::step][:singly]
    same = [one.isbns == other.isbns for one, other in zip(chosen, one_by_one, strict=True)]
    rates = len(made) / seconds, len(one_by_one) / single_seconds
    return {
        "readers": len(made),
        "lists_per_second_in_blocks": rates[0],
        "one_by_one": len(one_by_one),
        "lists_per_second_one_by_one": rates[1],
        "ratio": rates[0] / rates[1],
        "same": float(np.mean(same)),
        "full_lists": float(np.mean([len(one.items) == LIST_SIZE for one in made])),
        "peak_megabytes_in_blocks": blocks_memory["megabytes"],
        "peak_megabytes_one_by_one": memory["megabytes"],
    }


def _one(model: Recommender, shelf: Any, maker: ListMaker) -> RecommendationList:
    fill = model.fill(shelf, maker.catalogue.newest)
    candidates = model.in_order(shelf, model.candidates(shelf), maker.catalogue)
    return top_list(shelf, model.version, candidates, fill, maker.catalogue)


def _beam(world: World, readers: int) -> dict[str, Any]:
    """Time Beam's DirectRunner and one process on the same readers, from rows to shards."""
    from trainer.data.sources import Snapshot
    from trainer.serving.batch import model_file, pipeline
    from trainer.serving.batch.shards import publish_lists

    some = world.ratings[world.ratings["userId"].isin(sorted(set(world.ratings["userId"]))[:readers])]
    with tempfile.TemporaryDirectory() as folder:
        bucket = Folder(Path(folder) / "bucket")
        with peak_memory() as memory:
            began = time.perf_counter()
            publish_lists(world.serving, VERSION, Snapshot(some, world.books, {}, "synthetic"), bucket)
            seconds = time.perf_counter() - began
        model, out = bucket.path / model_file.MODEL, Path(folder) / "beam"
        with peak_memory() as beam_memory:
            began = time.perf_counter()
            pipeline.run(pipeline.rows_of(some), world.books, str(model), VERSION, str(out), ["--runner=DirectRunner"])
            beam_seconds = time.perf_counter() - began
        names = sorted({path.name for path in bucket.path.iterdir()} - {model_file.MODEL})
        same = [(out / name).read_bytes() == (bucket.path / name).read_bytes() for name in names]
    return {
        "readers": readers,
        "seconds_one_process": seconds,
        "seconds_beam": beam_seconds,
        "shards": len(names) - 1,
        "same": float(np.mean(same)),
        "peak_megabytes_one_process": memory["megabytes"],
        "peak_megabytes_beam": beam_memory["megabytes"],
    }


class Folder:
    """A bucket on disk with the operations that shards need."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write an object."""
        (self.path / Path(name).name).write_bytes(content)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    dense = figures["dense"]
    sizes = f"{dense['readers']:,} readers × {dense['books']:,} books × {dense['dim']}"
    print(f"{sizes}, top {dense['k']}, seed {figures['seed']}")
    print(f"{'':20}{'readers':>9}{'seconds':>9}{'GFLOP/s':>9}{'of matmul':>11}{'same':>9}{'peak MB':>9}")
    for name, row in dense["rows"].items():
        if "missing" in row:
            print(f"{name:20}{row['missing']}")
            continue
        print(
            f"{name:20}{row['readers']:9,}{row['seconds']:9.1f}{row['gigaflops']:9.1f}{row['of_matrix_rate']:11.1%}"
            f"{row['same']:9.5f}{row['peak_megabytes']:9,.0f}"
        )
    print(f"\n{'books':>9}{'readers':>9}{'blocks/s':>10}{'MB':>7}{'singly':>9}{'singly/s':>10}{'MB':>7}{'same':>9}")
    for books, row in figures["served"].items():
        print(
            f"{int(books):9,}{row['readers']:9,}{row['lists_per_second_in_blocks']:10,.0f}"
            f"{row['peak_megabytes_in_blocks']:7,.0f}{row['one_by_one']:9,}{row['lists_per_second_one_by_one']:10,.0f}"
            f"{row['peak_megabytes_one_by_one']:7,.0f}{row['same']:9.2%}"
        )
    row = figures["beam"]
    print(f"\n{row['readers']:,} readers into shards: Beam {row['seconds_beam']:.1f} s, ", end="")
    print(f"one process {row['seconds_one_process']:.1f} s; {row['same']:.0%} of shards and index the same")
    for row in figures["targets"]:
        print(f"{'met' if row['met'] else 'MISSED':8}{row['name']}: {row['measured']:,.3f} (bound {row['bound']:,.3f})")


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    figures = measure(arguments.seed, arguments.quick)
    show(figures)
    keep("lists", figures)


if __name__ == "__main__":
    main()
