"""What the training steps take."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.model.batches import Feed, Shelves, groups_a_step
from trainer.serving.biases import fit_biases

CONFIG = replace(DEFAULTS, batch_users=8, pairs_per_user=3)


@pytest.fixture(scope="module")
def ratings():
    rows, books = clusters(readers=50)
    return dataset.build(dataset.clean(rows)[0], books)


def feed(ratings, config=CONFIG, negatives="batch", groups=1, share=slice(None), shelves=None):
    biases = fit_biases(ratings.star_matrix(), 5.0, 5.0)
    popularity = np.full(ratings.shape[1], 1 / ratings.shape[1], np.float32)
    return Feed(shelves or Shelves.of(ratings), biases, popularity, config, negatives, groups, share)


def test_every_reader_is_in_an_epoch_once_with_the_whole_shelf(ratings):
    sizes, shelves = [], ratings.matrix()
    seen = np.zeros(ratings.shape[1])
    for step in feed(ratings, groups=2).steps(1):
        assert len(step) == 2
        for group in step:
            sizes += np.bincount(group["shelf_rows"], minlength=group["readers"]).tolist()
            seen += np.bincount(group["columns"][group["shelf"]], minlength=len(seen))
            assert (np.diff(group["shelf_rows"]) >= 0).all()
    assert sorted(sizes) == sorted(np.diff(shelves.indptr).tolist())
    assert seen.tolist() == shelves.sum(axis=0).A1.tolist()


def test_targets_are_some_of_each_readers_own_books_none_twice(ratings):
    for step in feed(ratings).steps(1):
        (group,) = step
        shelf = set(zip(group["shelf_rows"].tolist(), group["shelf"].tolist(), strict=True))
        targets = list(zip(group["rows"].tolist(), group["targets"].tolist(), strict=True))
        assert len(set(targets)) == len(targets) == 3 * group["readers"]
        assert shelf.issuperset(targets)
        stars = dict(zip(zip(group["shelf_rows"], group["shelf"], strict=True), group["residuals"], strict=True))
        assert all((stars[target] != 0) == (given > 0) for target, given in zip(targets, group["stars"], strict=True))


def test_two_workers_share_out_what_one_would_take(ratings):
    whole = list(feed(ratings, groups=4).steps(3))
    halves = [list(feed(ratings, groups=4, share=slice(worker, None, 2)).steps(3)) for worker in (0, 1)]
    for step, first, second in zip(whole, *halves, strict=True):
        for expected, found in zip(step, (first[0], second[0], first[1], second[1]), strict=True):
            assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_shelves_mapped_from_files_give_the_same_groups(ratings, tmp_path):
    mapped = Shelves.of(ratings).on_disk(tmp_path)
    assert isinstance(mapped.items, np.memmap)
    for step, other in zip(feed(ratings).steps(1), feed(ratings, shelves=mapped).steps(1), strict=True):
        assert all(np.array_equal(step[0][name], other[0][name]) for name in step[0])


def test_a_large_catalogue_is_sampled_and_the_sample_stands_for_all_of_it(ratings):
    config = replace(CONFIG, catalogue_sample=60, batch_users=2)
    sampled = 0
    for (group,) in feed(ratings, config, "catalogue").steps(1):
        columns, weights = group["columns"], group["column_weights"]
        own = set(columns[group["shelf"]].tolist())
        assert (np.diff(columns) > 0).all()
        assert all(weight == 1 for column, weight in zip(columns, weights, strict=True) if column in own)
        assert weights.sum() == pytest.approx(ratings.shape[1])
        sampled += len(columns) < ratings.shape[1]
    assert sampled
    ((group,), *_) = feed(ratings, replace(config, catalogue_sample=80), "catalogue").steps(1)
    assert group["columns"].tolist() == list(range(80))


def test_larger_data_make_larger_steps_and_workers_share_them_evenly():
    assert [groups_a_step(DEFAULTS, readers) for readers in (0, 942, 10_000, 10**8)] == [1, 1, 4, 32]
    assert groups_a_step(DEFAULTS, 942, workers=3) == 3
    assert groups_a_step(replace(DEFAULTS, groups=6), 942, workers=3) == 6
    with pytest.raises(ValueError, match="4 groups per step cannot be shared evenly by 3 workers"):
        groups_a_step(replace(DEFAULTS, groups=4), 942, workers=3)
