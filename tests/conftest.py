"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.missing import skip_without_tflite_runtime
from trainer.serving.runtimes import LITERT, TFLITE_RUNTIME, run_litert, run_tflite_runtime

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

ROOT = Path(__file__).resolve().parents[1]
TOGETHER = ("web", "clients", "deploy")
"""Folders whose tests share what takes long to start; of all others, those of a file do."""

FIRST = ("web", "newcomer", "e2e", "deploy", "trainer", "clients", "simulation", "conformance")
"""What takes longest, so that two processes end at about the same time."""


class Scheduling(LoadScopeScheduling):
    """Gives a process all tests of a file, or of a folder that keeps together."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        folder = _folder(Path(file))
        return folder if folder in TOGETHER else file


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    """Put the tests that take longest first."""
    items.sort(key=lambda item: _rank(_folder(item.path.relative_to(ROOT))))


def _folder(file):
    """The folder of a test below its tree: ``tests/FOLDER/…`` or ``emulator/tests/FOLDER/…``."""
    return file.parts[2 if file.parts[0] == "emulator" else 1]


def _rank(folder):
    return FIRST.index(folder) if folder in FIRST else len(FIRST)


@pytest.fixture(params=[LITERT, TFLITE_RUNTIME])
def runtime(request):
    """One of the runtimes of model files, as ``runtimes()`` returns them."""
    if request.param == TFLITE_RUNTIME:
        skip_without_tflite_runtime()
    return {request.param: {LITERT: run_litert, TFLITE_RUNTIME: run_tflite_runtime}[request.param]}
