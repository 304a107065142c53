"""The guide's JavaScript with the firebase SDK: through the rules, and with a bucket that may be damaged."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from bookrec import paths
from bookrec.entries import parse_entry
from tests.clients import guide
from tests.clients.test_contract import as_stored, full_and_bare_list
from trainer.publish import make_pointer

RULES = (guide.ROOT / "database.rules.json").read_bytes()
BOOK = {"isbn": "09780143036357", "title": "A Title", "author": "An Author"}
PREFIX = "/v0/b/demo-guide.appspot.com/o/"


@pytest.fixture
def database(server):
    answer = server.request("PUT", ".settings/rules", data=RULES)
    assert answer.ok, answer.text
    return server


@contextlib.contextmanager
def serving(folder, damage=lambda name, content: content):
    """Firebase Storage's own interface to a folder, for whoever is signed in."""

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self):
            name = unquote(urlsplit(self.path).path.removeprefix(PREFIX))
            path = folder / name
            is_there = path.is_file() and self.headers.get("Authorization", "").startswith("Firebase ")
            self.send_response(200 if is_there else 404)
            self.end_headers()
            self.wfile.write(damage(name, path.read_bytes()) if is_there else b"{}")

        def log_message(self, *_):
            pass

    bucket = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    thread = threading.Thread(target=bucket.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{bucket.server_port}"
    bucket.shutdown()
    bucket.server_close()
    thread.join()


@pytest.fixture
def reader(javascript, database):
    """The program as the reader ``ana``."""
    javascript("connect", host=database.host, namespace=database.namespace, uid="ana")
    yield javascript
    javascript("disconnect")


def test_a_list_is_told_when_it_comes_changes_and_goes(reader, database):
    full, bare = (as_stored(node) for node in full_and_bare_list())
    reader("watch", uid="ana")
    assert reader("told", count=1) == [None]
    for node in (full, bare):
        database.put(paths.recommendations("ana"), node)
    assert database.request("DELETE", paths.recommendations("ana")).ok
    told = reader("told", count=4)
    assert told[1] == full
    assert told[2] == {**bare, "items": [{**bare["items"][0], "because": []}]}
    assert told[3] is None
    reader("stop")


def test_another_readers_list_is_refused(reader):
    reader("watch", uid="ben")
    assert reader("told", count=1) == ["PERMISSION_DENIED"]


def test_a_book_is_shelved_rated_and_removed_as_the_contract_says(reader, database):
    keys = reader("add", uid="ana", book=BOOK, stars=0)
    node = database.get(f"User_Book/{keys['entryId']}")
    assert parse_entry(keys["entryId"], node).rating == 0
    assert node["bookId"] == keys["bookId"] != keys["entryId"]
    assert database.get(f"Books/{keys['bookId']}") == {**BOOK, "myRate": 0}
    reader("rate", keys=keys, stars=4.5)
    assert parse_entry(keys["entryId"], database.get(f"User_Book/{keys['entryId']}")).rating == 4.5
    assert database.get(f"Books/{keys['bookId']}")["myRate"] == 4.5
    assert reader("read", uid="ana") == {keys["entryId"]: {**node, "myRate": 4.5}}
    reader("remove", keys=keys)
    assert reader("read", uid="ana") == {}
    assert database.get("Books") is None


def test_a_profile_is_changed_beside_a_list(reader, database):
    made = as_stored(full_and_bare_list()[0])
    database.put("Users/ana", {"id": "ana", "firstname": "A", "recommendations": made})
    reader("changeProfile", uid="ana", fields={"firstname": "Ana"})
    assert database.get("Users/ana") == {"id": "ana", "firstname": "Ana", "recommendations": made}


def test_the_live_model_is_fetched_once_and_a_damaged_one_never_takes_its_place(javascript, database, published):
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
def test_a_file_that_is_not_what_was_published_is_refused(javascript, database, published, victim, damage, tmp_path):
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
