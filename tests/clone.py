"""A copy of this checkout that a test may change: its files, with what `make setup` has installed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = (".venv", ".venv-tflite", "functions/venv", "node_modules")


def clone_into(folder):
    """Copy the files that git knows, link what is installed, and say that the setup is done; return the folder."""
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=300).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in filter(lambda name: (ROOT / name).exists(), INSTALLED):  # without Python 3.11 there is no .venv-tflite
        (folder / name).symlink_to(ROOT / name)
    (folder / ".setup").mkdir()
    for stamp in ("dev", "functions", "tflite", "node"):
        (folder / ".setup" / stamp).touch()
    return folder


def environment_of(clone):
    """Return the environment for commands in a clone.

    `make setup` names the clone's own functions/ to its environment; here the environment is this checkout's.
    """
    return {**os.environ, "PYTHONPATH": str(clone / "functions")}
