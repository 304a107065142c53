"""Which part of the package may know which."""

import ast
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = PROJECT / "src"
PACKAGE = "rtdb_emulator"
DISTRIBUTIONS = {"re2": "google-re2"}
"""Modules whose distribution has another name."""


def name_of(file):
    parts = file.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted((SOURCES / PACKAGE).rglob("*.py"))}


def imports_of(file):
    """Yield every module that a file imports, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


def room_of(module):
    """The folder of a module, or a module that is in none."""
    return ".".join(module.split(".")[:2])


IMPORTS = {module: {name for name in imports_of(file) if name in MODULES} for module, file in MODULES.items()}


def test_no_module_imports_itself_by_way_of_others():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError


def test_no_room_imports_itself_by_way_of_others():
    rooms = {}
    for module, names in IMPORTS.items():
        rooms.setdefault(room_of(module), set()).update({room_of(name) for name in names} - {room_of(module)})
    TopologicalSorter(rooms).prepare()


def test_a_room_has_a_docstring_of_three_lines_and_few_modules():
    for file in (SOURCES / PACKAGE).rglob("__init__.py"):
        assert len(ast.get_docstring(ast.parse(file.read_text())).splitlines()) >= 3, file
        assert len(list(file.parent.glob("*.py"))) <= 20, file.parent


def test_the_package_declares_what_it_imports_and_no_more():
    strangers = {name.split(".")[0] for file in MODULES.values() for name in imports_of(file)}
    strangers -= {*sys.stdlib_module_names, PACKAGE}
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {DISTRIBUTIONS.get(name, name) for name in strangers} == {line.split(">")[0] for line in declared}
