"""Documents are true: their paths exist, and the contract matches code and rules."""

import re
from pathlib import Path

import pytest
from firebase_functions.params import Param

from backend import parameters
from bookrec import entries, paths
from trainer.data.exchange.database_export import ARCHIVE_FIELDS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("emulator", "benchmarks")
PARTS = "functions|trainer|emulator|local|tests|docs|emulator-data|benchmarks|web|deploy|clients"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *(ROOT / folder / "README.md" for folder in FOLDERS)]
)
WRITTEN = (ROOT / ".gitignore").read_text().split()
"""Files that programs write; they need not exist."""
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
RULES = (ROOT / "database.rules.json").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_folder_that_a_document_names_exists(document):
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    named = re.findall(rf"`((?:{PARTS})/[\w./-]*)`", text)
    assert [name for name in named if not ((ROOT / name).exists() or f"/{name}" in WRITTEN)] == []


RUN_BY = {
    "make test": ".ci/run",
    "make up": "tests/e2e/test_up.py::test_it_reloads_functions_ends_on_a_signal_and_keeps_its_data",
    "make demo": "tests/newcomer/test_first_change.py::test_twelve_books_instead_of_ten",
    "make clients": "tests/newcomer/test_first_change.py::test_twelve_books_instead_of_ten",
    "pytest": "tests/newcomer/test_first_change.py::test_twelve_books_instead_of_ten",
    "make simulate": "tests/simulation/test_simulation.py::test_a_history_can_be_replayed_by_another_process",
    "make mutants": "tests/simulation/test_simulation.py::test_a_fault_in_the_code_is_found",
    "make chaos": "tests/e2e/test_chaos.py::test_lost_and_doubled_events_killed_runs_and_restarts_leave_nothing_wrong",
    "trainer run": "tests/e2e/test_loop.py::stack",
    "trainer train": "tests/trainer/commands/test_folder.py::test_a_folder_reaches_phones_and_is_rolled_back",
    "trainer publish": "tests/trainer/commands/test_folder.py::test_a_folder_reaches_phones_and_is_rolled_back",
    "trainer rollback": "tests/trainer/commands/test_folder.py::test_a_folder_reaches_phones_and_is_rolled_back",
    "trainer experiment": "tests/trainer/commands/test_experiment.py::test_an_experiment_is_started_shown_and_ended",
    "trainer release": "tests/trainer/commands/test_experiment.py::test_release_reports_how_many_failures_it_cleared",
    "trainer status": "tests/trainer/commands/test_status.py::"
    "test_the_command_ends_with_3_if_something_needs_attention",
    "trainer evaluate": "tests/trainer/commands/test_models.py::"
    "test_evaluate_writes_its_three_files_the_same_each_time",
    "trainer export": "tests/trainer/commands/test_export.py::test_the_command_does_not_overwrite_a_folder",
    "trainer import": "tests/trainer/commands/test_models.py::"
    "test_import_turns_ratings_into_a_database_that_a_run_can_read",
    "trainer events": "tests/trainer/commands/test_events.py::test_the_rows_of_a_day_are_exported_and_removed",
    "trainer lists": "tests/trainer/commands/test_help.py::test_lists_are_made_from_an_export_into_a_folder",
    "trainer simulate": "tests/trainer/commands/test_help.py::test_simulate_runs_histories_and_replays_one",
    "pip install": "emulator/tests/test_package.py::installed",
    "rtdb-emulator exec": "emulator/tests/test_package.py::"
    "test_firebase_tools_serves_the_project_with_it_and_the_exit_code_comes_through",
    "rtdb-emulator": "emulator/tests/test_snapshots.py::"
    "test_an_emulator_exports_its_data_when_stopped_and_imports_it_at_the_next_start",
    "benchmarks.events": "tests/benchmarks/test_events.py::"
    "test_events_of_many_readers_end_in_right_lists_and_none_is_lost",
    "benchmarks.cold_start": "tests/benchmarks/test_events.py::"
    "test_a_cold_start_is_measured_beside_the_same_one_with_tensorflow",
}
"""The test that runs each command in a document; commands that need a cloud are in ``sh cloud`` blocks instead."""

COMMAND = re.compile(
    r"(make [\w-]+|pip install|rtdb-emulator(?: exec)?|(?:\.venv/bin/)?python -m (trainer \w+|[\w.]+))"
)


def commands_of(document):
    """Yield the commands in a document's shell blocks, except those that need a cloud."""
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        yield from (line for line in block.splitlines() if line and not line.startswith("#"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_document_shows_is_run_by_a_test_or_needs_a_cloud(document):
    for line in commands_of(document):
        command = COMMAND.match(line)
        assert command, f"no test runs it, and it is not in a block of `sh cloud`: {line}"
        assert (command[2] or command[1]) in RUN_BY, line


@pytest.mark.parametrize("command", RUN_BY)
def test_the_test_that_runs_a_command_exists(command):
    file, _, name = RUN_BY[command].partition("::")
    text = (ROOT / file).read_text()
    assert f"def {name}(" in text if name else command in text


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
        paths.CONVERSIONS,
        paths.STATUS,
        paths.USER_BOOK,
        paths.SIMILAR,
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
    assert top == {
        "User_Book",
        "Books",
        "archive",
        "Users",
        "Similar_Books",
        "More_Lists",
        "Shared_Lists",
        "Recommender",
    }


def test_the_figures_of_the_readme_are_those_of_the_benchmarks():
    section = (ROOT / "README.md").read_text().split("## How good is it")[1].split("\n## ")[0]
    figures = re.findall(r"\d\.\d{3}", section)
    measured = (ROOT / "benchmarks" / "README.md").read_text()
    assert len(figures) > 10
    assert [figure for figure in figures if figure not in measured] == []


def test_operations_have_every_setting_of_the_functions_with_its_default_and_meaning():
    section = (
        (ROOT / "docs" / "operations.md").read_text().split("\n## Settings of the functions\n")[1].split("\n## ")[0]
    )
    table = [line for line in section.splitlines() if line.startswith("| `")]
    declared = [one for one in vars(parameters).values() if isinstance(one, Param)]
    lines = {
        f"| `{one.name}` | {'empty' if one.default == '' else one.default} | {one.description} |" for one in declared
    }
    assert len(lines) > 10
    assert set(table) == lines, "docs/operations.md is to have:\n" + "\n".join(sorted(lines - set(table)))
    assert table == sorted(table)


def test_a_readers_own_copy_names_every_node_that_the_reader_cannot_read():
    stored = set(re.findall(r"`/Recommender/(\w+)", (ROOT / "docs" / "privacy.md").read_text().split("\n\n")[1]))
    told = set(re.findall(r"where: '/Recommender/(\w+)'", (ROOT / "web" / "client.js").read_text()))
    assert told == stored
