"""A store that is slow, hostile or broken: a download is bounded in bytes after decoding, and in time as a whole."""

import gzip
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.adapters import cloud_storage
from backend.adapters.cloud_storage import CloudModelStore
from backend.guards import deadline
from bookrec.errors import BadModel, StoreUnavailable
from trainer.publishing.bucket import CloudBucket

LIMIT = 1 << 20
DEADLINE_S = 0.6


@contextmanager
def store_that(answers):
    """Yield the address of a server whose GET requests ``answers(handler)`` handles."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.close_connection = True
            with suppress(OSError):  # the client has gone
                answers(self)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def body(content, encoding=None, length=None, status=206):
    def answer(handler):
        handler.send_response(status)
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        if length != "none":
            handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def packed(megabytes):
    """Return a gzip file of so many megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(megabytes)), packer.flush()])


def download(monkeypatch, answers, limit=LIMIT):
    with store_that(answers) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        return CloudModelStore("bucket").download("models/v/manifest.json", limit)


def test_a_gzip_encoded_object_is_bounded_after_decoding(monkeypatch):
    answer = body(packed(400), "gzip")

    def one_piece(answer):  # as it may arrive; how much arrives at a time is otherwise a matter of luck
        yield answer.raw.read(cloud_storage.PIECE, decode_content=False)

    monkeypatch.setattr(cloud_storage, "_pieces", one_piece)
    tracemalloc.start()  # the peak of the process may be of other tests, or even of its parent
    try:
        with pytest.raises(BadModel, match=f"larger than {LIMIT} bytes"):
            download(monkeypatch, answer)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, LIMIT - 1, LIMIT])
def test_a_gzip_encoded_object_of_the_right_size_is_read(monkeypatch, size):
    content = (bytes(range(250)) * (size // 250 + 1))[:size]
    assert download(monkeypatch, body(gzip.compress(content), "gzip")) == content


@pytest.mark.parametrize(
    "answers",
    [
        body(gzip.compress(bytes(LIMIT + 1)), "gzip"),
        body(bytes(LIMIT + 1)),
        body(bytes(50 << 20), status=200),
        body(bytes(50 << 20), length="none"),
    ],
    ids=["one byte more, packed", "one byte more", "ignores the range", "without a length"],
)
def test_a_larger_object_is_rejected_however_it_comes(monkeypatch, answers):
    with pytest.raises(BadModel, match="larger"):
        download(monkeypatch, answers)


@pytest.mark.parametrize(
    "answers",
    [
        body(b"no gzip", "gzip"),
        body(gzip.compress(b"whole")[:-5], "gzip"),
        body(gzip.compress(b"one") + gzip.compress(b"two"), "gzip"),
        body(gzip.compress(b"one") + b"rest", "gzip"),
        body(b"x", "br"),
        body(gzip.compress(gzip.compress(b"twice")), "gzip, gzip"),
        body(b"", length=0),
    ],
    ids=["not packed", "cut", "two members", "a rest", "another encoding", "twice", "empty"],
)
def test_an_object_that_is_not_what_its_encoding_says_is_no_model(monkeypatch, answers):
    with pytest.raises(BadModel):
        download(monkeypatch, answers)


def test_an_answer_that_breaks_off_is_a_store_that_does_not_answer(monkeypatch):
    with pytest.raises(StoreUnavailable):
        download(monkeypatch, body(b"half", length=8))


def drip(handler):
    handler.send_response(206)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def drip_headers(handler):
    handler.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
    for number in range(200):
        handler.wfile.write(f"X-{number}: 1\r\n".encode())
        time.sleep(0.05)


def drip_packed(handler):
    """Send a gzip file whose content is empty for a long time."""
    handler.send_response(206)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(200):
        handler.wfile.write(packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH))
        time.sleep(0.05)


def continue_for_ever(handler):
    for _ in range(200):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def drip_the_size_of_a_chunk(handler):
    handler.send_response(206)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"1;")
    for _ in range(200):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def say_nothing(handler):
    time.sleep(10)


def later(handler):
    handler.send_response(503)
    handler.send_header("Retry-After", "3600")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def elsewhere(handler):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize("answers", [drip, drip_headers, drip_packed, say_nothing, later, elsewhere])
def test_a_slow_store_is_given_up_at_the_deadline(monkeypatch, answers):
    monkeypatch.setattr(cloud_storage, "DOWNLOAD_S", DEADLINE_S)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        download(monkeypatch, answers)
    assert time.monotonic() - began < DEADLINE_S + 2


@pytest.mark.parametrize(
    "answers", [drip, drip_headers, drip_packed, continue_for_ever, drip_the_size_of_a_chunk, say_nothing]
)
def test_a_thread_that_nobody_waits_for_any_more_ends(monkeypatch, answers):
    monkeypatch.setattr(cloud_storage, "DOWNLOAD_S", 0.3)
    before = set(threading.enumerate())
    with store_that(answers) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(StoreUnavailable):
            CloudModelStore("bucket").download("models/v/manifest.json", LIMIT)
        waited = time.monotonic() + cloud_storage.PATIENCE_S + 4
        while [thread for thread in set(threading.enumerate()) - before if "call_within" in thread.name]:
            assert time.monotonic() < waited
            time.sleep(0.01)


def test_several_downloads_share_one_deadline(monkeypatch):
    with store_that(drip) as url, deadline.within(DEADLINE_S):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store, began = CloudModelStore("bucket"), time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                store.download("models/v/manifest.json", LIMIT)
        assert time.monotonic() - began < DEADLINE_S + 2


def test_an_inner_deadline_does_not_extend_the_outer_one():
    assert deadline.remaining(7) == 7
    with deadline.within(1), deadline.within(100):
        assert deadline.remaining(50) <= 1
    assert deadline.remaining(7) == 7


def test_what_a_call_does_in_its_thread_has_no_more_time_than_the_call():
    with deadline.within(100):
        assert deadline.call_within(1, lambda: deadline.remaining(50)) <= 1


def test_calls_that_nobody_waits_for_any_more_are_bounded(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(deadline, "_calls", threading.BoundedSemaphore(2))
    for _ in range(4):
        with pytest.raises(TimeoutError):
            deadline.call_within(0.05, lambda: over.wait(10))
    over.set()
    waited = time.monotonic() + 5
    while time.monotonic() < waited:
        try:
            assert deadline.call_within(1, lambda: "again") == "again"
            return
        except TimeoutError:
            time.sleep(0.01)
    pytest.fail("the calls that ended still count")


def test_a_call_for_which_no_thread_can_be_started_takes_nobodys_place(monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(deadline, "_calls", threading.BoundedSemaphore(2))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(4):
            with pytest.raises(TimeoutError):
                deadline.call_within(1, lambda: "never")
    assert deadline.call_within(1, lambda: "again") == "again"


def test_an_error_of_the_call_is_raised():
    with pytest.raises(KeyError):
        deadline.call_within(1, lambda: {}["missing"])


TRAINER = """
import tracemalloc
from bookrec.errors import BadModel
from trainer.publishing.bucket import CloudBucket
bucket = CloudBucket("demo-bookrec", "bucket")
tracemalloc.start()
content = bucket.read("models/v/any")
print(len(content), tracemalloc.get_traced_memory()[1])
"""


def test_the_trainer_does_not_decode_what_it_reads(monkeypatch):
    bomb = packed(400)
    with store_that(body(bomb, "gzip")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        done = subprocess.run([sys.executable, "-c", TRAINER], capture_output=True, text=True, check=True, timeout=60)
    size, peak = map(int, done.stdout.split())
    assert size == len(bomb)
    assert peak < 100 << 20


def test_the_trainer_reads_no_object_that_is_larger_than_asked_for(monkeypatch, storage_url):
    import requests

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_url)
    requests.post(f"{storage_url}/storage/v1/b", json={"name": "bounded"}, timeout=5).raise_for_status()
    bucket = CloudBucket("demo-bookrec", "bounded")
    bucket.create("models/v/a", b"x" * 1001, "application/octet-stream")
    assert len(bucket.read("models/v/a", 1001)) == 1001
    with pytest.raises(BadModel, match="larger than 1000 bytes"):
        bucket.read("models/v/a", 1000)


def two_buckets(monkeypatch, url):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    return CloudModelStore("first", "second")


def test_a_bucket_is_not_given_up_because_the_store_does_not_say_whether_it_is_there(monkeypatch):
    statuses = [404, 400, 206]

    def answers(handler):
        assert "/b/first/" in handler.path
        body(b"x", status=statuses.pop(0))(handler)

    with store_that(answers) as url:
        store = two_buckets(monkeypatch, url)
        with pytest.raises(StoreUnavailable, match="answered 400"):
            store.download("models/v/a", LIMIT)
        assert store.download("models/v/a", LIMIT) == b"x"


def test_two_downloads_may_find_out_at_the_same_time_that_a_bucket_is_not_there(monkeypatch):
    read, stores = [], []

    def answers(handler):
        if "maxResults" in handler.path and not read:
            read.append(None)
            read.append(stores[0].download("models/v/a", LIMIT))
        body(b"x", status=404 if "/b/first/" in handler.path else 206)(handler)

    with store_that(answers) as url:
        stores.append(two_buckets(monkeypatch, url))
        assert stores[0].download("models/v/a", LIMIT) == b"x"
    assert read == [None, b"x"]
