"""Snapshots: what is written at the end is what is read at the next start, and nothing in between can spoil it."""

import contextlib
import errno
import json
import os
import signal
import subprocess

import pytest
from hypothesis import given

from rtdb_emulator.data.tree import same
from rtdb_emulator.database import snapshots
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.database.snapshots import METADATA, SnapshotError, check_target, read_snapshot, write_snapshot
from rtdb_emulator.launch.process import start

from .database_server import Server
from .test_listening import VALUES

ADMIN = Caller(is_admin=True)
PRIORITIZED = {"list": [1, 2], "x": {".value": "é", ".priority": 3}, "y": {".priority": "p", "z": True}}


def holding(**values):
    databases = Databases()
    for name, value in values.items():
        databases[name].write({(): value}, ADMIN)
    return databases


def read(folder):
    databases = Databases()
    read_snapshot(folder, databases)
    return databases


def test_namespaces_and_priorities_come_back(tmp_path):
    folder = tmp_path / "deep" / "snapshot"
    write_snapshot(folder, holding(one=PRIORITIZED, two=5, none=None))
    assert sorted(p.name for p in (folder / "database_export").iterdir()) == ["one.json", "two.json"]
    assert json.loads((folder / "database_export" / "one.json").read_text()) == PRIORITIZED
    found = read(folder)
    assert found.names == ["one", "two"]
    assert same(found["one"].root, holding(one=PRIORITIZED)["one"].root)
    assert [p.name for p in folder.parent.iterdir()] == ["snapshot"]


@given(VALUES, VALUES)
def test_every_value_comes_back(tmp_path_factory, one, two):
    databases = holding(one=one, two=two)
    folder = tmp_path_factory.mktemp("snapshots") / "snapshot"
    for _ in range(2):
        write_snapshot(folder, databases)
        found = read(folder)
        assert all(same(found[name].root, databases[name].root) for name in ("one", "two"))
        databases = found


def test_what_other_emulators_exported_stays(tmp_path):
    (tmp_path / "auth_export").mkdir()
    (tmp_path / "auth_export" / "accounts.json").write_text("{}")
    old = {"version": "15.0.0", "auth": {"path": "auth_export"}, "database": {"version": "1", "path": "old"}}
    (tmp_path / METADATA).write_text(json.dumps(old))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gone.json").write_text("1")
    assert read(tmp_path)["gone"].root == 1
    write_snapshot(tmp_path, holding(one=1))
    metadata = json.loads((tmp_path / METADATA).read_text())
    assert (metadata["version"], metadata["auth"]) == ("15.0.0", old["auth"])
    assert (tmp_path / "auth_export" / "accounts.json").read_text() == "{}"
    assert not (tmp_path / "old").exists()
    assert read(tmp_path).names == ["one"]


class PulledPlug(BaseException):
    """What no handler catches: the process ends here."""


def steps_of(monkeypatch, action):
    """Run ``action``, and count the calls at which it could be interrupted."""
    return interrupted(monkeypatch, action, at=None, problem=None)


def interrupted(monkeypatch, action, at, problem):
    """Run ``action`` until call number ``at`` that changes the disk, which raises ``problem`` and does nothing."""
    calls = 0

    def counted(real):
        def call(*args, **more):
            nonlocal calls
            calls += 1
            if problem is not None and calls - 1 >= at:
                raise problem
            return real(*args, **more)

        return call

    with monkeypatch.context() as patch:
        for owner, name in [
            (os, "fsync"),
            (snapshots.Path, "mkdir"),
            (snapshots.Path, "rename"),
            (snapshots.shutil, "rmtree"),
            (snapshots, "_write"),
        ]:
            patch.setattr(owner, name, counted(getattr(owner, name)))
        with contextlib.suppress(SnapshotError, PulledPlug, OSError):
            action()
    return calls


@pytest.mark.parametrize(
    "problem", [PulledPlug(), OSError(errno.ENOSPC, "No space left on device")], ids=["crash", "full"]
)
def test_wherever_an_export_is_interrupted_one_whole_snapshot_is_read(tmp_path, monkeypatch, problem):
    old, new = holding(one="old", gone=1), holding(one="new", more=2)
    folder = tmp_path / "snapshot"
    write_snapshot(folder, old)
    steps = steps_of(monkeypatch, lambda: write_snapshot(tmp_path / "other", old))
    assert steps > 8
    seen = set()
    for at in range(steps + 3):
        write_snapshot(folder, old)
        interrupted(monkeypatch, lambda: write_snapshot(folder, new), at, problem)
        found = read(folder)
        state = tuple((name, found[name].root) for name in found.names)
        assert state in ((("gone", 1), ("one", "old")), (("more", 2), ("one", "new")))
        seen.add(state)
        write_snapshot(folder, new)  # and the next export works
        assert read(folder).names == ["more", "one"]
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".snapshot")]
    assert len(seen) == 2


def test_a_full_disk_is_reported_with_what_to_do(tmp_path, monkeypatch):
    write_snapshot(tmp_path / "s", holding(one=1))
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(full))
        with pytest.raises(SnapshotError, match=r"cannot export to .*No space left on device: make room"):
            write_snapshot(tmp_path / "s", holding(one=2))
    assert read(tmp_path / "s")["one"].root == 1
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (METADATA, None, r"metadata.json does not exist: name a folder that"),
        (METADATA, "{", r"metadata.json is not JSON: .*line 1"),
        (METADATA, "[]", r"metadata.json is not an object"),
        (METADATA, '{"database": {}}', r"database has no path"),
        (METADATA, '{"database": {"path": "elsewhere"}}', r"elsewhere is not a folder"),
        ("database_export/one.json", '{"a": ', r"one.json is not JSON: .*line 1 column"),
        ("database_export/one.json", "NaN", r"one.json is not JSON"),
        ("database_export/one.json", '{"a.b": 1}', r"one.json: Invalid data"),
        ("database_export/a b.json", "1", r"a b.json is not a database's file: .*: move the file elsewhere"),
        ("database_export/A:B.JSON", "1", r"A:B.JSON is not a database's file"),
        ("database_export/one.json", b"\xff", r"one.json is not JSON"),
    ],
)
def test_a_bad_snapshot_is_rejected_with_the_file_and_what_to_do(tmp_path, file, text, message):
    write_snapshot(tmp_path, holding(one=1))
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SnapshotError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_snapshot_with_a_byte_order_mark_is_read(tmp_path, encoding):
    write_snapshot(tmp_path, holding(one={"a": "\u00e9"}))
    for file in (METADATA, "database_export/one.json"):
        text = (tmp_path / file).read_text(encoding="utf-8")
        (tmp_path / file).write_bytes(text.encode(encoding))
    assert read(tmp_path)["one"].root == {"a": "\u00e9"}


@pytest.mark.parametrize("name", [".runtimeconfig.json", "._one.json", "notes.txt", ".DS_Store"])
def test_what_other_programs_put_beside_a_database_is_not_a_database(tmp_path, name):
    write_snapshot(tmp_path, holding(one=1))
    (tmp_path / "database_export" / name).write_text('{"rt": 1}')
    (tmp_path / "database_export" / "folder.json").mkdir()
    assert read(tmp_path).names == ["one"]


def test_a_snapshots_file_may_end_in_capitals(tmp_path):
    write_snapshot(tmp_path, holding(one=1))
    (tmp_path / "database_export" / "one.json").rename(tmp_path / "database_export" / "one.JSON")
    assert read(tmp_path)["one"].root == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_emulator_exports_its_data_when_stopped_and_imports_it_at_the_next_start(tmp_path, how):
    folder = tmp_path / "s"
    first = start("--export-on-exit", str(folder))
    Server(first.port, "one").put("", PRIORITIZED)
    Server(first.port, "two").put("a", 1)
    assert first.stop(how) == 0
    second = start("--import", str(folder), "--export-on-exit", str(folder))
    assert Server(second.port, "one").get("", format="export") == PRIORITIZED
    assert Server(second.port, "two").get("") == {"a": 1}
    Server(second.port, "two").put("a", 2)
    assert second.stop(signal.SIGKILL) == -signal.SIGKILL
    assert read(folder)["two"].root == {"a": 1}


def test_a_snapshot_that_cannot_be_read_or_written_ends_the_emulator_with_1(tmp_path):
    unread = start("--import", str(tmp_path / "none"), stderr=subprocess.PIPE)
    _, errors = unread.process.communicate(timeout=10)
    assert unread.process.returncode == 1
    assert "none/firebase-export-metadata.json does not exist" in errors
    unwritten = start("--export-on-exit", str(tmp_path / "s"), stderr=subprocess.PIPE)
    (tmp_path / "s").write_text("made meanwhile")
    unwritten.process.terminate()
    _, errors = unwritten.process.communicate(timeout=10)
    assert unwritten.process.returncode == 1
    assert "cannot export to" in errors


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file/s", "file': name another folder"),
        ("file", "it is not a folder: name another folder"),
        ("damaged", "is not JSON"),
        ("/", "cannot export to /: a mount point cannot be replaced: name another folder"),
    ],
)
def test_a_folder_that_cannot_be_exported_to_is_said_before_there_is_anything_to_lose(tmp_path, target, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / METADATA).write_text("{")
    unwritten = start("--export-on-exit", str(tmp_path / target), stderr=subprocess.PIPE)
    _, errors = unwritten.process.communicate(timeout=60)
    assert unwritten.process.returncode == 1
    assert message in errors
    assert "Traceback" not in errors


def test_a_folder_that_can_be_exported_to_stays_as_it_is_until_then(tmp_path):
    write_snapshot(tmp_path / "s", holding(one=1))
    check_target(tmp_path / "s")
    check_target(tmp_path / "a" / "new")
    assert read(tmp_path / "s")["one"].root == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "s"]
    assert list((tmp_path / "a").iterdir()) == []
