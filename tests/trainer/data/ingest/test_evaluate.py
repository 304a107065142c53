"""``evaluate`` on a backup, as a user types it."""

import gzip
import json

import pandas as pd
import pytest

from bookrec.push_keys import first_key
from tests.trainer.commands.command_line import tiny
from tests.trainer.small_ratings import clusters
from trainer.__main__ import main
from trainer.data.sources import newest_apart, read_export

__all__ = ["tiny"]


@pytest.fixture
def backup(tmp_path):
    ratings, books = clusters()
    shelf = [
        {"userId": r.userId, "bookId": "b", "isbn": r.isbn, "myRate": float(r.myRate)} for r in ratings.itertuples()
    ]
    entries = {f"{first_key(1_700_000_000_000 + n)}{n:012}": entry for n, entry in enumerate(shelf)}
    archive = {
        f"a{n}": {"isbn": b.isbn, "title": b.title, "author": b.authors} for n, b in enumerate(books.itertuples())
    }
    file = tmp_path / "backup.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"User_Book": entries, "archive": archive}).encode()))
    return file


def test_a_backup_is_judged_on_each_readers_newest_fifth(backup, tiny, tmp_path):
    assert main(["evaluate", "--source", str(backup), "--out", str(tmp_path / "out"), "--variant", "retrieval"]) == 0
    ratings = read_export(backup).ratings
    train, test = newest_apart(ratings)
    assert len(train) + len(test) == len(ratings)
    assert (test.groupby("userId").size() == 12 // 5).all()
    assert (train.groupby("userId", observed=True)["at"].max() < test.groupby("userId")["at"].min()).all()
    predicted = pd.read_csv(tmp_path / "out" / "ratings.csv", dtype=str)
    assert predicted[["userId", "isbn"]].to_numpy().tolist() == test[["userId", "isbn"]].to_numpy().tolist()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["data"]["entries"] == len(train)


def test_readers_with_few_entries_keep_them():
    frame = pd.DataFrame({"userId": ["a"] * 4 + ["b"] * 5, "isbn": list("123412345"), "at": range(9)})
    train, test = newest_apart(frame)
    assert test[["userId", "isbn"]].to_numpy().tolist() == [["b", "5"]]
    assert len(train) == 8


@pytest.mark.parametrize("words", [["--train", "a.csv"], ["--source", "a.json", "--test", "b.csv"]])
def test_half_a_split_is_rejected(words, tmp_path, capsys):
    assert main(["evaluate", *words, "--out", str(tmp_path)]) == 2
    assert "give --train and --test, or --source alone" in capsys.readouterr().err
