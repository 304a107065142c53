"""The folder that keeps a stack's data: what is accepted, and what is never lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.kept_data import BUCKET, METADATA, KeptData, KeptDataError
from local.stack import ROOT

EXPORT = {"version": "1", "database": {"version": "1", "path": "database_export"}}


def write_export(folder, text="{}"):
    (folder / "database_export").mkdir(parents=True)
    (folder / "database_export" / "demo.json").write_text(text)
    (folder / METADATA).write_text(json.dumps(EXPORT))
    return folder


def content(folder):
    return (folder / "database_export" / "demo.json").read_text()


def test_a_folder_that_is_not_there_is_made_with_its_parents_at_the_end(tmp_path):
    kept = KeptData(tmp_path / "a" / "b")
    assert kept.prepare() is False
    assert not kept.folder.exists()
    write_export(kept.part)
    kept.replace()
    assert KeptData(tmp_path / "a" / "b").prepare() is True


def test_an_empty_folder_is_like_none(tmp_path):
    kept = KeptData(tmp_path)
    assert kept.prepare() is False
    write_export(kept.part)
    kept.replace()
    assert KeptData(tmp_path).prepare() is True


def test_the_new_export_replaces_the_old_one_as_a_whole(tmp_path):
    kept = KeptData(write_export(tmp_path / "kept", "old"))
    (kept.folder / BUCKET).mkdir()
    assert kept.prepare() is True
    write_export(kept.part, "new")
    kept.replace()
    assert content(kept.folder) == "new"
    assert not (kept.folder / BUCKET).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_run_that_ended_half_way_through_the_replacement_loses_nothing(tmp_path):
    kept = KeptData(write_export(tmp_path / "kept", "old"))
    kept.folder.rename(tmp_path / ".kept.previous")
    assert kept.prepare() is True
    assert content(kept.folder) == "old"


def test_a_half_written_export_is_not_used(tmp_path):
    kept = KeptData(tmp_path / "kept")
    write_export(kept.part, "half")
    assert kept.prepare() is False
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_anything_else_is_rejected_and_stays_as_it_is(tmp_path):
    kept = KeptData(write_export(tmp_path / "kept"))
    (kept.folder / "letters").mkdir()
    with pytest.raises(KeptDataError, match=r"kept holds something else \(letters\), which would be lost"):
        kept.prepare()
    assert (kept.folder / "letters").exists()
    assert content(kept.folder) == "{}"


def test_the_repositorys_own_data_are_rejected():
    with pytest.raises(KeptDataError, match=r"something else \(generate.py"):
        KeptData(ROOT / "emulator-data").prepare()


@pytest.mark.parametrize(
    "metadata", ["", "[]", "{}", '{"database": 1}', '{"database": {"path": "elsewhere"}}', '{"firestore": {}}']
)
def test_an_export_that_is_not_whole_is_rejected(tmp_path, metadata):
    (tmp_path / METADATA).write_text(metadata)
    with pytest.raises(KeptDataError, match="is not a whole export"):
        KeptData(tmp_path).prepare()


def test_a_file_is_rejected(tmp_path):
    (tmp_path / "kept").write_text("text")
    with pytest.raises(KeptDataError, match="is not a folder"):
        KeptData(tmp_path / "kept").prepare()


def test_a_place_that_cannot_be_written_is_rejected(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(KeptDataError, match="cannot be written"):
        KeptData(tmp_path / "file" / "kept").prepare()


def test_a_folder_that_another_stack_uses_is_rejected_and_stays_as_it_is(tmp_path):
    first = KeptData(tmp_path / "kept")
    assert first.prepare() is False
    write_export(first.part, "half")
    program = "import pathlib, sys; from local.kept_data import KeptData; KeptData(pathlib.Path(sys.argv[1])).prepare()"
    words = [sys.executable, "-c", program, str(tmp_path / "kept")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert "kept is in use by another stack (process" in done.stderr
    assert (first.part / METADATA).exists()
    first.replace()
    assert subprocess.run(words, cwd=ROOT, check=False, timeout=300).returncode == 0


def test_folders_next_to_each_other_can_be_used_at_the_same_time(tmp_path):
    first, second = KeptData(tmp_path / "one"), KeptData(tmp_path / "two")
    assert (first.prepare(), second.prepare()) == (False, False)


def test_a_folder_that_cannot_be_read_is_rejected(tmp_path, monkeypatch):
    kept = KeptData(write_export(tmp_path / "kept"))

    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", denied)  # root, who runs tests in containers, can read every folder
    with pytest.raises(KeptDataError, match=r"cannot be read or cannot be written: .*Permission denied"):
        kept.prepare()


def test_a_folder_that_cannot_be_replaced_is_rejected_before_there_is_anything_to_lose(tmp_path):
    with pytest.raises(KeptDataError, match="/ is a mount point, which cannot be replaced"):
        KeptData(Path("/")).prepare()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(KeptDataError, match="loop"):
        KeptData(tmp_path / "loop" / "kept").prepare()


def test_a_link_stays_a_link_to_what_is_replaced(tmp_path):
    write_export(tmp_path / "target", "old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    kept = KeptData(tmp_path / "link")
    assert kept.prepare() is True
    write_export(kept.part, "new")
    kept.replace()
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "target") == "new"
