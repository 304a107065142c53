"""Publishing: files first, pointer last, and nothing older over something newer."""

import json

import pytest

from bookrec.errors import BadModel, LeaseLost
from bookrec.manifest import parse_manifest, parse_pointer
from trainer import publish

FILES = {"recommend.tflite": b"model", "items.json": b"{}"}


class FakeBucket:
    def __init__(self):
        self.objects, self.order, self.damages = {}, [], None

    def create(self, name, content, content_type):
        if self.objects.get(name, content) != content:
            raise BadModel(f"{name} exists")
        self.objects[name] = content[:-1] if name.endswith(self.damages or "nothing") else content
        self.order.append(name)

    def read(self, name):
        return self.objects[name]


def upload(bucket):
    manifest = publish.make_manifest("v1", FILES, {"gate": {"passed": True}})
    return publish.upload(bucket, FILES, manifest)


def test_the_manifest_comes_after_the_files_and_the_pointer_vouches_for_it():
    bucket = FakeBucket()
    content = upload(bucket)
    assert bucket.order[-1] == "models/v1/manifest.json"
    assert upload(bucket) == content  # an interrupted upload goes on
    pointer = publish.make_pointer("v1", content, 7, 1, 1)
    assert parse_pointer(pointer.to_node()) == pointer
    manifest = parse_manifest(json.loads(content))
    assert set(manifest.files) == set(FILES)


@pytest.mark.parametrize("damaged", ["recommend.tflite", "manifest.json"])
def test_a_bucket_that_gives_back_other_bytes_stops_the_publish(damaged):
    bucket = FakeBucket()
    bucket.damages = damaged
    with pytest.raises(BadModel):
        upload(bucket)


def test_a_stale_run_never_replaces_newer_output():
    newer = publish.make_pointer("v2", b"", 8, 2, 2)
    for fence in (7, 8):
        with pytest.raises(LeaseLost, match="version v2 was published under fence 8"):
            publish.next_pointer(newer.to_node(), publish.make_pointer("v1", b"", fence, 1, 1))
    assert publish.next_pointer(newer.to_node(), publish.make_pointer("v3", b"", 9, 3, 3))["version"] == "v3"


@pytest.mark.parametrize("damaged", [None, "text", {"version": 1}, {"version": "v", "fence": "9"}])
def test_a_missing_or_damaged_pointer_is_replaced(damaged):
    assert publish.next_pointer(damaged, publish.make_pointer("v1", b"", 1, 1, 1))["version"] == "v1"
