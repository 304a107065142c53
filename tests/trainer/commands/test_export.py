"""``export``: a copy of the training data, and of nothing else."""

import json
from collections import Counter
from functools import partial

import pandas as pd
import pytest

from bookrec import paths
from bookrec.push_keys import first_key, push_time
from tests.fakes import FakeClock, database_of
from tests.memory_database import MemoryDatabase
from tests.trainer.commands.command_line import PROJECT, command, fill, project, storage_url
from tests.trainer.small_ratings import clusters
from trainer.data.exchange.database_copy import anonymous, copy
from trainer.data.ingest.pages import Reading, pages
from trainer.data.sources import read_export, read_files, read_pages

__all__ = ["command", "project", "storage_url"]


@pytest.fixture
def database():
    """Three readers; entries with every kind of error; profiles, copies and lists."""
    memory = MemoryDatabase(FakeClock().now_ms)
    values = {}
    for n in range(30):
        key = f"{first_key(1_700_000_000_000 + n)}{n:012}"
        entry = {"userId": f"reader-{n % 3}", "bookId": f"secret-{n}", "isbn": f"i{n}", "myRate": n % 11 / 2}
        values[f"{paths.USER_BOOK}/{key}"] = entry
    values |= {
        f"{paths.USER_BOOK}/no-push-key": {
            "userId": "reader-0",
            "bookId": "secret",
            "isbn": 'a "b", c'[:3],
            "myRate": 4,
        },
        f"{paths.USER_BOOK}/typed-by-hand": {"userId": "reader-0", "bookId": "secret", "isbn": "i99", "myRate": 2.5},
        f"{paths.USER_BOOK}/bad": {"userId": "reader-1", "isbn": "", "myRate": 3, "bookId": "b"},
        f"{paths.USER_BOOK}/gone": {"userId": "reader-left", "isbn": "i1", "myRate": 3, "bookId": "b"},
        f"{paths.READERS}/reader-left": "gone",
        f"{paths.ARCHIVE}/a1": {"isbn": "i1", "title": 'Títle, "quoted"', "author": "A", "publishedYear": "1999"},
        f"{paths.ARCHIVE}/a2": {"isbn": "i2", "title": 7, "owner": "reader-0"},
        f"{paths.ARCHIVE}/a3": "no book",
        "Users/reader-0": {"id": "reader-0", "firstname": "Jo", "mobile": "123"},
        "Books/secret-0": {"title": "T", "isbn": "i0", "myRate": 1},
    }
    memory.update(values)
    return database_of(memory)


def told(node, number):
    pass


def test_a_run_can_train_on_an_export(database, tmp_path):
    copied = copy(database, tmp_path, "emulator", told)
    assert (copied.entries, copied.books) == (31, 2)
    assert copied.left_out == {
        "entry:isbn_missing": 1, "entry:isbn_invalid": 1, "entry:reader_gone": 1, "book:not_an_object": 1,
    }  # fmt: skip
    exported = read_export(tmp_path)
    expected = read_pages(partial(pages, database), "database").without({"reader-left"})
    assert exported.ratings.equals(expected.ratings)
    assert set(exported.books["isbn"]) == {"i1", "i2"}
    assert json.loads((tmp_path / "firebase-export-metadata.json").read_text())["database"]["path"] == "database_export"


def test_an_export_holds_nothing_personal_that_training_does_not_need(database, tmp_path):
    copy(database, tmp_path, "emulator", told)
    text = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    for personal in ("secret", "Jo", "123", "reader-left", "Books", "Users", "owner"):
        assert personal not in text
    assert "reader-1" in text


@pytest.mark.parametrize("form", ["emulator", "csv"])
def test_an_anonymous_copy_has_the_same_shelves_under_other_names(database, tmp_path, form):
    for name, disguise in (("plain", None), ("once", anonymous()), ("again", anonymous())):
        (tmp_path / name).mkdir()
        copy(database, tmp_path / name, form, told, disguise)

    def shelves(name):
        folder = tmp_path / name
        rows = (read_files(folder, None) if form == "csv" else read_export(folder)).ratings
        return {
            user: sorted(zip(shelf["isbn"], shelf["myRate"].astype(float), strict=True))
            for user, shelf in rows.astype({"userId": str, "isbn": str}).groupby("userId")
        }

    plain, once, again = shelves("plain"), shelves("once"), shelves("again")
    assert sorted(plain.values()) == sorted(once.values()) == sorted(again.values())
    assert not set(once) & set(again)  # another key each time
    text = "".join(path.read_text() for path in (tmp_path / "once").rglob("*.*"))
    assert "reader-" not in text
    assert "typed-by-hand" not in text


def test_anonymous_keys_keep_their_times_and_their_order_and_nothing_else(database, tmp_path):
    for name, disguise in (("plain", None), ("hidden", anonymous())):
        (tmp_path / name).mkdir()
        copy(database, tmp_path / name, "emulator", told, disguise)
    keys = {}
    for name in ("plain", "hidden"):
        file = next((tmp_path / name).glob("database_export/*.json"))
        keys[name] = list(json.loads(file.read_text())[paths.USER_BOOK])
    assert Counter(map(push_time, keys["plain"])) == Counter(map(push_time, keys["hidden"]))
    assert not set(keys["plain"]) & set(keys["hidden"])
    assert len(set(keys["hidden"])) == 31


def test_equal_keys_give_equal_names_and_different_keys_different_ones(database, tmp_path):
    texts = []
    for number, key in enumerate((b"k", b"k", b"l")):
        (tmp_path / str(number)).mkdir()
        copy(database, tmp_path / str(number), "csv", told, anonymous(key))
        texts.append((tmp_path / str(number) / "ratings.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_csv_has_three_columns_and_the_books_are_in_another(database, tmp_path):
    copy(database, tmp_path, "csv", told)
    ratings = pd.read_csv(tmp_path / "ratings.csv", dtype=str, keep_default_na=False)
    assert list(ratings.columns) == ["userId", "isbn", "myRate"]
    assert ratings["myRate"].tolist()[:3] == ["0", "0.5", "1"]
    books = pd.read_csv(tmp_path / "books.csv", dtype=str, keep_default_na=False)
    assert books.to_dict("records")[0] == {
        "isbn": "i1", "title": 'Títle, "quoted"', "authors": "A", "genre": "", "year": "1999",
    }  # fmt: skip


def test_pages_are_reported_as_they_come_and_read_again_if_they_fail(database, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.data.exchange.database_copy.PAGE_SIZE", 10)
    page, failures, seen = database.page, [ConnectionError("reset"), ConnectionError("reset")], []

    def flaky(*arguments):
        if failures:
            raise failures.pop()
        return page(*arguments)

    database.page = flaky
    how = Reading(wait_s=0.001, longest_wait_s=0.001)
    copy(database, tmp_path, "csv", lambda *page: seen.append(page), how=how)
    assert seen == [(paths.USER_BOOK, 10)] * 3 + [(paths.USER_BOOK, 4), (paths.ARCHIVE, 3)]


def test_an_empty_database_is_an_empty_export(tmp_path):
    copied = copy(database_of(MemoryDatabase(lambda: 0)), tmp_path, "emulator", told)
    assert (copied.entries, copied.books, copied.left_out) == (0, 0, {})
    file = next(tmp_path.glob("database_export/*.json"))
    assert json.loads(file.read_text()) == {paths.USER_BOOK: {}, paths.ARCHIVE: {}}


def test_the_command_does_not_overwrite_a_folder(project, command, tmp_path):
    ratings, books = clusters(readers=5, books=20, per_reader=6)
    fill(project, ratings, books)
    out = tmp_path / "new" / "export"
    ended = command("export", "--out", out, "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["entries"], ended.json["books"], ended.json["leftOut"]) == (30, 20, {})
    assert "export: /User_Book" in ended.err
    assert "export: /archive" in ended.err
    assert (out / "database_export" / f"{PROJECT}-default-rtdb.json").exists()
    assert len(read_export(out).ratings) == 30
    assert out.stat().st_mode & 0o077 == 0
    again = command("export", "--out", out)
    assert again.code == 2
    assert "exists already, and nothing is overwritten" in again.err
    ended = command("export", "--out", tmp_path / "csv", "--format", "csv", "--anonymous")
    assert ended.code == 0
    assert "30 entries, 20 books; left out: none" in ended.out
    assert "reader-" not in (tmp_path / "csv" / "ratings.csv").read_text()


@pytest.mark.parametrize(
    ("words", "message"), [([], "--out"), (["--out", "x", "--format", "xml"], "invalid choice: 'xml'")]
)
def test_bad_options_are_bad_input(command, words, message):
    ended = command("export", *words)
    assert ended.code == 2
    assert message in ended.err


def test_a_lost_database_leaves_no_folder(command, project, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "http://127.0.0.1:1?ns=nobody")
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", "127.0.0.1:1")
    ended = command("export", "--out", tmp_path / "out")
    assert ended.code == 1
    assert "does not answer" in ended.err
    assert list(tmp_path.iterdir()) == []
