"""Every error message of the commands, with its exit code, collected from the code; running this writes the page.

Messages are collected where exceptions are made that ``explain`` puts into one line, and from its table of the clients'
exceptions. In a message, a word in capitals stands for what is put in its place.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bookrec.errors import BadData
from trainer.command_line import errors
from trainer.command_line.options import EXIT_CODES

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "messages.md"

PLACES = ("trainer", "functions/bookrec", "functions/bookrec_database", "functions/bookrec_operations")

HEAD = """# Error messages

A command that fails prints one line on standard error, `trainer: MESSAGE`, and ends with the exit code. With `--json`
it also prints `{"error": MESSAGE, "exitCode": N}`. A word in capitals stands for what is put in its place, `A|B` for
one of two. Whatever is not here is a fault in the program, and keeps its traceback. This page is written by
`PYTHONPATH=functions:. .venv/bin/python -m tests.trainer.commands.messages`; a test compares it with the code.
"""

_ENVIRONMENT = ("FIREBASE_DATABASE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "DATABASE_URL", "MODEL_BUCKET")
_PROJECT = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")

Row = tuple[int, str, str]
"""Exit code, message, and the module or the exception that it comes from."""


def made() -> Iterator[Row]:
    """Yield the messages of exceptions that are made in the code of the commands."""
    for place in PLACES:
        top = ROOT / "functions" if place.startswith("functions") else ROOT
        for file in sorted((ROOT / place).rglob("*.py")):
            if file.name == "__main__.py" or file.parent.name == "lib":
                continue
            name = ".".join(file.relative_to(top).with_suffix("").parts).removesuffix(".__init__")
            yield from _in_module(name, ast.parse(file.read_text()))


def _in_module(name: str, tree: ast.Module) -> Iterator[Row]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    candidates = [call for call in calls if _name(call).endswith(_ENDINGS) or _name(call) in _HELPERS]
    if not candidates:
        return
    module, texts = importlib.import_module(name), _returned(tree)
    local = _imported_in_functions(tree)
    for call in candidates:
        kind = getattr(module, _name(call), None) or local.get(_name(call))
        if _name(call) in _HELPERS:
            around, code = _HELPERS[_name(call)], errors.BAD_INPUT
        elif isinstance(kind, type) and issubclass(kind, BaseException) and not issubclass(kind, BadData):
            problem = kind.__new__(kind)
            problem.args = ("",)
            explained = errors.explain(problem)
            if explained is None:
                continue
            around, code = "{}", explained[0]
        else:
            continue
        what = call.args[-1] if _name(call) in _HELPERS else call.args[0]
        inner = texts.get(_name(what), [what]) if isinstance(what, ast.Call) else [what]
        for node in inner:
            text = around.format(_text(node, module))
            if not re.fullmatch(r"[A-Z_]*", text):  # another exception's message, as it is
                yield code, text, name


_HELPERS = {
    "_unreadable": "PATH: cannot be read as CSV ({})",
    "fail": "PATH: {} (PLACE, within the first SIZE bytes of JSON)",
}
"""Functions that make or raise an error, and what they put around the text that they are given last."""


def _name(node: ast.AST) -> str:
    """Return the name of the function that is called."""
    function = node.func if isinstance(node, ast.Call) else None
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _returned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return what a module's functions return, by name."""
    return {
        function.name: [part.value for part in ast.walk(function) if isinstance(part, ast.Return) and part.value]
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
    }


_ENDINGS = (
    "Error", "BadModel", "BadSetting", "BadInput", "BadArgument", "LeaseLost", "NotNow", "StoreUnavailable",
    "WorkerLost",
)  # fmt: skip


def _imported_in_functions(tree: ast.Module) -> dict[str, object]:
    """Return what functions import themselves, by name."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("trainer", "bookrec"):
            module = importlib.import_module(node.module)
            names |= {alias.name: getattr(module, alias.name, None) for alias in node.names}
    return names


def _text(node: ast.expr, module: object) -> str:
    """Return the text that an expression makes, with a word in capitals for what is only known later."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, module) for value in values)
        case ast.FormattedValue(value=value):
            return _text(value, module)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, module) + _text(right, module)
        case ast.IfExp(body=body, orelse=orelse):
            return f"{_text(body, module)}|{_text(orelse, module)}"
        case ast.BoolOp(values=values):
            return "|".join(_text(value, module) for value in values)
        case ast.Name(id=name) if isinstance(value := getattr(module, name, None), (str, int)):
            return str(value)
        case _:
            return _word(node)


def _word(node: ast.expr) -> str:
    """Return a word for a value: the last name in the expression."""
    names = [part.attr if isinstance(part, ast.Attribute) else part.id for part in ast.walk(node)
             if isinstance(part, (ast.Attribute, ast.Name))]  # fmt: skip
    skipped = {"str", "len", "sorted", "map", "join", "type", "list", "args", "name", "strerror", "id", "int", "get"}
    wanted = [name for name in names if name not in skipped] or names or ["VALUE"]
    return "REASON" if wanted[0] in ("problem", "strerror", "why", "error") else wanted[0].strip("_").upper()


def explained() -> Iterator[Row]:
    """Yield the messages about the clients' exceptions, as they are for a project in the cloud."""
    with mock.patch.dict(os.environ, {_PROJECT[0]: "PROJECT"}):
        for name in (*_ENVIRONMENT, *_PROJECT[1:]):
            os.environ.pop(name, None)
        for name, (code, line) in errors._BY_NAME.items():
            kind = type(name.rpartition(".")[2], (Exception,), {})
            for problem in (kind(), kind(_NO_INDEX), _answered(kind())) if callable(line) else (kind(),):
                yield code, line(problem) if callable(line) else line, name
        code, line = errors.explain(KeyboardInterrupt()) or (0, "")
        yield code, line, "builtins.KeyboardInterrupt"


_NO_INDEX = 'Index not defined, add ".indexOn": "userId", for path "/User_Book", to the rules'


def _answered(problem: Exception) -> Exception:
    """Return an error with a service's answer."""
    response = mock.Mock(status_code=503)
    vars(problem).update(http_response=response, response=response)
    return problem


def page() -> str:
    """Return the page."""
    rows = sorted({(code, _cell(text), where) for code, text, where in (*made(), *explained()) if text.strip()})
    parts = [HEAD]
    for code, what in EXIT_CODES.items():
        own = [f"| {text} | `{where}` |" for number, text, where in rows if number == code]
        if own:
            parts.append("\n".join([f"## Exit code {code}", "", f"{what[:1].upper()}{what[1:]}.", "",
                                    "| message | from |", "|---|---|", *own, ""]))  # fmt: skip
    return "\n".join(parts)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
