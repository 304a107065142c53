"""The guide on a device: its steps with an exported model, in both runtimes, in Python, JavaScript and Kotlin.

Each must give the functions' results for a shelf. The Kotlin is compiled by Kotlin's own compiler with small fakes of
the SDKs. All tests are in one file, so that one worker builds model and programs once.
"""

import hashlib
import json

import numpy as np
import pytest
import requests

from bookrec import paths
from bookrec.catalogue import Book
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.manifest import parse_manifest, sha256
from clients import contract
from tests.clients.bucket import serving
from tests.clients.programs import run_signature
from tests.clients.shelves import BOOKS, as_shelf, catalogue_json, functions_list, shelves
from tests.clients.test_contract import as_stored, full_and_bare_list
from trainer.publishing.versions import make_pointer
from trainer.serving.by_user import user_key
from trainer.serving.runtimes import Call

UIDS = ["ana", "3avc3TUJioP8", "zażółć", "読者", "r" * 128]


def fetched(published):
    """Follow the guide's steps 1 to 4; return the files by name."""
    pointer = published.pointer
    assert list(contract.problems(contract.POINTER, pointer)) == []
    content = (published.bucket / pointer["manifest"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == pointer["manifestSha256"]
    manifest = json.loads(content)
    assert list(contract.problems(contract.MANIFEST, manifest)) == []
    assert (manifest["schema"], manifest["version"]) == (1, pointer["version"])
    files = {}
    for name, entry in manifest["files"].items():
        files[name] = (published.bucket / "models" / pointer["version"] / name).read_bytes()
        assert len(files[name]) == entry["size"]
        assert hashlib.sha256(files[name]).hexdigest() == entry["sha256"]
    return files


def test_the_steps_of_the_guide_give_the_functions_candidates(published, runtime):
    files = fetched(published)
    items = json.loads(files["items.json"])
    assert list(contract.problems(contract.ITEMS, items)) == []
    index = {isbn: place for place, isbn in enumerate(items["isbns"])}
    (run,) = runtime.values()
    calls = []
    for stars in shelves(published):
        books = list(stars) or [""]
        inputs = {
            "items": np.array([index.get(isbn, -1) for isbn in books], np.int32),
            "ratings": np.array([stars.get(isbn, 0) for isbn in books], np.float32),
        }
        calls.append(Call("recommend.tflite", "recommend", inputs))
        calls.append(Call("recommend.tflite", "rate", {**inputs, "targets": np.array([0, -1, 3], np.int32)}))
    answers = run(files, calls)
    for stars, outputs, rated in zip(shelves(published), answers[::2], answers[1::2], strict=True):
        books = list(stars) or [""]
        count = min(100, len(items["isbns"]))
        shapes = {name: (value.dtype, value.shape) for name, value in outputs.items()}
        assert shapes == {
            "indices": (np.int32, (count,)),
            "scores": (np.float32, (count,)),
            "predicted_ratings": (np.float32, (count,)),
            "because": (np.int32, (count, 2)),
        }
        rows = [row for row in range(count) if outputs["indices"][row] >= 0]
        assert rows == list(range(len(rows)))  # padding comes last
        expected = published.model.candidates(as_shelf(stars))
        assert [items["isbns"][outputs["indices"][row]] for row in rows] == [candidate.isbn for candidate in expected]
        assert [tuple(books[place] for place in outputs["because"][row] if place >= 0) for row in rows] == [
            candidate.because for candidate in expected
        ]
        ratings = rated["predicted_ratings"]
        assert (ratings.dtype, ratings.shape) == (np.float32, (3,))
        assert ((ratings >= 0.5) & (ratings <= 5)).all()


def test_the_guides_manifest_matches_the_codes(published):
    content = (published.files / "manifest.json").read_bytes()
    assert {"recommend.tflite", "items.json", "by_user.tflite", "rating.tflite"} <= set(
        parse_manifest(json.loads(content)).files
    )


@pytest.fixture(scope="module")
def on_device(javascript, published, port):
    """The JavaScript program with the model that it has downloaded."""
    with serving(published.bucket) as storage:
        javascript("connect", host=f"127.0.0.1:{port}", namespace="on-device", uid="ana", storageHost=storage)
        answer = requests.put(
            f"http://127.0.0.1:{port}/Recommender/model.json?ns=on-device",
            json=published.pointer,
            headers={"Authorization": "Bearer owner"},
            timeout=10,
        )
        assert answer.ok
        javascript("refresh")
        javascript("disconnect")
    javascript("load", path=str(published.files / "recommend.tflite"))
    return javascript


def test_the_javascript_gives_the_functions_candidates_and_lists(on_device, published):
    catalogue = catalogue_json(published)
    for stars in shelves(published):
        candidates = on_device("candidates", shelf=stars)
        expected = published.model.candidates(as_shelf(stars))
        assert [(c["isbn"], c["because"]) for c in candidates] == [(c.isbn, list(c.because)) for c in expected]
        assert [c["score"] for c in candidates] == pytest.approx([c.score for c in expected], abs=1e-4)
        assert [c["predictedRating"] for c in candidates] == pytest.approx(
            [c.predicted_rating for c in expected], abs=1e-4
        )
        assert on_device("topTen", shelf=stars, catalogue=catalogue) == functions_list(published, stars)
        asked = [published.model.items.isbns[1], "unknown"]
        rated = on_device("predictedRatings", shelf=stars, of=asked)
        assert rated == pytest.approx(published.model.predicted_ratings(as_shelf(stars), asked), abs=1e-4)
    assert on_device("predictedRatings", shelf={}, of=[]) == []


@pytest.fixture(scope="module")
def phone(kotlin, published, tmp_path_factory):
    """The Kotlin program and the folder of the model that it has downloaded."""
    folder = str(tmp_path_factory.mktemp("phone"))
    kotlin("bucket", folder=str(published.bucket))
    kotlin("tree", tree={"Recommender": {"model": published.pointer}})
    fetched = kotlin("refresh", folder=folder)
    assert fetched == kotlin("current", folder=folder) == f"{folder}/{published.pointer['version']}"
    return lambda call, **fields: kotlin(call, folder=fetched, **fields)


def test_the_kotlin_gives_the_functions_candidates_and_lists(phone, published):
    catalogue = {book["isbn"]: [book["title"], book["author"]] for book in catalogue_json(published)}
    for stars in shelves(published):
        expected = published.model.candidates(as_shelf(stars))
        candidates = phone("candidates", shelf=stars)
        assert [(isbn, because) for isbn, _, _, because in candidates] == [(c.isbn, list(c.because)) for c in expected]
        assert [score for _, score, _, _ in candidates] == pytest.approx([c.score for c in expected], abs=1e-4)
        assert phone("topTen", shelf=stars, catalogue=catalogue) == functions_list(published, stars)
        asked = [published.model.items.isbns[1], "unknown"]
        rated = phone("predictedRatings", shelf=stars, of=asked)
        assert rated == pytest.approx(published.model.predicted_ratings(as_shelf(stars), asked), abs=1e-4)


def similar(published):
    """Return the functions' answers, by ISBN, for some books and an unknown one."""
    asked = [*published.model.items.isbns[:: len(published.model.items.isbns) // 10], "9-unknown"]
    answers = {isbn: published.model.similar_to(isbn) for isbn in asked}
    assert len(answers[asked[0]]) > 10
    return answers


def test_all_clients_find_the_functions_similar_books(on_device, phone, published, runtime):
    index = {isbn: place for place, isbn in enumerate(published.model.items.isbns)}
    expected = similar(published)
    (run,) = runtime.values()
    calls = [
        Call("recommend.tflite", "similar", {"item": np.array([index.get(isbn, -1)], np.int32)}) for isbn in expected
    ]
    for (isbn, books), out in zip(expected.items(), run(fetched(published), calls), strict=True):
        assert [published.model.items.isbns[place] for place in out["indices"] if place >= 0] == books
        assert on_device("similarOnDevice", isbn=isbn) == books
        assert phone("similarOnDevice", isbn=isbn) == books


def test_similar_books_are_read_without_what_is_left_out(kotlin, javascript, database):
    node = {"0": "b", "1": "c.2", "2": "d"}
    database.put("Similar_Books/a,1", list(node.values()))
    javascript("connect", host=database.host, namespace=database.namespace, uid="ana")
    kotlin("tree", tree={"Similar_Books": {"a,1": node}})
    for program in (javascript, kotlin):
        assert program("similarTo", isbn="a.1", without=[]) == ["b", "c.2", "d"]
        assert program("similarTo", isbn="a.1", without=["c.2", "x"]) == ["b", "d"]
        assert program("similarTo", isbn="b", without=[]) == []
    javascript("disconnect")


def test_the_kotlin_reads_the_files_with_a_user_key(kotlin, published, runtime):
    file, rating = (str(published.files / name) for name in ("by_user.tflite", "rating.tflite"))
    reader = published.ratings.user_ids[3]
    candidates = kotlin("byUser", file=file, uid=reader)
    out = run_signature(file, "serving_default", {"user_key": [user_key(reader)]})
    assert (out["output_1"].shape, out["output_1"].dtype, out["output_2"].shape) == ((1, 20), np.float32, (1, 20))
    assert [isbn for isbn, _ in candidates] == [isbn.decode() for isbn in out["output_2"][0] if isbn]
    stranger = [isbn for isbn, _ in kotlin("byUser", file=file, uid="a stranger")]
    assert stranger == list(published.model.items.popular[:20])
    isbn = published.model.items.isbns[0]
    inputs = {"isbn": np.array([isbn.encode()]), "user_key": np.array([user_key(reader).encode()])}
    (run,) = runtime.values()
    files = {"rating.tflite": (published.files / "rating.tflite").read_bytes()}
    stars = run(files, [Call("rating.tflite", "serving_default", inputs)])[0]["output_1"]
    assert (stars.shape, stars.dtype) == ((1, 1), np.float32)
    assert kotlin("predictedRating", file=rating, isbn=isbn, uid=reader) == pytest.approx(float(stars[0, 0]), abs=1e-4)


def test_user_keys_match_the_trainers(kotlin):
    for uid in UIDS:
        assert kotlin("userKey", uid=uid) == user_key(uid)


def test_editions_are_distinguished_as_in_the_functions(kotlin, javascript):
    expected = [Book("i", title, author, "").edition for title, author in BOOKS]
    editions = [edition and tuple(edition) for edition in javascript("editions", books=BOOKS)]
    assert editions == expected
    by_title = dict(BOOKS)
    assert len(by_title) == len(BOOKS)
    assert [edition and tuple(edition) for edition in kotlin("editions", books=by_title)] == expected


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_arms_match_the_functions(kotlin, javascript, share):
    experiment = Experiment("ab-1700000000000", "v0", share, 1)
    for uid in [*UIDS, *(f"reader-{n}" for n in range(40))]:
        is_in_b = experiment.arm(uid) == "b"
        for program in (kotlin, javascript):
            assert program("isInB", id=experiment.id, share=share, uid=uid) is is_in_b


def test_the_live_model_is_downloaded_once_and_never_replaced_by_a_damaged_one(javascript, database, published):
    with serving(published.bucket) as storage:
        address = {"host": database.host, "namespace": database.namespace, "uid": "ana", "storageHost": storage}
        javascript("connect", **address)
        assert javascript("refresh") == {"failed": "no model is live"}
        database.put(paths.MODEL, published.pointer)
        sizes = {name: (published.files / name).stat().st_size for name in ("recommend.tflite", "items.json")}
        assert javascript("refresh") == {"version": published.pointer["version"], "sizes": sizes}
        assert javascript("current") == published.pointer["version"]
        database.put(f"{paths.MODEL}/manifestSha256", "0" * 64)
        database.put(f"{paths.MODEL}/version", "20270101T000000Z-8")
        assert "failed" in javascript("refresh")  # no such files
        assert javascript("current") == published.pointer["version"]
        javascript("disconnect")


@pytest.mark.parametrize("victim", ["manifest.json", "recommend.tflite", "items.json"])
@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:-1] + b"?"], ids=["cut", "altered"]
)
def test_a_file_that_differs_from_the_published_one_is_rejected(
    javascript, database, published, victim, damage, tmp_path
):
    version = "20270101T000000Z-9"
    folder = tmp_path / "models" / version
    folder.mkdir(parents=True)
    for name in ("recommend.tflite", "items.json"):
        (folder / name).write_bytes((published.files / name).read_bytes())
    manifest = json.loads((published.files / "manifest.json").read_text()) | {"version": version}
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    database.put(paths.MODEL, make_pointer(version, content, 9, 1, 1).to_node())
    with serving(tmp_path, lambda name, held: damage(held) if name.endswith(victim) else held) as storage:
        javascript("connect", host=database.host, namespace=database.namespace, uid="ana", storageHost=storage)
        before = javascript("current")
        assert "failed" in javascript("refresh")
        assert javascript("current") == before
        javascript("disconnect")


@pytest.fixture
def app(kotlin):
    """The program over an empty database."""
    kotlin("tree", tree={})
    kotlin("deny", paths=[])
    return kotlin


def test_a_list_fills_its_kotlin_class(app):
    full, bare = (as_stored(node) for node in full_and_bare_list())
    assert app("watchList", uid="ana") == ["null", None, 0]
    for node, reasons in ((full, [2] * 8), (bare, [0])):
        app("tree", tree={"Users": {"ana": {"recommendations": {**node, "later": {"a": 1}}}}})
        text, shown, listeners = app("watchList", uid="ana")
        assert f"listId={node['listId']}, generatedAt={node['generatedAt']}" in text
        assert (shown, listeners) == (reasons, 0)
    assert "predictedRating=null" in text


def test_the_kotlin_shelves_rates_and_removes_a_book_as_the_contract_says(app):
    entry_id = app("add", uid="ana", isbn="09780143036357", stars=0)
    tree = app("show")
    node = tree["User_Book"][entry_id]
    assert node == {"userId": "ana", "bookId": node["bookId"], "myRate": 0.0, "isbn": "09780143036357"}
    assert tree["Books"] == {node["bookId"]: {"title": "T", "author": "A", "isbn": "09780143036357", "myRate": 0.0}}
    app("rate", entryId=entry_id, bookId=node["bookId"], stars=4.5)
    assert app("read", uid="ana") == {
        entry_id: f"Entry(userId=ana, bookId={node['bookId']}, myRate=4.5, isbn=09780143036357)"
    }
    assert app("read", uid="ben") == {}
    app("remove", entryId=entry_id, bookId=node["bookId"])
    assert app("show") == {"User_Book": {}, "Books": {}}


def test_the_kotlin_dismisses_a_book_and_takes_that_back(app):
    app("tree", tree={"Users": {"ana": {"id": "ana"}}})
    for isbn in ("a.1", "b"):
        app("dismiss", uid="ana", isbn=isbn)
    ana = app("show")["Users"]["ana"]
    assert list(ana["dismissed"]) == ["a,1", "b"]
    assert (ana["dismissals"], ana["id"]) == ({"count": 2, "last": "b"}, "ana")
    assert app("readDismissed", uid="ana") == ["b", "a.1"]
    app("undo", uid="ana", isbn="a.1")
    assert app("readDismissed", uid="ana") == ["b"]
    assert app("show")["Users"]["ana"]["dismissals"] == {"count": 1, "last": "a,1"}


def test_the_kotlin_says_once_that_a_list_was_shown(app):
    app("tree", tree={"Users": {"ana": {"recommendations": {"listId": "x"}}}})
    assert app("listShown", uid="ana", listId="x") is True
    shown = app("show")["Users"]["ana"]["shown"]
    assert (shown["listId"], type(shown["at"])) == ("x", int)
    assert app("listShown", uid="ana", listId="x") is False
    assert app("show")["Users"]["ana"]["shown"] == shown
    app("deny", paths=["Users/ana/shown"])
    assert app("listShown", uid="ana", listId="y") is False


def test_the_kotlin_changes_a_profile_field_by_field(app):
    app("tree", tree={"Users": {"ana": {"id": "ana", "recommendations": {"listId": "x"}}}})
    app("changeProfile", uid="ana", firstname="Ana")
    assert app("show")["Users"]["ana"] == {"id": "ana", "recommendations": {"listId": "x"}, "firstname": "Ana"}


def test_the_kotlin_downloads_the_live_model_completely_or_not_at_all(app, published, tmp_path):
    phone, bucket = tmp_path / "phone", tmp_path / "bucket"
    phone.mkdir()
    folder, version = str(phone), published.pointer["version"]
    app("bucket", folder=str(bucket))
    assert app("current", folder=folder) is None
    assert app("refresh", folder=folder) == ["no model is live"]
    app("tree", tree={"Recommender": {"model": published.pointer}})
    assert app("refresh", folder=folder) == ["Object does not exist at location."]
    app("bucket", folder=str(published.bucket))
    assert app("refresh", folder=folder) == f"{folder}/{version}"
    assert sorted(path.name for path in phone.iterdir()) == [version, "current"]
    assert (phone / version / "items.json").read_bytes() == (published.files / "items.json").read_bytes()

    later = bucket / "models" / "20270101T000000Z-8"
    later.mkdir(parents=True)
    manifest = json.loads((published.files / "manifest.json").read_text()) | {"version": later.name}
    (later / "manifest.json").write_text(json.dumps(manifest))
    for name in ("recommend.tflite", "items.json"):
        (later / name).write_bytes((published.files / name).read_bytes())
    pointer = published.pointer | {"version": later.name}
    app("bucket", folder=str(bucket))
    app("tree", tree={"Recommender": {"model": pointer}})
    assert app("refresh", folder=folder) == ["manifest.json is altered"]
    assert app("current", folder=folder) == f"{folder}/{version}"
    pointer["manifestSha256"] = sha256((later / "manifest.json").read_bytes())
    app("tree", tree={"Recommender": {"model": pointer}})
    whole = (later / "items.json").read_bytes()
    (later / "items.json").write_bytes(whole[:-1] + b"?")
    assert app("refresh", folder=folder) == ["items.json is altered"]
    assert app("current", folder=folder) == f"{folder}/{version}"
    (later / "items.json").write_bytes(whole)
    assert app("refresh", folder=folder) == f"{folder}/{later.name}"
    assert sorted(path.name for path in phone.iterdir()) == [later.name, "current"]


@pytest.mark.parametrize("version", ["", "../elsewhere", "v.part"])
def test_an_invalid_version_name_is_rejected(app, published, version, tmp_path):
    app("tree", tree={"Recommender": {"model": published.pointer | {"version": version}}})
    assert app("refresh", folder=str(tmp_path)) == ["the pointer is damaged"]
