"""Every cell of the tables in ``matrix.py``, over the wire, with the project's rules file."""

import copy
import re

import pytest

from bookrec import paths
from tests.database_server import ROOT
from tests.rules.matrix import ACCESS, CALLERS, PAGE, QUERIES, cells, page, rows
from tests.rules.world import SAMPLES, WORLD, headers


def attempts(operation, sample):
    """Yield (method, body, the resulting node if it is allowed)."""
    if operation == "read":
        yield "GET", None, node_at(WORLD, sample.path)
    if operation == "create":
        yield "PUT", sample.value, sample.value
    if operation == "update":
        yield "PUT", {**sample.value, **sample.change}, {**sample.value, **sample.change}
        if not sample.shared:
            yield "PATCH", sample.change, {**node_at(WORLD, sample.path), **sample.change}
    if operation == "delete":
        yield "DELETE", None, None


def node_at(tree, path):
    for key in filter(None, path.split("/")):
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    return tree


def is_allowed(database, caller, sample, method, body, result):
    answer = database.request(method, sample.path, body, headers=headers(caller))
    if answer.ok:
        assert database.get(sample.path) == result
        return True
    assert (answer.status_code, answer.json()) == (401, {"error": "Permission denied"})
    return False


@pytest.mark.parametrize(("node", "operation", "expected"), cells())
def test_a_node_allows_exactly_the_callers_in_the_table(database, node, operation, expected):
    sample = SAMPLES[node]
    for method, body, result in attempts(operation, sample):
        let_in = ""
        for caller in CALLERS:
            database.put("", WORLD)
            if operation == "create":
                assert database.request("DELETE", sample.path).ok
            before = copy.deepcopy(database.get(""))
            if is_allowed(database, caller, sample, method, body, result):
                let_in += caller
            else:
                assert database.get("") == before
        assert let_in == expected, method


@pytest.mark.parametrize(("node", "query", "expected"), rows(QUERIES))
def test_a_query_allows_exactly_the_callers_in_the_table(database, node, query, expected):
    parameters = dict(part.split("=", 1) for part in query.split())
    answered = ""
    for caller in CALLERS:
        answer = database.request("GET", SAMPLES[node].path, headers=headers(caller), **parameters)
        if answer.status_code == 400:
            assert answer.json()["error"].startswith("Index not defined")
            answered += caller.lower()
        elif answer.ok:
            assert answer.json()
            answered += caller
        else:
            assert (answer.status_code, answer.json()) == (401, {"error": "Permission denied"})
    assert answered == expected


def test_every_node_in_the_code_and_the_rules_is_in_the_table():
    named = {node for node, *_ in rows(ACCESS)}
    whole = {value for name, value in vars(paths).items() if name.isupper() and isinstance(value, str)}
    assert {f"/{value}" for value in whole - {paths.LIST_TIME}} <= named  # which is below a reader's node
    assert named == set(SAMPLES)
    assert {node for node, *_ in rows(QUERIES)} <= named


def test_the_page_shows_the_current_tables():
    text = PAGE.read_text()
    assert page(text) == text, "run python -m tests.rules.matrix"


def test_the_page_names_every_operator_function_and_each_checks_the_caller_first():
    main = (ROOT / "functions" / "main.py").read_text()
    callables = re.findall(r"^@https_fn\.on_call\(.*\)\ndef (\w+)\(.*\n    \"\"\".*\n    (.*)$", main, re.MULTILINE)
    listed = re.findall(r"^\| `(operator_\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert [name for name, _ in callables] == listed
    assert all(first.startswith(f'with operated("{name}", request)') for name, first in callables)
