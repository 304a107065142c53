"""A model that answers some shelf with numbers that are none delays nobody: not even the reader of that shelf."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bookrec import paths, recommender
from bookrec.push_keys import first_key
from bookrec.ranking import LIST_SIZE
from bookrec.recommender import Recommender
from tests import fakes
from tests.fakes import World, entry, load_fake
from tests.unit.test_exploration import with_rare_books

ODD = 7
"""The place of the book that confuses the model."""


class OddWorld(World):
    """Six readers, of whom ``c`` has the odd book; all events are lost."""

    def __init__(self, answer, name):
        super().__init__()

        def load(version, model, items):
            real = load_fake(version, model, items)
            run = {"recommend": real.recommend, "rate": real.rate}

            def odd(items, ratings, **more):
                out = dict(run[name](items, ratings, **more))
                return out | answer(out) if ODD in items.tolist() else out

            return Recommender(version, real.items, **(run | {name: odd}))

        self._services = replace(self._services, load=load)
        self.backend = self.restarted()
        self.publish("v1", 1)
        for number, user in enumerate("abcdef"):
            key = f"{first_key(self.clock.now - 10**9 + number)}{user * 12}"
            book = entry(user, self.isbns[ODD] if user == "c" else "isbn001")
            self.database.update({f"{paths.USERS}/{user}/id": user, f"{paths.USER_BOOK}/{key}": book})


def all_scores(value):
    return lambda out: {"scores": np.full_like(out["scores"], value)}


def all_ratings(value):
    return lambda out: {"predicted_ratings": np.full_like(out["predicted_ratings"], value)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("answer", "name"), [(all_scores, "recommend"), (all_ratings, "recommend"), (all_ratings, "rate")]
)
def test_whatever_the_model_answers_each_reader_gets_ten_books(answer, name, value):
    world = OddWorld(answer(value), name)
    assert world.backend.reconcile(rests=False)["lists"] == 6
    assert {user: len(world.list_of(user)["items"]) for user in "abcdef"} == dict.fromkeys("abcdef", LIST_SIZE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_books_of_a_genre_and_rare_ones_are_listed_without_a_rating_that_is_no_number(monkeypatch, value):
    monkeypatch.setattr(fakes, "SETTINGS", replace(fakes.SETTINGS, exploration=1.0))
    with_rare_books(monkeypatch)
    world = OddWorld(all_ratings(value), "rate")
    for number in range(ODD + 1):  # the model's candidates for the odd book begin after it
        world.database.update({f"{paths.ARCHIVE}/a{number:03}/genre": "Odd"})
    world.backend.reconcile(rests=False)
    last = world.list_of("c")["items"][-1]
    (genre,) = world.database.get(paths.more_lists("c"))["genres"]
    assert (last["source"], len(genre["items"])) == ("exploration", ODD)
    assert not any("predictedRating" in item for item in [last, *genre["items"]])


def test_a_list_that_cannot_be_written_keeps_back_no_other_one_and_no_step(monkeypatch, capsys):
    monkeypatch.setattr(recommender, "math", SimpleNamespace(isfinite=lambda number: True))
    world = OddWorld(all_scores(np.nan), "recommend")
    world.backend.reconcile(rests=False)  # no step fails
    assert [user for user in "abcdef" if world.list_of(user)] == list("abdef")
    assert '"alarm": "lists-failed"' in capsys.readouterr().out
    assert world.database.get(f"{paths.STATUS}/reconcile/sweeps") == 1
