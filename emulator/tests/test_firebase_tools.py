"""Snapshots between firebase-tools and the stand-alone emulator, both ways."""

import json
import os
import subprocess

from rtdb_emulator.database.snapshots import METADATA, write_snapshot
from rtdb_emulator.launch.firebase_tools import environment
from rtdb_emulator.launch.process import free_port

from .missing import firebase_program
from .test_snapshots import PRIORITIZED, holding, read


def test_firebase_tools_imports_what_we_exported_and_we_import_what_it_exports(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_snapshot(ours, holding(one=PRIORITIZED, two={"a": [1, 2]}))
    ports = {name: {"host": "127.0.0.1", "port": free_port()} for name in ("database", "hub", "logging")}
    config = {
        "database": {"rules": "rules.json"},
        "emulators": {**ports, "ui": {"enabled": False}, "singleProjectMode": False},
    }
    (tmp_path / "firebase.json").write_text(json.dumps(config))
    (tmp_path / "rules.json").write_text('{"rules": {".read": true, ".write": true}}')
    change = f"http://127.0.0.1:{ports['database']['port']}/new.json?ns=three"
    put = f"""const answer = await fetch("{change}", {{method: "PUT", body: '{{".value": 1, ".priority": 2}}'}});
    process.exit(answer.ok ? 0 : 1);"""
    (tmp_path / "put.mjs").write_text(put)
    command = [firebase_program(), "emulators:exec", "--only", "database", "--project", "demo-snapshots"]
    done = subprocess.run(
        [*command, "--import", ours, "--export-on-exit", theirs, "node put.mjs"],
        cwd=tmp_path,
        env=environment(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read(theirs)
    assert {name: found[name].root for name in found.names} == {
        name: expected[name].root
        for expected in [holding(one=PRIORITIZED, two={"a": [1, 2]}, three={"new": {".value": 1, ".priority": 2}})]
        for name in expected.names
    }
    written = json.loads((theirs / METADATA).read_text())["database"]
    assert written == json.loads((ours / METADATA).read_text())["database"]
