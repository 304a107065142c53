"""Checks that everything is in one region, and that the APIs are on."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.commands import firebase, gcloud
from deploy.doctor.findings import Finding, Probe
from deploy.parts import access, project, storage
from deploy.source import functions
from deploy.steps import Question, names
from deploy.target import JOB

_CONTINENTS = {"us-central1": "US", "europe-west1": "EU", "asia-southeast1": "ASIA"}


def apis(probe: Probe) -> Iterator[Finding]:
    """Find the APIs that are off."""
    enabled = probe.json(project.enabled_apis(probe.target))
    if enabled is None:
        return
    on = {one.get("config", {}).get("name") for one in enabled}
    wanted = {**project.CLOUD_APIS, **project.FIREBASE_APIS}
    off = [name for name in wanted if name not in on]
    if off:
        fix = gcloud("services", "enable", *off, project=probe.target.project).shell()
        evidence = "; ".join(f"{name}: {wanted[name]}" for name in off)
        explains = frozenset({"apis-cloud", "apis-firebase"})
        yield Finding("error", "api-off", "APIs are off", evidence, fix, explains)


def database(probe: Probe) -> Iterator[Finding]:
    """Find a database in another region, or one that is disabled."""
    target = probe.target
    for one in probe.json(project.databases(target)) or []:
        if names([one]) != [target.instance]:
            continue
        if one.get("location") != target.region:
            yield Finding(
                "error",
                "database-region",
                "The database is in another region",
                f"{target.instance} is in {one.get('location')}, not in {target.region}; the database triggers only "
                "functions in its region",
                f"Deploy to the database's region, since it cannot move: make deploy PROJECT={target.project} "
                f"REGION={one.get('location')} RUN=1",
                frozenset({"database"}),
            )
        elif not project.is_active(one):
            listing = firebase("database:instances:list", project=target.project).shell()
            evidence = f"{target.instance} is {one.get('state')}"
            fix = f"Enable it again in the console. {listing} shows its state."
            yield Finding("error", "database-off", "The database is not active", evidence, fix, frozenset({"database"}))


def all_functions(probe: Probe) -> Question:
    """Return the question that lists the functions of all regions."""
    return Question(gcloud("functions", "list", "--v2", project=probe.target.project, json_answer=True))


def functions_region(probe: Probe) -> Iterator[Finding]:
    """Find functions that exist only in another region."""
    target, wanted = probe.target, {one.name for one in functions()}
    where: dict[str, set[str]] = {}
    for one in probe.json(all_functions(probe)) or []:
        parts = str(one.get("name", "")).split("/")
        if len(parts) == 6 and parts[5] in wanted:
            where.setdefault(parts[5], set()).add(parts[3])
    strays = {name: regions for name, regions in where.items() if target.region not in regions}
    for name, regions in strays.items():
        region = min(regions)
        delete = firebase("functions:delete", name, "--region", region, "--force", project=target.project).shell()
        late = access.late_grants(target, [one for one in functions() if one.name == name])
        yield Finding(
            "error",
            "functions-region",
            "A function is in another region",
            f"{name} is in {region}, the database and everything else in {target.region}",
            f"Set REGION={target.region} in functions/{target.parameters_file.name}, deploy, then {delete}",
            frozenset({"functions", f"schedule-{name}", *(access.grant_step(target, one).key for one in late)}),
        )


def job_region(probe: Probe) -> Iterator[Finding]:
    """Find a job that exists only in another region."""
    target = probe.target
    everywhere = probe.json(Question(gcloud("run", "jobs", "list", project=target.project, json_answer=True))) or []
    regions = [
        one.get("metadata", {}).get("labels", {}).get("cloud.googleapis.com/location", "")
        for one in everywhere
        if one.get("metadata", {}).get("name") == JOB
    ]
    if regions and target.region not in regions:
        delete = gcloud("run", "jobs", "delete", JOB, "--region", regions[0], project=target.project).shell()
        yield Finding(
            "error",
            "job-region",
            "The training job is in another region",
            f"{JOB} is in {regions[0]}; the functions start it in {target.region}",
            f"make deploy PROJECT={target.project} REGION={target.region} RUN=1, then {delete}",
            frozenset({"job", *(access.grant_step(target, one).key for one in access.job_grants(target))}),
        )


def bucket_region(probe: Probe) -> Iterator[Finding]:
    """Find a bucket of models that is far away: right, but slow, and every start of a function pays for it."""
    target = probe.target
    bucket = storage.bucket_named(probe.json(storage.buckets(target)), target.bucket)
    near = {target.region.upper(), _CONTINENTS[target.region]}
    if bucket and str(bucket.get("location", "")).upper() not in near:
        yield Finding(
            "warning",
            "bucket-region",
            "The models' bucket is in another region",
            f"{target.bucket} is in {bucket.get('location')}, the functions in {target.region}: traffic between "
            "regions is slower and costs",
            "A bucket cannot move: deploy with another one (--bucket NAME), and train once",
        )


CHECKS = (apis, database, functions_region, job_region, bucket_region)
