"""The Beam pipeline makes the same shards as one process."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bookrec import list_shards
from tests.fakes import FakeBucket, FakeClock
from tests.trainer.serving.batch.models import random_model
from tests.trainer.serving.batch.snapshots import small_world, snapshot_of
from trainer.serving.batch import model_file, pipeline, shards
from trainer.serving.batch.scoring import Scorer
from trainer.serving.batch.shards import publish_lists


@pytest.fixture
def world(monkeypatch, tmp_path):
    entries, archive, serving = small_world(readers=50)
    for module in (shards, pipeline):
        monkeypatch.setattr(module, "SHARD_READERS", 8)
    (tmp_path / "model.npz").write_bytes(model_file.to_bytes(serving))
    snapshot = snapshot_of(entries, archive)
    bucket = FakeBucket(FakeClock())
    publish_lists(serving, "v", snapshot, bucket)
    expected = {name.removeprefix("lists/v/"): content for name, content in bucket.objects.items()}
    return snapshot, expected, tmp_path


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_in_memory_become_the_shards_of_one_process_to_the_byte(world):
    snapshot, expected, folder = world
    rows, out = pipeline.rows_of(snapshot.ratings), folder / "out"
    pipeline.run(rows, snapshot.books, str(folder / "model.npz"), "v", str(out), ["--runner=DirectRunner"])
    assert written(out) == {name: content for name, content in expected.items() if name != model_file.MODEL}
    assert len(expected) == 7 + 2


def test_parquet_files_become_the_same_shards(world):
    import apache_beam as beam

    snapshot, expected, folder = world
    frame = pd.DataFrame({name: snapshot.ratings[name].astype(object) for name in pipeline.COLUMNS})
    table = pa.Table.from_pandas(frame.assign(myRate=frame["myRate"].astype(float)))
    for number in range(3):
        pq.write_table(table.slice(number * 300, 300 if number < 2 else None), folder / f"part{number}.parquet")
    rows, out = beam.io.ReadFromParquet(str(folder / "part*.parquet"), columns=pipeline.COLUMNS), folder / "out"
    pipeline.run(rows, snapshot.books, str(folder / "model.npz"), "v", str(out), ["--runner=DirectRunner"])
    assert written(out) == {name: content for name, content in expected.items() if name != model_file.MODEL}


@pytest.mark.parametrize("tables", [1, 2])
def test_a_model_read_from_its_file_is_unchanged(tables):
    import numpy as np

    serving = random_model(books=120, tables=tables)
    restored = model_file.from_bytes(model_file.to_bytes(serving))
    assert restored.isbns == serving.isbns
    items, stars = np.array([[3, 70, 11]], np.int32), np.array([[5, 0, 2]], np.float32)
    answers = [Scorer(model).recommend(items, stars) for model in (serving, restored)]
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name], answers[1][name])


def test_shards_are_cut_where_one_process_cuts_them():
    assert list_shards.SHARD_READERS == pipeline.SHARD_READERS == shards.SHARD_READERS
