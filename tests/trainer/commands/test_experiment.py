"""``experiment``, ``rollback`` and ``release``, over the wire."""

import json

import pytest

from bookrec import paths
from bookrec.life_cycle.manifest import MANIFEST, sha256
from bookrec_operations.experiment import start_experiment
from tests.database_server import connected
from tests.trainer.commands.command_line import command, project, storage_url
from trainer.publishing import versions
from trainer.publishing.bucket import CloudBucket

__all__ = ["command", "project", "storage_url"]

FILES = {"recommend.tflite": b"m", "items.json": b"{}"}


@pytest.fixture
def two_models(project):
    """Version v2 is live and v1 is kept; neither answers, since neither is a model."""
    bucket = CloudBucket("demo", project.bucket)
    kept = {}
    for version in ("v1", "v2"):
        manifest = versions.make_manifest(version, FILES, {"data": {"snapshotAt": 5}})
        kept[version] = sha256(versions.upload(bucket, FILES, manifest, lambda *_: None))
    project.put(
        paths.MODEL,
        {
            "version": "v2",
            "manifest": paths.model_object("v2", MANIFEST),
            "manifestSha256": kept["v2"],
            "fence": 2,
            "publishedAt": 1,
            "snapshotAt": 1,
            "kept": kept,
        },
    )
    return project


def test_an_experiment_is_started_shown_and_ended(two_models, command):
    bucket = CloudBucket("demo", two_models.bucket)
    with connected(two_models) as database:  # the files are no model: `experiment start` would not let it begin
        begun = start_experiment(
            database,
            lambda version, digest: versions.verify(bucket, version, digest, lambda *_: None),
            "v1",
            0.25,
            1_000,
        )
    assert two_models.get(f"{paths.MODEL}/experiment") == {
        "id": begun.id, "version": "v1", "share": 0.25, "startedAt": 1_000,
    }  # fmt: skip
    two_models.put(
        f"{paths.STATUS}/quality/labels/{begun.id}",
        {"arms": {"a": {"version": "v2", "readers": 4, "hitReaders": 1, "low": 0.05, "high": 0.7}}},
    )
    shown = command("experiment")
    assert shown.code == 0
    assert "arm a: 75% of the readers, version v2" in shown.out
    assert "arm b: 25% of the readers, version v1" in shown.out
    assert "25.0% of 4 readers" in shown.out
    assert command("experiment", "--json").json["experiment"]["live"] == "v2"
    ended = command("experiment", "end", "--json")
    assert (ended.code, ended.json["ended"]["version"]) == (0, "v1")
    assert two_models.get(f"{paths.MODEL}/experiment") is None
    assert command("experiment", "end").out == command("experiment").out == "no experiment runs\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["start"], 2, "give a VERSION to start"),
        (["end", "v1"], 2, "give a VERSION to start"),
        (["begin"], 2, "invalid choice"),
        (["start", "v1", "--share", "1"], 2, "--share: give more than 0 and less than 1"),
        (["start", "v1", "--share", "half"], 2, "invalid float value"),
        (["start", "v0"], 1, "version v0 is not kept; these are: v1, v2"),
        (["start", "v1"], 1, "v1"),  # its files are not a model
    ],
)
def test_an_experiment_that_cannot_start_is_explained_in_one_line(two_models, command, words, code, message):
    ended = command("experiment", *words)
    assert ended.code == code
    assert message in ended.err.splitlines()[-1]
    assert two_models.get(f"{paths.MODEL}/experiment") is None


def test_rollback_without_a_version_lists_the_kept_ones(two_models, command):
    assert command("rollback").out == "v2 (live)\nv1\n"
    assert command("rollback", "--json").json == {"live": "v2", "kept": ["v2", "v1"]}


def test_rollback_to_an_unknown_version_fails_and_names_the_kept_ones(two_models, command):
    ended = command("rollback", "v0", "--json")
    assert ended.code == 1
    assert ended.json == {"error": "version v0 is not kept; these are: v1, v2", "exitCode": 1}
    assert two_models.get(f"{paths.MODEL}/version") == "v2"


def test_rollback_fails_while_a_run_is_live(two_models, command):
    lease = {"holder": "run-3", "fence": 3, "expiresAt": 4_000_000_000_000, "endsBy": 4_000_000_000_000}
    two_models.put(paths.LEASE, lease)
    ended = command("rollback", "v1")
    assert ended.code == 1
    assert "held by run run-3" in ended.err
    two_models.put(paths.LEASE, {"fence": 3})


def test_release_reports_how_many_failures_it_cleared(project, command):
    project.put(paths.LEASE, {"fence": 3, "failures": 5, "failedAt": 1, "outcome": "died"})
    assert "released after 5 failures in a row" in command("release").out
    assert command("release", "--json").json == {"failures": 0}
    assert json.loads(json.dumps(project.get(paths.LEASE)))["failures"] == 0
