"""Messages name the line that a person sees in an editor, whatever is above it."""

import pytest

from trainer.data.exchange.importer import import_ratings
from trainer.data.files.formats import RATINGS
from trainer.data.files.reading import read_tables
from trainer.data.files.table import read_table
from trainer.data.sources import SourceError

HEAD = "userId,isbn,myRate,note\n"


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("u,a,4,\n", 3),
        ("\n\nu,a,4,\n", 5),
        ("u,a,4,\n  \n", 4),
        ("u,a,4,\n\t\n\n", 5),
        ('u,a,4,"one\ntwo\n\nfour"\n', 6),
        ('u,a,4,"one ""two""\nthree"\nu,c,4,\n', 5),
        ('u,a,4,5" wide\n', 3),
        ('u,a,4,"' + "x" * 200_000 + '"\n', 3),
        ("", 2),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "sep=,\n", "\n \n"])
def test_a_bad_rating_is_named_by_its_line(tmp_path, above, line, end, start):
    path = tmp_path / "ratings.csv"
    if start.startswith("sep") and end == "\r":
        start = ""  # only a line feed ends such a line
    path.write_bytes((start + HEAD + above + "u,b,-1,\nv,d,4,").replace("\n", end).encode())
    first = read_tables(path, None).report.first
    assert first["rating_out_of_range"][0] == line + start.count("\n")


def test_lost_digits_and_a_bad_book_are_named_by_their_lines(tmp_path):
    (tmp_path / "ratings.csv").write_text(HEAD + '\nu,a,4,"one\ntwo"\n\nu,9.78E+12,4,\nu,c,4,\n')
    (tmp_path / "books.csv").write_text('isbn,title\n\na,"A\nTitle"\n9.78E+12,Lost\n\nb/c,Bad\n')
    _, report = import_ratings(tmp_path / "ratings.csv", tmp_path / "books.csv", 1)
    lines = {reason: line for reason, (line, _) in report.first.items()}
    assert lines == {"digits_lost": 6, "book:digits_lost": 5, "book:isbn_invalid": 7}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\nu,a,4,\n\nu,b,4,,5\n", "line 5 has 5 fields, the header 4"),
        ('u,a,4,"one\ntwo"\nu,b,4,,5\n', "line 4 has 5 fields, the header 4"),
        ('u,a,4,"one\ntwo"\n\nu,"b,4,5\nv,c,4,\n', "line 5 has a quotation mark that is not closed"),
        ('u,"b,4,' + "x" * 200_000 + "\nv,c,4,\n", "line 2 has a quotation mark that is not closed"),
    ],
)
@pytest.mark.parametrize("start", ["", "sep=,\n"])
def test_what_cannot_be_read_is_named_by_its_line(tmp_path, content, message, start):
    path = tmp_path / "ratings.csv"
    path.write_text(start + HEAD + content)
    line = int(message.split()[1])
    with pytest.raises(SourceError) as raised:
        read_table(path, RATINGS)
    assert message.replace(f"line {line}", f"line {line + bool(start)}") in str(raised.value)
