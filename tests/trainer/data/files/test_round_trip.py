"""Whatever writes a table, and in whatever encoding: it comes back the same, or is rejected with the reason."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bookrec.entries import parse_isbn, parse_user_id
from bookrec.errors import BadData
from trainer.data.files.mending import BLANK, DECIMAL_COMMA
from trainer.data.files.reading import read_tables
from trainer.data.sources import SourceError

RATINGS, BOOKS = ["userId", "isbn", "myRate"], ["isbn", "title", "authors"]


def is_accepted(parse):
    def accepted(text):
        try:
            return parse(text) == text
        except BadData:
            return False

    return accepted


TEXT = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
LATIN = st.characters(codec="latin-1", exclude_categories=("Cc",))
USERS = st.one_of(st.text(TEXT, min_size=1, max_size=12), st.text(LATIN, min_size=1, max_size=8)).filter(
    is_accepted(parse_user_id)
)
ISBNS = st.one_of(
    st.from_regex(r"[0-9]{9}[0-9X]|97[89][0-9]{10}", fullmatch=True), st.text(TEXT, min_size=1, max_size=9)
)
STARS = st.integers(0, 10).map(lambda halves: halves / 2)
ROWS = st.lists(st.tuples(USERS, ISBNS.filter(is_accepted(parse_isbn)), STARS), min_size=1, max_size=8)
TITLES = st.text(st.one_of(TEXT, st.sampled_from(",;\t\"'=\n\r")), max_size=12)

ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
WRITERS = st.sampled_from(
    [
        ("pandas", {}),
        ("pandas", {"sep": ";", "decimal": ","}),
        ("pandas", {"sep": "\t", "quoting": csv.QUOTE_ALL}),
        ("pandas", {"decimal": ",", "quoting": csv.QUOTE_NONNUMERIC}),
        ("csv", {"dialect": "excel"}),
        ("csv", {"dialect": "excel-tab"}),
        ("csv", {"dialect": "unix"}),
        ("european", {"dialect": "excel", "delimiter": ";"}),
        ("named", {"dialect": "excel", "delimiter": ";"}),
    ]
)


def written(rows, columns, writer):
    """Return a table as text; stars of a European spreadsheet have a comma, and unrated books no stars."""
    kind, options = writer
    file = io.StringIO(newline="")
    if kind == "pandas":
        pd.DataFrame(rows, columns=columns).to_csv(file, index=False, **options)
        return file.getvalue()
    if kind == "named":
        file.write("sep=;\r\n")

    def cell(value):
        if not isinstance(value, float):
            return value
        return (
            "" if kind == "european" and value == 0 else f"{value:g}".replace(".", "," if kind == "european" else ".")
        )

    csv.writer(file, **options).writerows([columns, *([cell(value) for value in row] for row in rows)])
    return file.getvalue()


def encoded(text, encoding):
    """Return a text's bytes; one that has no Latin-1, or that is UTF-8 as it stands, is no example."""
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    if encoding == "latin-1" and not text.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            return content
        assume(False)  # nobody can tell
    return content


def shelves(rows):
    """Return what a database would hold: of a reader's rows for one book the last with stars, or else the first."""
    entries = {}
    for user, isbn, stars in rows:
        if stars or (user, isbn) not in entries:
            entries[user, isbn] = stars
    return {(user, isbn): stars for (user, isbn), stars in entries.items()}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(ROWS, st.lists(st.tuples(TITLES, TITLES), min_size=8, max_size=8), WRITERS, ENCODINGS)
def test_a_table_comes_back_the_same_or_is_rejected_with_the_reason(tmp_path_factory, rows, titles, writer, encoding):
    folder = tmp_path_factory.mktemp("trip")
    isbns = list(dict.fromkeys(isbn for _, isbn, _ in rows))
    catalogue = [(isbn, *names) for isbn, names in zip(isbns, titles, strict=False)]
    for name, content in (
        ("ratings", written(rows, RATINGS, writer)), ("books", written(catalogue, BOOKS, writer)),
    ):  # fmt: skip
        (folder / name).write_bytes(encoded(content, encoding))
    if encoding == "latin-1" and not all((folder / name).read_bytes().isascii() for name in ("ratings", "books")):
        with pytest.raises(SourceError, match="is not UTF-8: save it as UTF-8"):
            read_tables(folder / "ratings", folder / "books")
        return
    read = read_tables(folder / "ratings", folder / "books")
    assume(not set(read.report.mended) - {BLANK, DECIMAL_COMMA})  # numbers that look turned are mended, and counted
    table = zip(*(read.usable[name].tolist() for name in RATINGS), strict=True)
    assert {(user, isbn): stars for user, isbn, stars in table} == shelves(rows)
    assert not set(read.report.dropped) - {"duplicate"}
    assert read.books[BOOKS].to_numpy().tolist() == [list(row) for row in catalogue]
