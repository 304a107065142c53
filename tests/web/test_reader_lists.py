"""The lists besides the ten on the reader's page: pages, genres, trending and new books, by pointer and by keyboard."""

import pytest
from playwright.sync_api import expect

from bookrec import paths
from tests.waiting import is_fanned_out
from tests.web.axe import violations
from tests.web.reader_page import PHONE, isbns, picture, rate, recommended, signed_in, wait_until


@pytest.fixture(scope="module")
def catalogue(stack):
    return sorted(stack.admin_get("archive").values(), key=lambda book: book["isbn"])


@pytest.fixture
def shelf(catalogue):
    return {catalogue[10]["isbn"]: 4.5, catalogue[11]["isbn"]: 5, catalogue[40]["isbn"]: 4}


@pytest.fixture
def trending(stack, catalogue):
    """What a sweep writes, once enough readers have shelved something."""
    items = items_of(catalogue[60:70])
    stack.admin_put("Shared_Lists/trending", {"generatedAt": 1, "items": items})
    return [item["isbn"] for item in items]


LIST = {"generatedAt": 1, "modelVersion": "none", "source": "popular", "basedOn": {"entries": 0, "digest": "none"}}


def items_of(books):
    fields = ("isbn", "title", "author", "image")
    return [{**{name: book.get(name, "") for name in fields}, "source": "popular"} for book in books]


def more(page):
    return page.get_by_role("button", name="More books for you")


def shown(page, place):
    return page.locator(f"{place} > .book").evaluate_all("books => books.map(book => book.dataset.isbn)")


def chips(page):
    return page.get_by_role("group", name="More lists").get_by_role("button")


def test_pages_continue_the_ten_without_a_repeat_and_follow_it(visit, new_reader, shelf, stack):
    ana, ben = new_reader(shelf), new_reader(shelf)
    hers, his = signed_in(visit(), ana), signed_in(visit(), ben)
    for page in range(1, 5):
        more(hers).click()
        expect(hers.locator("#next > .book")).to_have_count(10 * page)
    expect(more(hers)).to_be_hidden()
    expect(hers.locator("#next-about")).to_contain_text("50 books for you")
    order = [*isbns(hers), *shown(hers, "#next")]
    assert len(set(order)) == 50
    assert not set(order) & set(shelf)
    assert order[10:] == [item["isbn"] for page in stack.admin_get(f"More_Lists/{ana.uid}/next") for item in page]
    picture(hers, "reader-pages")

    rate(recommended(hers).first, 5)
    wait_until(lambda: order[0] not in isbns(hers))
    expect(hers.locator("#next > .book")).to_have_count(40)
    wait_until(lambda: order[0] not in shown(hers, "#next"))
    wait_until(lambda: len({*isbns(hers), *shown(hers, "#next")}) == 50)
    assert shown(his, "#next") == []
    more(his).click()
    expect(his.locator("#next > .book")).to_have_count(10)
    assert [*isbns(his), *shown(his, "#next")] == order[:20]  # the same shelf, and nothing of hers


def test_genres_trending_and_new_books_by_keyboard(visit, new_reader, shelf, stack, trending):
    ana = new_reader(shelf)
    page = signed_in(visit(), ana)
    expect(chips(page)).to_have_text(["Trending", "New in the catalogue", "Your genres"])
    chips(page).nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#listed > .book")).to_have_count(len(trending))
    assert shown(page, "#listed") == trending
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(chips(page).nth(2)).to_be_focused()
    page.keyboard.press("Space")
    genres = stack.admin_get(f"More_Lists/{ana.uid}/genres")
    expect(chips(page)).to_have_text(["Trending", "New in the catalogue", *(one["genre"] for one in genres)])
    expect(chips(page).nth(2)).to_be_focused()
    expect(chips(page).nth(2)).to_have_attribute("aria-pressed", "true")
    assert shown(page, "#listed") == [item["isbn"] for item in genres[0]["items"]]
    more(page).focus()
    for _ in range(4):
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
    expect(page.locator("#next > .book")).to_have_count(40)
    expect(page.locator("#next")).to_be_focused()


def test_a_genre_with_the_name_of_another_list_has_a_chip_of_its_own(visit, new_reader, stack, catalogue, trending):
    wait_until(lambda: is_fanned_out(stack))  # it writes the lists of all readers
    ana = new_reader()
    books = [items_of(catalogue[start : start + 10]) for start in (100, 110, 120, 130)]
    names = ("Trending", "new in the Catalogue", "Your genres")
    genres = [{"genre": name, "items": items} for name, items in zip(names, books, strict=False)]
    more_lists = {"listId": "a list", "next": [books[3]], "genres": genres}
    stack.admin_put(f"More_Lists/{ana.uid}", more_lists)
    stack.admin_put(paths.recommendations(ana.uid), {**LIST, "listId": "a list", "items": books[3]})
    page = signed_in(visit(), ana)
    pressed = page.get_by_role("group", name="More lists").get_by_role("button", pressed=True)
    chips(page).nth(2).click()
    own = ["Trending (genre)", "new in the Catalogue (genre)", "Your genres"]
    expect(chips(page)).to_have_text(["Trending", "New in the catalogue", *own])
    for place, genre in enumerate(genres, start=2):
        chips(page).nth(place).click()
        expect(pressed).to_have_text([own[place - 2]])
        assert shown(page, "#listed") == [item["isbn"] for item in genre["items"]]
    chips(page).nth(0).click()
    expect(pressed).to_have_text(["Trending"])
    assert shown(page, "#listed") == trending


def test_dismissed_books_are_on_none_of_the_lists(visit, new_reader, shelf, stack, trending):
    ana = new_reader(shelf)
    page = signed_in(visit(), ana)
    chips(page).nth(0).click()
    expect(page.locator("#listed > .book")).to_have_count(len(trending))
    key = paths.book_key(trending[2])
    stack.admin_put(paths.dismissals(ana.uid), {"count": 1, "last": key})  # on another device
    stack.admin_put(f"{paths.dismissed(ana.uid)}/{key}", 1)
    expect(page.locator("#listed > .book")).to_have_count(len(trending) - 1)
    assert trending[2] not in shown(page, "#listed")
    more(page).click()
    expect(page.locator("#next > .book")).to_have_count(10)
    book = shown(page, "#next")[3]
    page.locator(f'#next > .book[data-isbn="{book}"]').get_by_role("button", name="Not interested").press("Enter")
    expect(page.locator(f'.book[data-isbn="{book}"]')).to_have_count(0)
    expect(page.locator("#next")).to_be_focused()


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_violation_with_all_lists_open(visit, new_reader, shelf, trending, options):
    page = signed_in(visit(**options, reduced_motion="reduce"), new_reader(shelf))
    more(page).click()
    expect(page.locator("#next > .book")).to_have_count(10)
    broken = {}
    for name, place in (("trending", 0), ("the strongest genre", 2)):
        chips(page).nth(place).click()
        expect(page.locator("#listed > .book")).not_to_have_count(0)
        broken[name] = violations(page)
    picture(page, f"reader-lists-{'phone' if options else 'desktop'}")
    assert {where: what for where, what in broken.items() if what} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
