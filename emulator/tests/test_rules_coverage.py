"""Rules coverage: what was evaluated, to which values, in the form of Google's emulator, and as a page."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.database.auth import NOBODY
from rtdb_emulator.rules import coverage
from rtdb_emulator.testing import InProcessDatabase, PermissionDeniedError, evaluations, never_evaluated, user
from rtdb_emulator.wire.coverage_page import coverage_page

from .database_server import ADMIN, token


def database(rules, at="n"):
    """A database that counts, with rules for one node, given as an object or as the text of one."""
    text = rules if isinstance(rules, str) else json.dumps({"rules": {at: rules}})
    return InProcessDatabase(text, coverage=True)


def read(found, path="n", caller=None):
    try:
        found.get(path, caller or user("ana"))
    except PermissionDeniedError:
        return False
    return True


def write(found, path, value, caller=None):
    try:
        found.update({path: value}, caller or user("ana"))
    except PermissionDeniedError:
        return False
    return True


def values(found, *place):
    """The values of the expression at a place of the report, as pairs."""
    node = found.coverage()["report"]
    for key in place:
        node = node[key] if isinstance(key, str) else node["children"][key]
    return [(each["value"], each["count"]) for each in node["values"]]


def index_of(text, location):
    """The place in a text that a location means, as JavaScript counts: in UTF-16 units, in lines."""
    row, column = map(int, location.split(":"))
    before = sum(units(line) + 1 for line in text.split("\n")[:row])
    return before + column


def units(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def slice_of(text, expression):
    start, end = (index_of(text, expression[name]) for name in ("location-start", "location-end"))
    return text.encode("utf-16-le")[2 * start : 2 * end + 2].decode("utf-16-le")


def every_expression(block):
    for key, inner in block.items():
        if key in (".read", ".write", ".validate"):
            yield from flat(inner)
        else:
            yield from every_expression(inner)


def flat(expression):
    yield expression
    for child in expression.get("children", []):
        yield from flat(child)


def test_a_report_has_the_form_of_those_of_googles_emulator():
    text = '{\n  "rules": {\n    ".read": "auth != null",\n    ".write": false,\n    "posts": {".indexOn": "a"}\n  }\n}'
    found = InProcessDatabase(text, coverage=True)
    assert read(found, "a")
    assert read(found, "a")
    assert not write(found, "a", 1)
    assert found.coverage() == {
        "rules": text,
        "report": {
            ".read": {
                "text": "auth != null",
                "location-start": "2:14",
                "location-end": "2:25",
                "values": [{"value": True, "count": 2}],
                "children": [
                    {
                        "text": "auth",
                        "location-start": "2:14",
                        "location-end": "2:17",
                        "values": [{"value": "hash@{uid: ana}", "count": 2}],
                    },
                    {
                        "text": "null",
                        "location-start": "2:22",
                        "location-end": "2:25",
                        "values": [{"value": None, "count": 2}],
                    },
                ],
            },
            ".write": {
                "text": "false",
                "location-start": "3:14",
                "location-end": "3:18",
                "values": [{"value": False, "count": 1}],
            },
            "posts": {},
        },
    }


def test_the_report_in_the_readme_is_one():
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    (shown,) = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", readme, re.DOTALL) if '"report"' in block
    ]
    found = InProcessDatabase(shown["rules"], coverage=True)
    assert [read(found, "a", caller) for caller in (user("ana"), user("ana"), NOBODY)] == [True, True, False]
    assert found.coverage() == shown


def test_what_is_not_evaluated_has_no_values():
    found = database({".read": "auth != null || now > 0", ".write": "data.exists()", "$x": {".read": True}})
    assert read(found, "n/x")
    assert values(found, "n", ".read") == values(found, "n", ".read", 0) == [(True, 1)]
    assert values(found, "n", ".read", 1) == values(found, "n", ".read", 1, 0) == values(found, "n", ".write") == []
    assert values(found, "n", "$x", ".read") == []


def test_admins_evaluate_nothing():
    found = database({".read": "data.exists()", ".write": "data.exists()", ".validate": "newData.exists()"})
    found.get("n")
    found.update({"n": 1})
    assert [values(found, "n", kind) for kind in (".read", ".write", ".validate")] == [[], [], []]


EXPRESSIONS = {
    "data.child('s').val()": "text",
    "data.child('n').val()": 1.5,
    "data.child('t').val()": True,
    "data.child('one').val()": 1,
    "data.child('nothing').val()": None,
    "data.child('s').val().length": 4,
    "data.child('s')": "hash@/n/s",
    "data.child('deep').val()": "hash@{a: 1, b: {…}}",
    "root": "hash@/",
    "auth": "hash@{uid: ana}",
    "auth.token": "hash@{level: 2}",
    "query": "hash@{}",
    "/ex/": "hash@pattern",
    "['a', 'b']": "hash@[a, b]",
    "$key": "n",
    "0 / 0": "NaN",
    "-1 / 0": "NaN",
    "1e300 * 1e300": "Infinity",
    "'text' + 1": "text1",
}


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS.items())
def test_the_values_of_parts(expression, value):
    test = {
        "data.child('s')": "data.child('s').exists()",
        "root": "root.exists()",
        "auth": "auth != null",
        "query": "query.orderByKey",
        "/ex/": "'text'.matches(/ex/)",
        "['a', 'b']": "!data.hasChildren(['a', 'b'])",
    }.get(expression, f"{expression} != 'x'")
    found = database({".read": test}, at="$key")
    found.update({"n": {"s": "text", "n": 1.5, "t": True, "one": 1, "deep": {"a": 1, "b": {"c": 1}}}})
    read(found, caller=user("ana", level=2))
    texts = {each["text"]: each for each in every_expression(found.coverage()["report"])}
    assert texts[expression]["values"] == [{"value": value, "count": 1}]
    json.dumps(found.coverage(), allow_nan=False)


def test_true_and_one_are_different_values_and_one_and_one_point_zero_are_not():
    found = database({".write": "newData.val() != null"})
    for value in (1, True, 1.0, False, 0, "1", "true", 1):
        assert write(found, "n", value)
    seen = values(found, "n", ".write", 0)
    assert [(type(value), value, count) for value, count in seen] == [
        (int, 1, 3), (bool, True, 1), (bool, False, 1), (int, 0, 1), (str, "1", 1), (str, "true", 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "part", "error"),
    [
        ("data.child(auth.uid).parent().parent().parent().exists()", ".parent().parent().parent()", "the root has no"),
        ("data.child('nothing').val().length > auth.uid", " > auth.uid", "> compares"),
        ("data.val().contains('a')", ".contains('a')", "no method contains()"),
        ("auth.none > 1 && true", "auth.none > 1", "> compares"),
    ],
)
def test_a_part_that_fails_says_why(expression, part, error):
    found = database({".read": expression})
    found.update({"n": {"a": 1}})
    assert not read(found)
    failed = [each for each in every_expression(found.coverage()["report"]) if each["text"].endswith(part)]
    (value,) = failed[-1]["values"]
    assert value["value"].startswith(f"error: {error}")
    assert values(found, "n", ".read")[0][0].startswith("error: ")


def test_long_texts_and_many_values_take_little_memory(monkeypatch):
    monkeypatch.setattr(coverage, "LONGEST", 5)
    monkeypatch.setattr(coverage, "MOST_VALUES", 3)
    found = database({".write": "newData.val() != 'x'"})
    for value in ["a" * 10**6, "a" * 10, 1, 2, 3, 4, 1, "b"]:
        assert write(found, "n", value)
    assert values(found, "n", ".write", 0) == [("aaaaa…", 2), (1, 2), (2, 1), ("hash@other values", 3)]


def test_long_paths_take_little_memory(monkeypatch):
    monkeypatch.setattr(coverage, "LONGEST", 5)
    found = database({".write": "root.child(newData.val()).exists() || true"})
    for value in ["abcd", "abcde", "abcdf", "a/b/c", "a/b" + "/c" * 10**5]:
        assert write(found, "n", value)
    expected = [("hash@/abcd", 1), ("hash@/abcd…", 2), ("hash@/a/b/…", 2)]
    assert values(found, "n", ".write", 0, 0) == expected


def test_each_namespace_counts_and_the_same_rules_again_keep_the_counts(server):
    def seen(namespace):
        report = requests.get(f"http://{server.host}/.inspect/coverage.json", {"ns": namespace}, timeout=10).json()
        return report["report"][".read"]["values"]

    def set_rules(text):
        assert server.request("PUT", ".settings/rules", data=text).ok is not text.startswith("bad")

    rules = '{"rules": {".read": true}}'
    set_rules(rules)
    server.request("GET", "a", headers={})
    set_rules(rules)
    set_rules("bad rules")
    server.request("GET", "a", headers={})
    assert seen(server.namespace) == [{"value": True, "count": 2}]
    assert server.request("PUT", ".settings/rules", data=rules, ns=f"{server.namespace}-other").ok
    assert seen(f"{server.namespace}-other") == []
    set_rules(rules + " ")
    assert seen(server.namespace) == []


def test_both_reports_are_there_without_credentials_as_the_quickstart_fetches_them(server):
    url, text = f"http://{server.host}/.inspect/coverage", '{"rules": {"a": {".read": "auth.uid == \'<b>\'"}}}'
    assert server.request("PUT", ".settings/rules", data=text).ok
    for headers in ({}, ADMIN, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {token('ana', exp=1)}"}):
        page = requests.get(url, {"ns": server.namespace}, headers=headers, timeout=10)
        report = requests.get(f"{url}.json", {"ns": server.namespace}, headers=headers, timeout=10)
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert (report.status_code, report.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        assert report.json()["rules"] == text
        assert Page(page.text).data == report.json()
    assert requests.put(f"{url}.json", {"ns": server.namespace}, headers=ADMIN, timeout=10).status_code == 405
    assert requests.get(url, {"ns": "a.b"}, timeout=10).status_code == 400
    assert requests.get(url, timeout=10).status_code == 200  # of the default database
    assert requests.get(f"http://{server.host}/.inspect/coverages", timeout=10).status_code == 403


def test_half_of_a_surrogate_pair_in_the_rules_can_be_sent(server):
    text = r"""{"rules": {".read": "'\ud83d' != data.child('\udc00').val()"}}"""
    assert server.request("PUT", ".settings/rules", data=text).ok
    assert server.request("GET", "a", headers={}).ok
    url = f"http://{server.host}/.inspect/coverage"
    report = requests.get(f"{url}.json", {"ns": server.namespace}, timeout=10).json()
    assert report["rules"] == text
    texts = {each["text"]: [value["value"] for value in each["values"]] for each in flat(report["report"][".read"])}
    assert (texts["'?'"], texts["data.child('?')"]) == (["?"], ["hash@/?"])
    assert requests.get(url, {"ns": server.namespace}, timeout=10).ok


def test_reads_and_writes_count_once_for_each_node(server):
    assert server.request("PUT", ".settings/rules", data='{"rules": {".read": "now > 0", ".write": "now > 0"}}').ok
    for method, path, value in (
        ("PUT", "a", 1),
        ("PATCH", "", {"b": 1, "c": 1}),
        ("GET", "a", None),
        ("DELETE", "a", None),
    ):
        assert server.request(method, path, value, headers={}).ok
    report = requests.get(f"http://{server.host}/.inspect/coverage.json", {"ns": server.namespace}, timeout=10).json()
    assert report["report"][".read"]["values"] == [{"value": True, "count": 1}]
    assert report["report"][".write"]["values"] == [{"value": True, "count": 4}]


def test_a_database_that_does_not_count_says_so():
    with pytest.raises(RuntimeError, match="with coverage"):
        InProcessDatabase('{"rules": {}}').coverage()


# Where expressions are in the file.

PARTS = ["auth.uid", "'é'", "'\U0001f600'", '"\\""', "data.child('a\\\\b').val()", "1.5", "(auth.x)", "-1", "null"]
SPACES = ["", " ", "\n  ", "\t", " /* \U0001f600 */ ", " // é\n"]


@st.composite
def expressions(draw):
    """A condition of several parts, with spaces and comments between them."""
    part, space = st.sampled_from(PARTS), st.sampled_from(SPACES)
    conditions = []
    for _ in range(draw(st.integers(1, 3))):
        operator = draw(st.sampled_from(["==", "!=", "==="]))
        conditions.append(f"{draw(part)}{draw(space)}{operator}{draw(space)}{draw(part)}")
    return draw(space) + draw(st.sampled_from(["&&", "||"])).join(conditions) + draw(space)


@st.composite
def files(draw):
    """A rules file, with line breaks as they are or escaped, and other characters escaped or not."""

    def literal(text):
        written = json.dumps(text, ensure_ascii=draw(st.booleans()))
        return written.replace("\\n", "\n") if draw(st.booleans()) else written

    rules = [f'"{kind}": {literal(draw(expressions()))}' for kind in (".read", ".write", ".validate")]
    rules = ",\n".join(rules)
    node = f'{{{rules}, // \U0001f600 \n ".indexOn": "a"}}'
    return f'{{"rules": {{ "\U0001f600": {node}, ".read": {draw(st.sampled_from(["true", "false"]))}, "$k": {{}} }} }}'


@given(files())
def test_the_locations_of_all_parts_are_those_of_their_texts(text):
    report = InProcessDatabase(text, coverage=True).coverage()
    assert report["rules"] == text
    assert [*report["report"]] == ["\U0001f600", ".read", "$k"]
    assert [*report["report"]["\U0001f600"]] == [".read", ".write", ".validate"]
    for each in every_expression(report["report"]):
        assert json.loads(f'"{slice_of(text, each)}"', strict=False) == each["text"]
        places = [index_of(text, each["location-start"]), index_of(text, each["location-end"])]
        for child in each.get("children", []):
            assert places[0] <= index_of(text, child["location-start"]) <= places[1]
            assert places[0] <= index_of(text, child["location-end"]) <= places[1]
    assert Page(coverage_page(report, "demo")).rules == text
    rows = evaluations([report])
    assert len(rows) == len([*every_expression(report["report"])])
    assert [(row.line, row.column) for row in rows if row.depth == 0] == sorted(
        (row.line, row.column) for row in rows if row.depth == 0
    )


# The page.


class Page(HTMLParser):
    """What a page shows: its rules without tags, the data in it, and its tags, which have to be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.titles, self.links, self.ids = [], [], [], []
        self._pre, self._data = "", ""
        self.feed(text)
        self.close()
        assert self.open == []
        self.data = json.loads(self._data)
        self.rules = self._pre

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if "title" in given:
            self.titles.append((given["class"], given["title"]))
        if tag not in ("meta", "br"):
            self.open.append((tag, given.get("class")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if "script" in tags:
            self._data += data
        elif "pre" in tags and ("span", "line") not in self.open:
            self._pre += data


def test_the_page_shows_what_was_evaluated_and_what_was_not():
    rules = {".read": "auth != null || data.exists()", ".write": "newData.val() > 1", ".validate": "newData.isNumber()"}
    found = database(rules)
    assert read(found)
    assert write(found, "n", 2)
    assert not write(found, "n", 1)
    text = coverage_page(found.coverage(), "demo")
    page = Page(text)
    assert "10 of 12 expressions were evaluated (83%)" in text
    assert re.findall(r"<summary>(.*?)</summary>", text) == [
        "Never evaluated, each with its parts: 1",
        "Only ever true, or only ever false: 3",
    ]
    assert ("e never", "never evaluated") in page.titles
    assert ("e one", "true × 1") in page.titles
    assert ("e all", "true × 1\nfalse × 1") in page.titles
    assert ("e all", "2 × 1\n1 × 1") in page.titles
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_the_page_cannot_be_made_to_run_what_clients_write(server):
    hostile = '</script><script>alert(1)</script>"><img src=x onerror=alert(1)>'
    rules = {"rules": {"$key": {".write": f"newData.val() != '</script><b>' && $key != '{'</pre>'}'"}}}
    found = InProcessDatabase(json.dumps(rules), coverage=True)
    assert write(found, "a<b>", hostile, user("<i>"))
    text = coverage_page(found.coverage(), "<u>")
    page = Page(text)
    assert set(re.findall(r"<(\w+)", text)) <= {
        "html", "head", "meta", "title", "style", "script", "body", "h1", "h2", "p", "strong", "span", "details",
        "summary", "ul", "li", "a", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "br",
    }  # fmt: skip
    assert text.count("<script") == text.count("</script") == 1
    assert page.data == found.coverage()
    assert hostile in page.data["report"]["$key"][".write"]["children"][0]["children"][0]["values"][0]["value"]
    assert json.dumps(hostile) in unescape(text)
    policy = requests.get(f"http://{server.host}/.inspect/coverage", {"ns": server.namespace}, timeout=10).headers
    assert policy["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_page_of_rules_without_expressions():
    text = coverage_page(InProcessDatabase('{"rules": {}}', coverage=True).coverage(), "demo")
    assert "0 of 0 expressions" in text
    assert Page(text).rules == '{"rules": {}}'


def test_a_title_lists_a_few_values_and_the_table_all():
    found = database({".write": "newData.val() > 0"})
    for value in range(1, 31):
        assert write(found, "n", value)
    text = coverage_page(found.coverage(), "demo")
    assert [title for _, title in Page(text).titles if "and 15 more values" in title]
    assert all(f"<code>{value}</code> × 1" in text for value in range(1, 31))


# The rows for tests.


def test_rows_add_the_counts_of_several_reports():
    reports = []
    for value in (1, -1):
        found = database({".write": "newData.val() > 0 || data.exists()"})
        write(found, "n", value)
        reports.append(found.coverage())
    assert [str(row) for row in never_evaluated(evaluations(reports[:1]))] == [
        "1:50: .write of /n: data.exists()",
    ]
    rows = {row.text: row for row in evaluations(reports)}
    assert never_evaluated(rows.values()) == []
    assert rows["newData.val() > 0"].values == {"true": 1, "false": 1}
    assert rows["newData.val()"].values == {"1": 1, "-1": 1}
    assert not rows["newData.val() > 0"].is_one_sided
    assert rows["data.exists()"].is_one_sided
    assert not rows["0"].is_one_sided


def test_rows_need_reports_of_one_file():
    reports = [database({".read": text}).coverage() for text in ("true", "false")]
    for bad in ([], reports):
        with pytest.raises(ValueError, match="same rules"):
            evaluations(bad)
