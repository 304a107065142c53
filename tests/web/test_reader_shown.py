"""The reader's page says once that a list was shown, and only if somebody could see it."""

import pytest

from tests.web.reader_page import recommended, sign_in, signed_in, wait_until


@pytest.fixture(scope="module")
def isbns(stack):
    return sorted(book["isbn"] for book in stack.admin_get("archive").values())


def shown(stack, reader):
    return stack.admin_get(f"Users/{reader.uid}/shown") or {}


def test_a_list_that_is_visible_was_shown_and_the_backend_counts_it_once(visit, stack, new_reader, isbns):
    reader = new_reader({isbns[20]: 5})
    page = signed_in(visit(), reader)
    listed, _ = reader.wait_for_list()
    wait_until(lambda: shown(stack, reader).get("listId") == listed["listId"])
    wait_until(lambda: stack.admin_get(f"Users/{reader.uid}/seen/last") == listed["listId"])
    at = shown(stack, reader)["at"]
    fact = stack.admin_get(f"Recommender/shelvings/{reader.uid}/{listed['modelVersion']}/shown/{listed['listId']}")
    assert sum(fact.values()) == 10
    page.reload()
    recommended(page).first.wait_for()
    page.wait_for_timeout(2_000)
    assert shown(stack, reader)["at"] == at

    reader.shelve(isbns[21], 4)
    replaced, _ = reader.wait_for_list(lambda node: node["listId"] != listed["listId"])
    wait_until(lambda: shown(stack, reader).get("listId") == replaced["listId"])


def test_a_list_behind_another_view_was_not_shown(visit, stack, new_reader, isbns):
    reader = new_reader({isbns[22]: 5})
    page = visit("/#find", viewport={"width": 390, "height": 844})
    sign_in(page, reader.email)
    page.locator("body[data-state=in]").wait_for()
    reader.wait_for_list()
    page.wait_for_timeout(2_500)
    assert shown(stack, reader) == {}
