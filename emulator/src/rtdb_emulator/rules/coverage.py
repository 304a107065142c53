"""Rules coverage: which expressions of a rules file were evaluated, how often, and to which values.

Source: Firebase documentation, "Generate test reports". It does not describe the JSON: its form is that of reports of
Google's emulator which public repositories keep as ``database-coverage.html``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from rtdb_emulator.data.keys import Path
from rtdb_emulator.data.tree import bare
from rtdb_emulator.rules.document import Value
from rtdb_emulator.rules.operators import number_text
from rtdb_emulator.rules.pattern import Pattern
from rtdb_emulator.rules.snapshot import Snapshot

SEEN = ".seen"
"""Where a scope has the ``Seen`` of its database; no variable can have this name."""

MOST_VALUES = 100
"""Different values that are kept for each expression; others are only counted."""

LONGEST = 200
"""Characters of a text, or of a path, that are kept."""

OBJECT = "hash@"
"""How the JSON writes a value that is an object begins."""

Seen = list[dict[Any, int]]
"""For each part of the rules, by its number, how often it had each value."""

Function = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """An expression, or a part of one.

    Attributes:
        number: of this part in its file, from 0.
        start: where it begins in the text of its expression, from 0.
        end: where it ends, likewise.
        parts: what it is made of, as far as that is evaluated itself.
        literal: the value of a literal that is not counted itself, in a tuple, or None. It is evaluated as often as the
            part before it in the same expression had a value, or as the expression, if it comes first.
    """

    number: int
    start: int
    end: int
    parts: tuple[Part, ...] = ()
    literal: tuple[Any] | None = None


@dataclass(frozen=True, slots=True)
class Rooted:
    """A whole expression: where it is in the file, and its parts."""

    value: Value
    part: Part


Outline = dict[str, "Outline | Rooted"]
"""The expressions of a file, in the file's own structure."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How an expression, or a part of one, was evaluated.

    Attributes:
        node: whose rule it is, such as ``/users/$uid``.
        kind: ``.read``, ``.write`` or ``.validate``.
        line: where it begins in the file, from 1.
        column: the same, in its line.
        text: the expression.
        values: how often it had each value, by the value's text; empty if it was never evaluated.
        depth: how many expressions it is a part of.
    """

    node: str
    kind: str
    line: int
    column: int
    text: str
    values: Mapping[str, int]
    depth: int = 0

    @property
    def is_one_sided(self) -> bool:
        """Whether it is a condition that was only ever true, or only ever false; ``true`` itself is not one."""
        return [*self.values] in (["true"], ["false"]) and self.text not in ("true", "false")

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.kind} of {self.node}: {self.text}"


def traced(run: Function, number: int) -> Function:
    """Return a function that also counts the values which it returns, and its failures."""

    def evaluate(scope: Mapping[str, Any]) -> Any:
        try:
            value = run(scope)
        except Exception as problem:
            _add(scope[SEEN][number], _Failure(str(problem) or type(problem).__name__))
            raise
        kind = value.__class__
        if kind is bool or value is None:
            key = value
        elif kind is Snapshot:
            key = value.path
        elif kind is str and len(value) <= LONGEST:
            key = value
        else:
            key = _key(value)
        counts = scope[SEEN][number]
        if key in counts:
            counts[key] += 1
        else:
            _add(counts, _path_key(key) if kind is Snapshot else key)
        return value

    return evaluate


def _add(counts: dict[Any, int], key: Any) -> None:
    if key not in counts and len(counts) >= MOST_VALUES:
        key = _OTHERS
    counts[key] = counts.get(key, 0) + 1


def _path_key(path: Path) -> Any:
    """Return what stands for a snapshot: its path, or the first characters of a long one in bytes."""
    text = f"/{'/'.join(path)}"
    return path if len(text) <= LONGEST else f"{text[:LONGEST]}…".encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an expression had no value."""

    reason: str


_auth: tuple[Any, bytes] = (None, b"")
"""The last ``auth`` that was told of: rules ask for it again and again."""


def _key(value: Any) -> Any:
    """Return what stands for a value among others.

    A text stands for itself, its first characters for a long one; a number is in a tuple, since 1 is not true; a
    snapshot is its path; of another object, what is told of it is in bytes.
    """
    global _auth
    if isinstance(value, str):
        return f"{value[:LONGEST]}…"
    if isinstance(value, (int, float)):
        return (value,) if math.isfinite(value) else number_text(value)
    last, told = _auth  # read once: databases in other threads replace it
    if value is last:
        return told
    told = _described(value).encode("utf-8", "replace")
    if isinstance(value, Mapping) and "token" in value:
        _auth = (value, told)
    return told


_OTHERS = b"other values"


def _described(value: Any) -> str:
    if isinstance(value, Pattern):
        return "pattern"
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    if not isinstance(value, Mapping):
        return type(value).__name__
    if "uid" in value and "token" in value:
        return f"{{uid: {_short(value['uid'])}}}"
    if "orderByKey" in value:  # a query: what it does not have is false or null
        value = {key: child for key, child in value.items() if child is not False and child is not None}
    told = [f"{key}: {_short(child)}" for key, child in islice(value.items(), 5)]
    return f"{{{', '.join(told)}{', …' if len(value) > 5 else ''}}}"


def _short(value: Any) -> str:
    value = bare(value)
    text = str(value) if isinstance(value, (str, int, float)) else "{…}"
    return text if len(text) <= 40 else f"{text[:40]}…"


def report_of(text: str, outline: Outline, seen: Seen) -> dict[str, Any]:
    """Return the coverage of a rules file as the JSON of ``/.inspect/coverage.json``.

    Returns:
        ``rules`` is the file's text. ``report`` has the file's structure below ``rules``: a ``.read``, ``.write`` or
        ``.validate`` is ``{"text", "location-start", "location-end", "values": [{"value", "count"}, …], "children"}``,
        and so is each of its ``children``, if there are any. A location is ``row:column``, both from 0, in UTF-16
        units, and the end is the last character. A value that is an object is a text that begins with ``hash@``.
    """
    lines = text.split("\n")
    return {"rules": text, "report": _block(outline, lines, seen)}


def _block(outline: Outline, lines: list[str], seen: Seen) -> dict[str, Any]:
    return {
        key: _expression(each.value, each.part, seen[each.part.number], lines, seen)
        if isinstance(each, Rooted)
        else _block(each, lines, seen)
        for key, each in outline.items()
    }


def _expression(value: Value, part: Part, counts: Mapping[Any, int], lines: list[str], seen: Seen) -> dict[str, Any]:
    (first, start), (last, end) = value.place(part.start), value.place(part.end)
    text = value.content[part.start : part.end] if isinstance(value.content, str) else str(value.content).lower()
    expression = {
        "text": _sendable(text),
        "location-start": f"{first - 1}:{_units(lines[first - 1][: start - 1])}",
        "location-end": f"{last - 1}:{_units(lines[last - 1][: end - 1]) - 1}",
        "values": [{"value": _json(key), "count": count} for key, count in counts.items()],
    }
    children = []
    times = sum(counts.values())
    for each in part.parts:
        inner = seen[each.number]
        if each.literal is not None:
            inner = {_literal_key(each.literal[0]): times} if times else {}
        times = sum(count for key, count in inner.items() if not isinstance(key, _Failure))
        children.append(_expression(value, each, inner, lines, seen))
    return {**expression, "children": children} if children else expression


def _sendable(text: str) -> str:
    """Return a text in which ``?`` replaces half of a surrogate pair, which could not be sent."""
    return text.encode("utf-8", "replace").decode()


def _literal_key(value: Any) -> Any:
    is_itself = value is None or isinstance(value, (bool, str))
    return value if is_itself and len(str(value)) <= LONGEST else _key(value)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _json(key: Any) -> Any:
    if isinstance(key, bytes):
        return OBJECT + key.decode()
    if isinstance(key, _Failure):
        return _sendable(f"error: {key.reason}")
    if isinstance(key, str):
        return _sendable(key)
    if not isinstance(key, tuple):
        return key
    return key[0] if key and not isinstance(key[0], str) else _sendable(f"{OBJECT}/{'/'.join(key)}")


def evaluations(reports: Iterable[Mapping[str, Any]]) -> list[Evaluation]:
    """Return every expression of a rules file, in the order of the file, each before its parts.

    Args:
        reports: one or more of the same file, as ``report_of`` returns them; their counts are added.

    Raises:
        ValueError: for reports of different files, or none.
    """
    several = list(reports)
    if len({report["rules"] for report in several}) != 1:
        raise ValueError("coverage needs at least one report, and all of them of the same rules")
    merged = []
    for same in zip(*(_evaluations("", report["report"]) for report in several), strict=True):
        values: Counter[str] = Counter()
        for each in same:
            values.update(each.values)
        merged.append(replace(same[0], values=values))
    return merged


def never_evaluated(rows: Iterable[Evaluation]) -> list[Evaluation]:
    """Return the expressions that were never evaluated, without those that are part of one which was not either."""
    missing: list[Evaluation] = []
    depth = None
    for row in rows:
        if depth is not None and row.depth > depth:
            continue
        depth = None if row.values else row.depth
        if not row.values:
            missing.append(row)
    return missing


def _evaluations(node: str, block: Mapping[str, Any]) -> Iterator[Evaluation]:
    for key, inner in block.items():
        if key in (".read", ".write", ".validate"):
            yield from _flat(node or "/", key, inner)
        else:
            yield from _evaluations(f"{node}/{key}", inner)


def _flat(node: str, kind: str, expression: Mapping[str, Any], depth: int = 0) -> Iterator[Evaluation]:
    row, column = map(int, expression["location-start"].split(":"))
    values: Counter[str] = Counter()
    for each in expression["values"]:
        values[value_text(each["value"])] += each["count"]
    yield Evaluation(node, kind, row + 1, column + 1, expression["text"], values, depth)
    for child in expression.get("children", ()):
        yield from _flat(node, kind, child, depth + 1)


def value_text(value: Any) -> str:
    """Return a value of a report for people to read: JSON, or what is told of an object."""
    if isinstance(value, str) and value.startswith(OBJECT):
        return value.removeprefix(OBJECT)
    return json.dumps(value, ensure_ascii=False)
