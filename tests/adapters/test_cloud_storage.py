"""Published files through google-cloud-storage, from fake-gcs-server."""

import time

import pytest
import requests

from backend.adapters import cloud_storage
from bookrec.errors import BadModel, StoreUnavailable
from local.processes import Processes, free_port
from local.stack import storage_program

BUCKET = "demo-bookrec.appspot.com"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gcs")
    port, processes = free_port(), Processes()
    url = f"http://127.0.0.1:{port}"
    command = [str(storage_program()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    processes.start(
        [*command, "-backend", "memory", "-external-url", url, "-public-host", f"127.0.0.1:{port}"],
        log=folder / "gcs.log",
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            requests.post(f"{url}/storage/v1/b", json={"name": BUCKET}, timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield url
    processes.stop(patience_s=5)


@pytest.fixture
def store(url, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    return cloud_storage.CloudModelStore("demo-bookrec", BUCKET)


def upload(url, name, content):
    query = {"uploadType": "media", "name": name}
    assert requests.post(f"{url}/upload/storage/v1/b/{BUCKET}/o", params=query, data=content, timeout=5).ok


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_an_object_is_read_whole(url, store, size):
    content = bytes(range(250)) * (size // 250) or b"x"
    upload(url, f"models/v1/{size}", content)
    assert store.download(f"models/v1/{size}", len(content)) == content


def test_a_larger_object_than_expected_is_refused(url, store):
    upload(url, "models/v1/large", b"x" * 1001)
    with pytest.raises(BadModel, match="larger"):
        store.download("models/v1/large", 1000)


def test_a_missing_or_empty_object_is_no_model(url, store):
    with pytest.raises(BadModel, match="not in bucket"):
        store.download("models/v1/missing", 1000)
    upload(url, "models/v1/empty", b"")
    with pytest.raises(BadModel, match="empty"):
        store.download("models/v1/empty", 1000)


def test_a_store_that_does_not_answer_is_unavailable_soon(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(cloud_storage, "PATIENCE_S", 1.0)
    store = cloud_storage.CloudModelStore("demo-bookrec", BUCKET)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.download("models/v1/any", 1000)
    assert time.monotonic() - began < 10
