"""A newcomer's first change, followed step by step as CONTRIBUTING describes it, in a clone of this checkout."""

import re
import signal
import subprocess
import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect, sync_playwright

from local.accounts import READERS
from local.processes import Processes
from tests.browser import chromium
from tests.clone import ROOT, clone_into, environment_of
from tests.missing import skip_without
from tests.web.reader_page import picture, recommended, sign_in

BEGIN, END = "<!-- newcomer: tests/newcomer follows this section -->", "<!-- newcomer: end -->"
PATIENCE_S = 500


@dataclass(frozen=True)
class Step:
    """A block of the section: ``diff`` or ``sh``."""

    kind: str
    text: str


def steps():
    section = (ROOT / "CONTRIBUTING.md").read_text().split(BEGIN)[1].split(END)[0]
    return [Step(*block) for block in re.findall(r"```(diff|sh)\n(.*?)```", section, re.DOTALL)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return clone_into(tmp_path_factory.mktemp("newcomer") / "project")


def change(clone, diff):
    """Apply a diff without line numbers: each removed line occurs once in its file."""
    path = clone / re.search(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE).group(1)
    text = path.read_text()
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    for before, after in zip(lines[::2], lines[1::2], strict=True):
        assert before[0] == "-"
        assert after[0] == "+"
        assert text.count(before[1:] + "\n") == 1, before
        text = text.replace(before[1:] + "\n", after[1:] + "\n")
    path.write_text(text)


def run(clone, words):
    done = subprocess.run(
        words.split(), cwd=clone, env=environment_of(clone), capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_twelve_books_instead_of_ten(clone):
    number, test, expectation, clients, pages = steps()
    assert [step.kind for step in (number, test, expectation, clients, pages)] == ["diff", "sh", "diff", "sh", "sh"]

    change(clone, number.text)
    code, output = run(clone, test.text)
    assert code == 1, output
    assert re.findall(r"^FAILED (\S+)", output, re.MULTILINE) == [
        "tests/unit/test_ranking.py::test_a_list_has_ten_books"
    ]

    change(clone, expectation.text)
    code, output = run(clone, test.text)
    assert code == 0, output

    code, output = run(clone, clients.text)
    assert code == 0, output
    assert "LIST_SIZE = 12" in (clone / "clients/typescript/contract.ts").read_text()

    shown = see(clone, pages.text)
    assert shown == 12


def see(clone, words):
    """Start the demo, sign in as the first reader that it prints, and return how many books the page recommends."""
    program = chromium()
    if program is None:
        skip_without("no Chromium on this machine: install one, or name it in CHROMIUM")
    processes, log = Processes(), clone / "out" / "demo.log"
    demo = processes.start(words.split(), log=log, cwd=clone, env=environment_of(clone))
    try:
        web = address(demo, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(web)
            sign_in(page, READERS[0].email, READERS[0].password)
            expect(recommended(page).nth(10)).to_be_visible(timeout=30_000)
            picture(page, "newcomer-twelve-books")
            count = recommended(page).count()
            browser.close()
        demo.send_signal(signal.SIGTERM)  # make passes it on to the demo, as a terminal does with Ctrl-C
        demo.wait(60)
        assert "Stopping." in log.read_text()
        return count
    finally:
        processes.stop()


def address(demo, log):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        text = log.read_text()
        match = re.search(r"(http://\S+)/\s+for readers", text)
        if match and "until Ctrl-C" in text:
            return match.group(1)
        assert demo.poll() is None, text
        time.sleep(0.5)
    raise AssertionError(f"no pages after {PATIENCE_S} s: {log.read_text()}")
