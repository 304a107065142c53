"""The quality benchmark, on small data: what it prints is what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.trainer.small_ratings import clusters, split

ROOT = Path(__file__).parents[2]


def run(*words, data):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", *words],
        env={**os.environ, "BENCH_DATA": str(data), "PYTHONPATH": str(ROOT)},
        cwd=data,
        check=True,
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_the_quality_benchmark_compares_all_models_and_says_where_a_target_is_missed(tmp_path):
    ratings, books = clusters(readers=40)
    ratings["myRate"] = ratings["myRate"].replace("0", "3")
    (tmp_path / "splits").mkdir()
    for name, frame in zip(("train", "test"), split(ratings), strict=True):
        frame.to_csv(tmp_path / "splits" / f"dev1k_0.{name}.csv", index=False)
    books.to_csv(tmp_path / "books.csv", index=False)
    done = run("dev1k_0", "--seeds", "42,43", data=tmp_path)
    written = json.loads((tmp_path / "out" / "quality.json").read_text())
    found = written["sets"]["dev1k_0"]["seeds"]["42"]
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
        line = next(line for line in done.stdout.splitlines() if f"unseen readers, {size} on the shelf: " in line)
        assert line.startswith("MISSED") == missed
    assert set(found["cold_books"]["models"]) == {"this model", "sum of cosines", "CEASE"}
    other = written["sets"]["dev1k_0"]["seeds"]["43"]
    assert set(other["baselines"]) == {"popularity", "mean", "biases"}
    summary = written["sets"]["dev1k_0"]["summary"]["ndcg"]
    means = [seed["model"]["ndcg"]["mean"] for seed in (found, other)]
    assert (summary["least_seed"], summary["most_seed"]) == (min(means), max(means))
    target = next(row for row in written["targets"] if "times the best baseline's" in row["name"])
    assert target["met"] == (target["measured"] >= 1.3)
    again = run("dev1k_0", "--seeds", "42,43", data=tmp_path)
    assert again.stdout.count(": from out/quality/dev1k_0/seed4") == 2
    assert done.stdout[done.stdout.index("== Figures") :] == again.stdout[again.stdout.index("== Figures") :]
