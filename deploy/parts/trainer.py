"""The trainer: the repository of its image, the image, and the job that runs it."""

from __future__ import annotations

from typing import Any

from deploy.commands import gcloud
from deploy.source import digest
from deploy.steps import Check, Question, Step, by_name, names
from deploy.target import JOB, REPOSITORY, Target

CLEANUP = "deploy/files/cleanup.json"
BUILD = "deploy/files/cloudbuild.yaml"
SHARED = ("functions/bookrec", "functions/bookrec_database", "functions/bookrec_operations")
"""The packages that the functions and the trainer share."""

IMAGE_SOURCE = ("trainer", *SHARED, ".dockerignore")
"""What the image depends on: its Dockerfile, which is in the first folder, and all that it copies."""


def tag() -> str:
    """Return the tag of this checkout's image; the same source has the same tag."""
    return digest(*IMAGE_SOURCE)


def repositories(target: Target) -> Question:
    """Return the question that lists the image repositories of the region."""
    return Question(
        gcloud(
            "artifacts", "repositories", "list", "--location", target.region, project=target.project, json_answer=True
        )
    )


def jobs(target: Target) -> Question:
    """Return the question that lists the jobs of the region."""
    return Question(gcloud("run", "jobs", "list", "--region", target.region, project=target.project, json_answer=True))


def tags(target: Target) -> Question:
    """Return the question that lists the image's tags."""
    return Question(
        gcloud("artifacts", "docker", "tags", "list", target.image, project=target.project, json_answer=True)
    )


def repository_steps(target: Target) -> list[Step]:
    """Return the steps that create the repository and keep it small."""
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

    def kept(listed: Any) -> bool:
        return {"keep-the-newest", "delete-old"} <= set(cleanup_of(listed, REPOSITORY))

    return [
        Step(
            "repository",
            f"Create the repository {REPOSITORY} for the trainer's image",
            "The job takes its image from it.",
            (create,),
            Check(repositories(target), lambda listed: REPOSITORY in names(listed)),
        ),
        Step(
            "repository-cleanup",
            f"Keep the newest five images of {REPOSITORY}",
            "An image is about 3 GB. Old ones are deleted after a month, except for the newest five.",
            (policy,),
            Check(repositories(target), kept),
        ),
    ]


def cleanup_of(listed: Any, name: str) -> list[str]:
    """Return the names of a repository's cleanup policies; none if they run dry."""
    repository = by_name(listed).get(name, {})
    return [] if repository.get("cleanupPolicyDryRun") else list(repository.get("cleanupPolicies") or {})


def image_step(target: Target) -> Step:
    """Return the step that builds the image of this checkout."""
    wanted = tag()
    build = gcloud(
        *("builds", "submit", ".", "--config", BUILD, "--region", target.region),
        *("--substitutions", f"_IMAGE={target.image}:{wanted}"),
        *("--service-account", f"projects/{target.project}/serviceAccounts/{target.builder_account}"),
        *("--gcs-source-staging-dir", f"gs://{target.source_bucket}/source", "--ignore-file", ".dockerignore"),
        project=target.project,
    )
    return Step(
        key="image",
        title=f"Build the trainer's image {wanted}",
        why="The tag is a digest of the source, so the image is built only if the source has changed.",
        commands=(build,),
        check=Check(tags(target), lambda listed: wanted in names(listed, "tag")),
        remedy="The build log says what failed: gcloud builds list "
        f"--region {target.region} --project {target.project}. Some projects have a quota of zero builds in a "
        "region: see IAM & Admin, Quotas.",
    )


def job_environment(target: Target) -> dict[str, str]:
    """Return the job's environment. The functions pass it with each run that they start; this is for other runs."""
    environment = {
        "GOOGLE_CLOUD_PROJECT": target.project,
        "DATABASE_URL": target.database_url,
        "MODEL_BUCKET": target.bucket,
        "TRAINER_TIMEOUT_SECONDS": str(target.timeout_s),
    }
    if target.snapshots:
        environment["SNAPSHOTS"] = f"gs://{target.bucket}/snapshots"
    return environment


def job_step(target: Target) -> Step:
    """Return the step that creates the job, or updates it."""
    environment = ",".join(f"{name}={value}" for name, value in job_environment(target).items())
    make = gcloud(
        *("run", "jobs", "deploy", JOB, "--image", f"{target.image}:{tag()}", "--region", target.region),
        *("--service-account", target.trainer_account, "--tasks", "1", "--max-retries", "0"),
        *("--task-timeout", f"{target.timeout_s}s", "--memory", target.memory, "--cpu", str(target.cpu)),
        *("--update-env-vars", environment),
        project=target.project,
    )

    def holds(listed: Any) -> bool:
        one = job_named(listed)
        return one is not None and differences(target, one) == []

    return Step(
        key="job",
        title=f"Create or update the job {JOB}",
        why="It runs the training. Cloud Run does not retry it: a failed run frees its lease, and the backend starts "
        "the next one with a new fence.",
        commands=(make,),
        check=Check(jobs(target), holds),
        remedy="Memory and CPUs have to match: up to 4Gi needs 1 CPU, 8Gi needs 2, 16Gi 4 and 32Gi 8.",
    )


def job_named(listed: Any) -> dict[str, Any] | None:
    """Return the trainer's job from the list of all, or None."""
    return next((one for one in listed or [] if one.get("metadata", {}).get("name") == JOB), None)


def differences(target: Target, job: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return how a job differs from the plan, as (what, actual, wanted)."""
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
    return [(what, actual, wanted) for what, actual, wanted in rows if actual != wanted]


def _cpus(limit: str) -> str:
    return str(int(limit[:-4])) if limit.endswith("000m") else limit
