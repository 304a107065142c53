"""How firebase-tools finds this emulator, or Google's."""

import subprocess
from pathlib import Path

import pytest

from emulator import launch


def test_ours_comes_first_on_the_path_and_passes_for_java():
    env = launch.environment({"PATH": "/usr/bin:/bin"})
    assert Path(env["DATABASE_EMULATOR_BINARY_PATH"]).exists()
    done = subprocess.run(
        ["java", "-Duser.language=en", "-version"], env=env, capture_output=True, text=True, check=True
    )
    assert 'version "21' in done.stderr


@pytest.mark.parametrize(("version", "found"), [(None, "none"), (17, "Java 17")])
def test_the_official_one_without_its_java_is_a_clear_error(monkeypatch, version, found):
    monkeypatch.setattr(launch, "java_version", lambda: version)
    with pytest.raises(launch.LaunchError, match=f"needs Java 21 or newer on PATH, found {found}"):
        launch.environment({"EMULATOR": "official"})


def test_the_official_one_with_its_java_is_left_in_charge(monkeypatch):
    monkeypatch.setattr(launch, "java_version", lambda: 21)
    assert launch.environment({"EMULATOR": "official", "PATH": "/bin"}) == {"EMULATOR": "official", "PATH": "/bin"}
