"""Checks that functions, queues, schedule, job and image run, and match this checkout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.commands import gcloud
from deploy.doctor.findings import Finding, Probe
from deploy.doctor.regions import all_functions
from deploy.parts import access, backend, rules, trainer
from deploy.source import functions, parameters, service_account
from deploy.steps import Question, by_name, names
from deploy.target import JOB

_MUST_AGREE = ("REGION", "MODEL_BUCKET", "TRAINER_JOB")


def task_names(probe: Probe) -> Iterator[Finding]:
    """Find task functions whose name cannot be that of a queue."""
    for one in functions():
        if one.kind == "task" and "_" in one.name:
            fix = f"Rename it in functions/main.py: {one.name.replace('_', '')}"
            evidence = f"{one.name}: a queue cannot have this name (firebase-tools issue 7884)"
            yield Finding("error", "queue-name", "A task function has an underscore in its name", evidence, fix)


def deployed(probe: Probe) -> Iterator[Finding]:
    """Find functions that are missing or broken, or whose source, account or parameters differ."""
    target, present = probe.target, _in_region(probe)
    explains = frozenset({"functions"})
    deploy = rules.deploy(target, "functions").shell()
    elsewhere = names(probe.json(all_functions(probe)))
    missing = [one for one in functions() if one.name not in present and one.name not in elsewhere]
    if missing:
        keys = {f"schedule-{one.name}" for one in missing}
        keys |= {access.grant_step(target, grant).key for grant in access.late_grants(target, missing)}
        evidence = f"not in {target.region}: {', '.join(one.name for one in missing)}"
        yield Finding("error", "function-missing", "Functions are missing", evidence, deploy, explains | keys)
    broken = [f"{name} is {one.get('state')}" for name, one in present.items() if one.get("state") != "ACTIVE"]
    if broken:
        yield Finding("error", "function-failed", "Functions are not running", "; ".join(broken), deploy, explains)
    mark = backend.parameter_values(target)[backend.MARK]
    behind = [name for name, one in present.items() if _environment(one).get(backend.MARK) != mark]
    if behind and not broken and not missing:
        evidence = f"{', '.join(behind)}: {backend.MARK} is not {mark}, that of this checkout"
        yield Finding(
            "warning", "functions-behind", "Functions were deployed from another source", evidence, deploy, explains
        )
    yield from _accounts(probe, present)
    yield from _parameters(probe, present)


def _accounts(probe: Probe, present: dict[str, Any]) -> Iterator[Finding]:
    wanted = probe.target.functions_account
    others = {one.get("serviceConfig", {}).get("serviceAccountEmail", "") for one in present.values()} - {wanted}
    if others:
        fix = 'set_global_options(service_account="recommender-functions@") in functions/main.py, and deploy'
        declared = service_account()
        evidence = f"they run as {', '.join(sorted(others))}; main.py says {declared or 'nothing'}"
        yield Finding("error", "functions-account", "Functions run as another account", evidence, fix)


def _parameters(probe: Probe, present: dict[str, Any]) -> Iterator[Finding]:
    target, wanted = probe.target, backend.parameter_values(probe.target)
    deploy = f"make deploy PROJECT={target.project} REGION={target.region} RUN=1"
    seen = set()
    for name, one in present.items():
        environment = _environment(one)
        for parameter in parameters():
            value = environment.get(parameter)
            unset, differs = value is None, parameter in _MUST_AGREE and value != wanted[parameter]
            if (unset or differs) and (parameter, value) not in seen:
                seen.add((parameter, value))
                is_said = "is not set" if unset else f"is {value!r} instead of {wanted[parameter]!r}"
                evidence = f"{parameter} of {name} {is_said}"
                yield Finding("error", "parameter", "A parameter of the functions is wrong", evidence, deploy)


def queues(probe: Probe) -> Iterator[Finding]:
    """Find queues that are missing or not running."""
    target = probe.target
    words = ("tasks", "queues", "list", "--location", target.region)
    listed = probe.json(Question(gcloud(*words, project=target.project, json_answer=True)))
    states = {name: one.get("state", "RUNNING") for name, one in by_name(listed).items()}
    here = _in_region(probe)
    for one in functions():
        if one.kind != "task" or one.name not in here or listed is None:
            continue
        keys = frozenset(access.grant_step(target, grant).key for grant in access.late_grants(target, [one]))
        if one.name not in states:
            fix = f"gcloud tasks queues create {one.name} --location {target.region} --project {target.project}"
            evidence = f"{target.region} has no queue {one.name}, although the function exists"
            yield Finding("error", "queue-missing", "A queue is missing", evidence, fix, keys)
        elif states[one.name] != "RUNNING":
            resume = gcloud("tasks", "queues", "resume", one.name, "--location", target.region, project=target.project)
            evidence, fix = f"{one.name} is {states[one.name]}", resume.shell()
            yield Finding("error", "queue-paused", "A queue is not running", evidence, fix)


def schedules(probe: Probe) -> Iterator[Finding]:
    """Find schedules that are missing or paused."""
    target, here = probe.target, _in_region(probe)
    listed = probe.json(backend.schedules(target))
    for one in functions():
        if one.kind != "schedule" or one.name not in here or listed is None:
            continue
        name, explains = backend.schedule_name(target, one), frozenset({f"schedule-{one.name}"})
        state = backend.schedule_state(listed, name)
        if state is None:
            fix = f"{rules.deploy(target, f'functions:{one.name}').shell()}"
            evidence = f"{target.region} has no scheduler job {name}"
            yield Finding("error", "schedule-missing", "The schedule is missing", evidence, fix, explains)
        elif state != "ENABLED":
            words = ("scheduler", "jobs", "resume", name, "--location", target.region)
            fix, evidence = gcloud(*words, project=target.project).shell(), f"{name} is {state}"
            yield Finding("error", "schedule-paused", "The schedule is not running", evidence, fix, explains)


def job(probe: Probe) -> Iterator[Finding]:
    """Find a job that differs from what the functions and this checkout expect, and a missing image."""
    target = probe.target
    deployed_job = trainer.job_named(probe.json(trainer.jobs(target)))
    tags = names(probe.json(trainer.tags(target)), "tag")
    if deployed_job is None:
        return
    deploy = f"make deploy PROJECT={target.project} REGION={target.region} RUN=1"
    rows = {what: (is_, wanted) for what, is_, wanted in trainer.differences(target, deployed_job)}
    image, timeout = rows.pop("image", None), rows.pop("timeout", None)
    rows.pop("env TRAINER_TIMEOUT_SECONDS", None)
    explains = frozenset({"job"})
    used = (image or (f"{target.image}:{trainer.tag()}", ""))[0]
    if used.startswith(f"{target.image}:") and used.rpartition(":")[2] not in tags:
        evidence = f"{JOB} runs {used}, which is not in the repository"
        explained = explains | {"image"}
        yield Finding("error", "image-missing", "The job's image is missing", evidence, deploy, explained)
    elif image:
        evidence = f"{JOB} runs {image[0]}; the image of this checkout is {image[1]}"
        explained = explains | {"image"}
        yield Finding(
            "warning", "image-behind", "The job's image was built from another source", evidence, deploy, explained
        )
    yield from _timeout(probe, str(timeout[0] if timeout else target.timeout_s))
    sizes = {what: rows.pop(what) for what in ("memory", "cpu") if what in rows}
    if sizes:
        evidence = "; ".join(f"{what} is {is_}, the default is {wanted}" for what, (is_, wanted) in sizes.items())
        fix = "None if this is intended: python -m deploy apply takes --memory and --cpu"
        yield Finding("note", "job-size", "The job has a different size", evidence, fix, explains)
    if rows:
        evidence = "; ".join(f"{what} is {is_!r} instead of {wanted!r}" for what, (is_, wanted) in rows.items())
        yield Finding("error", "job-drift", "The job differs from the plan", evidence, deploy, explains)


def _timeout(probe: Probe, seconds: str) -> Iterator[Finding]:
    stated = {_environment(one).get("TRAINER_TIMEOUT_SECONDS") for one in _in_region(probe).values()} - {None}
    wanted = min(map(str, stated), default=str(probe.target.timeout_s))
    if seconds != wanted:
        target = probe.target
        words = ("run", "jobs", "update", JOB, "--region", target.region, "--task-timeout", f"{wanted}s")
        evidence = f"the job stops a run after {seconds} s, but TRAINER_TIMEOUT_SECONDS of the functions is {wanted}"
        fix = gcloud(*words, project=target.project).shell()
        explains = frozenset({"job"})
        yield Finding(
            "error", "job-timeout", "The job and the functions have different time limits", evidence, fix, explains
        )
    elif seconds != str(probe.target.timeout_s):
        evidence = f"the job has {seconds} s; this command was given {probe.target.timeout_s}"
        fix = f"None if this is intended: run doctor with --trainer-timeout {seconds}"
        yield Finding(
            "note", "job-size", "Training runs have a different time limit", evidence, fix, frozenset({"job"})
        )


def quotas(probe: Probe) -> Iterator[Finding]:
    """Report the CPUs that the functions can use at once, to compare with the project's quotas."""
    present = _in_region(probe)
    if not present:
        return
    configurations = [one.get("serviceConfig", {}) for one in present.values()]
    cpus = sum(int(c.get("maxInstanceCount", 100)) * float(c.get("availableCpu", 1)) for c in configurations)
    evidence = f"all functions together can use {cpus:.0f} CPUs in {probe.target.region}; a database takes about 1,000 "
    evidence += "writes a second (docs/scale.md)"
    fix = "Compare with IAM & Admin, Quotas: Cloud Run, total CPU allocation per region; max_instances in main.py"
    yield Finding("note", "quota", "The most CPUs that the functions can use", evidence, fix)


def _in_region(probe: Probe) -> dict[str, Any]:
    wanted = {one.name for one in functions()}
    listed = probe.json(backend.deployed_functions(probe.target))
    return {name: one for name, one in by_name(listed).items() if name in wanted}


def _environment(function: Any) -> dict[str, str]:
    return dict(function.get("serviceConfig", {}).get("environmentVariables", {}))


CHECKS = (task_names, deployed, queues, schedules, job, quotas)
