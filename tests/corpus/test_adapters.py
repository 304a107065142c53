"""The real adapters with the corpus on a real server: nothing in the database stops a read."""

import json
from functools import partial

import pytest

from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.entries import user_id_of
from bookrec.shelf import sort_out
from tests.corpus import corpus
from tests.database_server import Server, connected
from trainer.data.ingest.pages import pages
from trainer.data.sources import read_pages

ENTRIES = [item for item in corpus.entries() if item.rules != "unsendable" and "/" not in item.key]
HELD = [item for item in ENTRIES if item.stored != corpus.GONE]
BOOKS = [item for item in corpus.books() if item.is_sendable and item.value not in (None, [], {})]
ODD_KEYS = [item for item in HELD if not item.key.startswith("-Nodd")]
USERS = sorted({user_id for item in HELD if item.stored is None and (user_id := user_id_of(item.value))})
REASONS = {item.key: item.stored for item in HELD if item.stored is not None}


@pytest.fixture(scope="module")
def database(port):
    server = Server(port, "corpus-adapters")
    for path, items in ((paths.USER_BOOK, ENTRIES), (paths.ARCHIVE, BOOKS)):
        nodes = {item.key: item.value for item in items}
        answer = server.request("PATCH", path, data=json.dumps(nodes).encode())
        assert answer.ok, answer.text
    with connected(server) as adapter:
        yield adapter


@pytest.mark.parametrize("size", [7, 100])
def test_pages_have_every_entry_once_and_a_reason_for_each_bad_one(database, size):
    met, after = {}, ""
    while page := database.page(paths.USER_BOOK, after, size):
        assert not met.keys() & page.keys()
        met |= page
        after = list(page)[-1]
    assert list(met) == sorted((item.key for item in HELD), key=paths.key_order)
    _, rejected = sort_out(met)
    assert {key: problem.reason for key, problem in rejected.items()} == REASONS


@corpus.each(ODD_KEYS)
def test_an_entry_with_any_key_is_read_and_paged_past(database, item):
    assert sort_out({item.key: database.entry(item.key)})[1].keys() == REASONS.keys() & {item.key}
    assert database.record(item.key) is None
    order = sorted((item.key for item in HELD), key=paths.key_order)
    place = order.index(item.key)
    assert list(database.page(paths.USER_BOOK, item.key, 2)) == order[place + 1 : place + 3]


@pytest.mark.parametrize("user_id", [pytest.param(user, id=repr(user)) for user in USERS])
def test_the_shelf_of_any_reader_id_is_read(database, user_id):
    expected = {item.key for item in HELD if user_id_of(item.value) == user_id}
    assert database.shelf_nodes([user_id]).keys() == expected
    assert not database.readers([user_id])[user_id].has_list


def test_the_catalogue_is_read_with_all_its_odd_books(database):
    nodes, _ = database.catalogue("")
    _, rejected = parse_catalogue(nodes)
    assert {key: problem.reason for key, problem in rejected.items()} == {
        i.key: i.rejected for i in BOOKS if i.rejected
    }


def test_the_trainer_reads_the_same(database):
    snapshot = read_pages(partial(pages, database), "database")
    counts = {kind: number for kind, number in snapshot.rejected.items() if kind.startswith("entry:")}
    assert sum(counts.values()) == len(REASONS)
    assert len(snapshot.ratings) == len(HELD) - len(REASONS)
    assert len(snapshot.books) > 0
