"""Reads the code that would be deployed: its functions, its parameters, and a digest of it."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.target import ROOT

Kind = Literal["database", "task", "schedule", "callable"]

_KINDS: dict[str, Kind] = {
    "on_value_written": "database",
    "on_value_created": "database",
    "on_value_updated": "database",
    "on_value_deleted": "database",
    "on_task_dispatched": "task",
    "on_schedule": "schedule",
    "on_call": "callable",
}
_LEFT_OUT = {"__pycache__", "venv", "node_modules", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ``functions/main.py``."""

    name: str
    kind: Kind

    @property
    def service(self) -> str:
        """Return the name of its Cloud Run service, which has hyphens instead of underscores."""
        return self.name.replace("_", "-").lower()


def functions(main: Path | None = None) -> list[Function]:
    """Return the functions that ``functions/main.py`` declares, in order, without importing it."""
    declared = []
    for node in _parsed(main or _main()).body:
        if isinstance(node, ast.FunctionDef):
            kinds = [_KINDS[name] for name in map(_decorator, node.decorator_list) if name in _KINDS]
            declared += [Function(node.name, kind) for kind in kinds[:1]]
    return declared


def service_account(main: Path | None = None) -> str | None:
    """Return the service account that ``set_global_options`` names, or None."""
    for node in ast.walk(_parsed(main or _main())):
        if isinstance(node, ast.keyword) and node.arg == "service_account" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return None


def parameters(settings: Path | None = None) -> dict[str, str]:
    """Return the parameters that ``parameters.py`` declares, with their defaults, without importing it."""
    defaults = {}
    file = settings or ROOT / "functions" / "backend" / "parameters.py"
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Call) and _decorator(node) in {"StringParam", "IntParam", "BoolParam"}:
            arguments = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg == "default"}
            defaults[str(ast.literal_eval(node.args[0]))] = str(arguments.get("default", ""))
    return defaults


def runtime(environment: Path | None = None) -> str | None:
    """Return the runtime of the functions' environment, such as ``python313``, or None if there is no environment.

    firebase-tools runs the functions, also to find them for a deployment, with the Python that the runtime names.
    """
    file = (environment or ROOT / "functions" / "venv") / "pyvenv.cfg"
    if not file.is_file():
        return None
    version = re.search(r"^version *= *(\d+)\.(\d+)", file.read_text(), re.MULTILINE)
    return f"python{version[1]}{version[2]}" if version else None


def digest(*paths: str, also: str = "") -> str:
    """Return 12 hex digits that change with any file under the paths, which start at the root, and with ``also``."""
    sums = hashlib.sha256(also.encode())
    for file in _files([ROOT / path for path in paths]):
        sums.update(f"{file.relative_to(ROOT).as_posix()}\0".encode())
        stat = file.stat()
        sums.update(_hash(file, stat.st_mtime_ns, stat.st_size))
    return sums.hexdigest()[:12]


def _parsed(file: Path) -> ast.Module:
    stat = file.stat()
    return _parse(file, stat.st_mtime_ns, stat.st_size)


@functools.cache
def _parse(file: Path, _changed: int, _size: int) -> ast.Module:
    return ast.parse(file.read_text())


@functools.cache
def _hash(file: Path, _changed: int, _size: int) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            hidden = file.name.startswith(".env") or file.suffix in {".pyc", ".log"}
            if file.is_file() and not hidden and not _LEFT_OUT & set(file.relative_to(ROOT).parts):
                yield file


def _main() -> Path:
    return ROOT / "functions" / "main.py"


def _decorator(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
