"""``import``, ``train --source``, ``evaluate`` and ``lists`` with files as people have them."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from bookrec import paths
from tests.trainer.commands.command_line import command, project, storage_url, tiny
from tests.trainer.serving.batch.snapshots import small_world
from tests.trainer.small_ratings import clusters
from trainer.data.exchange.database_export import write_export
from trainer.serving.batch import model_file

__all__ = ["command", "project", "storage_url", "tiny"]

HEAD = "userId,isbn,myRate\n"
NOTHING = {
    "rounded numbers": "ann,9.78044E+12,5\nbob,9.78044E+12,4\n",
    "european numbers": 'ann,"9,78044E+12",5\n',
    "no books": "ann,,5\nbob,,4\n",
    "words": "ann,a,good\n",
}


@pytest.fixture
def ratings(tmp_path):
    """Writes a table of ratings."""

    def written(content, name="ratings.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def shelves(ended):
    tree = json.loads(Path(ended.json["file"]).read_text(encoding="utf-8"))
    titles = {book["isbn"]: (book["title"], book["author"]) for book in tree[paths.ARCHIVE].values()}
    return {
        (entry["userId"], entry["isbn"], entry["myRate"]): titles[entry["isbn"]]
        for entry in tree[paths.USER_BOOK].values()
    }


@pytest.mark.parametrize("rows", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("words", [["import"], ["train", "--source"], ["evaluate", "--source"]], ids=lambda w: w[0])
def test_a_file_with_nothing_usable_is_bad_input_with_the_counts(request, command, ratings, tmp_path, words, rows):
    if words[0] == "train":
        request.getfixturevalue("project")
    ended = command(*words, ratings(HEAD + rows), "--out", tmp_path / "out")
    assert ended.code == 2
    line = ended.err.splitlines()[-1]
    assert f"no usable rating in {rows.count(chr(10))} rows; dropped: " in line
    assert "(line 2: " in line
    assert not (tmp_path / "out").exists()


def test_excels_and_goodreads_quoting_is_mended_and_counted(command, ratings, tmp_path):
    path = ratings(HEAD + 'ann,"=""0439023483""",5\nbob,"=""0439554934""",4\n')
    ended = command("import", path, "--out", tmp_path / "out", "--json")
    assert ended.code == 0
    assert set(shelves(ended)) == {("ann", "0439023483", 5), ("bob", "0439554934", 4)}
    assert (ended.json["dropped"], ended.json["mended"]) == ({}, {"formula": 2})
    assert "mended: formula 2" in command("import", path, "--out", tmp_path / "again").out


@pytest.mark.parametrize("column", ["authors", "author"])
def test_import_says_which_books_have_no_title_and_matches_isbns_if_asked(command, ratings, tmp_path, column):
    books = ratings(f"isbn,title,{column}\n080442957X,A Title,Ann Lee\n0439023483,B Title,Bo Roe\n", "books.csv")
    path = ratings(HEAD + "ann,0-8044-2957-x,5\nann,439023483,4\nann,unknown,3\nbob,0439023483.0,2\n")
    ended = command("import", path, "--books", books, "--out", tmp_path / "a", "--json")
    assert ended.code == 0
    assert ended.json["untitled"] == {"books": 3, "examples": ["0-8044-2957-x", "439023483", "unknown"]}
    assert ended.json["speltOtherwise"] == {
        "books": 2, "mapped": False, "examples": {"0-8044-2957-x": "080442957X", "439023483": "0439023483"},
    }  # fmt: skip
    assert shelves(ended)["bob", "0439023483", 2] == ("B Title", "Bo Roe")
    shown = command("import", path, "--books", books, "--out", tmp_path / "b").out
    assert "warning: ratings.csv: the same book, spelt otherwise in the catalogue" in shown
    assert "have no title in the catalogue (3 ISBNs: 0-8044-2957-x, 439023483, unknown)" in shown
    ended = command("import", path, "--books", books, "--match-isbns", "--out", tmp_path / "c", "--json")
    assert ended.json["untitled"] == {"books": 1, "examples": ["unknown"]}
    assert shelves(ended)["ann", "080442957X", 5] == ("A Title", "Ann Lee")


@pytest.mark.parametrize("name", ["Ratings.CSV", "ratings.csv.gz", "ratings.tsv", "ratings"])
@pytest.mark.parametrize("words", [["import"], ["train", "--source"], ["evaluate", "--source"]], ids=lambda w: w[0])
def test_all_three_commands_read_a_table_under_any_name(request, command, ratings, tmp_path, words, name):
    """All three see that its stars are of ten, and train on nothing."""
    if words[0] == "train":
        request.getfixturevalue("project")
    content = HEAD + "ann,0439023483,9\nann,0439554934,10\n"
    content = content.replace(",", "\t") if name.endswith("tsv") else content
    path = ratings(gzip.compress(content.encode()) if name.endswith("gz") else content, name)
    ended = command(*words, path, "--out", tmp_path / "out")
    assert ended.code == 2
    assert f"{name}: 2 of 2 ratings are above 5, up to 10" in ended.err


@pytest.mark.parametrize(
    ("stars", "scale"), [([0, 2, 3, 5, 6, 7, 8, 9, 10], 10), ([8, 9, 9.5], 10), ([12, 18], 20), ([10, 60, 100], 100)]
)
def test_stars_of_another_scale_are_bad_input_and_the_option_maps_them(command, ratings, tmp_path, stars, scale):
    path = ratings(HEAD + "".join(f"ann,i{n},{star}\n" for n, star in enumerate(stars)))
    ended = command("import", path, "--out", tmp_path / "out")
    assert ended.code == 2
    assert f"give --scale {scale}, which maps them to five stars" in ended.err
    ended = command("import", path, "--out", tmp_path / "out", "--scale", scale, "--json")
    assert ended.code == 0
    assert len(shelves(ended)) == len(stars)
    assert max(stars for _, _, stars in shelves(ended)) <= 5


@pytest.mark.parametrize("scale", ["0", "-1", "ten", "nan", "inf"])
def test_a_scale_is_a_number_above_0(command, ratings, tmp_path, scale):
    ended = command("import", ratings(HEAD + "u,a,4\n"), "--out", tmp_path / "out", "--scale", scale)
    assert ended.code == 2
    assert f"{scale!r} is not a number above 0" in ended.err


def test_quarters_are_rounded_and_blanks_are_not_rated(command, ratings, tmp_path):
    ended = command(
        "import", ratings(HEAD + "ann,a,3.75\nann,b,4.25\nann,c,\nann,d,4.5\n"), "--out", tmp_path / "out", "--json"
    )
    assert {(isbn, stars) for _, isbn, stars in shelves(ended)} == {("a", 4), ("b", 4.5), ("c", 0), ("d", 4.5)}
    assert ended.json["mended"] == {"rounded": 2, "blank": 1}


def test_a_readers_library_is_imported_with_its_times(command, ratings, tmp_path):
    path = ratings(
        "Title,Author,ISBN,ISBN13,My Rating,Date Added\n"
        'Games,Ann Lee,"=""0439023483""","=""9780439023481""",4,2023/01/31\n'
    )
    ended = command("import", path, "--user", "ann", "--out", tmp_path / "out", "--json")
    assert shelves(ended) == {("ann", "0439023483", 4): ("Games", "Ann Lee")}
    ended = command("evaluate", "--source", tmp_path / "out", "--out", tmp_path / "evaluation")
    assert "no reader has five entries" in ended.err


def test_evaluate_splits_a_table_at_random_and_the_same_each_time(command, tiny, ratings, tmp_path):
    rows, books = clusters(readers=12, books=60, per_reader=10)
    path, catalogue = tmp_path / "Ratings.CSV", tmp_path / "books.csv"
    rows.to_csv(path, index=False, sep=";", encoding="utf-16")
    books.to_csv(catalogue, index=False, encoding="utf-8-sig")
    held_out = []
    for out in ("a", "b"):
        ended = command(
            "evaluate", "--source", path, "--books", catalogue, "--out", tmp_path / out, "--variant", "retrieval"
        )
        assert ended.code == 0, ended.err
        held_out.append(pd.read_csv(tmp_path / out / "ratings.csv", dtype=str)[["userId", "isbn"]].to_numpy().tolist())
    assert held_out[0] == held_out[1]
    assert len(held_out[0]) == 12 * 2
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert (metrics["data"]["entries"], metrics["data"]["held_out"]) == (12 * 8, 12 * 2)


# -- lists -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lists(command, tmp_path):
    """Runs ``lists`` over a small export, with these words instead of the right ones."""
    entries, archive, serving = small_world(readers=12)
    write_export({paths.USER_BOOK: entries, paths.ARCHIVE: archive}, tmp_path / "export")
    (tmp_path / "model.npz").write_bytes(model_file.to_bytes(serving))
    (tmp_path / "books.csv").write_text("isbn\na\n")

    def run(*more, **other):
        words = {"input": "export", "model": "model.npz", "output": "out", "books": "books.csv", **other}
        options = [word for name, value in words.items() for word in (f"--{name}", tmp_path / value)]
        return command("lists", *options, "--version", "v", *more)

    return run


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "none.npz"}, "none.npz: cannot be read (No such file or directory); give lists/VERSION/model.npz"),
        ({"model": "books.csv"}, "books.csv: is not a model; give lists/VERSION/model.npz"),
        ({"model": "export"}, "export: cannot be read (Is a directory)"),
        ({"output": "books.csv/below"}, "Beam: [Errno 20] Not a directory"),
        ({"input": "none*.parquet"}, "Beam: No files found"),
        ({"input": "junk.parquet"}, "junk.parquet: Beam: Parquet file size is 4 bytes"),
        ({"input": "other.parquet"}, "they need key, userId, isbn and myRate"),
    ],
    ids=str,
)
def test_what_fails_in_beam_is_one_line_with_the_cause(lists, tmp_path, other, message):
    (tmp_path / "junk.parquet").write_text("junk")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    ended = lists(**other)
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("trainer: ")


def test_an_unknown_runner_is_named(lists):
    ended = lists("--runner=Nope")
    assert ended.code == 2
    assert "Unexpected pipeline runner: Nope" in ended.err
