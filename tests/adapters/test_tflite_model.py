"""A real TensorFlow Lite file, made here, with the functions' runtime and with tflite-runtime.

Without TensorFlow, MODEL_FILES names a folder with the files, which ``write_files`` made elsewhere.
"""

import json
import math
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.adapters.tflite_model import load_interpreter, load_recommender
from bookrec.entries import parse_entry
from bookrec.errors import BadModel
from bookrec.shelf import build_shelf
from tests.fakes import entry
from tests.missing import skip_without_tflite_runtime
from trainer.serving.runtimes import tflite_python

ISBNS = [f"isbn{number}" for number in range(6)]
ITEMS = json.dumps({"isbns": ISBNS, "popular": ISBNS[:3]}).encode()


def make_file(score=1.0, beyond=0, similar=False):
    """Return a model whose best book is the one after the shelf's first, with ``score``.

    Args:
        similar: whether it finds similar books, too: the one before.
    """
    import tensorflow as tf

    count = len(ISBNS)

    class Module(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.int32, "items"), tf.TensorSpec([None], tf.float32, "ratings")]
        )
        def recommend(self, items, ratings):
            known = items[0] >= 0
            indices = tf.math.floormod(items[0] + tf.range(1, count), count) + beyond
            first = tf.where(known, tf.zeros([count - 1, 1], tf.int32), -tf.ones([count - 1, 1], tf.int32))
            return {
                "indices": indices,
                "scores": score / tf.cast(tf.range(1, count), tf.float32) + 0 * tf.reduce_sum(ratings),
                "predicted_ratings": tf.fill([count - 1], 3.0) + 0 * ratings[0],
                "because": tf.concat([first, -tf.ones([count - 1, 1], tf.int32)], 1),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int32, "items"),
                tf.TensorSpec([None], tf.float32, "ratings"),
                tf.TensorSpec([None], tf.int32, "targets"),
            ]
        )
        def rate(self, items, ratings, targets):
            extra = tf.cast(items[0], tf.float32) * 0 + ratings[0] * 0
            return {"predicted_ratings": tf.cast(targets, tf.float32) / 10 + 2.5 + extra}

        @tf.function(input_signature=[tf.TensorSpec([1], tf.int32, "item")])
        def similar(self, item):
            return {"indices": tf.stack([item[0] - 1, -1]), "scores": tf.cast(item, tf.float32) * 0 + [1.0, 0.0]}

    module = Module()
    signatures = {"recommend": module.recommend, "rate": module.rate}
    if similar:
        signatures["similar"] = module.similar
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        return converter.convert()


def write_files(folder):
    """Write the files that the tests need."""
    (folder / "model.tflite").write_bytes(make_file())
    (folder / "nan.tflite").write_bytes(make_file(score=math.nan))
    (folder / "similar.tflite").write_bytes(make_file(similar=True))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    if "MODEL_FILES" in os.environ:
        return Path(os.environ["MODEL_FILES"])
    folder = tmp_path_factory.mktemp("models")
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def model(files):
    return (files / "model.tflite").read_bytes()


def shelf_of(*isbns):
    return build_shelf("u", [parse_entry(f"k{n}", entry("u", isbn)) for n, isbn in enumerate(isbns)])


def test_a_file_becomes_candidates_with_reasons(model):
    first, *rest = load_recommender("v1", model, ITEMS).candidates(shelf_of("isbn2"))
    assert (first.isbn, first.score, first.predicted_rating) == ("isbn3", 1.0, 3.0)
    assert (first.source, first.because) == ("personal", ("isbn2",))
    assert [candidate.isbn for candidate in rest] == ["isbn4", "isbn5", "isbn0", "isbn1"]


def test_an_empty_shelf_gives_popular_books_and_any_book_has_a_predicted_rating(model):
    recommender = load_recommender("v1", model, ITEMS)
    assert {candidate.source for candidate in recommender.candidates(shelf_of())} == {"popular"}
    assert recommender.predicted_ratings(shelf_of("isbn2"), ["isbn5", "unknown"]) == pytest.approx([3.0, 2.4])
    assert [c.isbn for c in recommender.fill(shelf_of(), ["isbn1", "new"])] == ["isbn0", "isbn1", "isbn2", "new"]


def test_a_file_finds_similar_books_and_an_earlier_one_loads_without_them(files, model):
    recommender = load_recommender("v1", (files / "similar.tflite").read_bytes(), ITEMS)
    assert recommender.similar_to("isbn2") == ["isbn1"]
    assert recommender.similar_to("isbn0") == recommender.similar_to("unknown") == []
    earlier = load_recommender("v1", model, ITEMS)
    assert earlier.similar is None
    assert earlier.similar_to("isbn2") == []


def test_concurrent_events_in_an_instance_do_not_mix_their_answers(model):
    recommender = load_recommender("v1", model, ITEMS)
    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda n: recommender.candidates(shelf_of(ISBNS[n % 6]))[0].isbn, range(600)))
    assert firsts == [ISBNS[(n + 1) % 6] for n in range(600)]


@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 4096])
def test_bytes_that_are_not_a_model_are_rejected(content):
    with pytest.raises(BadModel):
        load_recommender("v1", content, ITEMS)


@pytest.mark.parametrize(
    "items", [b"", b"[]", b"{}", b'{"isbns": [], "popular": []}', b'{"isbns": [1], "popular": []}']
)
def test_malformed_items_are_rejected(model, items):
    with pytest.raises(BadModel):
        load_recommender("v1", model, items)


def test_a_model_with_more_books_than_its_items_is_rejected(model):
    fewer = json.dumps({"isbns": ISBNS[:4], "popular": []}).encode()
    with pytest.raises(BadModel, match="does not know"):
        load_recommender("v1", model, fewer)


def test_a_model_that_answers_without_numbers_is_rejected(files):
    with pytest.raises(BadModel, match="finite"):
        load_recommender("v1", (files / "nan.tflite").read_bytes(), ITEMS)


def test_litert_runs_the_files_if_it_is_installed(model):
    assert type(load_interpreter(model)).__module__.startswith("ai_edge_litert")


ALONE = """
import json, sys
from pathlib import Path
from backend.adapters.tflite_model import load_interpreter, load_recommender
from bookrec.errors import BadModel
from bookrec.shelf import Shelf
files, items = Path(sys.argv[1]), sys.argv[2].encode()
model = (files / "model.tflite").read_bytes()
recommender = load_recommender("v1", model, items)
candidates = [[c.isbn, c.score, c.predicted_rating] for c in recommender.candidates(Shelf("u", ()))]
problems = []
for content in (b"text", (files / "nan.tflite").read_bytes()):
    try:
        load_recommender("v1", content, items)
    except BadModel as problem:
        problems.append(str(problem))
ratings = recommender.predicted_ratings(Shelf("u", ()), ["isbn5", "unknown"])
print(json.dumps([type(load_interpreter(model)).__module__, candidates, ratings, problems]))
"""


def test_tflite_runtime_runs_the_files_where_it_alone_is_installed(files, model):
    skip_without_tflite_runtime()
    functions = Path(__file__).resolve().parents[2] / "functions"
    words = [tflite_python(), "-c", ALONE, str(files), ITEMS.decode()]
    environment = {"PYTHONPATH": str(functions), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    runtime, candidates, ratings, problems = json.loads(done.stdout)
    assert runtime == "tflite_runtime.interpreter"
    recommender = load_recommender("v1", model, ITEMS)
    assert candidates == [[c.isbn, c.score, c.predicted_rating] for c in recommender.candidates(shelf_of())]
    assert ratings == pytest.approx(recommender.predicted_ratings(shelf_of(), ["isbn5", "unknown"]))
    assert len(problems) == 2
