"""``make bench-train``: training compared with the notebook's, a whole run on 100,000 ratings, the exported files."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import random_model
from benchmarks.data import OUT, read_split
from benchmarks.random_model import BOOKS
from trainer.config import DEFAULTS, LOSS_WEIGHTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.model.train_loop import Steps, learn
from trainer.model.validation import Validation
from trainer.serving import tflite
from trainer.serving.runtimes import ADVICE, tflite_python

SHELF_SIZES = (1, 10, 50, 200)
CALLS = 300
SHELVES = 1_000

_TIMES = """
import importlib, json, sys, time
import numpy as np
runtime, path, given = sys.argv[1:]
books, calls, seed, sizes = json.loads(given)
model = importlib.import_module(f"{runtime}.interpreter").Interpreter(model_path=path, num_threads=1)
recommend, rng, told = model.get_signature_runner("recommend"), np.random.default_rng(seed), []
for size in sizes:
    times = []
    for _ in range(calls):
        items = rng.choice(books, size, replace=False).astype(np.int32)
        stars = np.full(size, 4, np.float32)
        began = time.perf_counter()
        recommend(items=items, ratings=stars)
        times.append((time.perf_counter() - began) * 1000)
    told.append(times)
print(json.dumps(told))
"""
"""Prints the times of a runtime's calls (milliseconds), by size of the shelf."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run 10 of the notebook's 100 epochs; the output says so")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"seed": arguments.seed}
    for name, measure in (("loop", _loop), ("run", _run), ("files", _files)):
        results[name] = measure(arguments.seed, arguments.quick)
    OUT.mkdir(exist_ok=True)
    (OUT / "train.json").write_text(json.dumps(results, indent=1))
    print(f"\nwritten: {OUT}/train.json")


def _loop(seed: int, quick: bool) -> dict[str, Any]:
    """Measure joint training to its best validation metric, and the notebook's loop on the same entries."""
    from benchmarks import notebook_model

    train, _, books = read_split("dev1k_0")
    ratings = dataset.build(dataset.clean(train, foreign=True)[0], books, foreign=True)
    config = replace(DEFAULTS, seed=seed)
    held = dataset.holdout(ratings, config.validation_fraction, seed)
    part = ratings.select(~held)
    features = item_features(ratings.isbns, books, config.features)
    validation = Validation(part, ratings.select(held))
    times, learned = [], None
    for _ in range(3):
        began = time.monotonic()
        learned = learn(part, Steps(features, config), "batch", validation, config.epochs)  # compiled each time
        times.append(time.monotonic() - began)
    ours = float(np.median(times))
    epochs = 10 if quick else notebook_model.EPOCHS
    _, seconds = notebook_model.fit(part, LOSS_WEIGHTS["joint"], epochs=epochs, with_metrics=True, seed=seed)
    whole = seconds * notebook_model.EPOCHS / epochs
    assert learned is not None
    print(f"\n== Joint training on dev1k_0 ({len(part.users)} entries, {len(ratings.isbns)} books), seed {seed}")
    said = f"{epochs} epochs took {seconds:.1f} s" + (f": {whole:.0f} s for 100" if quick else "")
    print(f"the notebook's loop: {said}")
    print(f"ours: best after epoch {learned.epochs}, stopped after {len(learned.history['loss'])}: {ours:.1f} s")
    print(f"ratio {whole / ours:.0f} (target 20): {_verdict(whole / ours >= 20)}")
    return {"notebook_seconds": whole, "notebook_epochs_run": epochs, "seconds": ours, "ratio": whole / ours}


def _run(seed: int, quick: bool) -> dict[str, Any]:
    """Train, evaluate and export dev100k in a separate process."""
    train, test, books = read_split("dev100k")
    folder = OUT / "train"
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("train", train), ("test", test), ("books", books)):
        frame.to_csv(folder / f"{name}.csv", index=False)
    words = [sys.executable, "-m", "trainer", "evaluate", f"--out={folder}", f"--seed={seed}"]
    began = time.monotonic()
    subprocess.run([*words, *(f"--{name}={folder}/{name}.csv" for name in ("train", "test", "books"))], check=True)
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = (folder / "model" / "recommend.tflite").stat().st_size
    print(f"\n== dev100k ({len(train)} + {len(test)} ratings, {len(books)} books), seed {seed}")
    print(f"trained, evaluated and exported in {seconds:.0f} s (target 180): {_verdict(seconds < 180)}")
    print(f"peak memory {memory:.0f} MB (target 3,072): {_verdict(memory < 3072)}")
    print(f"recommend.tflite {size / 1e6:.1f} MB")
    return {"seconds": seconds, "peak_memory_mb": memory, "model_bytes": size}


def _files(seed: int, quick: bool) -> dict[str, Any]:
    """Measure size, latency and parity of a file for 10,000 books, with random weights of realistic shape."""
    serving = random_model.make(seed)
    files = tflite.export(serving)
    size = len(files["recommend.tflite"])
    print(f"\n== recommend.tflite for {BOOKS:,} books, random weights of realistic shape, seed {seed}")
    print(f"{size / 1e6:.2f} MB (target 10): {_verdict(size <= 10_000_000)}")
    path = OUT / "recommend.tflite"
    OUT.mkdir(exist_ok=True)
    path.write_bytes(files["recommend.tflite"])
    latencies: dict[str, Any] = {}
    for runtime, python in (("tflite_runtime", str(tflite_python())), ("ai_edge_litert", sys.executable)):
        if not Path(python).exists():
            print(f"{runtime:15} not measured: {python} does not exist; {ADVICE}")
            continue
        words = [python, "-I", "-c", _TIMES, runtime, str(path), json.dumps([BOOKS, CALLS, seed, SHELF_SIZES])]
        told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        for shelf_size, times in zip(SHELF_SIZES, told, strict=True):
            p50, p99 = np.percentile(times, [50, 99])
            latencies[f"{runtime}, shelf of {shelf_size}"] = {"p50_ms": p50, "p99_ms": p99}
            timed = f"p50 {p50:5.2f} ms, p99 {p99:5.2f} ms (target p50 3): {_verdict(p50 <= 3)}"
            print(f"{runtime:15} shelf of {shelf_size:3}: {timed}")
    shelves = tflite.sample_shelves(serving, 100 if quick else SHELVES, seed)
    checked_in = tflite.verify(serving, files, shelves)
    print(f"the top ten of {len(shelves):,} shelves is TensorFlow's, in {' and '.join(checked_in)}")
    return {"bytes": size, "latencies": latencies, "parity_shelves": len(shelves)}


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
