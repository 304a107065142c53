"""What all tests share."""

from pathlib import Path

import pytest
import tflite_runtime.interpreter  # noqa: F401  (before TensorFlow: see trainer/__init__.py)
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

TESTS = Path(__file__).parent
TOGETHER = ("web", "clients", "deploy")
"""Folders whose tests share what takes long to start; of all others, those of a file do."""

FIRST = ("web", "newcomer", "e2e", "deploy", "trainer", "clients", "simulation")
"""What takes longest, so that two processes end at about the same time."""


def pytest_collection_modifyitems(items):
    """Say which tests one process has to run (``--dist loadgroup``), and put the longest first."""
    for item in items:
        folder, *rest = item.path.relative_to(TESTS).parts
        item.add_marker(pytest.mark.xdist_group(folder if folder in TOGETHER else "/".join((folder, *rest))))
    items.sort(key=lambda item: _rank(item.path.relative_to(TESTS).parts[0]))


def _rank(folder):
    return FIRST.index(folder) if folder in FIRST else len(FIRST)
