"""Which part may know which: the rules that keep the rooms of this house apart.

A rule looks at every import of a part's files, also those inside functions. ``test_a_forbidden_import_is_found`` and
its neighbours hold the rules against made-up trees, so that a checker that finds nothing is found out.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("bookrec", "bookrec_database", "bookrec_operations")
"""The packages under functions/ that the trainer imports too."""

GOOGLE = {"firebase_admin", "firebase_functions", "google", "ai_edge_litert", "tflite_runtime", "requests"}
"""Clients of services, and what makes requests."""

LARGEST = 14
"""Modules of a folder, without ``__init__``: so many are still seen at a glance."""


def files_of(folder, root=ROOT):
    """Return the Python files of a folder, or of a single file, without environments."""
    place = root / folder
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return [file for file in files if "venv" not in file.relative_to(root).parts]


def module_of(file, top):
    """Return a file's dotted name; ``top`` is the folder from which it is imported."""
    parts = file.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_for_types(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(file, top, *, at_run_time=False) -> Iterator[str]:
    """Yield every module that a file imports, dotted; of ``from a import b`` it is ``a.b`` if that is a module.

    Args:
        at_run_time: leave out what is imported for a type checker only.
    """
    tree = ast.parse(file.read_text())
    if at_run_time:
        tree.body = [node for node in tree.body if not _is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = file.relative_to(top).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{module}.{alias.name}"
                place = top / name.replace(".", "/")
                yield name if place.is_dir() or place.with_suffix(".py").exists() else module


def imports_of(folder, root=ROOT):
    """Yield (file, imported module) for every import in a folder."""
    top = next((root / top for top in ("functions", "emulator/src") if folder.startswith(top)), root)
    for file in files_of(folder, root):
        for name in imported(file, top):
            yield file.relative_to(root), name


def violations(folder, allowed, root=ROOT):
    """Return (file, imported module) wherever ``allowed`` does not let the imported top-level package pass."""
    return [(str(file), name) for file, name in imports_of(folder, root) if not allowed(name.split(".")[0])]


# -- the parts of the project ----------------------------------------------------------------------------------------

KNOWN = {
    "functions/bookrec": {"bookrec", "numpy"},
    "functions/bookrec_database": {"bookrec", "bookrec_database", "firebase_admin", "requests"},
    "functions/bookrec_operations": {"bookrec", "bookrec_operations"},
    "functions/backend/handlers": {"bookrec", "bookrec_operations", "backend"},
}
"""What a part may import besides the standard library."""

EMULATOR = {"emulator", "rtdb_emulator"}
"""The database emulator is a program: no part imports it."""

STRANGERS = {
    "functions": {
        "tensorflow", "tensorflow_recommenders", "pandas", "google.cloud.storage", "trainer", "local", *EMULATOR,
    },
    "trainer": {"backend", "local", "firebase_functions", "benchmarks", *EMULATOR},
    "clients": {"backend", "trainer", "local", "firebase_functions", *SHARED[1:], *EMULATOR},
    "deploy": {"backend", "trainer", "local", "firebase_functions", *SHARED, *EMULATOR},
    "local": EMULATOR,
    "benchmarks": EMULATOR,
    "emulator": {"backend", "benchmarks", "clients", "deploy", "local", "main", "tests", "trainer", *SHARED},
}  # fmt: skip
"""What a part may not import."""


def strange_imports(folder, root=ROOT):
    """Return the imports of a part that ``KNOWN`` or ``STRANGERS`` forbids."""
    if folder in KNOWN:
        return violations(folder, lambda name: name in sys.stdlib_module_names | KNOWN[folder], root)
    strangers = STRANGERS[folder]
    return [
        (str(file), name)
        for file, name in imports_of(folder, root)
        if any(name == stranger or name.startswith(f"{stranger}.") for stranger in strangers)
    ]


@pytest.mark.parametrize("folder", [*KNOWN, *STRANGERS])
def test_a_part_knows_only_what_it_may(folder):
    assert files_of(folder)
    assert strange_imports(folder) == []


def test_tests_know_only_the_public_module_of_the_database_emulator():
    used = {name for _, name in imports_of("tests") if name.split(".")[0] in EMULATOR}
    assert used == {"rtdb_emulator.testing"}


def test_only_adapters_and_the_shared_database_import_google_clients():
    users = {str(file.parent) for file, name in imports_of("functions") if name.split(".")[0] in GOOGLE}
    # main.py, parameters, callables and logs are written with the SDK of the functions themselves.
    sdk = {str(file) for file, name in imports_of("functions") if name.startswith("firebase_functions")}
    assert users - {str(Path(file).parent) for file in sdk} == {
        "functions/backend/adapters",
        "functions/bookrec_database",
    }
    others = {name for file, name in imports_of("functions") if str(file) in sdk and name.split(".")[0] in GOOGLE}
    assert {name.split(".")[0] for name in others} == {"firebase_functions"}


TRAINER_CLIENTS = {
    "trainer/cloud.py",
    "trainer/data/ingest/folders.py",
    "trainer/data/ingest/pages.py",
    "trainer/command_line/errors.py",
    "trainer/publishing/bucket.py",
}


def test_few_files_of_the_trainer_import_google_clients():
    clients = GOOGLE - {"ai_edge_litert", "tflite_runtime"}
    users = {str(file) for file, name in imports_of("trainer") if name.split(".")[0] in clients}
    assert users <= TRAINER_CLIENTS


# -- the rooms of the trainer ----------------------------------------------------------------------------------------

ROOMS = (
    ("config", "cloud"),
    ("data",),
    ("metrics",),
    ("serving",),
    ("model",),
    ("evaluation",),
    ("publishing",),
    ("run", "candidate", "pipeline"),
    ("command_line",),
    ("commands",),
    ("__main__", "commands_page"),
)
"""From the left to the right. A room may import those to its left, and those in the same place."""

PLACES = {name: place for place, names in enumerate(ROOMS) for name in names}


def room_of(module):
    """Return the room of a module of the trainer; "" for the trainer's own ``__init__``."""
    return module.split(".")[1] if "." in module else ""


def imports_to_the_right(room, root=ROOT):
    """Return (module, imported module) wherever a room imports one to its right."""
    folder = f"trainer/{room}" if (root / "trainer" / room).is_dir() else f"trainer/{room}.py"
    return [
        (module_of(root / file, root), name)
        for file, name in imports_of(folder, root)
        if name.startswith("trainer.") and PLACES[room_of(name)] > PLACES[room]
    ]


@pytest.mark.parametrize("room", PLACES)
def test_a_room_of_the_trainer_imports_only_to_its_left(room):
    assert imports_to_the_right(room) == []


def test_every_module_of_the_trainer_is_in_a_room():
    assert {room_of(module_of(file, ROOT)) for file in files_of("trainer")} == {*PLACES, ""}


# -- circles and sizes -----------------------------------------------------------------------------------------------

CODE = ("functions", "trainer", "emulator/src", "local", "deploy", "clients", "benchmarks")


def circle_in(folder, root=ROOT):
    """Return modules that import each other in a circle, the first again at the end; empty if none do."""
    top = root / folder if folder in ("functions", "emulator/src") else root
    graph = {module_of(file, top): set(imported(file, top, at_run_time=True)) for file in files_of(folder, root)}
    done = set()

    def follow(module, way):
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for name in sorted(graph[module] & graph.keys()):
            if circle := follow(name, [*way, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := follow(module, []))), [])


@pytest.mark.parametrize("folder", CODE)
def test_no_modules_import_each_other_in_a_circle(folder):
    assert circle_in(folder) == []


def large_folders(folder, root=ROOT):
    """Return the folders with more than ``LARGEST`` modules."""
    parents = [file.parent for file in files_of(folder, root) if file.name != "__init__.py"]
    return sorted({str(parent.relative_to(root)) for parent in parents if parents.count(parent) > LARGEST})


@pytest.mark.parametrize("folder", ["functions", "trainer"])
def test_no_folder_has_more_modules_than_are_seen_at_a_glance(folder):
    assert large_folders(folder) == []


# -- the rules themselves --------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """Writes files of a made-up project; returns its root."""

    def write(**files):
        for name, text in files.items():
            file = tmp_path / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("functions/bookrec", "import firebase_admin"),
        ("functions/bookrec", "from bookrec_database import marks"),
        ("functions/bookrec_database", "from bookrec_operations.switch import switch"),
        ("functions/bookrec_database", "from backend import ports"),
        ("functions/bookrec_database", "from google.cloud import storage"),
        ("functions/bookrec_operations", "from bookrec_database.database import FirebaseDatabase"),
        ("functions/bookrec_operations", "import trainer.run"),
        ("functions/backend/handlers", "from bookrec_database import connection"),
        ("functions", "from google.cloud import storage"),
        ("functions", "from trainer.run import run"),
        ("trainer", "import firebase_functions"),
        ("trainer", "from backend.ports import Database"),
        ("trainer", "import rtdb_emulator"),
        ("emulator", "from trainer import run"),
        ("clients", "from bookrec_database.database import FirebaseDatabase"),
    ],
)
def test_a_forbidden_import_is_found(tree, folder, line):
    name = f"{folder.replace('/', '__')}__made_up"
    google = {"functions__google__cloud__storage": "", "google__cloud__storage": ""}
    root = tree(**google, **{name: f"import json\n\ndef f():\n    {line}\n"})
    assert len(strange_imports(folder, root)) == 1
    assert strange_imports(folder, tree(**{name: "import json\n"})) == []


def test_an_import_to_the_right_is_found_also_of_a_module_beside_the_rooms(tree):
    root = tree(
        trainer__data__rows="def f():\n    from trainer.publishing import bucket\n",
        trainer__data__books="from trainer.config import DEFAULTS\n",
        trainer__publishing__bucket="from trainer.data import rows\n",
        trainer__config="import trainer.run\n",
        trainer__run="",
    )
    assert imports_to_the_right("data", root) == [("trainer.data.rows", "trainer.publishing.bucket")]
    assert imports_to_the_right("config", root) == [("trainer.config", "trainer.run")]
    assert imports_to_the_right("publishing", root) == imports_to_the_right("run", root) == []


def test_a_circle_is_found_and_named(tree):
    files = {"trainer__a": "import trainer.b\n", "trainer__b": "def f():\n    from trainer import c\n"}
    assert circle_in("trainer", tree(**files, trainer__c="import json\n")) == []
    root = tree(trainer__c="from .a import f\n")
    assert circle_in("trainer", root) == ["trainer.a", "trainer.b", "trainer.c", "trainer.a"]


def test_a_folder_with_too_many_modules_is_found(tree):
    root = tree(trainer__data____init__="", **{f"trainer__data__m{number}": "" for number in range(LARGEST)})
    assert large_folders("trainer", root) == []
    assert large_folders("trainer", tree(trainer__data__one_more="")) == ["trainer/data"]


# -- docstrings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", CODE)
def test_every_public_function_and_class_has_a_docstring(folder):
    missing = []
    for file in files_of(folder):
        tree = ast.parse(file.read_text())
        assert ast.get_docstring(tree), file
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                missing.append(f"{file}:{node.lineno}")
    assert missing == []
