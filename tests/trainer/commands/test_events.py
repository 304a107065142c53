"""``events``, over the wire: rows of days that have ended go to the bucket."""

from bookrec import paths
from bookrec.entries import reader_key
from tests.trainer.commands.command_line import command, project, storage_url
from trainer.publishing.bucket import CloudBucket

__all__ = ["command", "project", "storage_url"]


def test_the_rows_of_a_day_are_exported_and_removed(project, command):
    row = {
        "event": "made", "at": 1_700_000_000_000, "reader": reader_key("u"), "list_id": "l", "model_version": "v1",
        "isbns": ["1", "2"], "sources": ["personal", "popular"], "position": 1,
    }  # fmt: skip
    project.put("Users/u", {"id": "u"})
    project.put(f"{paths.EVENTS}/2023-11-14", {"a": row, "b": {**row, "reader": "of-nobody"}})
    project.put(f"{paths.STATUS}/events/rows/2023-11-14", 2)
    ended = command("events", "--json")
    name = "events/date=2023-11-14/part-00000.parquet"
    assert (ended.code, ended.json) == (0, {"rows": {name: 1}, "left": 1, "bad": 0, "late": 0})
    assert CloudBucket("demo", project.bucket).read(name).startswith(b"PAR1")
    assert project.get(paths.EVENTS) is None
    ended = command("events")
    assert (ended.code, ended.out) == (0, "0 rows in 0 files; removed instead: 0 of readers who left, 0 bad, 0 late\n")
