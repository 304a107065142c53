"""The contract as data matches exactly what the code writes, accepts and rejects."""

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookrec import entries, ranking
from bookrec.catalogue import Book, Catalogue
from bookrec.life_cycle import manifest
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.manifest import FileEntry, Manifest, Pointer, parse_manifest, parse_pointer
from bookrec.ranking import Candidate, GenreList, MoreLists, RecommendationList
from bookrec.recommender import Items, parse_items
from bookrec.reordering.diversity import Diversity
from bookrec.shelf import Shelf
from clients import contract
from clients.contract import NODES, problems
from trainer.data.exchange.database_export import ARCHIVE_FIELDS, ShelfRow, make_tree

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "contract.md").read_text()
DIGEST = manifest.sha256(b"")


def problems_in(node, value):
    return list(problems(node, value))


def full_and_bare_list():
    """Return a list's node with all fields, and one with as few as possible."""
    books = Catalogue([Book(f"i{n}", "Title", "Author", "https://example.com/a.jpg") for n in range(10)])
    entry = entries.Entry("-k", "reader", "i9", 4.5)
    full = [Candidate(f"i{n}", 1.5 - n, 4.25, "personal", ("i9", "i8")) for n in range(8)]
    bare = [Candidate("i0", 0.0, None, "newest")]
    return [
        RecommendationList("v", Shelf("reader", (entry,), dismissed), tuple(items), more).to_node(
            books, 1_700_000_000_000
        )
        for items, dismissed, more in ((full, ("i20",), MoreLists("4+3", (), ())), (bare, (), None))
    ]


def as_stored(value):
    """Return what the database keeps of a value: no empty lists or maps."""
    if isinstance(value, dict):
        kept = {name: as_stored(child) for name, child in value.items()}
        return {name: child for name, child in kept.items() if child not in ({}, [], None)}
    return [as_stored(child) for child in value] if isinstance(value, list) else value


def test_a_list_has_the_contracts_fields_and_no_others():
    full, bare = full_and_bare_list()
    assert set(full) == set(contract.RECOMMENDATION_LIST.names)
    assert set(full["basedOn"]) == set(contract.BASED_ON.names)
    assert set(bare["basedOn"]) == set(contract.BASED_ON.required)
    assert set(full["items"][0]) == set(contract.LIST_ITEM.names)
    assert set(as_stored(bare)["items"][0]) == set(contract.LIST_ITEM.required)
    for node in (full, bare):
        assert problems_in(contract.RECOMMENDATION_LIST, as_stored(node)) == []


def test_the_lists_that_go_with_a_list_have_the_contracts_fields_and_no_others():
    books = Catalogue([Book(f"i{n}", "Title", "Author", "https://example.com/a.jpg") for n in range(10)])
    items = [Candidate(f"i{n}", 1.0, 4.25 if n % 2 else None, "popular") for n in range(4)]
    more = MoreLists("4+3", tuple(items), (GenreList("Fantasy", tuple(items)),))
    shelf = Shelf("reader", ())
    node = RecommendationList("v", shelf, (), more).more_node(books)
    assert set(node) == set(contract.MORE_LISTS.names)
    assert set(node["genres"][0]) == set(contract.GENRE_LIST.names)
    assert set(node["next"][0][1]) == set(contract.SHORT_ITEM.names)
    assert set(as_stored(node)["next"][0][0]) == set(contract.SHORT_ITEM.required)
    assert problems_in(contract.MORE_LISTS, as_stored(node)) == []
    empty = RecommendationList("v", shelf, (), MoreLists("4+3", (), ())).more_node(books)
    assert set(as_stored(empty)) == set(contract.MORE_LISTS.required)


def test_a_list_without_a_book_has_only_what_is_required():
    node = RecommendationList("none", Shelf("reader", ()), ()).to_node(Catalogue([]), 1)
    assert set(as_stored(node)) == set(contract.RECOMMENDATION_LIST.required)


@pytest.mark.parametrize(
    ("node", "field", "values"),
    [
        (contract.LIST_ITEM, "source", ranking.Source),
        (contract.RECOMMENDATION_LIST, "source", ranking.ListSource),
    ],
)
def test_the_known_sources_are_the_codes(node, field, values):
    assert node.fields[node.names.index(field)].kind.known == values.__args__


def test_a_pointer_has_the_contracts_fields_and_no_others():
    bare = Pointer("v", "models/v/manifest.json", DIGEST, 1, 1, 1)
    experiment = Experiment("ab-1", "w", 0.5, 1)
    full = Pointer("v", "models/v/manifest.json", DIGEST, 1, 1, 1, {"v": DIGEST, "w": DIGEST}, 3, experiment, 1, DIGEST)
    assert set(full.to_node()) == set(contract.POINTER.names)
    assert set(as_stored(bare.to_node())) == set(contract.POINTER.required)
    assert set(full.to_node()["experiment"]) == set(contract.EXPERIMENT.names) == set(contract.EXPERIMENT.required)
    for pointer in (bare, full):
        assert problems_in(contract.POINTER, pointer.to_node()) == []
        assert parse_pointer(json.loads(json.dumps(as_stored(pointer.to_node())))) == pointer


@pytest.mark.parametrize("name", contract.POINTER.required)
def test_the_code_rejects_a_pointer_without_a_required_field(name):
    node = Pointer("v", "models/v/manifest.json", DIGEST, 1, 1, 1).to_node()
    del node[name]
    with pytest.raises(manifest.BadModel):
        parse_pointer(node)


def test_a_manifest_has_the_contracts_fields_and_others_for_people():
    files = {"recommend.tflite": FileEntry(1, DIGEST), "items.json": FileEntry(2, DIGEST)}
    node = Manifest("v", files, {"createdAt": "2026-01-01T00:00:00+00:00"}).to_json()
    assert set(node) == set(contract.MANIFEST.names)
    assert set(Manifest("v", files, {}).to_json()) == set(contract.MANIFEST.required)
    assert set(node["files"]["items.json"]) == set(contract.FILE_ENTRY.names)
    assert problems_in(contract.MANIFEST, node) == []
    assert parse_manifest(node).files == files


def test_names_and_hashes_have_the_codes_patterns():
    assert manifest._VERSION.pattern == contract.VERSION_PATTERN
    assert manifest._FILE_NAME.pattern == contract.FILE_NAME_PATTERN
    assert manifest._SHA256.pattern == contract.SHA256_PATTERN


def test_items_have_the_contracts_fields_and_no_others():
    items = Items(("i1", "i2"), ("i2",), Diversity(0.1, (1, 1), (0, 0)), (0,))
    assert set(items.to_json()) == set(contract.ITEMS.names)
    assert set(Items(("i1",), ()).to_json()) - {"popular"} == set(contract.ITEMS.required)
    assert problems_in(contract.ITEMS, items.to_json()) == []
    assert parse_items(json.dumps(items.to_json()).encode()) == items


def test_the_apps_nodes_have_the_contracts_fields_and_no_others():
    rows = [ShelfRow("reader", "i1", 4.5, 1_700_000_000_000), ShelfRow("reader", "i2", 0.0, 1_700_000_000_001)]
    tree = make_tree(rows, {isbn: {"title": "T"} for isbn in ("i1", "i2")}, random.Random(1), 1_700_000_000_000)
    places = {
        "User_Book": contract.ENTRY,
        "Books": contract.BOOK_COPY,
        "archive": contract.CATALOGUE_BOOK,
        "Users": contract.PROFILE,
    }
    assert set(tree) == set(places)
    for place, node in places.items():
        for value in tree[place].values():
            assert set(value) == set(node.names)
            assert problems_in(node, value) == []
    assert set(contract.ENTRY.names) == entries.FIELDS
    assert set(contract.CATALOGUE_BOOK.names) == {"documentId", *ARCHIVE_FIELDS}


VALUES = {
    "userId": st.sampled_from(["reader", "", 5, None, "r" * 128, "r" * 129]),
    "bookId": st.sampled_from(["-book", 5, "b" * 128]),
    "myRate": st.sampled_from([0, 0.5, 3, 4.5, 5, 5.5, -0.5, 4.2, True, "4", float("nan")]),
    "isbn": st.sampled_from(["09780143036357", "", " 1", "0/1", 9780143036357, "9" * 64, "9" * 65]),
    "more": st.just("no such field"),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_the_contract_accepts_exactly_the_entries_that_the_code_accepts(value):
    value = {name: child for name, child in value.items() if child is not None}
    is_good = (
        not problems_in(contract.ENTRY, value) and value["userId"] != ""
    )  # the contract does not say that texts are keys
    if "bookId" not in value or "isbn" not in value:  # the rules require one, the training the other
        assert not (is_good and "bookId" not in value)
    else:
        assert is_good == entries.is_accepted(value)


def test_the_page_names_every_field():
    for node in NODES:
        if node not in (contract.MANIFEST, contract.FILE_ENTRY):  # the page refers to this contract for them
            assert [name for name in node.names if not re.search(rf"\b{name}\b", PAGE)] == [], node.name


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_every_node_and_field_is_described_in_a_sentence(node):
    assert all(text.endswith(".") for text in (node.doc, *(field.doc for field in node.fields)))
    assert len(set(node.names)) == len(node.names)
