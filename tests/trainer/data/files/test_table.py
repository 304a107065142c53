"""Tables as programs and spreadsheets write them: encodings, separators, compression; and those that cannot be read."""

import csv
import gzip
import io
import os
import random

import pytest

from trainer.data.files.formats import BOOKS, RATINGS
from trainer.data.files.reading import is_table
from trainer.data.files.table import read_table
from trainer.data.sources import SourceError, read_files

LONG = random.Random(1).randbytes(150_000).hex().encode()  # a cell that gzip makes half as long
ROWS = [["ann", "0439023483", "5"], ["bob, jr; \t\u00e9", "080442957X", "3.5"], ["\u4e66", "i", "0"]]


def text_of(separator=",", end="\n", head=("userId", "isbn", "myRate")):
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator=end).writerows([head, *ROWS])
    return file.getvalue()


def read(path):
    return read_table(path, RATINGS)[["userId", "isbn", "myRate"]].to_numpy().tolist()


@pytest.mark.parametrize(
    "name", ["ratings.csv", "Ratings.CSV", "RATINGS.Csv.Gz", "ratings.csv.gz", "ratings.tsv", "ratings.txt", "ratings"]
)
def test_neither_the_ending_nor_its_case_matters(tmp_path, name):
    content = text_of().encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    assert is_table(tmp_path / name)
    assert read(tmp_path / name) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_separator_in_every_unicode_encoding_is_read(tmp_path, encoding, separator, end):
    path = tmp_path / "ratings.csv"
    path.write_bytes(text_of(separator, end).encode(encoding))
    assert read(path) == ROWS
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read(path) == ROWS


def test_a_big_endian_mark_is_known(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes("\ufeff".encode("utf-16-be") + text_of(";").encode("utf-16-be"))
    assert read(path) == ROWS


@pytest.mark.parametrize("line", ["sep=;\r\n", "sep=;\n", "SEP=;\n", '"sep=;"\r\n'])
def test_a_line_that_names_the_separator_is_no_header(tmp_path, line):
    path = tmp_path / "ratings.csv"
    path.write_bytes(("\ufeff" + line + text_of(";")).encode())
    assert read(path) == ROWS


def test_a_quoted_header_and_spaces_around_its_names_are_read(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('"userId";" isbn ";"myRate"\nu;a;4\n')
    assert read(path) == [["u", "a", "4"]]


def test_spaces_after_separators_belong_to_no_cell(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('isbn, userId, myRate\n0439023483, "bob, jr", 4\n')
    assert read(path) == [["bob, jr", "0439023483", "4"]]


@pytest.mark.parametrize("second", ["isbn", " isbn", "isbn "])
def test_of_columns_with_the_same_name_the_first_counts(tmp_path, second):
    path = tmp_path / "ratings.csv"
    path.write_text(f"userId,isbn,{second},myRate\nu,a,b,4\n")
    assert read(path) == [["u", "a", "4"]]


@pytest.mark.parametrize("name", ["ratings", "ratings.csv", "database.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SourceError, match=r"cannot be read.* \(it is a pipe or a device: write its content"):
        read_files(path, None)


def test_a_table_with_one_column_has_no_separator(tmp_path):
    path = tmp_path / "books.csv"
    path.write_text("isbn\na\nb\n")
    assert read_table(path, BOOKS)["isbn"].tolist() == ["a", "b"]


@pytest.mark.parametrize("columns", ["user_id,book_id,rating", "user,item,stars", "User-ID;ISBN;Book-Rating"])
def test_columns_of_known_data_sets_count(tmp_path, columns):
    path = tmp_path / "ratings.csv"
    separator = ";" if ";" in columns else ","
    path.write_text(f"{columns}\n{separator.join(['u', 'a', '4'])}\n")
    assert read(path) == [["u", "a", "4"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text_of().encode("latin-1", "replace").replace(b"?", b"\xe9"), "line 3 is not UTF-8: save it as UTF-8"),
        (b"userId,isbn,myRate\nu,a,4\n" * 5_000 + b"\xff,a,4\n", "line 10001 is not UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00", "a spreadsheet: save the sheet as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "a spreadsheet: save the sheet as CSV UTF-8"),
        (b"userId,isbn,myRate\nann\0a,i,4\nann\0b,i,5\n", "it has NUL characters"),
        (text_of().encode("utf-32-le"), "it has NUL characters"),
        (b'userId,isbn,myRate\nu,a,4\nu,"b,5\nv,c,4\n', "line 3 has a quotation mark that is not closed"),
        (b'{"User_Book": {}}', "it is JSON"),
        (b"\xef\xbb\xbf [1]", "it is JSON"),
        (b"userId,isbn,myRate\nu,a,4,5\n", "more fields than the header"),
        (b"userId,isbn,myRate\nu,a,4\nu,a,4,5\n", "line 3 has 4 fields, the header 3: put fields"),
        (gzip.compress(text_of().encode() * 100)[:-9], "cut off or damaged"),
        (b"\x1f\x8bjunk", "cut off or damaged"),
        (gzip.compress(b"userId,isbn,myRate\n\xff" + LONG)[: len(LONG) // 4], "cut off or damaged, and not UTF-8"),
        ("userId,isbn".encode("utf-16")[:-1], "damaged UTF-16"),
        (b"", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_read_is_named_with_the_way_out(tmp_path, content, message):
    path = tmp_path / "ratings.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError) as raised:
        read_table(path, RATINGS)
    assert str(raised.value).startswith(f"{path}: cannot be read as CSV (")
    assert message in str(raised.value)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("reader;isbn;myRate\nu;a;4\n")
    with pytest.raises(SourceError, match="no column userId; it has reader, isbn, myRate"):
        read_table(path, RATINGS)


def test_a_message_does_not_repeat_a_file_without_a_header(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(",".join(f"column{n}" for n in range(10_000)) + "\n1\n")
    with pytest.raises(SourceError, match=r"no column userId; it has column0, column1, .*…$") as raised:
        read_table(path, RATINGS)
    assert len(str(raised.value)) < len(str(path)) + 600
