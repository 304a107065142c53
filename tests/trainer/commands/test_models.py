"""The command line, as a user types it."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from bookrec.push_keys import push_time
from local.stack import ROOT
from local.up import _export_of
from tests.trainer.commands.command_line import command, tiny
from tests.trainer.small_ratings import clusters, split
from trainer.data.exchange.database_export import push_key
from trainer.data.sources import read_export

__all__ = ["command", "tiny"]


def run_program(*words):
    """Run the command line in a process of its own, with the options as they are shipped."""
    words = [sys.executable, "-m", "trainer", *map(str, words)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    ratings, books = clusters()
    train, test = split(ratings)
    extra = pd.DataFrame(
        [("unknown", "09780001", "4"), ("reader-01", "not\N{BULLET}an isbn", "3"), ("reader-01", "x", "?")]
    )
    extra.columns = test.columns
    test = pd.concat([test, extra])
    for name, frame in (("train", train), ("test", test), ("books", books)):
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def words_of(files, out, *more):
    return ("evaluate", "--train", files / "train.csv", "--test", files / "test.csv", "--out", out, *more)


def read(path):
    return pd.read_csv(path, dtype={"userId": str, "isbn": str}, keep_default_na=False)


@pytest.fixture(params=["tiny", pytest.param("as shipped", marks=pytest.mark.whole)])
def evaluated(request, files, tmp_path):
    """The files of one evaluation, done twice."""
    for out in ("a", "b"):
        words = words_of(files, tmp_path / out, "--books", files / "books.csv")
        if request.param == "tiny":
            request.getfixturevalue("tiny")
            ended = request.getfixturevalue("command")(*words)
            assert ended.code == 0, ended.err
        else:
            done = run_program(*words)
            assert done.returncode == 0, done.stderr


def test_evaluate_writes_its_three_files_the_same_each_time(evaluated, files, tmp_path):
    train, test = read(files / "train.csv"), read(files / "test.csv")
    top, ratings = read(tmp_path / "a" / "top.csv"), read(tmp_path / "a" / "ratings.csv")
    assert (tmp_path / "a" / "top.csv").read_bytes() == (tmp_path / "b" / "top.csv").read_bytes()
    assert ratings[["userId", "isbn"]].to_numpy().tolist() == test[["userId", "isbn"]].to_numpy().tolist()
    assert ratings["predicted"].between(0.5, 5).all()
    assert set(top["userId"]) == set(test["userId"])
    shelves = train.groupby("userId")["isbn"].agg(set)
    for user, group in top.groupby("userId"):
        known = shelves.get(user, set())
        assert not set(group["isbn"]) & known
        assert group["rank"].tolist() == list(range(1, len(group) + 1))
        assert len(group) == min(100, 80 - len(known))
        assert group["score"].is_monotonic_decreasing
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["model"]["ndcg"]["low"] <= metrics["model"]["ndcg"]["mean"] <= metrics["model"]["ndcg"]["high"]
    assert metrics["data"]["fingerprint"]


def test_evaluate_works_without_books(command, tiny, files, tmp_path):
    ended = command(*words_of(files, tmp_path / "out", "--variant", "retrieval", "--json"))
    assert ended.code == 0, ended.err
    assert ended.json["model"]["ndcg"]["mean"] > 0  # one document, whatever libraries print
    for step in ("fitting", "exporting", "scoring", "comparing"):
        assert f"evaluating: {step}, " in ended.err
    assert len(read(tmp_path / "out" / "ratings.csv")) == len(read(files / "test.csv"))


def test_the_learned_candidate_takes_the_notebooks_optimiser_and_number_of_epochs(command, tiny, files, tmp_path):
    histories = {}
    for optimiser in ("adam", "adamw"):
        out = tmp_path / optimiser
        ended = command(*words_of(files, out, "--optimiser", optimiser, "--epochs", 3))
        assert ended.code == 0, ended.err
        metrics = json.loads((out / "metrics.json").read_text())
        assert (metrics["config"]["optimiser"], metrics["config"]["epochs"]) == (optimiser, 3)
        histories[optimiser] = metrics["histories"]["joint"]["loss"]
        assert 1 <= len(histories[optimiser]) <= 3
    assert histories["adam"] != histories["adamw"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as CSV"),
        ("", "cannot be read as CSV"),
        ("userId,isbn\nu,1\n", "no column myRate"),
        ("userId,isbn,myRate\n", "no row below the header"),
        ("userId,isbn,myRate\nu,1,nine\n", "no usable rating"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(command, files, tmp_path, content, message):
    bad = tmp_path / "train.csv"
    if content is not None:
        bad.write_text(content)
    ended = command("evaluate", "--train", bad, "--test", files / "test.csv", "--out", tmp_path / "out")
    assert ended.code == 2
    assert message in ended.err


def test_evaluate_counts_readers_and_books_whose_names_no_database_would_take(command, tiny, tmp_path):
    ratings, _ = clusters(readers=12, books=30, per_reader=8)
    ratings["userId"] = "00" + ratings["userId"].str.replace("-", ".") + "@x/y"
    ratings["isbn"] = "97/8*" + ratings["isbn"] + "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    ratings["myRate"] = "0"  # and a test part without a rating has no error
    for name, frame in zip(("train", "test"), split(ratings), strict=True):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    ended = command(*words_of(tmp_path, tmp_path / "out"))
    assert ended.code == 0, ended.err
    train, top = read(tmp_path / "train.csv"), read(tmp_path / "out" / "top.csv")
    assert not set(zip(top["userId"], top["isbn"], strict=True)) & set(zip(train["userId"], train["isbn"], strict=True))
    assert set(top["isbn"]) <= set(train["isbn"])

    def no_constants(name):
        raise AssertionError(f"{name} is no JSON")

    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(), parse_constant=no_constants)
    assert metrics["data"]["dropped"] == {}
    assert metrics["model"]["rmse"] is None


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_trained(command, files, tmp_path):
    (tmp_path / "file").touch()
    ended = command(*words_of(files, tmp_path / "file"))
    assert ended.code == 2
    assert "give another folder with --out" in ended.err


def test_import_turns_ratings_into_a_database_that_a_run_can_read(command, files, tmp_path):
    ended = command("import", files / "train.csv", "--books", files / "books.csv", "--out", tmp_path / "export")
    assert ended.code == 0, ended.err
    snapshot, train = read_export(tmp_path / "export"), read(files / "train.csv")
    assert len(snapshot.ratings) == len(train)
    assert set(snapshot.ratings["userId"]) == set(train["userId"])
    assert len(snapshot.books) == 80
    assert snapshot.rejected == {}


def test_import_takes_goodbooks_10k_with_lost_leading_zeros(command, tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,book_id,rating\n1,2,5\n1,3,4\n2,2,1\n")
    (tmp_path / "books.csv").write_text("book_id,isbn,title,authors\n2,439023483,Games,Collins\n3,,Nameless,X\n")
    ended = command("import", tmp_path, "--out", tmp_path / "export")
    assert ended.code == 0, ended.err
    snapshot = read_export(tmp_path / "export")
    assert snapshot.ratings["isbn"].tolist() == ["0439023483", "0439023483"]
    assert "isbn_missing" in ended.out


def test_the_demo_imports_ratings_as_often_as_it_is_run(tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,book_id,rating\n1,2,5\n")
    (tmp_path / "books.csv").write_text("book_id,isbn,title,authors\n2,0439023483,Games,Collins\n")
    for _ in range(2):
        assert len(read_export(_export_of(tmp_path, tmp_path / "out")).ratings) == 1


def test_help_is_quick_and_names_the_commands():
    done = run_program("--help")
    assert done.returncode == 0
    for name in ("run", "evaluate", "import"):
        assert name in done.stdout


def test_a_push_key_tells_its_time():
    import random

    assert push_time(push_key(random.Random(1), 1_700_000_000_123)) == 1_700_000_000_123
    assert push_time("no push key") == -1
