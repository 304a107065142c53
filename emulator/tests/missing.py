"""What a machine may lack for some tests."""

import os
import shutil
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules"


def skip_without(what):
    """Skip a test because something is missing, saying what to install; with CI set, which installs it, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def firebase_program():
    """Return the program of firebase-tools: of the repository, or one on PATH."""
    program = NODE_MODULES / ".bin" / "firebase"
    found = str(program) if program.exists() else shutil.which("firebase")
    return found or skip_without("firebase-tools is not installed: run npm ci")
