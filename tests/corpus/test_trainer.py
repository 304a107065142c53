"""What a training run reads from the corpus: the good entries unchanged, the others counted by reason."""

import itertools
import json
import math
import re
from collections import Counter

import numpy as np
import pytest

from bookrec import paths
from tests.corpus import corpus
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.data.files.reading import read_tables
from trainer.data.sources import BOOK_COLUMNS, SourceError, read_export, read_files, read_pages

READERS, BOOK_COUNT = 6, 8
GOOD = {
    f"-Ngood{reader}{book}": corpus.sound_entry(f"good{reader}", f"good{book:03}", (reader + book) % 11 / 2)
    for reader, book in itertools.product(range(READERS), range(BOOK_COUNT))
}
GOOD_BOOKS = {
    f"-Mgood{book}": {"isbn": f"good{book:03}", "title": f"Title {book}", "author": "A", "publishedYear": "2001"}
    for book in range(BOOK_COUNT)
}
ENTRIES = {item.key: item.value for item in corpus.entries()}
NODES = {item.key: item.value for item in corpus.books()}
EXPECTED = Counter(f"entry:{item.reason}" for item in corpus.entries() if item.is_bad) + Counter(
    f"book:{item.rejected}" for item in corpus.books() if item.rejected
)
TAKEN = [item for item in corpus.entries() if not item.is_bad]


def in_pages(entries, books):
    """Return a database with these nodes, read in pages in the order of their keys."""
    nodes = {paths.USER_BOOK: entries, paths.ARCHIVE: books}

    def pages(path, size):
        keys = sorted(nodes[path], key=paths.key_order)
        for start in range(0, len(keys), 37):
            yield {key: nodes[path][key] for key in keys[start : start + 37]}

    return pages


@pytest.fixture(scope="module")
def snapshot():
    return read_pages(in_pages(GOOD | ENTRIES, GOOD_BOOKS | NODES), "corpus")


def rows(frame, columns):
    return frame[columns].to_numpy().tolist()


def good_rows(frame):
    ours = frame[frame["userId"].str.startswith("good")]
    return sorted(rows(ours, ["userId", "isbn", "myRate"]))


def test_everything_bad_is_counted_by_reason(snapshot):
    assert snapshot.rejected == dict(EXPECTED)
    assert len(snapshot.ratings) == len(GOOD) + len(TAKEN)


def test_good_entries_and_books_are_read_unchanged(snapshot):
    expected = [[value["userId"], value["isbn"], value["myRate"]] for value in GOOD.values()]
    assert good_rows(snapshot.ratings) == sorted(expected)
    books = snapshot.books[snapshot.books["isbn"].str.startswith("good")]
    expected = [[value["isbn"], value["title"], "A", "", "2001", ""] for value in GOOD_BOOKS.values()]
    assert rows(books, BOOK_COLUMNS) == sorted(expected)


@corpus.each([item for item in corpus.books() if not item.rejected])
def test_an_odd_book_is_read_with_bad_fields_emptied_or_cleaned(item):
    books = read_pages(in_pages({}, {"a": item.value}), "corpus").books
    fields = {**corpus.SOUND_BOOK, **item.kept}
    year = str(fields["publishedYear"]) if fields["publishedYear"] else ""
    names = ("isbn", "title", "author", "genre")
    assert rows(books, BOOK_COLUMNS) == [[*(fields[name] for name in names), year, fields["description"]]]
    for text in rows(books, BOOK_COLUMNS)[0]:
        text.encode()  # a half of a surrogate pair would raise


def test_what_was_read_can_be_cleaned_and_built(snapshot):
    cleaned, dropped = dataset.clean(snapshot.ratings)
    assert set(dropped) == {"duplicate"}
    assert good_rows(cleaned) == good_rows(snapshot.ratings)
    ratings = dataset.build(cleaned, snapshot.books)
    assert set(ratings.user_ids) == set(snapshot.ratings["userId"])
    assert set(ratings.isbns) == set(snapshot.ratings["isbn"]) | set(snapshot.books["isbn"])
    assert np.isfinite(ratings.stars).all()
    assert ratings.matrix().sum() == len(cleaned)
    assert len(ratings.fingerprint()) == 64
    held = dataset.holdout(ratings, 0.2, 1)
    assert 0 < held.sum() < len(held)


def test_the_metadata_of_odd_books_gives_finite_features():
    nodes = {i.key: {**i.value, "isbn": f"odd{n:03}"} for n, i in enumerate(corpus.books()) if not i.rejected}
    books = read_pages(in_pages({}, nodes), "corpus").books
    features = item_features(tuple(books["isbn"]), books, DEFAULTS.features)
    assert features.shape[0] == len(nodes)
    assert np.isfinite(features.data).all()


@pytest.mark.parametrize("keys", [("-Na", "-Nb"), ("9", "10"), ("5", "-Na"), ("2", "007")])
def test_of_two_nodes_with_the_same_isbn_the_trainer_reads_the_one_that_lists_show(keys, tmp_path):
    second, first = ({"isbn": "1", "title": title} for title in ("Second", "First"))
    nodes = {keys[1]: second, keys[0]: first}
    file = tmp_path / "export.json"
    file.write_text(json.dumps({paths.USER_BOOK: {}, paths.ARCHIVE: nodes}))
    for books in (read_pages(in_pages({}, nodes), "corpus").books, read_export(file).books):
        assert books["title"].tolist() == ["First"]


def in_json(nodes):
    """Return the nodes that JSON can hold: half a surrogate pair is one of them, NaN is not."""
    return {key: node for key, node in nodes.items() if not re.search(r" -?(NaN|Infinity)\b", json.dumps([0, node]))}


def test_an_export_holds_the_same_as_the_database(tmp_path):
    entries, books = in_json(GOOD | ENTRIES), in_json(GOOD_BOOKS | NODES)
    file = tmp_path / "export.json"
    file.write_text(json.dumps({paths.USER_BOOK: entries, paths.ARCHIVE: books}))
    exported, expected = read_export(file), read_pages(in_pages(entries, books), "corpus")
    assert len(expected.ratings) == len(GOOD) + len(TAKEN)
    assert exported.rejected == expected.rejected
    assert exported.ratings.equals(expected.ratings)
    assert exported.books.equals(expected.books)


def test_nodes_with_small_numbers_as_keys_are_read_from_the_array_in_an_export(tmp_path):
    entries = [None, corpus.sound_entry("u", "1", 4), corpus.sound_entry("u", "2", 7), "text"]
    file = tmp_path / "export.json"
    file.write_text(json.dumps({paths.USER_BOOK: entries, paths.ARCHIVE: [{"isbn": "1", "title": "T"}, 7]}))
    snapshot = read_export(file)
    assert rows(snapshot.ratings, ["userId", "isbn", "myRate"]) == [["u", "1", 4.0]]
    assert snapshot.books["title"].tolist() == ["T"]
    assert snapshot.rejected == {
        "entry:rating_out_of_range": 1,
        "entry:not_an_object": 1,
        "book:not_an_object": 1,
    }


@pytest.mark.parametrize("whole", ["text", 7, True, None, [], {}])
def test_an_export_without_nodes_is_empty(whole, tmp_path):
    file = tmp_path / "export.json"
    file.write_text(json.dumps({paths.USER_BOOK: whole, paths.ARCHIVE: whole}))
    snapshot = read_export(file)
    assert (len(snapshot.ratings), len(snapshot.books), snapshot.rejected) == (0, 0, {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b"{",
        b'{"User_Book": {}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b"9" * 5_000,
        b"\0",
    ],
    ids=lambda content: f"{content[:16]!r}",
)
def test_the_error_for_a_file_that_is_not_an_export_names_it_and_the_problem(content, tmp_path):
    file = tmp_path / "export.json"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=r"export\.json"):
        read_export(file)


def csv(folder, content):
    file = folder / "ratings.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


HEAD = "userId,isbn,myRate\n"
BAD_ROWS = [
    ("u,b,7", "rating_out_of_range"),
    ("u,b,-1", "rating_out_of_range"),
    ("u,b,1e308", "rating_out_of_range"),
    ("u,b,3.3", "rating_not_half"),
    ("u,b,4.999999", "rating_not_half"),
    ("u,b,NaN", "rating_not_number"),
    ("u,b,nan", "rating_not_number"),
    ("u,b,inf", "rating_not_number"),
    ("u,b,-Infinity", "rating_not_number"),
    ("u,b,1e400", "rating_not_number"),
    ("u,b,four", "rating_not_number"),
    ('u,b,"4,5,0"', "rating_not_number"),
    ("u,b,0x4", "rating_not_number"),
    ("u,b,True", "rating_not_number"),
    ("u,b,None", "rating_not_number"),
    ("u,,4", "isbn_missing"),
    ("u", "isbn_missing"),
    ("u, b,4", "isbn_invalid"),
    ("u,b/c,4", "isbn_invalid"),
    ("u,\N{DRAGON},4", "isbn_invalid"),
    ("u,\uff11,4", "isbn_invalid"),
    ('u,"b\n",4', "isbn_invalid"),
    (f"u,{'1' * 65},4", "isbn_invalid"),
    (f"u,{'1' * 200_000},4", "isbn_invalid"),
    (",b,4", "user_missing"),
    (",,", "user_missing"),
    ("a.b,b,4", "user_invalid"),
    ("a/b,b,4", "user_invalid"),
    ('"a\nb",b,4', "user_invalid"),
    (f"{'x' * 129},b,4", "user_invalid"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS, ids=lambda value: value[:20])
def test_a_bad_row_of_a_csv_file_is_rejected_with_its_reason_and_the_others_stay(row, reason, tmp_path):
    snapshot = read_files(csv(tmp_path, f"{HEAD}u,a,4\n{row}\nw,a,0\n"), None)
    cleaned, dropped = dataset.clean(snapshot.ratings)
    assert rows(cleaned, ["userId", "isbn", "myRate"]) == [["u", "a", 4.0], ["w", "a", 0.0]]
    assert dropped == {reason: 1}
    dataset.build(cleaned, snapshot.books)


@pytest.mark.parametrize("row", ["u,b,", "u,b", "u,b,  ", 'u,b,""'])
def test_a_row_without_stars_is_a_shelf_entry_that_is_not_rated(row, tmp_path):
    snapshot = read_files(csv(tmp_path, f"{HEAD}u,a,4\n{row}\n"), None)
    cleaned, dropped = dataset.clean(snapshot.ratings)
    assert rows(cleaned, ["userId", "isbn", "myRate"]) == [["u", "a", 4.0], ["u", "b", 0.0]]
    assert dropped == {}


def test_all_bad_rows_together_are_counted_by_reason(tmp_path):
    snapshot = read_files(csv(tmp_path, HEAD + "u,a,4\n" + "".join(f"{row}\n" for row, _ in BAD_ROWS)), None)
    cleaned, dropped = dataset.clean(snapshot.ratings)
    assert dropped == Counter(reason for _, reason in BAD_ROWS)
    assert len(cleaned) == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "CSV"),
        ("\n\n", "CSV"),
        (HEAD, "no row"),
        ("userId,isbn\nu,a\n", "no column myRate"),
        ("isbn,myRate\na,4\n", "no column userId"),
        ("userId,myRate\nu,4\n", "no column isbn"),
        ("userId|isbn|myRate\nu|a|4\n", "no column userId"),
        ("USERID,ISBN,MYRATE\nu,a,4\n", "no column userId"),
        (HEAD + "u,a,4\nu,b,4,5\n", "CSV"),
        (HEAD + "u,a,4,5\nu,b,4,5\n", "CSV"),
        (HEAD + 'u,"a,4\n', "CSV"),
        (HEAD.encode() + b"\xe9,a,4\n", "CSV"),
        (b"\xff\xfeu\0s\0e\0r\0", "no column isbn"),
        (b"\xff\xfeu\0s\0e\0r", "CSV"),
        (b"PK\x03\x04\x00\x01\x02\xff", "CSV"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_error_for_an_unreadable_csv_file_names_it_and_the_problem(content, named, tmp_path):
    with pytest.raises(SourceError, match=r"ratings\.csv") as caught:
        read_tables(csv(tmp_path, content), None)
    assert named in str(caught.value)


@pytest.mark.parametrize("end", [",", ",\r"])
def test_a_separator_at_the_end_of_each_row_shifts_no_column(end, tmp_path):
    frame = read_tables(csv(tmp_path, f"{HEAD}u,a,4{end}\nw,b,3.5{end}\n"), None).ratings
    assert rows(frame, ["userId", "isbn", "myRate"]) == [["u", "a", "4"], ["w", "b", "3.5"]]


@pytest.mark.parametrize(
    ("at", "time"),
    [
        ("1700000000000", 1_700_000_000_000),
        ("0", 0),
        ("", -1),
        ("yesterday", -1),
        ("2024-01-31", -1),
        ("1.7e12", -1),
        ("-5", -1),
        ("NaN", -1),
        ("\u0661", -1),
        ("9" * 40, -1),
        ("9" * 5_000, -1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_time_that_cannot_be_read_is_an_unknown_time(at, time, tmp_path):
    read = read_tables(csv(tmp_path, f"userId,isbn,myRate,at\nu,a,4,{at}\n"), None)
    assert read.report.dropped == {}
    assert dataset.build(read.usable, None).at.tolist() == [time]


def test_csv_books_without_an_isbn_are_left_out_and_no_field_breaks_the_features(tmp_path):
    file = tmp_path / "books.csv"
    lines = [
        "isbn,title,authors,year",
        "a,T,A,1999",
        ",T,A,1999",
        "b/c,T,A,1999",
        "b",
        'c,"T\n",A,19xx',
        "d,\x01,NaN,-44",
    ]
    file.write_text("\n".join(lines) + "\n")
    read = read_tables(csv(tmp_path, HEAD + "u,a,4\n"), file)
    books = read.books
    ratings = dataset.build(read.usable, books)
    assert ratings.isbns == ("a", "b", "c", "d")
    features = item_features(ratings.isbns, books, DEFAULTS.features)
    assert all(math.isfinite(value) for value in features.data)
