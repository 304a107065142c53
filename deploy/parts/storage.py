"""The buckets: one for the models, one for the source of the image."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import gcloud, rest
from deploy.steps import Check, Question, Step, names
from deploy.target import ROOT, Target

MODELS_LIFECYCLE = ROOT / "deploy" / "files" / "lifecycle-models.json"
MODELS_CORS = ROOT / "deploy" / "files" / "cors-models.json"
BUILDS_LIFECYCLE = ROOT / "deploy" / "files" / "lifecycle-builds.json"


def steps(target: Target) -> list[Step]:
    """Return the steps that create both buckets, and let Firebase and the pages read the models."""
    return [
        _bucket(
            target,
            ("bucket", target.bucket, "7d", str(MODELS_LIFECYCLE.relative_to(ROOT))),
            "It holds the models' files and nothing else, so the trainer can write no other file. Access is by account "
            "only, never public. Deleted files can be restored for a week; versions are immutable, so there is no "
            "object versioning. Old lists and snapshots, which name readers, are deleted automatically.",
        ),
        _linked(target),
        _open_to_pages(target),
        _bucket(
            target,
            ("bucket-builds", target.source_bucket, "0", str(BUILDS_LIFECYCLE.relative_to(ROOT))),
            "The source of the trainer's image is uploaded to it, and deleted after a week.",
        ),
    ]


def buckets(target: Target) -> Question:
    """Return the question that lists the project's buckets."""
    return Question(gcloud("storage", "buckets", "list", project=target.project, json_answer=True))


def bucket_named(listed: Any, name: str) -> dict[str, Any] | None:
    """Return a bucket from the list of all, or None."""
    return next((one for one in listed or [] if one.get("name") == name), None)


def is_private(bucket: dict[str, Any]) -> bool:
    """Return whether access is by account only, and public access is impossible."""
    return bool(bucket.get("uniform_bucket_level_access")) and bucket.get("public_access_prevention") == "enforced"


def has_lifecycle(bucket: dict[str, Any], file: str) -> bool:
    """Return whether a bucket has the lifecycle rules of a file."""
    wanted = json.loads((ROOT / file).read_text())["rule"]
    return sorted(map(_rule, (bucket.get("lifecycle_config") or {}).get("rule", []))) == sorted(map(_rule, wanted))


def has_cors(bucket: dict[str, Any]) -> bool:
    """Return whether pages may read the models' bucket."""
    return bool(bucket.get("cors_config") == json.loads(MODELS_CORS.read_text()))


def _rule(rule: dict[str, Any]) -> str:
    return json.dumps(rule, sort_keys=True)


def _bucket(target: Target, what: tuple[str, str, str, str], why: str) -> Step:
    key, name, soft_delete, lifecycle = what
    closed = ("--uniform-bucket-level-access", "--public-access-prevention", "--soft-delete-duration", soft_delete)
    make = gcloud(
        "storage", "buckets", "create", f"gs://{name}", "--location", target.region, *closed, project=target.project
    )
    close = gcloud(
        *("storage", "buckets", "update", f"gs://{name}", "--lifecycle-file", lifecycle, *closed),
        project=target.project,
    )

    def exists(listed: Any) -> bool:
        return bucket_named(listed, name) is not None

    def holds(listed: Any) -> bool:
        bucket = bucket_named(listed, name)
        return bucket is not None and is_private(bucket) and has_lifecycle(bucket, lifecycle)

    return Step(
        key=key,
        title=f"Create the private bucket {name} with its lifecycle",
        why=why,
        commands=(make, close),
        unless=((make, Check(buckets(target), exists)),),
        check=Check(buckets(target), holds),
        remedy="Bucket names are shared by all of Google Cloud: if this one is taken, choose another with --bucket.",
    )


def _linked(target: Target) -> Step:
    url = f"https://firebasestorage.googleapis.com/v1beta/projects/{target.number or target.project}/buckets"
    return Step(
        key="bucket-firebase",
        title=f"Let Firebase serve the bucket {target.bucket}",
        why="Apps and pages read model files through Firebase, which has to know the bucket and applies its rules.",
        commands=(rest("POST", f"{url}/{target.bucket}:addFirebase", target.project),),
        check=Check(
            Question(rest("GET", url, target.project)),
            lambda linked: target.bucket in names((linked or {}).get("buckets")),
        ),
    )


def _open_to_pages(target: Target) -> Step:
    def holds(listed: Any) -> bool:
        bucket = bucket_named(listed, target.bucket)
        return bucket is not None and has_cors(bucket)

    file = str(MODELS_CORS.relative_to(ROOT))
    return Step(
        key="bucket-cors",
        title=f"Let pages read the bucket {target.bucket}",
        why="A browser lets a page read only what the bucket allows other origins to read (CORS); the storage rules "
        "still decide who may read it.",
        commands=(
            gcloud(
                "storage", "buckets", "update", f"gs://{target.bucket}", "--cors-file", file, project=target.project
            ),
        ),
        check=Check(buckets(target), holds),
    )
