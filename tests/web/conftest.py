"""The real suite with a trained model, and a browser. Both are started once for all tests in this folder."""

import os
import subprocess
import sys
import uuid

import pytest
from playwright.sync_api import expect

from local.reader import Reader
from local.stack import ROOT, Stack
from tests.browser import launched

LATE = 30_000
"""Milliseconds after which something that should be visible counts as missing; the machine may be busy."""

expect.set_options(timeout=LATE)


# Per package, not per session: Playwright's event loop would conflict with tests that have their own.
@pytest.fixture(scope="package")
def stack(tmp_path_factory):
    """A stack with pages, a live first model, and the accounts.

    It does not retrain automatically: a second model would change the lists of readers who have done nothing.
    """
    logs = tmp_path_factory.mktemp("logs")
    calm = {"RETRAIN_MINIMUM_CHANGES": "100000"}
    with Stack(data=ROOT / "emulator-data", logs=logs, fresh_ports=True, parameters=calm) as stack:
        done = subprocess.run(
            [sys.executable, "-m", "trainer", "run"],
            cwd=ROOT,
            env={**os.environ, **stack.addresses.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        stack.sign_up_accounts()
        yield stack
    assert stack.processes.alive() == []


@pytest.fixture(scope="package")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser, stack):
    """Open pages in separate browser contexts; any error that a page logs fails the test.

    ``visit("/", color_scheme="dark")`` returns the page. Messages about failed requests do not count: missing covers, a
    wrong password, being offline. Tests that provoke errors clear ``visit.complaints``.
    """
    contexts, complaints = [], []

    def heard(message):
        if message.type == "error" and not ("Failed to load resource" in message.text or "net::ERR_" in message.text):
            complaints.append(message.text)

    def open_page(path="/", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(LATE)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(stack.web + path)
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def new_email():
    return lambda: f"web-{uuid.uuid4().hex[:12]}@example.com"


@pytest.fixture
def new_reader(stack, new_email):
    """Create readers, each with an account and the given shelf (ISBN → rating). All have the same password.

    A reader with a shelf already has the list for it, so no list of an earlier write arrives later.
    """

    def make(shelf=None):
        reader = Reader(stack.addresses, new_email(), PASSWORD)
        reader.sign_up()
        for isbn, rating in (shelf or {}).items():
            reader.shelve(isbn, rating)
        if shelf:
            reader.wait_for_list()
        return reader

    return make


PASSWORD = "a password for the emulator"
