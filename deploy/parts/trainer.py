"""The trainer: where its image is kept, the image, and the job that runs it."""

from __future__ import annotations

from typing import Any

from deploy.commands import gcloud
from deploy.source import digest
from deploy.steps import Check, Question, Step, names
from deploy.target import JOB, REPOSITORY, Target

CLEANUP = "deploy/files/cleanup.json"
BUILD = "deploy/files/cloudbuild.yaml"
IMAGE_SOURCE = ("trainer", "functions/bookrec", ".dockerignore")
"""What decides the image: its Dockerfile and all that it copies."""


def tag() -> str:
    """Return the tag of the image of this checkout: the same source has the same tag."""
    return digest(*IMAGE_SOURCE)


def repositories(target: Target) -> Question:
    """Return what asks for the repositories of images in the region."""
    return Question(
        gcloud(
            "artifacts", "repositories", "list", "--location", target.region, project=target.project, json_answer=True
        )
    )


def jobs(target: Target) -> Question:
    """Return what asks for the jobs of the region."""
    return Question(gcloud("run", "jobs", "list", "--region", target.region, project=target.project, json_answer=True))


def tags(target: Target) -> Question:
    """Return what asks for the image's tags."""
    return Question(
        gcloud("artifacts", "docker", "tags", "list", target.image, project=target.project, json_answer=True)
    )


def repository_steps(target: Target) -> list[Step]:
    """Return the steps that make the repository and keep it small."""
    location = ("--location", target.region)
    create = gcloud(
        *("artifacts", "repositories", "create", REPOSITORY, "--repository-format", "docker", *location),
        project=target.project,
    )
    policy = gcloud(
        *("artifacts", "repositories", "set-cleanup-policies", REPOSITORY, *location),
        *("--policy", CLEANUP, "--no-dry-run"),
        project=target.project,
    )

    def kept(found: Any) -> bool:
        return {"keep-the-newest", "delete-old"} <= set(cleanup_of(found, REPOSITORY))

    return [
        Step(
            "repository",
            f"Create the repository {REPOSITORY} for the trainer's image",
            "The job takes its image from it.",
            (create,),
            Check(repositories(target), lambda found: REPOSITORY in names(found)),
        ),
        Step(
            "repository-cleanup",
            f"Keep the newest five images of {REPOSITORY}",
            "An image is about 3 GB, and an old one is of no use: after a month it goes, the newest five stay.",
            (policy,),
            Check(repositories(target), kept),
        ),
    ]


def cleanup_of(found: Any, name: str) -> list[str]:
    """Return the names of a repository's cleanup policies; of those that only count, none."""
    for one in found or []:
        if str(one.get("name", "")).rpartition("/")[2] == name and not one.get("cleanupPolicyDryRun"):
            return list(one.get("cleanupPolicies") or {})
    return []


def image_step(target: Target) -> Step:
    """Return the step that builds the image of this checkout."""
    present = tag()
    build = gcloud(
        *("builds", "submit", ".", "--config", BUILD, "--region", target.region),
        *("--substitutions", f"_IMAGE={target.image}:{present}"),
        *("--service-account", f"projects/{target.project}/serviceAccounts/{target.builder_account}"),
        *("--gcs-source-staging-dir", f"gs://{target.source_bucket}/source", "--ignore-file", ".dockerignore"),
        project=target.project,
    )
    return Step(
        key="image",
        title=f"Build the trainer's image {present}",
        why="The tag is a digest of what the image is made of: it is built when that has changed, and only then.",
        commands=(build,),
        check=Check(tags(target), lambda found: present in names(found, "tag")),
        remedy="The log of the build says what failed: gcloud builds list "
        f"--region {target.region} --project {target.project}. Some projects have a quota of no builds in a region: "
        "see IAM & Admin, Quotas.",
    )


def job_environment(target: Target) -> dict[str, str]:
    """Return the job's environment. The functions say the same again at each start; this is for runs by hand."""
    found = {
        "GOOGLE_CLOUD_PROJECT": target.project,
        "DATABASE_URL": target.database_url,
        "MODEL_BUCKET": target.bucket,
        "TRAINER_TIMEOUT_SECONDS": str(target.timeout_s),
    }
    if target.snapshots:
        found["SNAPSHOTS"] = f"gs://{target.bucket}/snapshots"
    return found


def job_step(target: Target) -> Step:
    """Return the step that makes the job, or changes it."""
    environment = ",".join(f"{name}={value}" for name, value in job_environment(target).items())
    make = gcloud(
        *("run", "jobs", "deploy", JOB, "--image", f"{target.image}:{tag()}", "--region", target.region),
        *("--service-account", target.trainer_account, "--tasks", "1", "--max-retries", "0"),
        *("--task-timeout", f"{target.timeout_s}s", "--memory", target.memory, "--cpu", str(target.cpu)),
        *("--update-env-vars", environment),
        project=target.project,
    )

    def holds(found: Any) -> bool:
        one = job_named(found)
        return one is not None and differences(target, one) == []

    return Step(
        key="job",
        title=f"Create the job {JOB}, or bring it up to date",
        why="It trains. It is never tried again by itself: a run that fails frees its lease, and the backend starts "
        "the next one under a new fence.",
        commands=(make,),
        check=Check(jobs(target), holds),
        remedy="Memory and CPU have to fit: up to 4Gi needs 1 CPU, 8Gi 2, 16Gi 4, 32Gi 8.",
    )


def job_named(found: Any) -> dict[str, Any] | None:
    """Return the trainer's job from the list of all, or None."""
    return next((one for one in found or [] if one.get("metadata", {}).get("name") == JOB), None)


def differences(target: Target, job: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what a job has otherwise than it should: (what, is, should be)."""
    run = job.get("spec", {}).get("template", {}).get("spec", {}).get("template", {}).get("spec", {})
    container = (run.get("containers") or [{}])[0]
    limits = container.get("resources", {}).get("limits", {})
    environment = {one.get("name"): one.get("value", "") for one in container.get("env", [])}
    rows = [
        ("image", container.get("image", ""), f"{target.image}:{tag()}"),
        ("account", run.get("serviceAccountName", ""), target.trainer_account),
        ("timeout", str(run.get("timeoutSeconds", "600")).rstrip("s"), str(target.timeout_s)),
        ("retries", str(run.get("maxRetries", 3)), "0"),
        ("memory", limits.get("memory", ""), target.memory),
        ("cpu", _cpus(limits.get("cpu", "")), str(target.cpu)),
    ]
    rows += [(f"env {name}", environment.get(name, ""), value) for name, value in job_environment(target).items()]
    return [(what, found, wanted) for what, found, wanted in rows if found != wanted]


def _cpus(limit: str) -> str:
    return str(int(limit[:-4])) if limit.endswith("000m") else limit
