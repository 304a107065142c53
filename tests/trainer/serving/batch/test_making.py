"""All readers' lists at once, compared with those that the functions make one by one."""

import re
from dataclasses import replace

import pytest

from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.errors import BadModel
from bookrec.list_shards import MAX_SHARD_BYTES, SHARD_READERS, read_index, read_shard, to_line
from bookrec.ranking import LIST_SIZE
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import FakeBucket, FakeClock
from tests.trainer.serving.batch.snapshots import as_objects, small_world, snapshot_of, stored_lists
from trainer.serving import tflite
from trainer.serving.batch import shards
from trainer.serving.batch.making import ListMaker, make_lists
from trainer.serving.batch.shards import publish_lists
from trainer.serving.item_item import ServingModel


def almost(node):
    """Scores are rounded to six digits; the last one may differ."""
    items = [{**i, "score": pytest.approx(i["score"], abs=1e-4)} for i in node["items"]]
    rated = [{**i, "predictedRating": pytest.approx(i["predictedRating"], abs=2e-3)} for i in items]
    return {**node, "items": rated}


@pytest.mark.parametrize("diversity", [0.0, 0.1, 2.0])
def test_every_list_equals_the_one_that_the_functions_make(monkeypatch, diversity):
    entries, archive, serving = small_world()
    serving = replace(serving, diversity=diversity)
    monkeypatch.setattr(shards, "SHARD_READERS", 7)
    bucket = FakeBucket(FakeClock())
    made = publish_lists(serving, "v", snapshot_of(entries, archive), bucket)
    index, stored = stored_lists(bucket.read, "v")
    assert made == index
    assert len(index.shards) == -(-60 // 7)
    assert list(stored) == sorted(stored, key=paths.key_order)

    catalogue, _ = parse_catalogue(archive)
    model = tflite.load(tflite.export(serving), "v")
    valid, _ = sort_out(entries)
    assert set(stored) == {entry.user_id for entry in valid}
    for user_id, ready in stored.items():
        expected = make_list(build_shelf(user_id, valid), model, catalogue)
        node = ready.to_node(catalogue, "v", 17)
        assert len(node["items"]) == LIST_SIZE
        assert node == almost(expected.to_node(catalogue, 17))


def test_a_reader_with_nearly_all_books_gets_popular_and_new_ones():
    entries, archive, serving = small_world(readers=1)
    isbns = [book["isbn"] for book in archive.values()]
    entries = {f"-N{n}": {"userId": "u", "bookId": "b", "isbn": isbn, "myRate": 3} for n, isbn in enumerate(isbns[5:])}
    small = ServingModel(
        **{name: getattr(serving, name) for name in serving.__slots__ if name != "isbns"},
        isbns=tuple(f"other{number:03}" for number in range(len(serving.isbns))),
    )
    snapshot = snapshot_of(entries, archive)
    (made,) = make_lists(ListMaker(small, "v", snapshot.books), snapshot.ratings)
    expected = make_list(
        build_shelf("u", sort_out(entries)[0]), tflite.load(tflite.export(small), "v"), parse_catalogue(archive)[0]
    )
    assert [item.isbn for item in made.items] == [item.isbn for item in expected.items]
    assert {item.source for item in made.items} == {"newest"}


def test_object_columns_give_the_same_as_categorical_ones():
    entries, archive, serving = small_world(readers=10)
    snapshot = snapshot_of(entries, archive)
    maker = ListMaker(serving, "v", snapshot.books)
    expected = list(make_lists(maker, snapshot.ratings))
    assert list(make_lists(maker, as_objects(snapshot.ratings))) == expected
    assert expected == list(make_lists(maker, snapshot.ratings.sample(frac=1, random_state=1)))


def test_entries_without_keys_are_rejected():
    entries, archive, serving = small_world(readers=2)
    snapshot = snapshot_of(entries, archive)
    with pytest.raises(ValueError, match="own keys"):
        list(make_lists(ListMaker(serving, "v", snapshot.books), snapshot.ratings.assign(key="")))


def test_no_readers_make_no_shards():
    _, archive, serving = small_world(readers=1)
    bucket = FakeBucket(FakeClock())
    assert publish_lists(serving, "v", snapshot_of({}, archive), bucket).shards == ()
    assert list(bucket.objects) == ["lists/v/model.npz", "lists/v/index.json"]


def test_a_shard_that_does_not_match_the_index_is_rejected():
    entries, archive, serving = small_world(readers=4)
    bucket = FakeBucket(FakeClock())
    publish_lists(serving, "v", snapshot_of(entries, archive), bucket)
    index = read_index(bucket.read("lists/v/index.json"), "v")
    content = bucket.read("lists/v/00000.json.gz")
    assert len(read_shard(content, index.shards[0])) == 4
    with pytest.raises(BadModel, match="SHA-256"):
        read_shard(content[:-1], index.shards[0])
    with pytest.raises(BadModel, match="another version"):
        read_index(bucket.read("lists/v/index.json"), "w")


def test_the_longest_lists_stay_far_below_the_limit_of_a_shard():
    entries, archive, serving = small_world(readers=1)
    snapshot = snapshot_of(entries, archive)
    maker = ListMaker(serving, "v", snapshot.books)
    (made,) = make_lists(maker, snapshot.ratings)
    longest = re.sub('"97800[0-9]{5}"', f'"{"9" * 64}"', to_line(made, maker.catalogue))
    assert longest.count("9" * 64) > LIST_SIZE
    assert len(longest) * SHARD_READERS < MAX_SHARD_BYTES / 2
