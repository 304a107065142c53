"""Pointer and manifest are untrusted: each of their numbers has a range, and a version fits into an instance."""

import json
import re

import pytest

from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle import ranges
from bookrec.life_cycle.manifest import (
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    parse_manifest,
    parse_pointer,
    read_manifest,
    sha256,
)
from tests.fakes import World

SHA = "0" * 64
NOT_NUMBERS = [-1, -0.5, 1.5, True, "1", [], {}, float("inf"), float("-inf"), float("nan"), 10**400, 2**63]
GREATEST = {
    "fence": ranges.MAX_FENCE,
    "publishedAt": ranges.LATEST_MS,
    "lists": ranges.MAX_SHARDS,
    "switches": ranges.MAX_SWITCHES,
}


def pointer(**changes):
    node = {"version": "v2", "manifest": "models/v2/manifest.json", "manifestSha256": SHA, "fence": 1}
    return {**node, "publishedAt": 1, "snapshotAt": 1, "kept": {"v1": SHA, "v2": SHA}, **changes}


def manifest(**sizes):
    names = {"recommend_tflite": 1, "items_json": 1, **sizes}
    files = {name.replace("_", "."): {"size": size, "sha256": SHA} for name, size in names.items()}
    return {"schema": 1, "version": "v", "files": files}


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("field", [*GREATEST, "snapshotAt"])
def test_a_number_of_the_pointer_is_a_whole_number_in_its_range(field, value):
    with pytest.raises(BadModel, match="not a whole number from 0 to"):
        parse_pointer(pointer(**{field: value}))


@pytest.mark.parametrize("field", GREATEST)
def test_the_greatest_number_is_accepted_and_the_next_one_rejected(field):
    assert parse_pointer(pointer(**{field: GREATEST[field]}))
    with pytest.raises(BadModel):
        parse_pointer(pointer(**{field: GREATEST[field] + 1}))


def test_a_snapshot_is_not_of_a_later_day_than_its_publication():
    """Marks up to the snapshot are removed: a snapshot in the future would remove those of all changes to come."""
    at = 1_700_000_000_000
    assert parse_pointer(pointer(publishedAt=at, snapshotAt=at + ranges.CLOCKS_MS))
    with pytest.raises(BadModel, match="snapshotAt"):
        parse_pointer(pointer(publishedAt=at, snapshotAt=at + ranges.CLOCKS_MS + 1))


@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS[:1], *NOT_NUMBERS[3:], ranges.LATEST_MS + 1], ids=lambda v: repr(v)[:12]
)
@pytest.mark.parametrize("field", ["startedAt", "share"])
def test_an_experiment_with_a_number_out_of_range_is_none(field, value):
    node = {"id": "ab-1", "version": "v1", "share": 0.5, "startedAt": 1}
    assert parse_pointer(pointer(experiment=node)).experiment
    assert parse_pointer(pointer(experiment={**node, field: value})).experiment is None


def test_the_number_of_kept_versions_is_bounded():
    kept = {f"v{number}": SHA for number in range(ranges.MAX_KEPT + 1)}
    with pytest.raises(BadModel, match="keeps more than"):
        parse_pointer(pointer(kept=kept))


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda value: repr(value)[:12])
def test_a_size_in_the_manifest_is_a_whole_number_in_its_range(value):
    with pytest.raises(BadModel, match="the size of"):
        parse_manifest(manifest(recommend_tflite=value))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("recommend_tflite", ranges.MAX_MODEL_BYTES),
        ("items_json", ranges.MAX_ITEMS_BYTES),
        ("manifest_json", MAX_MANIFEST_BYTES),
        ("by_user_tflite", MAX_FILE_BYTES - 2),
    ],
)
def test_each_file_has_a_greatest_size(name, most):
    assert parse_manifest(manifest(**{name: most}))
    with pytest.raises(BadModel, match=r"from 0 to|in all"):
        parse_manifest(manifest(**{name: most + 1}))


def test_the_files_of_a_version_fit_into_an_instance_together():
    most = {"recommend_tflite": ranges.MAX_MODEL_BYTES, "items_json": ranges.MAX_ITEMS_BYTES}
    rest = ranges.MAX_VERSION_BYTES - sum(most.values())
    assert parse_manifest(manifest(**most, report_html=rest))
    with pytest.raises(BadModel, match=f"in all, at most {ranges.MAX_VERSION_BYTES} are loaded"):
        parse_manifest(manifest(**most, report_html=rest, card_md=1))


def test_the_number_of_files_is_bounded():
    with pytest.raises(BadModel, match="1 to 100 files"):
        parse_manifest(manifest(**{f"f{number}": 1 for number in range(ranges.MAX_FILES)}))


def test_the_bound_is_of_the_memory_that_instances_have():
    from main import MEMORY_MB

    assert ranges.INSTANCE_BYTES == MEMORY_MB << 20


@pytest.mark.parametrize("size", ["Infinity", "NaN", "1e999", "-0.5", "9" * 400])
def test_the_numbers_that_only_json_has_are_rejected_too(size):
    content = re.sub(r'"size": 1\b', f'"size": {size}', json.dumps(manifest())).encode()
    with pytest.raises(BadModel):
        read_manifest("v", content, sha256(content))


def test_a_pointer_with_absurd_numbers_queues_no_task_and_the_last_model_stays_in_use():
    world = World()
    world.publish("v1", 1)
    world.backend.model_published()
    queued = len(world.tasks.queued)
    world.database.update({f"{paths.MODEL}/lists": 1_000_000, f"{paths.MODEL}/listsSha256": SHA})
    world.backend.model_published()
    assert len(world.tasks.queued) == queued
    assert "lists" in world.database.status("model")["problem"]


def test_a_pointer_of_an_earlier_release_serves_and_its_lists_are_made_by_the_functions():
    world = World()
    world.database.update({f"{paths.USERS}/u{number}/id": f"u{number}" for number in range(3)})
    world.publish("v1", 1)
    world.database.update({f"{paths.MODEL}/lists": 7})
    world.backend.model_published()
    tasks = [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]
    assert sorted(user for task in tasks for user in task["users"]) == ["u0", "u1", "u2"]
    for task in tasks:
        world.backend.fanout(task["publication"], task["shard"], task["users"])
    assert world.list_of("u0")["modelVersion"] == "v1"
