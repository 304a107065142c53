"""The quality benchmark, on small data: what it prints is what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.trainer.small_ratings import clusters, split

ROOT = Path(__file__).parents[2]


def test_the_quality_benchmark_compares_all_models_and_says_where_a_target_is_missed(tmp_path):
    ratings, books = clusters(readers=40)
    ratings["myRate"] = ratings["myRate"].replace("0", "3")
    (tmp_path / "splits").mkdir()
    for name, frame in zip(("train", "test"), split(ratings), strict=True):
        frame.to_csv(tmp_path / "splits" / f"dev1k_0.{name}.csv", index=False)
    books.to_csv(tmp_path / "books.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", "dev1k_0"],
        env={**os.environ, "BENCH_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads((tmp_path / "out" / "quality.json").read_text())["dev1k_0"]
    tuned = {"item-kNN", "RP3beta", "iALS", "ELSA", "SLIM", "BPR", "EASE", "CEASE", "SVD", "biases"}
    assert {*tuned, "popularity", "SVD++"} <= set(found["baselines"])
    assert all(found["baseline_choices"][name]["options"] for name in tuned)
    notebook = found["notebook"]
    assert len(notebook["history"]["rmse"]) == 100
    assert notebook["history"]["rmse"][-1] < notebook["history"]["validation_rmse"][-1]
    assert f"{found['model']['ndcg']['mean']:.4f}" in done.stdout
    assert (tmp_path / "out" / "quality" / "dev1k_0" / "report.html").exists()
    assert (tmp_path / "out" / "quality" / "dev1k_0_ndcg.svg").read_text().startswith("<svg")
    curve = found["cold_start"]
    for place, size in enumerate(curve["sizes"]):
        means = {name: points[place]["mean"] for name, points in curve["models"].items()}
        missed = means["this model"] < max(means.values())
        line = next(line for line in done.stdout.splitlines() if f": {size} entries: " in line)
        assert line.endswith("MISSED") == missed
