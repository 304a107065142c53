"""The section "Not interested" on the reader's page: dismissed books are taken back later, also by keyboard."""

import pytest
from playwright.sync_api import expect

from tests.web.axe import violations
from tests.web.reader_page import PHONE, isbns, picture, recommended, signed_in, title, updated_ms, wait_until

NEVER_IN_CATALOGUE = "0990000000042"


@pytest.fixture(scope="module")
def catalogue(stack):
    return sorted(stack.admin_get("archive").values(), key=lambda book: book["isbn"])


@pytest.fixture
def reader(new_reader, catalogue):
    return new_reader({catalogue[10]["isbn"]: 4.5, catalogue[11]["isbn"]: 5})


def section(page):
    return page.locator("#dismissed")


def summary(page):
    return section(page).locator("summary")


def entries(page):
    return section(page).get_by_role("listitem")


def dismissed(page):
    return entries(page).evaluate_all("entries => entries.map(entry => entry.dataset.isbn)")


def test_books_are_taken_back_later_by_keyboard(visit, reader):
    before = reader.wait_for_list()[0]["items"]
    for item in before[:2]:
        reader.dismiss(item["isbn"])
    reader.wait_for_list()
    page = signed_in(visit(), reader)
    expect(summary(page)).to_have_text("Not interested 2")
    expect(entries(page)).to_have_count(0)
    summary(page).focus()
    page.keyboard.press("Enter")
    expect(entries(page)).to_have_count(2)
    assert dismissed(page) == [before[1]["isbn"], before[0]["isbn"]]  # the latest first
    for entry, item in zip(entries(page).all(), (before[1], before[0]), strict=True):
        assert title(entry) == item["title"].partition(" (")[0]
        expect(entry.get_by_text("No longer in the catalogue")).to_be_hidden()
    picture(page, "reader-not-interested")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(entries(page).nth(1).get_by_role("button", name=f"Take back: {title(entries(page).nth(1))}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(entries(page)).to_have_count(1)
    expect(summary(page)).to_be_focused()
    updated_ms(page)
    assert list(reader.dismissed()) == [before[1]["isbn"]]
    assert before[0]["isbn"] in isbns(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(section(page)).to_contain_text("Books that you are not interested in appear here")
    expect(summary(page)).to_have_text("Not interested")
    expect(summary(page)).to_be_focused()
    wait_until(lambda: isbns(page) == [item["isbn"] for item in before])
    assert reader.dismissed() == {}


def test_a_book_that_is_dismissed_while_the_section_is_open_comes_first(visit, reader):
    page = signed_in(visit(), reader)
    summary(page).click()
    expect(section(page)).to_contain_text("Books that you are not interested in appear here")
    for card in (recommended(page).nth(4), recommended(page).nth(1)):
        isbn, name = card.get_attribute("data-isbn"), title(card)
        card.get_by_role("button", name="Not interested").click()
        first = section(page).locator(f'[data-isbn="{isbn}"]')
        expect(first.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert dismissed(page)[0] == isbn
    entries(page).first.get_by_role("button").click()
    expect(entries(page)).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert entries(page).count() == 0
    expect(section(page)).not_to_have_attribute("open", "")


def test_a_book_that_is_no_longer_in_the_catalogue_says_so_and_can_be_taken_back(visit, reader):
    reader.dismiss(NEVER_IN_CATALOGUE)
    page = signed_in(visit(), reader)
    summary(page).click()
    entry = entries(page).first
    expect(entries(page)).to_have_count(1)
    expect(entry.get_by_text("No longer in the catalogue")).to_be_visible()
    entry.get_by_role("button", name=f"Take back: Book {NEVER_IN_CATALOGUE}").click()
    expect(entries(page)).to_have_count(0)
    wait_until(lambda: reader.dismissed() == {})


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, PHONE], ids=["dark desktop", "phone"])
def test_axe_finds_no_violation_with_the_section_open_empty_or_not(visit, reader, catalogue, options):
    page = signed_in(visit(**options, reduced_motion="reduce"), reader)
    summary(page).click()
    expect(section(page)).to_contain_text("Books that you are not interested in appear here")
    broken = {"empty": violations(page)}
    books = (catalogue[60], catalogue[61])
    for isbn in (*(book["isbn"] for book in books), NEVER_IN_CATALOGUE):
        reader.dismiss(isbn)
    expect(entries(page)).to_have_count(3)
    gone = section(page).locator(f'[data-isbn="{NEVER_IN_CATALOGUE}"]')
    expect(gone.get_by_text("No longer in the catalogue")).to_be_visible()
    summary(page).scroll_into_view_if_needed()
    picture(page, f"reader-not-interested-{'phone' if 'is_mobile' in options else 'dark'}")
    broken["three books"] = violations(page)
    assert {where: what for where, what in broken.items() if what} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for place in (summary(page), entries(page).first.get_by_role("button")):
        box = place.bounding_box()
        assert min(box["width"], box["height"]) >= 24
