"""Rules coverage as a page: the rules with what each expression was evaluated to, and what was never evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from rtdb_emulator.rules.coverage import Evaluation, evaluations, never_evaluated

PAGE_HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""What the page is sent with. It shows values that clients wrote, and needs no script."""

SHOWN_VALUES = 15
"""Values that the text at the pointer lists; the table lists all."""

_STYLE = """
:root { color-scheme: light dark; --never: #d93025; --one: #e8a100; --all: #188038; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
pre { line-height: 2; overflow-x: auto; padding: 1rem; border: 1px solid #8886; border-radius: 6px; tab-size: 4; }
.line { display: inline-block; width: 3.5em; padding-right: 1em; text-align: right; opacity: .5; user-select: none; }
.e { border-bottom: 2px solid var(--all); padding-bottom: 1px; cursor: help; }
.e.one { border-bottom: 2px dashed var(--one); }
.e.never { border-bottom: 2px solid var(--never); background: color-mix(in srgb, var(--never) 18%, transparent); }
.e .e { padding-bottom: 4px; }
.e:hover { background: #8883; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3em .8em .3em 0; border-bottom: 1px solid #8884; }
code { overflow-wrap: anywhere; }
tr.never td:last-child { color: var(--never); font-weight: 600; }
tr.one td:last-child { color: var(--one); }
"""


def coverage_page(report: Mapping[str, Any], namespace: str) -> str:
    """Return the HTML of a report, as ``report_of`` returns it; the JSON is in the page, too."""
    rows = evaluations([report])
    evaluated = sum(1 for row in rows if row.values)
    share = f"{100 * evaluated // len(rows)}%" if rows else "there are none"
    data = json.dumps(report, ensure_ascii=False).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Rules coverage of {escape(namespace)}</title>
<style>{_STYLE}</style>
<script type="application/json" id="coverage">{data}</script>
</head>
<body>
<h1>Rules coverage of {escape(namespace)}</h1>
<p><strong>{evaluated} of {len(rows)} expressions were evaluated ({share}).</strong> Point at one for its values.
<span class="e">Green</span>: evaluated. <span class="e one">Dashed</span>: a condition that was only ever true, or only
ever false. <span class="e never">Red</span>: never evaluated. Requests of admins evaluate no rules.</p>
{_list("Never evaluated, each with its parts", never_evaluated(rows))}
{_list("Only ever true, or only ever false", [row for row in rows if row.is_one_sided])}
<h2>Rules</h2>
<pre>{_numbered(_Text(report["rules"]).html(report["report"]))}</pre>
<h2>Values</h2>
<table>
<thead><tr><th>Line</th><th>Rule</th><th>Expression</th><th>Values, with how often</th></tr></thead>
<tbody>
{"".join(map(_row, rows))}</tbody>
</table>
</body>
</html>
"""


def _list(title: str, rows: Sequence[Evaluation]) -> str:
    if not rows:
        return ""
    items = "".join(
        f'<li><a href="#line{row.line}">line {row.line}</a>, {row.kind} of {escape(row.node)}: '
        f"<code>{escape(row.text)}</code>{f' ({next(iter(row.values))})' if row.values else ''}</li>\n"
        for row in rows
    )
    is_open = "" if rows[0].values else " open"
    return f"<details{is_open}><summary>{title}: {len(rows)}</summary><ul>\n{items}</ul></details>"


def _row(row: Evaluation) -> str:
    values = "<br>".join(f"<code>{escape(value)}</code> × {count}" for value, count in row.values.items())
    return (
        f'<tr class="{_kind(bool(row.values), row.is_one_sided)}"><td><a href="#line{row.line}">{row.line}</a></td>'
        f"<td>{row.kind} of {escape(row.node)}</td><td><code>{escape(row.text)}</code></td>"
        f"<td>{values or 'never evaluated'}</td></tr>\n"
    )


def _kind(is_evaluated: bool, is_one_sided: bool) -> str:
    return "never" if not is_evaluated else "one" if is_one_sided else "all"


def _numbered(html: str) -> str:
    """Return lines of HTML with a number before each; no tag may span lines."""
    return "\n".join(
        f'<span class="line" id="line{number}">{number}</span>{line}' for number, line in enumerate(html.split("\n"), 1)
    )


class _Text:
    """The text of a rules file, whose places are rows and columns in UTF-16 units."""

    def __init__(self, text: str) -> None:
        self._units = text.encode("utf-16-le", "surrogatepass")
        self._rows = [0]
        for line in text.split("\n"):
            self._rows.append(self._rows[-1] + len(line.encode("utf-16-le", "surrogatepass")) + 2)

    def html(self, report: Mapping[str, Any]) -> str:
        """Return the text with a tag around each expression."""
        return self._between(0, len(self._units), list(_expressions(report)))

    def _between(self, start: int, end: int, expressions: Sequence[Mapping[str, Any]]) -> str:
        parts = []
        for each in sorted(expressions, key=lambda each: self._place(each["location-start"])):
            first, last = self._place(each["location-start"]), self._place(each["location-end"]) + 2
            parts += [self._plain(start, first), self._tagged(each, first, last)]
            start = last
        return "".join([*parts, self._plain(start, end)])

    def _tagged(self, expression: Mapping[str, Any], start: int, end: int) -> str:
        row = evaluations([{"rules": "", "report": {".read": {**expression, "children": []}}}])[0]
        told = [f"{value} × {count}" for value, count in row.values.items()]
        if len(told) > SHOWN_VALUES:
            told = [*told[:SHOWN_VALUES], f"and {len(told) - SHOWN_VALUES} more values"]
        title = escape("\n".join(told) or "never evaluated", quote=True).replace("\n", "&#10;")
        tag = f'<span class="e {_kind(bool(row.values), row.is_one_sided)}" title="{title}">'
        inner = self._between(start, end, expression.get("children", []))
        # A tag ends with its line and begins again in the next one, where the number is not part of it.
        return tag + inner.replace("\n", f"</span>\n{tag}") + "</span>"

    def _plain(self, start: int, end: int) -> str:
        return escape(self._units[start:end].decode("utf-16-le", "surrogatepass"), quote=False)

    def _place(self, location: str) -> int:
        row, column = map(int, location.split(":"))
        return self._rows[row] + 2 * column


def _expressions(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, inner in block.items():
        if key in (".read", ".write", ".validate"):
            yield inner
        else:
            yield from _expressions(inner)
