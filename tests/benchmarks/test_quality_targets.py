"""The quality benchmark's table of targets, from given figures."""

import pytest

from benchmarks.data import Set
from benchmarks.quality import COLD, Result, _summary, _targets, _verdicts


def run(ours, best=0.4, rated=0.4, rmse=0.8, **more):
    """Return a run with NDCG@10 ``ours`` for the model and ``best`` for one baseline."""

    def figure(mean):
        return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}

    model = {"ndcg": figure(ours), "ndcg_rated": figure(rated), "rmse": rmse}
    baselines = {"EASE": {"ndcg": figure(best)}, "popularity": {"ndcg": figure(0.1)}, "biases": {"rmse": 0.85}}
    return {"model": model, "baselines": baselines, "cold_start": None, "cold_books": None, **more}


def plain(name="a", **more):
    return Set(name, read=pytest.fail, group=more.pop("group", name), target=1.1, **more)


def lines(results, *sets):
    return list(_verdicts(_targets(results, sets)))


def test_a_target_is_a_multiple_of_the_best_baseline_over_the_seeds():
    results = {"a": Result([run(0.44), run(0.46)]), "b": Result([run(0.42), run(0.42)])}
    met, missed = lines(results, plain("a"), plain("b"))
    assert met.startswith(
        "met    a: NDCG@10, times the best baseline's: 1.1250 (target 1.1; 0.4500 against EASE 0.4000"
    )
    assert missed.startswith("MISSED b: ")
    summary = _summary(results["a"])["ndcg"]
    assert (summary["mean"], summary["least_seed"], summary["most_seed"]) == (pytest.approx(0.45), 0.44, 0.46)


def test_the_sets_of_a_group_share_a_target():
    results = {"a": Result([run(0.40)]), "b": Result([run(0.50)])}
    (line,) = lines(results, plain("a", group="both"), plain("b", group="both"))
    assert line.startswith("met    both (mean of 2): NDCG@10, times the best baseline's: 1.1250")


def test_a_set_that_failed_misses_its_target():
    (line,) = lines({"a": Result([run(0.5)], "seed 43: BadModel: other scores")}, plain())
    assert line.startswith("MISSED a: failed (seed 43: BadModel: other scores)")


@pytest.mark.parametrize(("rated", "verdict"), [(0.396, "met   "), (0.395, "MISSED")])
def test_at_most_one_per_cent_is_lost_by_adding_books(rated, verdict):
    results = {"own": Result([run(0.5, rated=0.4)]), "whole": Result([run(0.5, rated=rated)])}
    line = lines(results, plain("own"), plain("whole", like="own"))[-1]
    assert line.startswith(f"{verdict} whole: NDCG@10 on rated books, times that of own: ")


@pytest.mark.parametrize(("rmse", "verdict"), [(0.85, "met   "), (0.851, "MISSED")])
def test_the_rmse_may_be_the_biases(rmse, verdict):
    line = lines({"a": Result([run(0.5, rmse=rmse)])}, plain(biases=True))[-1]
    assert line.startswith(f"{verdict} a: RMSE, at most the biases': {rmse:.4f} (target 0.85)")


def test_cold_books_have_a_level_and_a_ratio_to_reach():
    cold = {"books": 1360, "models": {"this model": {"mean": 0.5}, "sum of cosines": {"mean": 0.42}}}
    level, ratio = lines({"a": Result([run(0.5, **{COLD: cold})])}, plain(cold_target=(0.46, 0.359)))[1:]
    assert level.startswith("met    a: NDCG@10 of 1,360 cold books: 0.5000 (target 0.46; sum of cosines 0.4200)")
    assert ratio.startswith("MISSED a: NDCG@10 of 1,360 cold books, times the sum of cosines': 1.1905 (target 1.281)")
