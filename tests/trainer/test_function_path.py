"""The functions' path from entries in the database to lists, compared with the evaluation of the same model."""

from dataclasses import replace

import pytest

from backend.adapters.tflite_model import load_recommender
from backend.catalogue_cache import CatalogueCache
from backend.lists import ListRefresher, Refreshed
from backend.models import LiveModel
from bookrec import paths
from tests.fakes import FakeBucket, FakeClock, FakeDatabase, one_by_one
from tests.trainer.small_ratings import clusters, split
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.evaluation.evaluate import evaluate
from trainer.model.fit import fit
from trainer.pipeline import answers
from trainer.publishing import versions
from trainer.serving import tflite

READERS = 200
CONFIG = replace(DEFAULTS, epochs=4, folds=1, embedding_dims=(("batch", 32),))


def test_the_functions_write_the_lists_that_the_evaluation_judges():
    ratings, books = clusters(readers=READERS, books=240, per_reader=16)
    train, test = split(ratings)
    built = dataset.build(dataset.clean(train)[0], books)
    serving = fit(built, books, CONFIG).serving
    assert serving.reranker is not None  # otherwise there would be less to compare
    files = tflite.export(serving)
    held_out = test.assign(myRate=test["myRate"].astype(float))
    judged = evaluate(tflite.load(files, "v"), built, held_out, seed=1)

    clock = FakeClock()
    bucket = FakeBucket(clock)
    database = FakeDatabase(clock)
    manifest = versions.make_manifest("v", files, {})
    pointer = versions.make_pointer("v", versions.upload(bucket, files, manifest, answers), 1, 1, 1)
    users, items = ([names[n] for n in of] for names, of in ((built.user_ids, built.users), (built.isbns, built.items)))
    entries = {
        f"-k{n:05}": {"userId": user, "bookId": f"b{n}", "isbn": isbn, "myRate": float(stars)}
        for n, (user, isbn, stars) in enumerate(zip(users, items, built.stars, strict=True))
    }
    archive = {
        f"a{n}": {"isbn": row.isbn, "title": row.title, "author": row.authors}
        for n, row in enumerate(books.itertuples())
    }
    database.update({paths.MODEL: pointer.to_node(), paths.USER_BOOK: entries, paths.ARCHIVE: archive})
    live = LiveModel(database, bucket, load_recommender, clock)
    refresher = ListRefresher(database, live, CatalogueCache(database, clock, 0), clock, one_by_one)
    assert refresher.refresh(list(built.user_ids)) == Refreshed("v", READERS)

    assert len(judged.users) > READERS * 0.9
    for user_id in judged.users:
        written = database.get(paths.recommendations(user_id))["items"]
        expected = judged.top[user_id][:10]
        assert [item["isbn"] for item in written] == [candidate.isbn for candidate in expected]
        assert [item.get("because", []) for item in written] == [list(candidate.because) for candidate in expected]
        for item, candidate in zip(written, expected, strict=True):
            assert item["score"] == pytest.approx(candidate.score, abs=1e-5)
            assert item["predictedRating"] == pytest.approx(candidate.predicted_rating, abs=1e-3)
