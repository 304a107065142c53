"""Publishing: files first, pointer last, and nothing older over something newer."""

import json
from dataclasses import replace

import pytest

from bookrec.errors import BadModel, LeaseLost
from bookrec.life_cycle.manifest import parse_manifest, parse_pointer
from bookrec.life_cycle.publishing import next_pointer
from tests.fakes import FakeBucket, FakeClock
from trainer.publishing import versions

FILES = {"recommend.tflite": b"model", "items.json": b"{}"}


class Bucket(FakeBucket):
    """Keeps the order of writes, and damages objects with a given name."""

    def __init__(self, damages="nothing"):
        super().__init__(FakeClock())
        self.order, self._damages = [], damages

    def create(self, name, content, content_type):
        super().create(name, content[:-1] if name.endswith(self._damages) else content, content_type)
        self.order.append(name)


def upload(bucket, version="v1", answers=lambda version, model, items: None):
    manifest = versions.make_manifest(version, FILES, {"gate": {"passed": True}})
    return versions.upload(bucket, FILES, manifest, answers)


def test_the_manifest_follows_the_files_and_the_pointer_has_its_hash():
    bucket = Bucket()
    content = upload(bucket)
    assert bucket.order[-1] == "models/v1/manifest.json"
    assert upload(bucket) == content  # an interrupted upload goes on
    pointer = versions.make_pointer("v1", content, 7, 1, 1)
    assert parse_pointer(next_pointer(None, pointer)) == replace(pointer, kept={"v1": pointer.manifest_sha256})
    manifest = parse_manifest(json.loads(content))
    assert set(manifest.files) == set(FILES)


@pytest.mark.parametrize("damaged", ["recommend.tflite", "manifest.json"])
def test_a_bucket_that_gives_back_other_bytes_stops_the_publish(damaged):
    bucket = Bucket(damaged)
    with pytest.raises(BadModel):
        upload(bucket)


def test_a_stale_run_never_replaces_newer_output():
    newer = versions.make_pointer("v2", b"", 8, 2, 2)
    for fence in (7, 8):
        with pytest.raises(LeaseLost, match="version v2 was published under fence 8"):
            next_pointer(newer.to_node(), versions.make_pointer("v1", b"", fence, 1, 1))
    assert next_pointer(newer.to_node(), versions.make_pointer("v3", b"", 9, 3, 3))["version"] == "v3"


@pytest.mark.parametrize("damaged", [None, "text", {"version": 1}, {"version": "v", "fence": "9"}])
def test_a_missing_or_damaged_pointer_is_replaced(damaged):
    assert next_pointer(damaged, versions.make_pointer("v1", b"", 1, 1, 1))["version"] == "v1"


def test_an_uploaded_model_that_does_not_answer_stops_the_publish():
    def no_answer(version, model, items):
        raise BadModel("no answer")

    with pytest.raises(BadModel, match="no answer"):
        upload(Bucket(), answers=no_answer)


def publish_many(bucket, count):
    """Publish versions with the fences 1, 2, …; return the pointers' nodes."""
    nodes = [None]
    for fence in range(1, count + 1):
        version = versions.version_name(fence * 1_000_000, fence)
        pointer = versions.make_pointer(version, upload(bucket, version), fence, fence, fence)
        nodes.append(next_pointer(nodes[-1], pointer))
    return nodes[1:]


def test_the_pointer_keeps_the_live_version_the_one_before_and_the_newest_others():
    nodes = publish_many(Bucket(), 12)
    names = [node["version"] for node in nodes]
    assert sorted(nodes[-1]["kept"]) == names[2:]
    back = versions.make_pointer(names[2], b"", 13, 13, 13)
    after = next_pointer(nodes[-1], back, is_rollback=True)
    assert names[11] in after["kept"]
    again = next_pointer(after, versions.make_pointer("19700101T050000Z-14", b"", 14, 14, 14))
    assert names[2] in again["kept"]  # it was live a moment ago
    with pytest.raises(BadModel, match="is not kept"):
        next_pointer(again, versions.make_pointer(names[0], b"", 15, 15, 15), is_rollback=True)


def test_only_old_versions_that_can_never_be_live_again_are_removed():
    bucket = Bucket()
    live = parse_pointer(publish_many(bucket, 12)[-1])
    upload(bucket, versions.version_name(13_000_000, 13))  # somebody publishes just now
    upload(bucket, "made-by-hand")
    now = bucket.times["models/made-by-hand/manifest.json"]
    assert versions.retire(bucket, live, now + versions.RETIRE_AFTER_MS) == []
    retired = versions.retire(bucket, live, now + versions.RETIRE_AFTER_MS + 1)
    assert [version.rsplit("-", 1)[1] for version in retired] == ["1", "2"]
    left = {name.split("/")[1] for name in bucket.objects}
    assert left == {*live.kept, versions.version_name(13_000_000, 13), "made-by-hand"}
