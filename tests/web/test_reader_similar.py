"""Similar books on the reader's page: from the real publication to the dialog, with mouse, keyboard and a phone."""

import pytest
from playwright.sync_api import expect

from bookrec import paths
from tests.web.axe import violations
from tests.web.reader_page import PHONE, picture, recommended, shelf_entry, signed_in, title, wait_until


@pytest.fixture(scope="module")
def catalogue(stack):
    """The books by ISBN, once the similar ones of the live model are there."""
    wait_until(lambda: stack.admin_get(paths.SIMILAR))
    return {book["isbn"]: book for book in stack.admin_get("archive").values()}


@pytest.fixture
def shelf(stack, catalogue):
    """A book with many similar ones, the first of these, and a third book."""
    first = sorted(isbn for isbn in catalogue if len(similar_of(stack, isbn)) == 10)[0]
    return {first: 5, similar_of(stack, first)[0]: 0, similar_of(stack, first)[3]: 2}


def similar_of(stack, isbn):
    return stack.admin_get(paths.similar_books(isbn)) or []


def dialog(page):
    return page.get_by_role("dialog")


def shown(page):
    return dialog(page).locator(".book").evaluate_all("books => books.map(book => book.dataset.isbn)")


def opener(place):
    return place.get_by_role("button", name="Similar books")


def test_a_book_shows_what_its_readers_also_like_without_what_is_on_the_shelf(visit, stack, new_reader, shelf):
    page = signed_in(visit(), new_reader(shelf))
    card = recommended(page).first
    name, isbn = title(card), card.get_attribute("data-isbn")
    opener(card).click()
    expect(dialog(page).get_by_role("heading", name=f"Similar to {name}")).to_be_visible()
    expected = [other for other in similar_of(stack, isbn) if other not in shelf]
    expect(dialog(page).locator(".book")).to_have_count(len(expected))
    assert shown(page) == expected
    picture(page, "reader-similar")
    second = dialog(page).locator(".book").nth(1)
    opener(second).click()  # from one book to the next
    expect(dialog(page).get_by_role("heading", level=2)).to_have_text(f"Similar to {title_of(stack, expected[1])}")
    dialog(page).get_by_role("button", name="Close").click()
    expect(dialog(page)).to_be_hidden()


def title_of(stack, isbn):
    (book,) = [book for book in stack.admin_get("archive").values() if book["isbn"] == isbn]
    return book["title"].partition(" (")[0]


def test_a_similar_book_goes_on_the_shelf_from_the_dialog_by_keyboard_alone(visit, stack, new_reader, catalogue, shelf):
    page = signed_in(visit(), new_reader(shelf))
    page.evaluate("location.hash = 'shelf'")
    first = next(iter(shelf))
    place = page.locator(f'#entries > .entry[data-isbn="{first}"]')
    button = opener(place)
    button.focus()
    page.keyboard.press("Enter")
    expect(dialog(page).locator(".book")).not_to_have_count(0)
    assert shelf.keys() & set(shown(page)) == set()
    expect(dialog(page).get_by_role("heading", level=2)).to_be_focused()
    new = dialog(page).locator(".book").first
    isbn = new.get_attribute("data-isbn")
    add = new.get_by_role("button", name="Add to shelf")
    for _ in range(8):
        page.keyboard.press("Tab")
        if add.evaluate("button => button === document.activeElement"):
            break
    expect(add).to_be_focused()
    page.keyboard.press("Enter")
    expect(new.get_by_text("On your shelf")).to_be_visible()
    for _ in range(60):  # the focus stays in the dialog, or goes to the browser
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(button).to_be_focused()
    expect(page.locator(f'#entries > .entry[data-isbn="{isbn}"]')).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_the_dialog(visit, new_reader, shelf, scheme):
    page = signed_in(visit(color_scheme=scheme, reduced_motion="reduce"), new_reader(shelf))
    opener(recommended(page).first).click()
    expect(dialog(page).locator(".book")).not_to_have_count(0)
    assert violations(page) == []


def test_on_a_phone_the_dialog_fits_and_axe_finds_no_violation(visit, new_reader, shelf):
    page = signed_in(visit(**PHONE, reduced_motion="reduce"), new_reader(shelf))
    opener(recommended(page).first).tap()
    expect(dialog(page).locator(".book")).not_to_have_count(0)
    picture(page, "reader-similar-phone")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert dialog(page).evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


def test_a_book_without_similar_ones_says_so(visit, stack, new_reader, catalogue, shelf):
    page = signed_in(visit(), new_reader(shelf))
    isbn = recommended(page).first.get_attribute("data-isbn")
    before = similar_of(stack, isbn)
    stack.admin_put(paths.similar_books(isbn), {})
    try:
        opener(recommended(page).first).click()
        expect(dialog(page)).to_contain_text("None yet")
    finally:
        stack.admin_put(paths.similar_books(isbn), before)


def test_a_dismissed_book_leaves_the_dialog_and_stays_away(visit, stack, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    card = page.locator(f'#top-ten > .book[data-isbn="{recommended(page).first.get_attribute("data-isbn")}"]')
    opener(card).click()
    expect(dialog(page).locator(".book")).not_to_have_count(0)
    before, isbn = shown(page), shown(page)[1]
    stack.admin_put(f"{paths.dismissed(reader.uid)}/{paths.book_key(isbn)}", 1)  # on another device
    expect(dialog(page).locator(f'.book[data-isbn="{isbn}"]')).to_have_count(0)
    dialog(page).get_by_role("button", name="Close").click()
    opener(card).click()
    rest = [other for other in before if other != isbn]
    expect(dialog(page).locator(".book")).to_have_count(len(rest))
    assert shown(page) == rest


def test_signing_out_leaves_no_dialog(visit, new_reader, shelf):
    page = signed_in(visit(), new_reader(shelf))
    opener(recommended(page).first).click()
    expect(dialog(page).locator(".book")).not_to_have_count(0)
    page.evaluate("document.getElementById('sign-out').click()")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(dialog(page)).to_be_hidden()
    expect(page.locator("#similar-books > .book")).to_have_count(0)


def test_a_shelf_entry_names_its_button(visit, new_reader, catalogue, shelf):
    page = signed_in(visit(), new_reader(shelf))
    page.evaluate("location.hash = 'shelf'")
    name = title(page.locator("#entries > .entry").first)
    expect(shelf_entry(page, name).get_by_role("button", name=f"Similar books: {name}")).to_be_visible()
