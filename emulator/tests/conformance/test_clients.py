"""Google's own clients against the emulator, over the wire: each case of each suite is a test.

With EMULATOR=official in the environment, all of it runs against Google's emulator instead.
"""

import pytest

from ..missing import skip_without
from . import clients
from .server import Emulator


def pytest_generate_tests(metafunc):
    suite = metafunc.function.suite
    metafunc.parametrize("case", clients.names()[suite], ids=str)


def suite_of(name):
    def mark(function):
        function.suite = name
        return function

    return mark


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(scope="session")
def emulator(folder):
    emulator = Emulator(folder)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def outcome_of(request, emulator, folder):
    """Run the cases that were selected, suite by suite, each at its first question."""
    runs = {}

    def outcome_of(suite, case):
        if suite not in runs:
            for run in runs.values():
                run.end()
            items = [item for item in request.session.items if getattr(item.obj, "suite", None) == suite]
            runs[suite] = clients.Run(suite, [item.callspec.params["case"] for item in items], emulator, folder)
        return runs[suite].outcome(case)

    yield outcome_of
    for run in runs.values():
        run.end()


def need_browser():
    if clients.browser() is None:
        skip_without("no Chromium: install it (Debian: apt-get install chromium), or say where it is in CHROMIUM")


def check(outcome):
    if outcome.error is not None:
        pytest.fail(outcome.error, pytrace=False)


@suite_of("sdk")
def test_javascript_sdk_in_node(case, outcome_of):
    check(outcome_of("sdk", case))


@suite_of("browser")
def test_javascript_sdk_in_chromium(case, outcome_of):
    need_browser()
    check(outcome_of("browser", case))


@suite_of("polling")
def test_javascript_sdk_in_chromium_with_long_polling(case, outcome_of):
    need_browser()
    check(outcome_of("polling", case))


@suite_of("admin")
def test_admin_sdk_for_node(case, outcome_of):
    check(outcome_of("admin", case))


@suite_of("rules")
def test_rules_unit_testing_library(case, outcome_of):
    check(outcome_of("rules", case))
