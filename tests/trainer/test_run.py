"""A whole run, from the database emulator to published files."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from bookrec.life_cycle.manifest import parse_manifest, sha256
from bookrec_operations.lease_holder import beat_in_thread
from tests.database_server import connected
from tests.fakes import FakeBucket, FakeClock
from tests.memory_database import RULES
from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.cloud import now_ms
from trainer.data import dataset
from trainer.evaluation import report
from trainer.metrics import finite
from trainer.model.catalogue import Catalogue
from trainer.pipeline import _judge, answers, make
from trainer.run import Services, run
from trainer.serving.by_user import user_key
from trainer.serving.runtimes import runtimes


class Bucket(FakeBucket):
    """Objects in memory, with their content types."""

    def __init__(self):
        super().__init__(FakeClock())
        self.types = {}

    def create(self, name, content, content_type):
        super().create(name, content, content_type)
        self.types[name] = content_type


@pytest.fixture
def database(server):
    with connected(server) as adapter:
        yield adapter


def services(database, bucket):
    return Services(database, bucket, answers, now_ms, beat_in_thread)


def test_a_run_publishes_files_report_and_card_and_a_second_one_reports_changes(server, database):
    ratings, books = clusters(readers=40)
    server.request("PUT", ".settings/rules", data=RULES)
    entries = {
        f"-k{n:05}": {"userId": row.userId, "bookId": f"b{n}", "isbn": row.isbn, "myRate": float(row.myRate)}
        for n, row in enumerate(ratings.itertuples())
    }
    server.put("User_Book", entries)
    archive = {
        f"a{n}": {"isbn": b.isbn, "title": b.title, "author": b.authors} for n, b in enumerate(books.itertuples())
    }
    server.put("archive", archive)
    bucket = Bucket()
    first = run(services(database, bucket), partial(make, replace(TINY, by_user=10)))
    published = {name.rsplit("/", 1)[1]: content for name, content in bucket.objects.items()}
    assert set(published) == {
        "recommend.tflite", "items.json", "by_user.tflite", "rating.tflite", "saved_model.zip",
        "metrics.json", "model_card.md", "report.html", "manifest.json",
    }  # fmt: skip
    manifest = parse_manifest(json.loads(published["manifest.json"]))
    assert manifest.version == first.version
    assert manifest.details["verifiedIn"] == list(runtimes())
    for name, entry in manifest.files.items():
        assert sha256(published[name]) == entry.sha256
    assert bucket.types[f"models/{first.version}/report.html"] == "text/html; charset=utf-8"
    users = set(ratings["userId"])
    for name, content in published.items():
        assert not [user for user in users if user.encode() in content], name
    assert user_key("reader-07").encode() in published["by_user.tflite"]
    page = published["report.html"].decode()
    assert first.version in page
    assert "No model was live to compare with." in page
    second = run(services(database, bucket), partial(make, TINY))
    page = bucket.read(f"models/{second.version}/report.html").decode()
    assert f"Compared with version {first.version}" in page
    assert f"models/{second.version}/by_user.tflite" not in bucket.objects


@pytest.mark.parametrize("stars", ["0", "4"])
@pytest.mark.parametrize("readers", [1, 3])
def test_the_smallest_databases_are_judged_without_an_error(stars, readers):
    ratings, _ = clusters(readers=readers, books=20, per_reader=4)
    built = dataset.build(dataset.clean(ratings.assign(myRate=stars))[0], None)
    books = pd.DataFrame({"isbn": list(built.isbns)})
    judged = _judge(built, books, TINY, Catalogue(built, books, TINY), None)
    assert judged.verdict.passed
    assert judged.trained.choices.reranker is None
    if readers > 1:
        assert np.isnan(judged.metrics["model"]["rmse"]) == (stars == "0")
    data = {"fingerprint": built.fingerprint(), "entries": 4, "users": readers, "items": len(built.isbns)}
    details = {
        "createdAt": "2026-01-01",
        "data": data,
        "choices": judged.trained.choices.to_json(),
        "verifiedIn": ["LiteRT"],
        "metrics": finite(judged.metrics),
    }
    assert "Against other models" in report.render(details, judged.trained.histories, judged.examples, judged.changes)
    assert "| **this model** |" in report.model_card(details, {})
