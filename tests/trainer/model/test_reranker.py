"""The reranker, on examples with a known answer."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from trainer.config import DEFAULTS
from trainer.model import reranker
from trainer.model.reranker import MINIMUM_READERS, MOST_LOST, Examples, Networks, choose, train

QUERIES = 200


def examples(rng):
    """Return whole shelves of 5 books, of which the second feature says the one relevant candidate."""
    features = rng.normal(size=(QUERIES, 30, 3)).astype(np.float32)
    labels = np.zeros((QUERIES, 30), np.float32)
    np.put_along_axis(labels, features[:, :, 1].argmax(axis=1)[:, None], 1, axis=1)
    blend = rng.normal(size=(QUERIES, 30)).astype(np.float32)
    readers, sizes = np.arange(QUERIES, dtype=np.int32), np.full(QUERIES, 5, np.int32)
    return Examples(readers, sizes, np.ones(QUERIES, bool), features, blend, labels, np.ones(QUERIES))


def test_the_reranker_learns_what_the_blend_does_not_say():
    rng = np.random.default_rng(0)
    told = examples(rng)
    networks = Networks(DEFAULTS)
    epochs, reach, figures = choose([told], networks)
    assert epochs > 0
    chosen, none = figures[f"{epochs} epochs, reach {reach:g}"], figures["0 epochs, reach inf"]
    assert chosen["figure"] > none["figure"] + 0.3
    assert reach == max(DEFAULTS.reranker_reaches)
    at_reach = [figure["figure"] for name, figure in figures.items() if name.endswith(f"reach {reach:g}")]
    assert chosen["figure"] == max(at_reach)
    assert all(of_choice["figure"] == of_choice["whole"] for of_choice in figures.values())  # there are no parts
    tried = {f"{n} epochs, reach {r:g}" for n in DEFAULTS.reranker_epochs if n for r in DEFAULTS.reranker_reaches}
    assert set(figures) == {"0 epochs, reach inf", *tried}
    noise = replace(
        told, features=rng.normal(size=told.features.shape).astype(np.float32), blend=told.labels + 0.1 * told.blend
    )
    assert choose([noise], networks)[:2] == (0, np.inf)


def test_the_reach_is_the_size_of_shelf_from_which_corrections_do_harm():
    told = examples(np.random.default_rng(1))
    large = np.arange(QUERIES) % 2 == 1
    sizes = np.where(large, 200, 5).astype(np.int32)
    # The blend of large shelves is right, by so little that the corrections of small ones would spoil it.
    blend = np.where(large[:, None], told.labels * np.float32(0.5), told.blend)
    misled = told.features.copy()
    misled[large] = misled[large][:, ::-1]
    networks = Networks(DEFAULTS)
    parts = replace(told, sizes=sizes, blend=blend, features=misled, is_whole=large)
    epochs, reach, figures = choose([parts], networks)
    assert epochs > 0
    assert reach < 200
    assert figures[f"{epochs} epochs, reach {reach:g}"]["figure"] > figures[f"{epochs} epochs, reach 1e+06"]["figure"]
    least = (1 - MOST_LOST) * figures["0 epochs, reach inf"]["whole"]
    reaches = DEFAULTS.reranker_reaches
    assert reach == max(r for r in reaches if figures[f"{epochs} epochs, reach {r:g}"]["whole"] >= least)


def test_what_helps_parts_of_shelves_is_not_taken_at_the_cost_of_whole_ones():
    told = examples(np.random.default_rng(5))
    is_whole = np.arange(QUERIES) % 4 == 0
    # Whole shelves are as large as parts, and their blend is right by little: no reach can tell them apart.
    blend = np.where(is_whole[:, None], told.labels * np.float32(2), told.blend)
    features = told.features.copy()
    features[is_whole] = features[is_whole][:, ::-1]
    parts = replace(told, is_whole=is_whole, blend=blend, features=features)
    epochs, reach, figures = choose([parts], Networks(DEFAULTS))
    assert (epochs, reach) == (0, np.inf)
    assert figures["0 epochs, reach inf"]["whole"] == 1
    assert max(of_choice["figure"] for of_choice in figures.values()) > figures["0 epochs, reach inf"]["figure"]


def test_a_choices_figure_counts_whole_shelves_and_parts_of_them_alike():
    told = examples(np.random.default_rng(2))
    is_whole = np.arange(QUERIES) < 20
    blend = np.where(is_whole[:, None], told.labels, -told.labels)
    _, _, figures = choose([replace(told, is_whole=is_whole, blend=blend)], Networks(DEFAULTS))
    # The few whole shelves are ranked perfectly, all the others have the relevant book last.
    assert figures["0 epochs, reach inf"] == {"whole": pytest.approx(1), "figure": pytest.approx(0.5)}


def test_few_readers_are_not_enough():
    told = examples(np.random.default_rng(3))
    few = told.select(np.arange(QUERIES) < MINIMUM_READERS - 1)
    assert choose([few], Networks(DEFAULTS)) == (0, np.inf, {})


def test_masked_candidates_are_no_part_of_the_range():
    told = examples(np.random.default_rng(4))
    masked = told.blend.copy()
    masked[:, 0] = -1e30
    features = told.features.copy()
    features[:, 0] = 1e9
    trained = dict(train([replace(told, blend=masked, features=features)], Networks(DEFAULTS), (0, 1)))
    useful = (told.labels[:, 1:] > 0).any(axis=1)
    np.testing.assert_array_equal(trained[1].high, told.features[useful][:, 1:].max(axis=(0, 1)))
    np.testing.assert_array_equal(trained[1].low, told.features[useful][:, 1:].min(axis=(0, 1)))


def test_folds_may_retrieve_different_numbers_of_candidates():
    told = examples(np.random.default_rng(5))
    cut = np.argsort(-told.labels, axis=1, kind="stable")[:, :27]
    narrow = replace(
        told,
        features=np.take_along_axis(told.features, cut[:, :, None], axis=1),
        blend=np.take_along_axis(told.blend, cut, axis=1),
        labels=np.take_along_axis(told.labels, cut, axis=1),
    )
    epochs, _, figures = choose([narrow, told], Networks(DEFAULTS))
    assert epochs > 0
    assert all(np.isfinite(list(figure.values())).all() for figure in figures.values())
    alone, padded = (dict(train([part], Networks(DEFAULTS), (0, 1)))[1] for part in (narrow, narrow.padded(40)))
    np.testing.assert_array_equal(alone.high, padded.high)
    np.testing.assert_allclose(alone.out, padded.out, atol=1e-5)


def test_without_a_relevant_candidate_there_is_no_reranker():
    told = examples(np.random.default_rng(6))
    assert choose([replace(told, labels=np.zeros_like(told.labels))], Networks(DEFAULTS)) == (0, np.inf, {})


@dataclass(frozen=True)
class Stub:
    """Networks that know the relevant candidate on a shelf of 5, and are wrong on a larger one."""

    strength: float
    reach: float = np.inf

    def corrections(self, features, sizes):
        is_best = features[:, :, 1] == features[:, :, 1].max(axis=1, keepdims=True)
        return is_best * np.where(sizes > 5, -self.strength, self.strength)[:, None] * self.weight(sizes)[:, None]

    def weight(self, sizes):
        return np.minimum(1, self.reach / sizes)


def test_short_training_that_suits_large_shelves_does_not_rule_out_longer_training_with_a_reach(monkeypatch):
    told = examples(np.random.default_rng(4))
    is_whole = np.arange(QUERIES) % 2 == 0
    blend = np.where(is_whole[:, None], told.labels * np.float32(2), told.blend)
    parts = replace(told, is_whole=is_whole, sizes=np.where(is_whole, 200, 5), blend=blend)
    monkeypatch.setattr(reranker, "train", lambda *_: [(0, Stub(0)), (10, Stub(0)), (20, Stub(8)), (40, Stub(8))])
    epochs, reach, figures = choose([parts], Networks(DEFAULTS))
    assert (epochs, reach) == (20, 40)
    assert figures["20 epochs, reach 1e+06"]["whole"] < 1 == figures["10 epochs, reach 1e+06"]["whole"]
