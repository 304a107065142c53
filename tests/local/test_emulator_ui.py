"""The Emulator UI: used if its files are there or can be had, and nothing that a stack waits for otherwise."""

import json

import pytest

from local import emulator_ui
from local.processes import is_free
from local.stack import ROOT, Stack

FILE = "ui-v1/server/server.mjs"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """firebase-tools whose download is at an address that nobody answers, with an empty cache."""
    details = {"ui": {"main": {"remoteUrl": "http://127.0.0.1:1/ui.zip", "binaryPathRelativeToCacheDir": FILE}}}
    info = tmp_path / "tools" / "lib" / "emulator" / "downloadableEmulatorInfo.json"
    info.parent.mkdir(parents=True)
    info.write_text(json.dumps(details))
    monkeypatch.setattr(emulator_ui, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("FIREBASE_EMULATORS_PATH", str(tmp_path / "cache"))
    return info


def test_files_in_the_cache_are_enough(tools, tmp_path):
    (tmp_path / "cache" / FILE).parent.mkdir(parents=True)
    (tmp_path / "cache" / FILE).write_text("")
    assert emulator_ui.is_installed()
    assert emulator_ui.install()


def test_a_download_that_cannot_be_reached_is_no_error(tools):
    assert not emulator_ui.is_installed()
    assert not emulator_ui.install()


def test_an_unknown_version_of_firebase_tools_is_no_error(tools):
    tools.write_text("{}")
    assert not emulator_ui.is_installed()
    assert not emulator_ui.install()


def test_the_installed_firebase_tools_says_where_its_files_are(monkeypatch):
    monkeypatch.delenv("FIREBASE_EMULATORS_PATH", raising=False)
    details = emulator_ui._details()
    assert details["remoteUrl"].startswith("https://")
    assert details["binaryPathRelativeToCacheDir"].startswith(f"ui-v{details['version']}/")


def test_people_who_start_firebase_tools_themselves_get_the_ui_and_a_stack_says_itself_whether_it_starts(tmp_path):
    ours = json.loads((ROOT / "firebase.json").read_text())["emulators"]["ui"]
    assert ours.get("enabled", True)
    for ui in (False, True):
        stack = Stack(data=None, logs=tmp_path, fresh_ports=True, ui=ui)
        try:
            at = stack._choose_ports()
            written = json.loads(stack._config.read_text())["emulators"]["ui"]
        finally:
            stack.stop()
        assert written["enabled"] is ui
        assert (at.ui == f"127.0.0.1:{written['port']}") is ui
        assert is_free(written["port"])
