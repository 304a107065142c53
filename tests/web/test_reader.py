"""The reader's page against the running suite: what a reader does, and then sees."""

import pytest
import requests
from playwright.sync_api import expect

from local.accounts import ADMIN
from tests.web.axe import violations
from tests.web.conftest import PASSWORD
from tests.web.reader_page import (
    isbns,
    keep_figures,
    picture,
    rate,
    recommended,
    shelf_entry,
    sign_in,
    signed_in,
    stars,
    title,
    updated_ms,
    wait_until,
)


@pytest.fixture(scope="module")
def catalogue(stack):
    return sorted(stack.admin_get("archive").values(), key=lambda book: book["isbn"])


@pytest.fixture
def shelf(catalogue):
    return {catalogue[10]["isbn"]: 4.5, catalogue[11]["isbn"]: 0, catalogue[12]["isbn"]: 2}


def rating_of(reader, isbn):
    """Return the reader's rating of a book in the database: 0 if unrated, None if it is not on the shelf."""
    return reader.shelf().ratings.get(isbn)


def test_a_click_on_the_stars_updates_the_list_of_that_reader_only(visit, new_reader, shelf):
    ana, ben = new_reader(shelf), new_reader(shelf)
    hers, his = signed_in(visit(), ana), signed_in(visit(), ben)
    for page in (hers, his):
        page.evaluate("() => { window.isTheSamePage = true; }")
    before, his_before = isbns(hers), isbns(his)
    card = recommended(hers).first
    name = title(card)
    picture(hers, "reader")
    rate(card, 4)

    milliseconds = updated_ms(hers)
    assert before[0] not in isbns(hers)
    assert len(set(isbns(hers))) == 10
    expect(stars(shelf_entry(hers, name))).to_have_attribute("aria-valuetext", "4 stars")
    assert rating_of(ana, before[0]) == 4
    picture(hers, "reader-rated")
    assert isbns(his) == his_before
    assert all(page.evaluate("window.isTheSamePage") for page in (hers, his))

    rate(shelf_entry(hers, name), 1.5)
    wait_until(lambda: rating_of(ana, before[0]) == 1.5)
    again = updated_ms(hers)
    keep_figures(rating_to_list_on_screen_ms=[milliseconds, again])


def test_each_book_shows_its_reason_predicted_rating_and_badge(visit, new_reader, shelf, catalogue):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    items = wait_until(reader.recommendations)["items"]
    titles = {book["isbn"]: book["title"].split(" (")[0] for book in catalogue}
    verbs = {4.5: "you liked {}", 0: "{} is on your shelf", 2: "you rated {}"}
    assert any(item["source"] == "personal" for item in items)
    for card, item in zip(recommended(page).all(), items, strict=True):
        text = card.inner_text()
        assert {"personal": "Personal", "popular": "Popular", "newest": "New"}[item["source"]] in text
        assert f"★ {item['predictedRating']:.1f} for you" in text
        for isbn in item.get("because", []):
            expect(card.locator(".reason")).to_contain_text(titles[isbn])
        if len(item.get("because", [])) == 1:
            [isbn] = item["because"]
            because = verbs[shelf[isbn]].format(titles[isbn])
            expect(card.locator(".reason")).to_have_text(f"Because {because}")


def test_signing_in_and_rating_by_keyboard(visit, new_reader, shelf):
    reader = new_reader(shelf)
    page = visit()
    press = page.keyboard.press

    def tab_to(condition):
        for _ in range(60):
            if page.evaluate(f"() => {{ const it = document.activeElement; return {condition}; }}"):
                return
            press("Tab")
        raise AssertionError(f"not reached by tabbing: {condition}")

    expect(page.get_by_label("E-mail")).to_be_visible()
    tab_to("it.id === 'email'")
    page.keyboard.type(reader.email)
    press("Tab")
    page.keyboard.type(PASSWORD)
    press("Enter")
    expect(recommended(page)).to_have_count(10)
    tab_to("it.getAttribute('role') === 'slider' && it.closest('#top-ten')")
    isbn = page.evaluate("document.activeElement.closest('.book').dataset.isbn")
    slider = page.locator(":focus")
    for key in ("ArrowRight", "ArrowUp", "PageUp", "PageUp", "ArrowLeft"):
        press(key)
    expect(slider).to_have_attribute("aria-valuetext", "2.5 stars")
    press("End")
    expect(slider).to_have_attribute("aria-valuenow", "5")
    press("ArrowLeft")
    press("Enter")
    wait_until(lambda: rating_of(reader, isbn) == 4.5)
    updated_ms(page)
    # The book has left the list; the focus stays near it.
    expect(page.get_by_role("heading", name="For you")).to_be_focused()


def test_removing_a_book_can_be_undone_with_its_rating(visit, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    entry = page.locator("#entries > .entry").filter(has=page.locator("[aria-valuetext='4.5 stars']"))
    name = title(entry)
    isbn = next(isbn for isbn, rating in shelf.items() if rating == 4.5)
    page.get_by_role("button", name=f"Remove {name} from your shelf").click()
    expect(shelf_entry(page, name)).to_have_count(0)
    wait_until(lambda: rating_of(reader, isbn) is None)
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: rating_of(reader, isbn) == 4.5)
    expect(shelf_entry(page, name)).to_have_count(1)


def test_a_dismissed_book_leaves_the_list_of_that_reader_only_and_undo_brings_it_back(visit, new_reader, shelf):
    ana, ben = new_reader(shelf), new_reader(shelf)
    hers, his = signed_in(visit(), ana), signed_in(visit(), ben)
    before, his_before = isbns(hers), isbns(his)
    card = recommended(hers).nth(2)
    name = title(card)
    button = card.get_by_role("button", name=f"Not interested: {name}")
    button.focus()
    hers.keyboard.press("Enter")
    updated_ms(hers)
    assert isbns(hers)[:3] == [*before[:2], before[3]]
    assert len(set(isbns(hers))) == 10
    assert list(ana.dismissed()) == [before[2]]
    expect(hers.get_by_role("heading", name="For you")).to_be_focused()
    picture(hers, "reader-dismissed")
    assert violations(hers) == []
    undo = hers.get_by_role("button", name="Undo")
    undo.focus()
    hers.keyboard.press("Enter")
    expect(recommended(hers).nth(2)).to_contain_text(name)
    wait_until(lambda: isbns(hers) == before)
    assert ana.dismissed() == {}
    assert ana.request("GET", f"Users/{ana.uid}/dismissals").json() == {"count": 0, "last": before[2]}
    assert isbns(his) == his_before


def test_an_unrated_book_has_no_stars_and_a_rating_can_be_removed(visit, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    expect(page.locator("#entries .unrated:visible")).to_have_count(1)
    isbn = next(isbn for isbn, rating in shelf.items() if rating == 2)
    slider = page.locator(f"#entries [data-isbn='{isbn}'] [role=slider]")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "not rated")
    wait_until(lambda: rating_of(reader, isbn) == 0)
    expect(page.locator("#entries .unrated:visible")).to_have_count(2)


def test_a_new_reader_signs_up_finds_a_book_and_gets_a_first_list(visit, stack, catalogue, new_email):
    page, email = visit(), new_email()
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("First name").fill(email)
    page.get_by_label("Last name").fill("Example")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert")).to_have_text("The password needs at least 6 characters.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#shelf-empty")).to_be_visible()
    picture(page, "reader-new")

    page.get_by_role("link", name="Find books").click()
    book = catalogue[42]
    search = page.get_by_role("searchbox")
    results = page.locator("#found > .book")
    words = book["title"].removeprefix("The ").split(" (")[0].lower()
    for text in (words, book["author"], book["isbn"], book["isbn"].removeprefix("0")):
        search.fill(text)
        expect(results.filter(has_text=book["author"]).first).to_be_visible()
        expect(page.locator("#found-about")).to_contain_text(f"for “{text}”")
        assert book["isbn"] in results.evaluate_all("books => books.map(book => book.dataset.isbn)")
    picture(page, "reader-find")
    search.fill("no book begins with this")
    expect(page.locator("#found-about")).to_contain_text("No matches for")
    search.fill(book["isbn"])
    expect(results).to_have_count(1)
    results.get_by_role("button", name="Add to shelf").click()
    expect(results).to_contain_text("On your shelf")
    page.get_by_role("link", name="For you").click()
    expect(recommended(page)).to_have_count(10)

    [(uid, profile)] = [(uid, user) for uid, user in stack.admin_get("Users").items() if user.get("firstname") == email]
    assert profile["id"] == uid
    assert profile["lastname"] == "Example"
    entry = next(entry for entry in stack.admin_get("User_Book").values() if entry["userId"] == uid)
    copy = stack.admin_get(f"Books/{entry['bookId']}")
    assert entry["isbn"] == copy["isbn"] == book["isbn"]
    assert entry["myRate"] == copy["myRate"] == 0
    assert copy["title"] == book["title"]


def test_genres_are_browsed_page_by_page(visit, new_reader, shelf, catalogue):
    page = signed_in(visit("/#find"), new_reader(shelf))
    page.get_by_role("button", name="Mystery").click()
    results = page.locator("#found > .book")
    expect(page.locator("#found-about")).to_have_text("The first 24 books in Mystery")
    for _ in range(10):
        if not page.get_by_role("button", name="Show more").is_visible():
            break
        count = results.count()
        page.get_by_role("button", name="Show more").click()
        wait_until(lambda count=count: results.count() > count)
    assert results.count() == len([book for book in catalogue if book["genre"] == "Mystery"])


def test_an_offline_rating_is_sent_after_reconnecting(visit, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    first = isbns(page)[0]
    banner = page.locator("#offline")
    expect(banner).to_be_hidden()
    page.context.set_offline(True)
    expect(banner).to_contain_text("You are offline")
    rate(recommended(page).first, 5)
    expect(banner).to_contain_text("1 change waiting")
    expect(page.locator(f"#entries [data-isbn='{first}'] [role=slider]")).to_have_attribute("aria-valuenow", "5")
    picture(page, "reader-offline")
    assert rating_of(reader, first) is None
    page.context.set_offline(False)
    wait_until(lambda: rating_of(reader, first) == 5)
    expect(banner).to_be_hidden()
    updated_ms(page)
    assert first not in isbns(page)


def test_a_wrong_password_is_reported_and_changes_nothing(visit, new_reader):
    reader = new_reader()
    page = visit()
    sign_in(page, reader.email, "not the password")
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or password is wrong.")
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Password")).to_be_focused()
    picture(page, "reader-wrong-password")
    sign_in(page, reader.email)
    expect(page.locator("#who")).to_have_text(reader.email)


def test_a_reload_stays_signed_in_and_signing_out_leaves_nothing_on_the_screen(visit, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    page.reload()
    expect(recommended(page)).to_have_count(10)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert recommended(page).count() == page.locator("#entries > .entry").count() == 0
    assert reader.email not in page.content()


def without_triggers(stack, method, path, value=None):
    """Change a node as an admin, without triggering functions."""
    url = f"http://{stack.addresses.database}/{path}.json"
    query = {"ns": stack.addresses.namespace, "disableTriggers": "true"}
    requests.request(method, url, params=query, json=value, headers=ADMIN, timeout=10).raise_for_status()


def test_the_page_says_if_no_model_is_live_yet(visit, stack, new_reader, shelf):
    reader = new_reader(shelf)
    page = signed_in(visit(), reader)
    model = stack.admin_get("Recommender/model")
    try:
        without_triggers(stack, "DELETE", "Recommender/model")
        expect(page.locator("#model-note")).to_contain_text("No model has been trained yet")
    finally:
        without_triggers(stack, "PUT", "Recommender/model", model)
    expect(page.locator("#model-note")).to_be_hidden()


def test_a_page_without_its_configuration_says_so(visit):
    page = visit()
    page.route("**/config.json", lambda route: route.fulfill(status=404))
    page.reload()
    expect(page.locator("#offline")).to_contain_text("without its configuration")
    page.unroute("**/config.json")
    page.route("**/config.json", lambda route: route.abort())
    page.reload()
    expect(page.locator("#offline")).to_contain_text("No connection")
    assert set(visit.complaints) == {"no configuration"}
    visit.complaints.clear()


@pytest.fixture
def in_catalogue(stack):
    """Add books to the catalogue for one test."""
    added = []

    def add(isbn, key=None, **fields):
        key = key or f"web-{len(added)}"
        added.append(key)
        book = {"documentId": key, "author": "Somebody", "rating": "3", "genre": "Mystery", "isbn": isbn, **fields}
        stack.admin_put(f"archive/{key}", book)

    yield add
    for key in added:
        without_triggers(stack, "DELETE", f"archive/{key}")


def test_nodes_that_are_no_books_hide_neither_genres_nor_books(visit, new_reader, shelf, catalogue, in_catalogue):
    genres = sorted({book["genre"] for book in catalogue})
    for number, genre in enumerate(genres):  # keys before all others: the first node of each genre
        in_catalogue(None, key=f"-0{number}", title="A book whose isbn is not known yet", genre=genre)
        in_catalogue(f"099{number}", key=f"-1{number}", title=None, genre=genre)
    in_catalogue(None, key="-2", title="Nothing else is of this genre", genre="Aaa")
    in_catalogue("0990", key="-3", title="Odd", genre=7)
    in_catalogue("0991", key="-4", title="Odd", genre={"name": "Aab"})
    page = signed_in(visit("/#find"), new_reader(shelf))
    expect(page.locator("#genres .chip")).to_have_text(genres)
    page.locator("#genres").get_by_role("button", name="Mystery").click()
    expect(page.locator("#found-about")).to_have_text("The first 24 books in Mystery")


def test_a_write_that_the_database_denies_is_reported_and_undone(visit, new_reader, shelf, in_catalogue):
    in_catalogue("~no isbn by the rules", title="Zzz Denied")
    reader = new_reader(shelf)
    page = signed_in(visit("/#find"), reader)
    page.get_by_role("searchbox").fill("Zzz Denied")
    page.locator("#found").get_by_role("button", name="Add to shelf: Zzz Denied").click()
    expect(page.locator("#toast")).to_contain_text("This change was not allowed")
    expect(shelf_entry(page, "Zzz Denied")).to_have_count(0)
    expect(page.locator("#found").get_by_role("button", name="Add to shelf: Zzz Denied")).to_be_visible()
    expect(page.locator("#pulse")).to_be_empty()


def test_database_content_is_shown_as_text_and_never_runs(visit, new_reader, shelf, in_catalogue):
    markup = "Zzz <img src=x onerror=window.ran=1><script>window.ran=1</script>"
    in_catalogue("0999", title=markup, author="<b>bold</b>", image="javascript:window.ran=1")
    in_catalogue("0998", title="Zzz With a cover", image="/icon.svg")
    in_catalogue("0997", title="Zzz Without", image="https://example.com/nowhere.jpg")
    in_catalogue("0996", title="Zzz Unsafe", image="http://example.com/nowhere.jpg")
    page = signed_in(visit("/#find"), new_reader(shelf))
    page.get_by_role("searchbox").fill("Zzz")
    results = page.locator("#found > .book")
    expect(results).to_have_count(4)
    card = page.locator("#found [data-isbn='0999']")
    assert title(card) == markup
    expect(card).to_contain_text("<b>bold</b>")
    expect(page.locator("#found [data-isbn='0998'] img.loaded")).to_have_count(1)
    expect(page.locator("#found img")).to_have_count(1)  # if an image cannot be loaded, the drawn cover stays
    assert page.evaluate("window.ran") is None


def test_the_policy_blocks_foreign_scripts(visit):
    page = visit()
    attempts = """() => {
      const tried = [];
      for (const attempt of [
        () => { document.body.innerHTML = '<p>markup</p>'; },
        () => { document.createElement('script').textContent = 'window.ran = 1'; },
      ]) try { attempt(); tried.push('passed'); } catch (error) { tried.push(error.name); }
      return tried;
    }"""
    assert page.evaluate(attempts) == ["TypeError", "TypeError"]
    assert page.evaluate("fetch('https://example.com/').catch(() => 'blocked')") == "blocked"
    assert any("connect-src" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
