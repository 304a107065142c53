"""Bringing one's own shelf: an export of another site goes onto the shelf, through the rules, exactly once."""

import json

import pytest
from playwright.sync_api import expect

from bookrec import paths
from tests.web.axe import violations
from tests.web.libraries import GOODREADS, STORYGRAPH, chosen, goodreads_row, isbn10, storygraph_row, written
from tests.web.reader_page import PHONE, picture, recommended, sign_in, signed_in, wait_until
from tests.web.test_reader import without_triggers
from tests.web.test_reader_view import assert_fits

ROWS, ODD = 300, 20
LONG = 180_000
"""Milliseconds: 14 batches of an import take 80 s, more on a busy machine."""


@pytest.fixture(scope="module")
def catalogue(stack):
    return sorted(stack.admin_get("archive").values(), key=lambda book: book["isbn"])


@pytest.fixture
def twins(stack):
    """Two editions of one book in the catalogue."""
    for number in (1, 2):
        book = {
            "documentId": f"twin-{number}",
            "isbn": f"twin-{number}",
            "title": "Twins",
            "author": "Ann Lee",
            "genre": "Mystery",
        }
        stack.admin_put(f"archive/twin-{number}", book)
    yield
    for number in (1, 2):
        without_triggers(stack, "DELETE", f"archive/twin-{number}")


def importing(page):
    """Open the view by its link in the shelf."""
    page.evaluate("location.hash = 'shelf'")
    page.get_by_role("link", name="Import from Goodreads or StoryGraph").click()
    expect(page.get_by_label("Your export, a CSV file")).to_be_enabled()
    return page


def choose(page, file):
    page.get_by_label("Your export, a CSV file").set_input_files(file)


def figure(page, words):
    return page.locator(".import-figures li").filter(has_text=words).locator("strong")


def status(page):
    return page.locator("#import-status")


def nodes_of(stack, reader):
    """Return a reader's entries and their copies."""
    entries = [entry for entry in stack.admin_get("User_Book").values() if entry["userId"] == reader.uid]
    return entries, [stack.admin_get(f"Books/{entry['bookId']}") for entry in entries]


def export_of_300(books):
    """Return an export with 20 odd rows, and the stars of each book that should be on the shelf after it.

    Twelve rows are of other books or broken; eight are of known books, in another form.
    """
    usual = books[: ROWS - ODD]
    stars = [str(number % 6) for number in range(len(usual))]
    rows = [goodreads_row(book, **{"My Rating": star}) for book, star in zip(usual, stars, strict=True)]
    wanted = {book["isbn"]: float(star) for book, star in zip(usual, stars, strict=True)}
    a, b, c, d, e, f, g = books[300:307]
    nowhere = {"ISBN": '=""', "ISBN13": '=""'}
    rows[5:5] = [
        # Eight of the catalogue's books.
        goodreads_row(a, **{"My Rating": "3.75"}),
        goodreads_row(b, **{"My Rating": "2,5", "My Review": 'Two lines,\nand "quotes"; both'}),
        goodreads_row(c, ISBN13='=""', ISBN=isbn10(c).lower(), **{"Exclusive Shelf": "to-read"}),
        goodreads_row(d, **nowhere, Title=d["title"].split(" (")[0].upper(), **{"My Rating": "4"}),
        goodreads_row(e, ISBN="9.78E+12", ISBN13="9.78E+12", **{"Exclusive Shelf": "did-not-finish"}),
        goodreads_row(f, ISBN="", ISBN13=f"{f['isbn'][1:4]}-{f['isbn'][4:13]}-{f['isbn'][13]}", **{"My Rating": ""}),
        goodreads_row(g, **{"My Rating": "1"}),
        goodreads_row(g, **nowhere, **{"My Rating": "5"}),
        # Twelve that cannot be used.
        *(goodreads_row({**a, "title": f"Nowhere {n}"}, **nowhere) for n in range(4)),
        goodreads_row({**a, "title": "Twins", "author": "Ann Lee"}, **nowhere),
        goodreads_row({**a, "title": ""}, **nowhere),
        goodreads_row({**b, "author": ""}, **nowhere),
        goodreads_row(books[310], **{"My Rating": "7"}),
        goodreads_row(books[311], **{"My Rating": "3.3"}),
        goodreads_row(books[312], **{"My Rating": "good"}),
        goodreads_row(books[313], **{"My Rating": "-1"}),
        [*goodreads_row(books[314]), "one field too many"],
    ]
    wanted |= {each["isbn"]: star for each, star in zip((a, b, c, d, e, f, g), (4, 2.5, 0, 4, 0, 0, 5), strict=True)}
    assert len(rows) == ROWS
    return chosen("\ufeff" + written(GOODREADS, rows, end="\r\n"), "goodreads_library_export.csv"), wanted


def test_an_export_of_300_books_is_on_the_shelf_exactly_once_although_the_page_was_closed_in_between(
    visit, stack, new_reader, catalogue, twins
):
    books = catalogue[50:]
    file, wanted = export_of_300(books)
    same, other = books[3]["isbn"], books[4]["isbn"]  # 3 and 4 stars in the file
    ana, ben = new_reader({same: 3, other: 1.5}), new_reader({books[0]["isbn"]: 2})
    hers, his = signed_in(visit(), ana), signed_in(visit(), ben)
    importing(hers)
    choose(hers, file)
    expect(hers.get_by_role("heading", name="300 books in this Goodreads export")).to_be_focused()
    additions = len(wanted) - 2
    expect(figure(hers, "to be added")).to_have_text(str(additions))
    expect(figure(hers, "already on your shelf")).to_have_text("1")
    expect(figure(hers, "with another rating")).to_have_text("1")
    expect(figure(hers, "more than once")).to_have_text("1")
    expect(figure(hers, "not used")).to_have_text("12")
    expect(figure(hers, "rounded up")).to_have_text("1")
    unused = hers.locator(".import-lines", has_text="Not used")
    for reason in (
        "It is not in the catalogue.", "The catalogue has 2 editions", "It has no ISBN, and title or author is missing",
        "“7” is not between 0 and 5 stars", "“3.3” is not a number of half or quarter stars", "“good” is not a number",
        "The row has 25 fields, the header 24.",
    ):  # fmt: skip
        expect(unused).to_contain_text(reason)
    assert violations(hers) == []
    picture(hers, "reader-import-review")

    hers.get_by_role("button", name=f"Add {additions} books").click()
    expect(status(hers)).to_contain_text("Importing goodreads_library_export.csv")
    wait_until(lambda: len(ana.shelf().ratings) >= 42)
    assert violations(hers) == []
    picture(hers, "reader-import-running")
    hers.reload()
    expect(hers.get_by_role("link", name="Import not finished")).to_be_visible()
    hers.get_by_role("link", name="Import not finished").click()
    assert len(ana.shelf().ratings) < additions
    hers.get_by_role("button", name="Continue").click()
    expect(status(hers)).to_have_text(
        f"Done. {additions} changes from goodreads_library_export.csv are on your shelf.", timeout=LONG
    )

    assert ana.shelf().ratings == wanted | {other: 1.5}
    entries, copies = nodes_of(stack, ana)
    assert len(entries) == len(wanted)
    titles = {book["isbn"]: book["title"] for book in catalogue}
    for entry, copy in zip(entries, copies, strict=True):
        assert (copy["isbn"], copy["myRate"]) == (entry["isbn"], entry["myRate"])
        assert entry["isbn"] in (same, other) or copy["title"] == titles[entry["isbn"]]
    assert stack.admin_get(f"{paths.PAUSED}/{ana.uid}") is None
    assert hers.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('bookrec'))") == []
    ana.wait_for_list()

    choose(hers, file)
    expect(hers.locator("#import-review")).to_contain_text("There is nothing to add.")
    expect(figure(hers, "already on your shelf")).to_have_text(str(len(wanted) - 1))
    hers.get_by_label("Change 1 rating on your shelf to the file’s").check()
    hers.get_by_role("button", name="Change 1 rating").click()
    expect(status(hers)).to_contain_text("Done. 1 change")
    assert ana.shelf().ratings == wanted
    assert len(nodes_of(stack, ana)[0]) == len(wanted)
    assert ben.shelf().ratings == {books[0]["isbn"]: 2}
    expect(his.locator("#entries > .entry")).to_have_count(1)


def test_a_storygraph_export_by_keyboard(visit, stack, new_reader, catalogue):
    reader = new_reader()
    page = visit()
    sign_in(page, reader.email)
    press = page.keyboard.press

    def tab_to(condition):
        for _ in range(60):
            if page.evaluate(f"() => {{ const it = document.activeElement; return {condition}; }}"):
                return
            press("Tab")
        raise AssertionError(f"not reached by tabbing: {condition}")

    expect(page.locator("#shelf-empty")).to_be_visible()
    tab_to("it.id === 'import-link'")
    press("Enter")
    expect(page.get_by_label("Your export, a CSV file")).to_be_enabled()
    a, b, c = catalogue[20:23]
    rows = [
        storygraph_row(a, **{"Star Rating": "4.25", "Review": "first line\nsecond; line"}),
        storygraph_row(b, **{"Read Status": "to-read"}),
        storygraph_row(c, **{"Read Status": "did-not-finish", "ISBN/UID": "a-uid-of-the-site", "Star Rating": "1.5"}),
    ]
    with page.expect_file_chooser() as chooser:
        tab_to("it.id === 'import-file'")
        press("Enter")
    chooser.value.set_files(chosen("\ufeff" + written(STORYGRAPH, rows, ";", "\r\n"), encoding="utf-16-le"))
    expect(page.get_by_role("heading", name="3 books in this StoryGraph export")).to_be_focused()
    tab_to("it.dataset.key === 'to-read'")
    press("Space")
    expect(page.get_by_role("button", name="Add 2 books")).to_be_visible()
    expect(page.get_by_label("Also 1 book you want to read")).to_be_focused()
    tab_to("it.tagName === 'SUMMARY'")
    press("Space")
    expect(page.locator(".import-lines[open]").get_by_text(a["title"].split(" (")[0])).to_be_visible()
    tab_to("it.dataset.key === 'go'")
    press("Enter")
    expect(status(page)).to_contain_text("Done. 2 changes")
    expect(page.get_by_role("heading", name="Bring your own shelf")).to_be_focused()
    assert reader.shelf().ratings == {a["isbn"]: 4.5, c["isbn"]: 1.5}


def two_batches(catalogue):
    rows = [goodreads_row(book, **{"My Rating": "4"}) for book in catalogue[100:125]]
    return chosen(written(GOODREADS, rows))


def test_an_import_waits_for_the_connection_and_can_be_stopped_continued_and_discarded(
    visit, stack, new_reader, catalogue
):
    reader = new_reader({catalogue[0]["isbn"]: 4})
    page = importing(signed_in(visit(), reader))
    choose(page, two_batches(catalogue))
    page.get_by_role("button", name="Add 25 books").click()
    wait_until(lambda: len(reader.shelf().ratings) == 21)
    page.get_by_role("button", name="Stop").click()
    expect(status(page)).to_contain_text("is not finished: 20 of 25 are written")
    page.get_by_role("button", name="Discard the rest").click()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    expect(status(page)).to_be_empty()

    choose(page, two_batches(catalogue))
    expect(figure(page, "already on your shelf")).to_have_text("20")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_contain_text("You are offline")
    page.get_by_role("button", name="Add 5 books").click()
    expect(status(page)).to_contain_text("Waiting for the connection")
    page.wait_for_timeout(7_000)  # the pause between two batches
    assert len(reader.shelf().ratings) == 21
    page.context.set_offline(False)
    expect(status(page)).to_contain_text("Done. 5 changes")
    assert len(reader.shelf().ratings) == 26
    assert len(nodes_of(stack, reader)[0]) == 26


def test_a_paused_reader_is_told_and_continues_later(visit, stack, new_reader, catalogue):
    reader = new_reader({catalogue[0]["isbn"]: 4})
    page = importing(signed_in(visit(), reader))
    choose(page, two_batches(catalogue))
    expect(page.get_by_role("button", name="Add 25 books")).to_be_visible()
    stack.admin_put(f"{paths.PAUSED}/{reader.uid}", {"until": 4_000_000_000_000})
    page.get_by_role("button", name="Add 25 books").click()
    expect(page.locator("#import-problem")).to_contain_text("Continue in ten minutes")
    assert len(reader.shelf().ratings) == 1
    without_triggers(stack, "DELETE", f"{paths.PAUSED}/{reader.uid}")
    page.get_by_role("button", name="Continue").click()
    expect(status(page)).to_contain_text("Done. 25 changes")
    assert len(reader.shelf().ratings) == 26
    visit.complaints.clear()


def test_signing_out_leaves_no_plan_and_somebody_else_gets_nothing_of_it(visit, new_reader, catalogue):
    ana, ben = new_reader({catalogue[0]["isbn"]: 4}), new_reader({catalogue[1]["isbn"]: 4})
    page = importing(signed_in(visit(), ana))
    choose(page, two_batches(catalogue))
    page.get_by_role("button", name="Add 25 books").click()
    wait_until(lambda: len(ana.shelf().ratings) == 21)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('bookrec'))") == []
    sign_in(page, ben.email)
    expect(page.get_by_label("Your export, a CSV file")).to_be_enabled()
    page.wait_for_timeout(7_000)
    assert len(ana.shelf().ratings) == 21
    assert len(ben.shelf().ratings) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"userId,isbn\na,b\n", "This is not an export of Goodreads or StoryGraph"),
        (b"PK\x03\x04", "This is a spreadsheet or a zip archive"),
        (b"", "The file is empty"),
    ],
)
def test_what_is_no_export_gets_a_message_and_another_file_can_be_chosen(
    visit, new_reader, catalogue, content, problem
):
    page = importing(signed_in(visit(), new_reader({catalogue[0]["isbn"]: 4})))
    choose(page, {"name": "x.csv", "mimeType": "text/csv", "buffer": content})
    expect(page.get_by_role("alert").filter(has_text=problem)).to_be_visible()
    expect(page.get_by_label("Your export, a CSV file")).to_be_focused()
    assert violations(page) == []
    choose(page, two_batches(catalogue))
    expect(page.get_by_role("button", name="Add 25 books")).to_be_visible()
    expect(page.locator("#import-problem")).to_be_empty()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_import_fits_and_axe_finds_no_violation(visit, new_reader, catalogue, scheme):
    page = signed_in(
        visit(**PHONE, color_scheme=scheme, reduced_motion="reduce"), new_reader({catalogue[0]["isbn"]: 4})
    )
    page.get_by_role("navigation").locator("[data-tab='shelf']").tap()
    assert_fits(page)
    importing(page)
    assert_fits(page)
    assert violations(page) == []
    rows = [
        *(goodreads_row(book) for book in catalogue[100:110]),
        goodreads_row({**catalogue[0], "title": "No " * 60}, ISBN="", ISBN13=""),
    ]
    choose(page, chosen(written(GOODREADS, rows)))
    expect(page.get_by_role("button", name="Add 10 books")).to_be_visible()
    assert_fits(page)
    assert violations(page) == []
    picture(page, f"reader-phone-{scheme}-import")
    page.get_by_role("button", name="Add 10 books").tap()
    expect(status(page)).to_contain_text("Done. 10 changes")
    assert_fits(page)
    assert violations(page) == []


def test_what_a_file_says_is_shown_as_text_and_never_runs(visit, new_reader, catalogue):
    markup = "<img src=x onerror=window.ran=1><script>window.ran=1</script>"
    page = importing(signed_in(visit(), new_reader({catalogue[0]["isbn"]: 4})))
    book = {**catalogue[1], "title": markup, "author": markup}
    rows = [goodreads_row(book, ISBN=markup, ISBN13="", **{"My Rating": stars}) for stars in ("4", markup)]
    choose(page, chosen(written(GOODREADS, rows), f"{markup.replace('/', '')}.csv"))
    unused = page.locator(".import-lines", has_text="Not used")
    expect(unused.locator("cite")).to_have_text([markup, markup])
    expect(unused).to_contain_text("is not a number of stars")
    assert page.evaluate("window.ran") is None


def test_the_parser_is_loaded_only_for_an_import(visit, new_reader, catalogue):
    page = signed_in(visit(), new_reader({catalogue[0]["isbn"]: 4}))
    loaded = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('csv-parse.js'))"
    assert not page.evaluate(loaded)
    importing(page)
    assert page.evaluate(loaded)
    expect(recommended(page)).to_have_count(10)


def own_copy(page):
    page.evaluate("location.hash = 'shelf'")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all my data").click()
    return json.loads(download.value.path().read_text())


def test_readers_get_their_own_copy_of_everything_and_nothing_of_others(visit, stack, new_reader, catalogue):
    ana, ben = new_reader({book["isbn"]: 4 for book in catalogue[:3]}), new_reader({catalogue[5]["isbn"]: 5})
    # Without an event, so that the list stays as it is.
    without_triggers(stack, "PUT", f"Users/{ana.uid}/dismissed", {catalogue[9]["isbn"]: 1_700_000_000_000})
    without_triggers(stack, "PUT", f"Users/{ana.uid}/dismissals", {"count": 1, "last": catalogue[9]["isbn"]})
    page = signed_in(visit(), ana)
    copy = own_copy(page)
    expect(page.locator("#toast")).to_contain_text("Your copy was downloaded")
    user = stack.admin_get(f"Users/{ana.uid}")
    assert copy["account"]["uid"] == ana.uid
    assert copy["account"]["email"] == ana.email
    assert copy["profile"] == {name: user[name] for name in ("id", "firstname", "lastname", "mobile", "image")}
    assert copy["list"]["listId"] == user["recommendations"]["listId"]
    assert (copy["dismissed"], copy["dismissals"]) == (user["dismissed"], user["dismissals"])
    entries = {key: entry for key, entry in stack.admin_get("User_Book").items() if entry["userId"] == ana.uid}
    assert copy["entries"] == entries
    assert copy["copies"] == {
        entry["bookId"]: stack.admin_get(f"Books/{entry['bookId']}") for entry in entries.values()
    }
    assert len(entries) == 3
    assert ben.uid not in json.dumps(copy)
    assert "contact address" in copy["ask"]
