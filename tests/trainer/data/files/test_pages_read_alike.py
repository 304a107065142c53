"""The pages' reader of exports (`web/library.js`) and this one: the same rows give the same books and stars."""

import csv
import io
import json
import random
import subprocess
from collections import Counter

import pytest

from bookrec.catalogue import Book
from local.stack import ROOT
from trainer.data.files.reading import How, read_tables
from trainer.data.files.spelling import same_book

PROGRAM = """
const modules = ['library', 'library-import'].map((name) => import(`${process.argv[1]}/${name}.js`));
const [library, work] = await Promise.all(modules);
let text = '';
for await (const chunk of process.stdin) text += chunk;
const [what, given] = JSON.parse(text);
const asked = {
  read: (text) => library.readLibrary(text),
  bytes: (bytes) => library.textOf(Uint8Array.from(bytes)),
  same: (isbns) => isbns.map(library.sameBook),
  spellings: (isbns) => isbns.map((isbn) => Object.values(library.spellings(isbn))),
  edition: (books) => books.map(library.edition),
  stored: (texts) => texts.map((text) => {
    globalThis.localStorage = { getItem: () => text };
    const { phase, total, done } = new work.LibraryImport({}, 'u', 'key', () => [], () => {});
    return [phase, total, done];
  }),
  plan: ([rows, shelf, without]) => work.planOf(rows.map((row) => ({ row, book: row })), shelf, new Set(without)),
};
try {
  console.log(JSON.stringify({ answer: asked[what](given) }));
} catch (error) {
  if (!(error instanceof library.LibraryError)) throw error;
  console.log(JSON.stringify({ problem: error.message }));
}
"""
ISBNS = [
    '="0439023483"', '=""', "", "439023484", "0-8044-2957-X", "080442957x", "'0306406152", " 9780306406157 ",
    "9780140328721.0", "9.780439023481E+12", "9.78044E+12", "9,780,451,524,935", "978-0-553-29335-7", "B00ABCDEFG",
    "ISBN 9780735211292", "~odd", "4E10", "0306406153", "9780306406150", "09780306406157", "123456",
    "\u2010978\u20100\u2010306\u201040615\u20107",
]  # fmt: skip
STARS = [
    "", "0", "0.25", "0.5", "0.75", "1", "2.25", "3,75", "4.5", "4.75", "5", "5.0", "5.25", "-1", "-0.25", "3.3",
    "4.125", "four", "1_0", "1e0", "nan", "inf", " 4 ", '="3.5"', ".5", "+2", "0x2",
]  # fmt: skip
GOODREADS = ["Book Id", "Title", "Author", "ISBN", "ISBN13", "My Rating", "Date Added", "Exclusive Shelf"]


@pytest.fixture(scope="module")
def in_javascript():
    def ask(what, given):
        words = ["node", "--no-warnings", "--input-type=module", "--eval", PROGRAM, str(ROOT / "web")]
        done = subprocess.run(words, input=json.dumps([what, given]), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer.get("answer", answer.get("problem"))

    return ask


@pytest.fixture
def in_python(tmp_path):
    def read(text):
        path = tmp_path / "library.csv"
        path.write_bytes(text.encode())
        return read_tables(path, None, How(), least=0)

    return read


def table(rows, separator=",", end="\r\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    return text.getvalue()


def goodreads(cells):
    """An export with one row for each ISBN and rating."""
    return table(
        [GOODREADS, *([str(n), f"T {n}", "A", isbn, "", star, "", "read"] for n, (isbn, star) in enumerate(cells))]
    )


def shelf_of(tables):
    return dict(tables.usable[["isbn", "myRate"]].to_numpy().tolist())


def rejections(tables):
    return {reason: number for reason, number in tables.report.dropped.items() if reason.startswith("rating_")}


def test_every_form_of_a_rating_gives_the_same_stars_or_the_same_reason(in_javascript, in_python):
    text = goodreads([(f"n{number}", star) for number, star in enumerate(STARS)])
    expected, library = in_python(text), in_javascript("read", text)
    assert {row["isbns"][0]: row["rating"] for row in library["rows"]} == shelf_of(expected)
    assert Counter(row["reason"] for row in library["rejected"]) == rejections(expected)
    assert library["rounded"] == expected.report.mended["rounded"] == 5
    first = {row["reason"]: row["line"] for row in reversed(library["rejected"])}
    assert first == {reason: line for reason, (line, _) in expected.report.first.items() if reason in first}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_form_of_an_isbn_gives_the_same_number(in_javascript, in_python, separator):
    rows = [[str(n), "T", "A", isbn, "", "4", "", "read"] for n, isbn in enumerate(ISBNS)]
    text = "\ufeff" + table([GOODREADS, *rows], separator)
    expected, library = in_python(text), in_javascript("read", text)
    assert {isbn for row in library["rows"] for isbn in row["isbns"]} == set(shelf_of(expected))
    # A row without a usable number is matched by its title.
    without = sum(not row["isbns"] for row in library["rows"])
    assert without == sum(expected.report.dropped[reason] for reason in ("isbn_missing", "isbn_invalid", "digits_lost"))


def test_random_rows_are_read_alike(in_javascript, in_python):
    chosen = random.Random(3)
    cells = [(f"r{n}{chosen.choice(['', '-a', '.b'])}", chosen.choice(STARS[:12])) for n in range(400)]
    text = goodreads(cells)
    assert {row["isbns"][0]: row["rating"] for row in in_javascript("read", text)["rows"]} == shelf_of(in_python(text))


def test_a_storygraph_export_is_read_alike_with_quoted_newlines_and_blanks(in_javascript, in_python):
    header = ["Title", "Authors", "ISBN/UID", "Read Status", "Date Added", "Last Date Read", "Star Rating", "Review"]
    rows = [
        ["One", "Ann Lee, Bo Roe", "9780439023481", "read", "2021/01/03", "2021/02/03", "4.25", 'a "fine"\nbook;'],
        ["Two", "Cy", "9780804429573", "to-read", "2021/01/04", "", "", ""],
        ["Three", "Di", "some-uid", "did-not-finish", "2021/01/05", "", "1.5", ""],
        ["Four", "Ed", "9780306406157", "currently-reading", "", "", "", ""],
    ]
    text = table([header, *rows], ";", "\n")
    library, expected = in_javascript("read", text), in_python(text)
    assert {row["isbns"][0]: row["rating"] for row in library["rows"]} == shelf_of(expected)
    assert [row["status"] for row in library["rows"]] == ["read", "to-read", "unfinished", "reading"]
    assert [row["added"] for row in library["rows"]] == expected.ratings["at"].clip(lower=0).tolist()
    lower = text.replace(";".join(header), ";".join(header).lower())
    assert in_javascript("read", lower) == library


def test_the_same_isbns_are_one_book(in_javascript):
    isbns = [isbn for isbn in ISBNS if isbn]
    assert in_javascript("same", isbns) == [same_book(isbn) for isbn in isbns]
    for isbn, ways in zip(isbns, in_javascript("spellings", isbns), strict=True):
        assert {same_book(way) for way in ways} == {same_book(isbn)}, isbn
    [ways] = in_javascript("spellings", ["0-8044-2957-x"])
    assert {"080442957X", "080442957x", "80442957X", "9780804429573", "09780804429573"} < set(ways)


def test_the_same_titles_are_one_edition(in_javascript):
    titles = [
        "The  Hunger Games (The Hunger Games, #1)",
        "the hunger games",
        "Émile, ou De l’éducation",
        "Straße",
        "STRASSE",
        "!",
        "",
    ]
    authors = ["Suzanne Collins", "Jean-Jacques Rousseau, Somebody Else", "Günter Graß", ""]
    books = [{"title": title, "author": author} for title in titles for author in authors]
    expected = [Book("i", book["title"], book["author"], "").edition for book in books]
    assert in_javascript("edition", books) == ["\n".join(each) if each else "" for each in expected]


def test_of_a_books_rows_the_last_one_with_stars_counts(in_javascript, in_python):
    cells = [("a1", "3"), ("b1", "0"), ("a1", "5"), ("a1", ""), ("b1", "2"), ("c1", ""), ("c1", "")]
    rows = [{**row, "isbn": row["isbns"][0]} for row in in_javascript("read", goodreads(cells))["rows"]]
    plan = in_javascript("plan", [rows, [], []])
    expected = in_python(goodreads(cells))
    assert (
        {book["isbn"]: book["rating"] for book in plan["additions"]}
        == shelf_of(expected)
        == {"a1": 5, "b1": 2, "c1": 0}
    )
    assert plan["repeated"] == expected.report.dropped["duplicate"] == 4


def planned(number, **fields):
    book = {"title": f"T {number}", "author": "A", "isbn": f"i{number}"}
    return {"line": number + 2, **book, "rating": 0, "status": "read", "added": 0, **fields}


def test_a_plan_leaves_the_shelf_as_it_is_and_says_where_the_file_differs(in_javascript):
    shelf = [{"key": f"k{n}", "bookId": "b", "isbn": f"i{n}", "rating": 3} for n in range(3)]
    shelf.append({"key": "k9", "bookId": "b", "isbn": "0439023483", "rating": 4})
    rows = [planned(0, rating=3), planned(1, rating=4.5), planned(2), planned(3, isbn="09780439023481", rating=4),
            planned(4, status="to-read"), planned(5, status="unfinished", rating=1)]  # fmt: skip
    plan = in_javascript("plan", [rows, shelf, ["to-read"]])
    assert [book["isbn"] for book in plan["additions"]] == ["i5"]
    assert [match["row"]["isbn"] for match in plan["already"]] == ["i0", "i2", "09780439023481"]
    assert [(match["entry"]["key"], match["row"]["rating"]) for match in plan["changed"]] == [("k1", 4.5)]


def test_a_book_that_the_catalogue_has_in_two_spellings_is_added_once(in_javascript):
    spellings = ["0439023483", "09780439023481", "9780439023481"]
    rows = [
        planned(n, isbn=isbn, rating=stars) for n, (isbn, stars) in enumerate(zip(spellings, [3, 4, 0], strict=True))
    ]
    plan = in_javascript("plan", [rows, [], []])
    assert [(book["isbn"], book["rating"]) for book in plan["additions"]] == [(spellings[1], 4)]
    assert plan["repeated"] == 2


def test_what_is_stored_and_is_no_import_is_left_alone(in_javascript):
    odd = ["", "{", "null", "5", "true", '"x"', "[]", "{}", '{"additions": 5}', '{"additions": [], "changed": {}}']
    assert in_javascript("stored", odd) == [["none", 0, 0]] * len(odd)
    work = {"file": "f", "additions": [{"isbn": "i"}], "changed": []}
    assert in_javascript("stored", [json.dumps({**work, "done": done}) for done in (None, "x", 1, 9)]) == [
        ["stopped", 1, 0], ["stopped", 1, 0], ["stopped", 1, 1], ["stopped", 1, 1]
    ]  # fmt: skip


def test_the_newest_books_come_last_and_more_than_a_shelf_holds_are_left_out(in_javascript):
    shelf = [{"key": f"k{n}", "bookId": "b", "isbn": f"s{n}", "rating": 3} for n in range(1_998)]
    rows = [planned(n, added=day) for n, day in enumerate([5, 0, 9, 7])]
    plan = in_javascript("plan", [rows, shelf, []])
    assert [book["isbn"] for book in plan["additions"]] == ["i3", "i2"]
    assert plan["over"] == 2
    assert [book["isbn"] for book in in_javascript("plan", [rows, [], []])["additions"]] == ["i1", "i0", "i3", "i2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The file is empty"),
        ("userId,isbn,myRate\nann,i,4\n", "This is not an export of Goodreads or StoryGraph"),
        ('{"Users": {}}', "This is not an export of Goodreads or StoryGraph"),
        ("Title,ISBN13,Author\na,b,c\n", "This is not an export of Goodreads or StoryGraph"),
        ("Title,ISBN13,My Rating\n", "The Goodreads export has no books in it"),
        ('Title,ISBN13,My Rating\na,b,3\n"c,d,4\n', "A quotation mark in the file is not closed, up to line 3"),
        ("Title,ISBN13,My Rating\n" + "".join(f"a,i{n},{n}\n" for n in range(11)), "5 of 10 ratings are above 5 stars"),
    ],
)
def test_what_is_no_export_says_so(in_javascript, text, problem):
    assert in_javascript("read", text).startswith(problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04rest", "This is a spreadsheet or a zip archive"),
        ("Bücher".encode("latin-1"), "The file is not UTF-8"),
        (b"a\0b", "The file is damaged"),
        ("\ufeffBücher".encode("utf-16-le"), "Bücher"),
        ("\ufeffBücher".encode("utf-16-be"), "Bücher"),
        ("\ufeffBücher".encode(), "Bücher"),
    ],
)
def test_a_file_is_text_or_the_message_says_what_it_is(in_javascript, content, problem):
    assert in_javascript("bytes", list(content)).startswith(problem)


def test_a_row_with_more_fields_than_the_header_is_rejected_and_the_next_one_is_read(in_javascript):
    library = in_javascript("read", "Title,ISBN13,My Rating\na, with a comma,i,4\nb,i,3\nc,i,2,,\nd\n")
    assert [row["title"] for row in library["rows"]] == ["b", "c", "d"]
    [row] = library["rejected"]
    assert (row["line"], row["message"]) == (2, "The row has 4 fields, the header 3.")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "sep=,\n"])
def test_messages_name_the_line_that_an_editor_shows(in_javascript, in_python, before, end):
    lines = [
        "Title,ISBN,ISBN13,My Rating",
        "",
        '"two',
        'lines",a1,,4',
        "",
        " ",
        "bad,a2,,9",
        '"x',
        'y",a3,,four',
        "last,a4,,3.3",
    ]
    text = (before + "\n".join(lines)).replace("\n", end)
    rejected = {row["reason"]: row["line"] for row in in_javascript("read", text)["rejected"]}
    more = 1 if before else 0
    assert rejected == {"rating_out_of_range": 7 + more, "rating_not_number": 8 + more, "rating_not_half": 10 + more}
    assert rejected == {reason: line for reason, (line, _) in in_python(text).report.first.items()}
