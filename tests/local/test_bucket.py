"""The bucket's objects in a folder, and back."""

import uuid

import pytest

from local.bucket import Bucket
from tests.storage_server import storage_url  # noqa: F401

OBJECTS = {
    "models/1-a/manifest.json": (b'{"a": 1}', "application/json"),
    "models/1-a/recommend.tflite": (bytes(range(256)) * 100, "application/octet-stream"),
    "lists/a name with spaces, ümlauts & signs?#%": ("täxt".encode(), "text/plain; charset=utf-8"),
    "empty": (b"", "text/plain"),
}


@pytest.fixture
def new_bucket(storage_url):  # noqa: F811
    def make():
        bucket = Bucket(storage_url.removeprefix("http://"), f"bucket-{uuid.uuid4().hex[:8]}")
        bucket.create()
        return bucket

    return make


def test_objects_come_back_with_their_names_bytes_and_types(new_bucket, tmp_path):
    bucket, other = new_bucket(), new_bucket()
    for name, (body, content_type) in OBJECTS.items():
        bucket.write(name, body, content_type)
    bucket.save(tmp_path / "copy")
    other.load(tmp_path / "copy")
    assert sorted(other.names()) == sorted(OBJECTS)
    assert {name: (other.read(name), other.metadata(name)["contentType"]) for name in other.names()} == OBJECTS


def test_a_bucket_without_objects_comes_back_empty(new_bucket, tmp_path):
    bucket, other = new_bucket(), new_bucket()
    bucket.save(tmp_path / "copy")
    other.load(tmp_path / "copy")
    assert other.names() == []
