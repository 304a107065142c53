"""The guide's Kotlin, compiled by Kotlin's own compiler, over small stand-ins of the SDKs."""

import json

import pytest

from tests.clients.test_contract import as_stored, full_and_bare_list


@pytest.fixture
def app(kotlin):
    """The program over an empty database."""
    kotlin("tree", tree={})
    return kotlin


def test_a_list_fills_its_class(app):
    full, bare = (as_stored(node) for node in full_and_bare_list())
    assert app("watchList", uid="ana") == ["null", None, 0]
    for node, reasons in ((full, [2] * 8), (bare, [0])):
        app("tree", tree={"Users": {"ana": {"recommendations": {**node, "later": {"a": 1}}}}})
        text, found, listeners = app("watchList", uid="ana")
        assert f"listId={node['listId']}, generatedAt={node['generatedAt']}" in text
        assert (found, listeners) == (reasons, 0)
    assert "predictedRating=null" in text


def test_a_book_is_shelved_rated_and_removed_as_the_contract_says(app):
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


def test_a_profile_is_changed_field_by_field(app):
    app("tree", tree={"Users": {"ana": {"id": "ana", "recommendations": {"listId": "x"}}}})
    app("changeProfile", uid="ana", firstname="Ana")
    assert app("show")["Users"]["ana"] == {"id": "ana", "recommendations": {"listId": "x"}, "firstname": "Ana"}


def test_the_live_model_is_fetched_whole_or_not_at_all(app, published, tmp_path):
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
    from bookrec.manifest import sha256

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
def test_a_version_that_is_no_name_is_refused(app, published, version, tmp_path):
    app("tree", tree={"Recommender": {"model": published.pointer | {"version": version}}})
    assert app("refresh", folder=str(tmp_path)) == ["the pointer is damaged"]
