"""The gate: a model is refused if it is worse than noise explains, and only then."""

import numpy as np
import pytest

from trainer.evaluation.gate import judge


def rows(values):
    return [{"ndcg": float(value)} for value in values]


def verdict(ours, theirs, seed=1):
    return judge(rows(ours), {"popularity": rows(theirs)}, seed)


@pytest.mark.parametrize(("worse", "passed"), [(1, True), (4, True), (5, True), (6, False), (15, False)])
def test_five_readers_with_a_worse_list_are_not_enough(worse, passed):
    theirs = np.zeros(15)
    theirs[:worse] = np.linspace(0.1, 0.9, worse)
    result = verdict(np.zeros(15), theirs)
    assert result.passed is passed
    assert ("loses to popularity on 15 held-out readers" in result.reason) is not passed


def test_noise_is_passed_and_a_small_loss_of_many_readers_is_not():
    rng = np.random.default_rng(5)
    theirs = rng.uniform(0, 1, 2_000)
    noise = rng.normal(0, 0.1, 2_000)
    assert verdict(theirs + noise - noise.mean(), theirs).passed
    assert not verdict(theirs + noise - noise.mean() - 0.01, theirs).passed


def test_equal_and_better_models_pass():
    figures = np.linspace(0, 1, 30)
    assert verdict(figures, figures).passed
    assert verdict(figures + 0.1, figures).passed


def test_the_verdict_is_the_same_each_time():
    rng = np.random.default_rng(6)
    ours, theirs = rng.uniform(0, 1, (2, 40))
    assert verdict(ours, theirs, 3) == verdict(ours, theirs, 3)


def test_readers_without_the_figure_are_left_out():
    result = judge([{"rmse": 1.0}], {"popularity": rows([0.5])}, 1)
    assert result.passed
    assert "no held-out readers to compare with popularity" in result.reason
