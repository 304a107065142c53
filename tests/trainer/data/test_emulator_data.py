"""The committed export is what its generator writes, and has the shape of the app's data."""

import json
import runpy

from bookrec.catalogue import parse_catalogue
from bookrec.shelf import sort_out
from local.stack import ROOT

FILE = ROOT / "emulator-data" / "database_export" / "demo-bookrec-default-rtdb.json"


def test_the_generator_writes_the_committed_file():
    generator = runpy.run_path(str(ROOT / "emulator-data" / "generate.py"))
    assert generator["make_database"](42) == json.loads(FILE.read_text())


def test_it_has_the_shape_of_the_apps_data():
    tree = json.loads(FILE.read_text())
    entries, rejected = sort_out(tree["User_Book"])
    catalogue, bad_books = parse_catalogue(tree["archive"])
    assert (len(entries), len(catalogue), len(tree["Users"])) == (1011, 704, 43)
    assert not rejected
    assert not bad_books
    assert all(isinstance(field, str) for book in tree["archive"].values() for field in book.values())
    assert all(len(isbn) == 14 and isbn.startswith("0978") for isbn in catalogue)
    assert {entry.rating * 2 % 2 for entry in entries} == {0, 1}
    assert sum(not entry.is_rated for entry in entries) > 50
    assert len({entry["bookId"] for entry in tree["User_Book"].values()}) == 1011
