"""Which part may know which: the rules that keep the rooms of this house apart."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports_of(folder):
    """Yield (file, imported top-level module) for every import in a folder, also those inside functions."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        if "venv" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                yield file.relative_to(ROOT), name


def violations(folder, allowed):
    return [(str(file), name) for file, name in imports_of(folder) if not allowed(name.split(".")[0])]


def test_the_domain_knows_only_the_standard_library_and_numpy():
    assert not violations("functions/bookrec", lambda n: n in sys.stdlib_module_names or n in {"numpy", "bookrec"})


def test_handlers_know_the_domain_and_the_ports_but_no_sdk():
    known = {"bookrec", "backend"}
    assert not violations("functions/backend/handlers", lambda n: n in sys.stdlib_module_names or n in known)


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("functions", {"tensorflow", "tensorflow_recommenders", "pandas", "trainer", "local"}),
        ("trainer", {"backend", "local", "firebase_functions", "benchmarks"}),
        ("clients", {"backend", "trainer", "local", "firebase_functions"}),
        ("deploy", {"bookrec", "backend", "trainer", "local", "firebase_functions"}),
    ],
)
def test_the_parts_do_not_know_each_other(folder, strangers):
    assert not violations(folder, lambda n: n not in strangers)


@pytest.mark.parametrize("folder", ["functions", "trainer", "local", "deploy", "clients", "benchmarks"])
def test_the_database_emulator_is_a_program_that_no_part_imports(folder):
    assert not violations(folder, lambda n: n not in {"emulator", "rtdb_emulator"})


def test_tests_know_only_the_public_module_of_the_database_emulator():
    used = {name for _, name in imports_of("tests") if name.split(".")[0] in {"emulator", "rtdb_emulator"}}
    assert used == {"rtdb_emulator.testing"}


def test_the_database_emulator_and_its_tests_know_nothing_of_the_project():
    project = {"backend", "benchmarks", "bookrec", "clients", "deploy", "local", "main", "tests", "trainer"}
    assert not violations("emulator", lambda n: n not in project)


def test_only_adapters_import_google_clients():
    clients = {"firebase_admin", "google", "ai_edge_litert", "tflite_runtime"}
    users = {str(file.parent) for file, name in imports_of("functions") if name.split(".")[0] in clients}
    assert users == {"functions/backend/adapters"}


@pytest.mark.parametrize(
    "folder",
    ["functions/bookrec", "functions/backend", "emulator/src", "trainer", "local", "benchmarks", "deploy", "clients"],
)
def test_every_public_function_and_class_has_a_docstring(folder):
    missing = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text())
        assert ast.get_docstring(tree), file
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                missing.append(f"{file}:{node.lineno}")
    assert not missing
