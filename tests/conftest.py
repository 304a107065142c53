"""What all tests share."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.missing import skip_without_tflite_runtime
from trainer.serving.runtimes import LITERT, TFLITE_RUNTIME, run_litert, run_tflite_runtime

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

# A shell starts a background job with SIGINT ignored, and nohup has SIGHUP ignored. What the tests start inherits that,
# and would not end on the signals that the tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parents[1]

WHOLE = (
    "tests/web", "tests/newcomer", "emulator/tests/conformance", "tests/clients", "tests/deploy", "tests/deployment",
    "tests/benchmarks", "tests/e2e/test_chaos.py", "tests/e2e/test_up.py",
)  # fmt: skip
"""Of these, `make test` runs nothing and `make test-all` everything: CONTRIBUTING.md has the reasons."""

TOGETHER = ("tests/web", "tests/clients", "tests/deploy")
"""Folders whose tests share what takes long to start; of all others, those of a file do."""

FIRST = (
    "tests/web", "tests/newcomer", "tests/e2e", "tests/deploy", "tests/deployment", "tests/benchmarks", "tests/trainer",
    "tests/clients", "tests/simulation", "emulator/tests/conformance",
)  # fmt: skip
"""What takes longest, so that two processes end at about the same time."""


class Scheduling(LoadScopeScheduling):
    """Gives a process all tests of a file, or of a folder that keeps together."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        return _among(file, TOGETHER) or file


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


def pytest_configure(config):
    """Do not even import what `make test` leaves out: some of it needs more than `make setup` installs."""
    if config.option.markexpr == "not whole":
        config.option.ignore = [*(config.option.ignore or ()), *(str(ROOT / place) for place in WHOLE)]


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Mark what is left to `make test-all`, and put the tests that take longest first."""
    for item in items:
        if _among(_file(item), WHOLE):
            item.add_marker(pytest.mark.whole)
    items.sort(key=_rank)


def _file(item):
    return item.path.relative_to(ROOT).as_posix()


def _rank(item):
    folder = _among(_file(item), FIRST)
    return FIRST.index(folder) if folder else len(FIRST)


def _among(file, places):
    """Return which of some folders and files a file is in or is, or None."""
    return next((place for place in places if f"{file}/".startswith(f"{place}/")), None)


@pytest.fixture(params=[LITERT, TFLITE_RUNTIME])
def runtime(request):
    """One of the runtimes of model files, as ``runtimes()`` returns them."""
    if request.param == TFLITE_RUNTIME:
        skip_without_tflite_runtime()
    return {request.param: {LITERT: run_litert, TFLITE_RUNTIME: run_tflite_runtime}[request.param]}
