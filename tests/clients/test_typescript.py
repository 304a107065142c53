"""The TypeScript parses what the backend writes, and does not fail on anything else."""

import json
from copy import deepcopy

import pytest

from clients import contract
from clients.contract import ByName, Many, Node, Text
from tests.clients.test_contract import as_stored, full_and_bare_list
from tests.corpus.corpus import entries

EXAMPLES = {
    "Entry": {"userId": "reader", "bookId": "-b", "myRate": 4.5, "isbn": "09780143036357"},
    "BookCopy": {"title": "T", "author": "A", "isbn": "i1", "myRate": 0},
    "CatalogueBook": dict.fromkeys(contract.CATALOGUE_BOOK.names, "5"),
    "Profile": dict.fromkeys(contract.PROFILE.names, "text"),
    "RecommendationList": as_stored(full_and_bare_list()[0]),
    "Pointer": {
        "version": "v1",
        "manifest": "models/v1/manifest.json",
        "manifestSha256": "0" * 64,
        "fence": 3,
        "publishedAt": 2,
        "snapshotAt": 1,
        "kept": {"v1": "0" * 64, "v0": "1" * 64},
        "lists": 2,
        "experiment": {"id": "ab-1", "version": "v0", "share": 0.25, "startedAt": 4},
        "switches": 1,
    },
    "Manifest": {
        "schema": 1,
        "version": "v1",
        "files": {"items.json": {"size": 10, "sha256": "0" * 64}},
        "createdAt": "2026-01-01T00:00:00+00:00",
    },
    "Items": {
        "isbns": ["i1", "i2"],
        "popular": ["i2"],
        "rare": [1],
        "diversity": 0.25,
        "series": [1, 1],
        "authors": [0, 0],
    },
}
"""An example of each node with all fields."""

NODES = {node.name: node for node in contract.NODES if node.name in EXAMPLES}
WRONG = [None, True, -1, "", "\n", [], {}, [None], {"a": None}, 1e300, "text \u0000"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_complete_node_is_parsed_and_unknown_fields_are_ignored(javascript, name):
    value = EXAMPLES[name]
    assert list(contract.problems(NODES[name], value)) == []
    assert javascript("parse", name=name, value=value) == value
    assert javascript("parse", name=name, value={**value, "later": {"a": [1]}, "__proto__": {"isbn": "x"}}) == value


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_an_optional_field_a_node_is_parsed_and_without_a_required_one_it_is_not(javascript, name):
    for field in NODES[name].fields:
        value = {key: child for key, child in EXAMPLES[name].items() if key != field.name}
        read = javascript("parse", name=name, value=value)
        if not field.optional:
            assert read is None, field.name
        else:
            empty = {Many: [], ByName: {}}.get(type(field.kind))
            assert read == {**value, **({} if empty is None else {field.name: empty})}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_field_counts_as_missing_exactly_if_the_contract_says_so(javascript, name):
    node, values, expected = NODES[name], [], []
    for field in node.fields:
        for wrong in WRONG:
            value = {**EXAMPLES[name], field.name: wrong}
            is_good = not list(contract.problems(_tolerant(node), value))
            values.append(value)
            is_map = isinstance(field.kind, ByName) and isinstance(wrong, dict)  # without what is bad in it
            expected.append(is_good or field.optional or is_map)
    read = javascript("parseAll", name=name, values=values)
    assert [parsed is not None for parsed in read] == expected


def _tolerant(node):
    """Return the node as clients accept it: any text if there are known values."""
    kinds = [Text(longest=None) if isinstance(f.kind, Text) and f.kind.pattern is None else f.kind for f in node.fields]
    fields = tuple(contract.Field(f.name, kind, f.doc, f.optional) for f, kind in zip(node.fields, kinds, strict=True))
    return Node(node.name, node.place, node.doc, fields)


def test_a_list_keeps_its_good_items(javascript):
    value = deepcopy(EXAMPLES["RecommendationList"])
    del value["items"][3]["isbn"]
    value["items"][5]["source"] = "a source of a later version"
    read = javascript("parse", name="RecommendationList", value=value)
    assert read["items"] == value["items"][:3] + value["items"][4:]


def test_the_books_of_a_model_are_all_valid_or_there_are_none(javascript):
    assert javascript("parse", name="Items", value={"isbns": ["i1", 5, "i3"]}) is None


def test_a_file_name_that_leads_out_of_its_folder_is_ignored(javascript):
    files = {"../../x": {"size": 1, "sha256": "0" * 64}, **EXAMPLES["Manifest"]["files"]}
    read = javascript("parse", name="Manifest", value={**EXAMPLES["Manifest"], "files": files})
    assert list(read["files"]) == ["items.json"]


def test_any_value_of_an_entry_is_parsed_or_rejected(javascript):
    values = []
    for item in entries():
        try:
            values.append(json.loads(json.dumps(item.value, allow_nan=False)))
        except (ValueError, RecursionError):
            continue
    small = [value for value in values if len(json.dumps(value)) < 10_000]
    assert len(small) > 100
    read = javascript("parseAll", name="Entry", values=small)
    for value, parsed in zip(small, read, strict=True):
        known = {k: v for k, v in value.items() if k in contract.ENTRY.names} if isinstance(value, dict) else None
        if known is not None and not list(contract.problems(contract.ENTRY, known)):
            assert parsed == known
