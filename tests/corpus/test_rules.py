"""Which items of the corpus the security rules let clients write, over the wire with the project's rules file."""

import json
from urllib.parse import quote

from bookrec.entries import parse_entry
from bookrec.errors import BadData
from tests.corpus import corpus
from tests.database_server import ADMIN, token

STATUS = {"passes": 200, "denied": 401, "unsendable": 400}
ENTRIES, BOOKS = corpus.entries(), corpus.books()


def write(database, path, key, value, headers):
    """Send a value unchanged, even NaN or half a surrogate pair; the key is in the body, so it can be any text."""
    answer = database.request("PATCH", path, headers=headers, data=json.dumps({key: value}).encode())
    if answer.status_code == 400:
        assert answer.json()["error"].startswith("Invalid")
    return answer.status_code


def write_entry(database, item, headers):
    return write(database, "User_Book", item.key, item.value, headers)


def read_entry(database, item):
    return database.get(f"User_Book/{quote(item.key, safe='/')}")


def user(uid, **claims):
    return {"Authorization": f"Bearer {token(uid, **claims)}"}


@corpus.each(ENTRIES)
def test_a_client_can_write_an_entry_only_if_the_corpus_says_so(shared, item):
    assert write_entry(shared, item, user(item.client)) == STATUS[item.rules]


@corpus.each([item for item in ENTRIES if item.rules == "passes"])
def test_what_the_rules_allow_is_good_or_lacks_only_its_isbn(shared, item):
    write_entry(shared, item, user(item.client))
    node = read_entry(shared, item)
    if item.stored == corpus.GONE:
        assert node is None
    elif item.stored is None:
        assert parse_entry(item.key, node).user_id == item.client
    else:
        assert item.stored == "isbn_missing"


@corpus.each([item for item in ENTRIES if item.rules == "denied"])
def test_what_the_rules_deny_an_admin_can_write_and_the_validator_judges(shared, item):
    assert write_entry(shared, item, ADMIN) == 200
    node = read_entry(shared, item)
    try:
        parse_entry(item.key, node)
        reason = None
    except BadData as problem:
        reason = problem.reason
    assert reason == item.stored


@corpus.each([item for item in ENTRIES if item.rules == "unsendable"])
def test_what_the_database_cannot_hold_an_admin_cannot_write_either(shared, item):
    assert write_entry(shared, item, ADMIN) == 400


@corpus.each(BOOKS)
def test_readers_cannot_write_catalogue_nodes_and_admins_can_if_they_can_be_sent(shared, item):
    expected = (401, 200, 200) if item.is_sendable else (400, 400, 400)
    callers = (user("reader"), user("editor", admin=True), ADMIN)
    assert tuple(write(shared, "archive", item.key, item.value, headers) for headers in callers) == expected
