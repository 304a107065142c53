"""The runbook has a section for each alarm, and the pages on data name every node."""

import re
from pathlib import Path

from bookrec import paths
from bookrec.life_cycle import lease

ROOT = Path(__file__).resolve().parent.parent
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


def test_every_alarm_has_a_section_and_every_section_an_alarm():
    code = "\n".join(path.read_text() for path in (ROOT / "functions" / "backend").rglob("*.py"))
    raised = set(re.findall(r'alarm\(\s*"([a-z-]+)"', code))
    assert raised
    assert raised == set(re.findall(r"^### (\S+)$", RUNBOOK, flags=re.MULTILINE))


def test_the_runbook_knows_every_outcome_of_a_run():
    for outcome in lease.Outcome.__args__:
        assert f"`{outcome}`" in RUNBOOK


def test_the_page_on_privacy_names_every_node_that_names_a_reader():
    page = (ROOT / "docs" / "privacy.md").read_text()
    ours = (
        paths.READERS,
        paths.DIRTY,
        paths.CHANGES,
        paths.REJECTED,
        paths.CONVERSIONS,
        paths.PAUSED,
        paths.LIST_WRITES,
        paths.EVENTS,
    )
    for node in (paths.USERS, paths.USER_BOOK, *ours):
        assert f"`/{node}" in page
