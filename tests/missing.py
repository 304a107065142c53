"""Programs that a machine may lack for some tests."""

import os
import subprocess
from pathlib import Path

import pytest

from trainer.serving.runtimes import ADVICE, tflite_python

ROOT = Path(__file__).resolve().parent.parent


def skip_without(what):
    """Skip a test because something is missing, saying what to install; fail it if CI is set, which installs it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def find_python(version):
    """Return the path of an installed Python, such as 3.11, or None."""
    done = subprocess.run([ROOT / "local" / "find-python", version], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or None


def skip_without_tflite_runtime():
    """Skip a test if tflite-runtime has no environment; where CI is set and Python 3.11 is there, fail."""
    if not tflite_python().exists():
        (skip_without if find_python("3.11") else pytest.skip)(f"{tflite_python()} is missing: {ADVICE}")
