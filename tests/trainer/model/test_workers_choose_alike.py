"""Workers whose figures differ in the last digits, or more: the chief's choice is sent as a whole, and obeyed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.trainer.model.test_reranker import examples
from trainer.config import DEFAULTS
from trainer.model import choosing, distributed, reranker
from trainer.model.assembly import Choices
from trainer.model.pool import Blend


class Cluster:
    """Two workers, one after the other: what the chief has sent, the other one receives."""

    def __init__(self, monkeypatch):
        self._sent, self._is_chief = [], True
        monkeypatch.setattr(distributed, "workers", lambda: ["chief:1", "worker:1"])
        monkeypatch.setattr(distributed, "is_chief", lambda: self._is_chief)
        monkeypatch.setattr(distributed, "_from_chief", self._from_chief)

    def _from_chief(self, values):
        if self._is_chief:
            self._sent.append(values)
            return values
        assert self._sent, "the worker waits for what the chief never sends"
        received = self._sent.pop(0)
        assert received.shape == values.shape
        return received

    def run(self, chief, worker):
        """Return the results of both."""
        by_chief = chief()
        self._is_chief = False
        by_worker = worker()
        assert not self._sent, "the chief waits for a worker that never asks"
        return by_chief, by_worker


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


def fold(batch, catalogue):
    """A fold whose blends have these validation figures."""
    pools = {
        "batch": SimpleNamespace(ndcg=lambda blend: batch, loss=lambda blend, scale: scale),
        "catalogue": SimpleNamespace(ndcg=lambda blend: catalogue, loss=lambda blend, scale: -scale),
    }
    learned = {"batch": SimpleNamespace(epochs=7), "catalogue": SimpleNamespace(epochs=12)}
    return SimpleNamespace(
        learned=learned, is_rated=np.ones(3, bool), features=SimpleNamespace(nnz=0), pool=pools.__getitem__
    )


@pytest.mark.parametrize("of_worker", [(0.41, 0.41000001), (float("nan"), 0.5), (0.0, 1.0)])
def test_a_worker_trains_what_the_chief_has_chosen(cluster, of_worker):
    config = replace(DEFAULTS, shares=(0.25, 0.5), popularity_weights=(0.1, 0.2))
    start = Choices(1.0, 10, "batch", 1, Blend(0, 0))

    def choose(*figures):
        return lambda: choosing.choose_blend([fold(*figures)], start, config)

    chief, worker = cluster.run(choose(0.41000001, 0.41), choose(*of_worker))
    assert (chief.negatives, chief.epochs) == ("batch", 7)
    assert worker == chief


def test_a_worker_that_has_nothing_to_rerank_by_takes_the_chiefs_reranker(cluster):
    useful = examples(np.random.default_rng(0))
    useless = replace(useful, labels=np.zeros_like(useful.labels))

    def choose(seen):
        return lambda: reranker.choose([seen], reranker.Networks(DEFAULTS))

    chief, worker = cluster.run(choose(useful), choose(useless))
    assert chief[0] > 0
    assert worker == chief


def test_a_run_that_is_alone_sends_nothing(monkeypatch):
    monkeypatch.setattr(distributed, "share", None)
    assert distributed.chosen(lambda: ("batch", 7)) == ("batch", 7)
