"""Documents that are true: their paths exist, and the contract is the one of code and rules."""

import re
from pathlib import Path

import pytest

from bookrec import entries, paths
from trainer.database_export import ARCHIVE_FIELDS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("emulator", "benchmarks")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *(ROOT / folder / "README.md" for folder in FOLDERS)]
)
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
RULES = (ROOT / "database.rules.json").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_folder_that_a_document_names_exists(document):
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    named = re.findall(r"`((?:functions|trainer|emulator|local|tests|docs|emulator-data|benchmarks)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_make_target_that_a_document_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)) <= targets, document


@pytest.mark.parametrize(
    "node",
    [
        paths.MODEL,
        paths.LEASE,
        paths.CHANGES,
        paths.DIRTY,
        paths.READERS,
        paths.REJECTED,
        paths.SHELVINGS,
        paths.STATUS,
        paths.USER_BOOK,
    ],
)
def test_every_node_of_the_code_is_in_the_contract(node):
    assert f"`/{node}" in CONTRACT


def test_the_contract_names_the_fields_of_entries_and_catalogue():
    for field in (*entries.FIELDS, *ARCHIVE_FIELDS):
        assert f"`{field}`" in CONTRACT, field
    assert entries.ISBN_PATTERN in RULES


def test_the_rules_close_what_the_contract_does_not_open():
    top = set(re.findall(r'^    "(\w+)":', RULES, re.MULTILINE))
    assert top == {"User_Book", "Books", "archive", "Users", "Recommender"}
