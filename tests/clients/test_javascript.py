"""The guide's JavaScript with the firebase SDK: as a reader, through the rules."""

import pytest

from bookrec import paths
from bookrec.entries import parse_entry
from bookrec.reader import parse_reader
from tests.clients.test_contract import as_stored, full_and_bare_list

BOOK = {"isbn": "09780143036357", "title": "A Title", "author": "An Author"}


@pytest.fixture
def reader(javascript, database):
    """The program as the reader ``ana``."""
    javascript("connect", host=database.host, namespace=database.namespace, uid="ana")
    yield javascript
    javascript("disconnect")


def test_a_list_is_reported_when_it_appears_changes_and_disappears(reader, database):
    full, bare = (as_stored(node) for node in full_and_bare_list())
    reader("watch", uid="ana")
    assert reader("told", count=1) == [None]
    for node in (full, bare):
        database.put(paths.recommendations("ana"), node)
    assert database.request("DELETE", paths.recommendations("ana")).ok
    told = reader("told", count=4)
    assert told[1] == full
    assert told[2] == {**bare, "items": [{**bare["items"][0], "because": []}]}
    assert told[3] is None
    reader("stop")


def test_another_readers_list_is_denied(reader):
    reader("watch", uid="ben")
    assert reader("told", count=1) == ["PERMISSION_DENIED"]


def test_a_book_is_shelved_rated_and_removed_as_the_contract_says(reader, database):
    keys = reader("add", uid="ana", book=BOOK, stars=0)
    node = database.get(f"User_Book/{keys['entryId']}")
    assert parse_entry(keys["entryId"], node).rating == 0
    assert node["bookId"] == keys["bookId"] != keys["entryId"]
    assert database.get(f"Books/{keys['bookId']}") == {**BOOK, "myRate": 0}
    reader("rate", keys=keys, stars=4.5)
    assert parse_entry(keys["entryId"], database.get(f"User_Book/{keys['entryId']}")).rating == 4.5
    assert database.get(f"Books/{keys['bookId']}")["myRate"] == 4.5
    assert reader("read", uid="ana") == {keys["entryId"]: {**node, "myRate": 4.5}}
    reader("remove", keys=keys)
    assert reader("read", uid="ana") == {}
    assert database.get("Books") is None


def test_a_book_is_dismissed_and_that_is_taken_back_as_the_rules_demand(reader, database):
    for isbn in ("a.1", "b"):
        reader("dismiss", uid="ana", isbn=isbn)
    assert reader("readDismissed", uid="ana") == ["b", "a.1"]
    node = database.get("Users/ana")
    assert node["dismissals"] == {"count": 2, "last": "b"}
    assert parse_reader(node, None).dismissals.counted(max(node["dismissed"].values())) == ("a.1", "b")
    for isbn in ("a.1", "b"):
        reader("undo", uid="ana", isbn=isbn)
    assert reader("readDismissed", uid="ana") == []
    assert database.get("Users/ana/dismissals/count") == 0


def test_a_list_was_shown_is_said_once_for_each_list(reader, database):
    made = as_stored(full_and_bare_list()[0])
    database.put("Users/ana", {"id": "ana", "recommendations": made})
    assert reader("listShown", uid="ana", listId=made["listId"]) is True
    shown = database.get("Users/ana/shown")
    assert (shown["listId"], type(shown["at"])) == (made["listId"], int)
    assert reader("listShown", uid="ana", listId=made["listId"]) is False
    assert reader("listShown", uid="ana", listId="replaced meanwhile") is False
    assert database.get("Users/ana/shown") == shown


def test_a_profile_is_changed_and_its_list_stays(reader, database):
    made = as_stored(full_and_bare_list()[0])
    database.put("Users/ana", {"id": "ana", "firstname": "A", "recommendations": made})
    reader("changeProfile", uid="ana", fields={"firstname": "Ana"})
    assert database.get("Users/ana") == {"id": "ana", "firstname": "Ana", "recommendations": made}
