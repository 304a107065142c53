"""A whole run with lists, over the wire: trained, made, uploaded, and written by the functions shard by shard."""

from dataclasses import replace
from functools import partial

import pytest

from backend.adapters.tflite_model import load_recommender
from backend.composition import Services as BackendServices
from backend.composition import build
from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.shelf import build_shelf, sort_out
from bookrec_database.concurrency import run_concurrently
from bookrec_operations.lease_holder import beat_in_thread
from tests.database_server import connected
from tests.fakes import SETTINGS, FakeBucket, FakeClock, FakeJobs, FakeTasks
from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.cloud import now_ms
from trainer.pipeline import answers, make
from trainer.publishing import versions
from trainer.run import Services, run
from trainer.serving.batch import shards

CONFIG = replace(TINY, lists=True)
READERS = 30


class WallClock(FakeClock):
    """A clock with the real time that does not sleep."""

    def now_ms(self):
        return now_ms()

    def elapsed_ms(self):
        return now_ms()

    def sleep(self, seconds):
        pass


@pytest.fixture
def database(server):
    with connected(server) as adapter:
        yield adapter


def test_a_run_with_lists_reaches_every_reader_through_shards_and_an_event_wins(server, database, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_READERS", 8)
    ratings, books = clusters(readers=READERS)
    entries = {
        f"-k{n:05}": {"userId": row.userId, "bookId": f"b{n}", "isbn": row.isbn, "myRate": float(row.myRate)}
        for n, row in enumerate(ratings.itertuples())
    }
    archive = {
        f"a{n}": {"isbn": b.isbn, "title": b.title, "author": b.authors} for n, b in enumerate(books.itertuples())
    }
    server.put("User_Book", entries)
    server.put("archive", archive)
    clock = WallClock()
    bucket, tasks = FakeBucket(clock), FakeTasks()
    pointer = run(Services(database, bucket, answers, now_ms, beat_in_thread), partial(make, CONFIG))
    assert pointer.lists == -(-READERS // 8)
    late = next(iter(set(books["isbn"]) - {e["isbn"] for e in entries.values() if e["userId"] == "reader-07"}))
    database.update(
        {
            "User_Book/-k99999": {"userId": "reader-07", "bookId": "b", "isbn": late, "myRate": 5},
            f"{paths.DIRTY}/reader-07": {"at": now_ms()},
        }
    )

    services = BackendServices(
        database=database, store=bucket, load=load_recommender, tasks=tasks, jobs=FakeJobs(), clock=clock,
        concurrently=run_concurrently,
    )  # fmt: skip
    backend = build(SETTINGS, services)
    backend.model_published()
    queued = [payload for function, payload, _ in tasks.queued.values() if function == "fanout"]
    assert queued == [{"publication": pointer.publication, "shard": number} for number in range(pointer.lists)]
    for payload in [*queued, queued[0]]:
        backend.fanout(payload["publication"], payload["shard"])
    assert server.get("Recommender/status/fanout/done") == [True] * pointer.lists

    valid, _ = sort_out(server.get("User_Book"))
    catalogue, _ = parse_catalogue(archive)
    files = [bucket.read(f"models/{pointer.version}/{name}") for name in ("recommend.tflite", "items.json")]
    model = load_recommender("v", *files)
    for user_id in sorted({entry.user_id for entry in valid}):
        expected = make_list(build_shelf(user_id, valid), model, catalogue)
        written = server.get(paths.recommendations(user_id))
        assert written["basedOn"]["digest"] == expected.shelf.digest, user_id
        assert [item["isbn"] for item in written["items"]] == list(expected.isbns), user_id
        assert written["modelVersion"] == pointer.version


def test_lists_are_removed_with_their_version():
    bucket = FakeBucket(FakeClock())
    for version in ("19700101T000000Z-1", "19700101T000000Z-2"):
        for name in ("models/{}/manifest.json", "lists/{}/00000.json.gz", "lists/{}/index.json"):
            bucket.create(name.format(version), b"x", "any")
    live = versions.make_pointer(version, b"x", 2, 1, 1)
    live = replace(live, kept={version: live.manifest_sha256})
    versions.retire(bucket, live, bucket.times["lists/19700101T000000Z-1/index.json"] + versions.RETIRE_AFTER_MS + 1)
    assert {name.split("/")[1] for name in bucket.objects} == {version}
