"""Whether what is deployed agrees with the code and runs: functions, queues, schedule, job, image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.commands import gcloud
from deploy.doctor.findings import Finding, Look
from deploy.doctor.places import all_functions
from deploy.parts import access, backend, rules, trainer
from deploy.source import functions, parameters, service_account
from deploy.steps import Question, names
from deploy.target import JOB

_MUST_AGREE = ("REGION", "MODEL_BUCKET", "TRAINER_JOB")


def task_names(look: Look) -> Iterator[Finding]:
    """Find task functions whose name the platform cannot queue for."""
    for one in functions():
        if one.kind == "task" and "_" in one.name:
            fix = f"Rename it in functions/main.py: {one.name.replace('_', '')}"
            evidence = f"{one.name}: queues cannot have the name of such a function (firebase-tools issue 7884)"
            yield Finding("error", "queue-name", "A task function has an underscore in its name", evidence, fix)


def deployed(look: Look) -> Iterator[Finding]:
    """Find functions that are missing, broken, of another source, of another account or with other parameters."""
    target, found = look.target, _here(look)
    explains = frozenset({"functions"})
    deploy = rules.deploy(target, "functions").shell()
    elsewhere = {str(one.get("name", "")).rpartition("/")[2] for one in look.at(all_functions(look)) or []}
    missing = [one for one in functions() if one.name not in found and one.name not in elsewhere]
    if missing:
        keys = {f"schedule-{one.name}" for one in missing}
        keys |= {access.grant_step(target, grant).key for grant in access.late_grants(target, missing)}
        evidence = f"not in {target.region}: {', '.join(one.name for one in missing)}"
        yield Finding("error", "function-missing", "Functions are missing", evidence, deploy, explains | keys)
    broken = [f"{name} is {one.get('state')}" for name, one in found.items() if one.get("state") != "ACTIVE"]
    if broken:
        yield Finding("error", "function-failed", "Functions do not run", "; ".join(broken), deploy, explains)
    mark = backend.parameter_values(target)[backend.MARK]
    behind = [name for name, one in found.items() if _environment(one).get(backend.MARK) != mark]
    if behind and not broken and not missing:
        evidence = f"{', '.join(behind)}: {backend.MARK} is not {mark}, the one of this checkout"
        yield Finding("warning", "functions-behind", "Functions are of another source", evidence, deploy, explains)
    yield from _accounts(look, found)
    yield from _parameters(look, found)


def _accounts(look: Look, found: dict[str, Any]) -> Iterator[Finding]:
    wanted = look.target.functions_account
    others = {one.get("serviceConfig", {}).get("serviceAccountEmail", "") for one in found.values()} - {wanted}
    if others:
        fix = 'set_global_options(service_account="recommender-functions@") in functions/main.py, and deploy'
        said = service_account()
        evidence = f"they run as {', '.join(sorted(others))}; main.py says {said or 'nothing'}"
        yield Finding("error", "functions-account", "Functions run as another account", evidence, fix)


def _parameters(look: Look, found: dict[str, Any]) -> Iterator[Finding]:
    target, wanted = look.target, backend.parameter_values(look.target)
    deploy = f"make deploy PROJECT={target.project} REGION={target.region} RUN=1"
    seen = set()
    for name, one in found.items():
        environment = _environment(one)
        for parameter in parameters():
            value = environment.get(parameter)
            unset, differs = value is None, parameter in _MUST_AGREE and value != wanted[parameter]
            if (unset or differs) and (parameter, value) not in seen:
                seen.add((parameter, value))
                is_said = "is not set" if unset else f"is {value!r} instead of {wanted[parameter]!r}"
                evidence = f"{parameter} of {name} {is_said}"
                yield Finding("error", "parameter", "A parameter of the functions is wrong", evidence, deploy)


def queues(look: Look) -> Iterator[Finding]:
    """Find queues that are missing or stand still."""
    target = look.target
    words = ("tasks", "queues", "list", "--location", target.region)
    listed = look.at(Question(gcloud(*words, project=target.project, json_answer=True)))
    states = {str(one.get("name", "")).rpartition("/")[2]: one.get("state", "RUNNING") for one in listed or []}
    here = _here(look)
    for one in functions():
        if one.kind != "task" or one.name not in here or listed is None:
            continue
        keys = frozenset(access.grant_step(target, grant).key for grant in access.late_grants(target, [one]))
        if one.name not in states:
            fix = f"gcloud tasks queues create {one.name} --location {target.region} --project {target.project}"
            evidence = f"{target.region} has no queue {one.name}, though the function is there"
            yield Finding("error", "queue-missing", "A queue is missing", evidence, fix, keys)
        elif states[one.name] != "RUNNING":
            resume = gcloud("tasks", "queues", "resume", one.name, "--location", target.region, project=target.project)
            evidence, fix = f"{one.name} is {states[one.name]}", resume.shell()
            yield Finding("error", "queue-paused", "A queue stands still", evidence, fix)


def schedules(look: Look) -> Iterator[Finding]:
    """Find schedules that are missing or paused."""
    target, here = look.target, _here(look)
    listed = look.at(backend.schedules(target))
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
            yield Finding("error", "schedule-paused", "The schedule does not run", evidence, fix, explains)


def job(look: Look) -> Iterator[Finding]:
    """Find a job that is otherwise than the functions and this checkout expect, and an image that is not there."""
    target = look.target
    found = trainer.job_named(look.at(trainer.jobs(target)))
    tags = names(look.at(trainer.tags(target)), "tag")
    if found is None:
        return
    deploy = f"make deploy PROJECT={target.project} REGION={target.region} RUN=1"
    rows = {what: (is_, wanted) for what, is_, wanted in trainer.differences(target, found)}
    image, timeout = rows.pop("image", None), rows.pop("timeout", None)
    rows.pop("env TRAINER_TIMEOUT_SECONDS", None)
    explains = frozenset({"job"})
    used = (image or (f"{target.image}:{trainer.tag()}", ""))[0]
    if used.startswith(f"{target.image}:") and used.rpartition(":")[2] not in tags:
        evidence = f"{JOB} runs {used}, which is not in the repository"
        explained = explains | {"image"}
        yield Finding("error", "image-missing", "The job's image is missing", evidence, deploy, explained)
    elif image:
        evidence = f"{JOB} runs {image[0]}; this checkout is {image[1]}"
        explained = explains | {"image"}
        yield Finding("warning", "image-behind", "The job's image is of another source", evidence, deploy, explained)
    yield from _timeout(look, str(timeout[0] if timeout else target.timeout_s))
    sizes = {what: rows.pop(what) for what in ("memory", "cpu") if what in rows}
    if sizes:
        evidence = "; ".join(f"{what} is {is_}, the default is {wanted}" for what, (is_, wanted) in sizes.items())
        fix = "Nothing, if it is meant: make deploy takes --memory and --cpu"
        yield Finding("note", "job-size", "The job has another size", evidence, fix, explains)
    if rows:
        evidence = "; ".join(f"{what} is {is_!r} instead of {wanted!r}" for what, (is_, wanted) in rows.items())
        yield Finding("error", "job-drift", "The job is otherwise than it should be", evidence, deploy, explains)


def _timeout(look: Look, seconds: str) -> Iterator[Finding]:
    stated = {_environment(one).get("TRAINER_TIMEOUT_SECONDS") for one in _here(look).values()} - {None}
    wanted = min(map(str, stated), default=str(look.target.timeout_s))
    if seconds != wanted:
        target = look.target
        words = ("run", "jobs", "update", JOB, "--region", target.region, "--task-timeout", f"{wanted}s")
        evidence = f"the job ends a run after {seconds} s, TRAINER_TIMEOUT_SECONDS of the functions is {wanted}"
        fix = gcloud(*words, project=target.project).shell()
        explains = frozenset({"job"})
        yield Finding(
            "error", "job-timeout", "Job and functions disagree on how long a run takes", evidence, fix, explains
        )
    elif seconds != str(look.target.timeout_s):
        evidence = f"{seconds} s, where this command was asked about {look.target.timeout_s}"
        fix = f"Nothing, if it is meant: ask with --trainer-timeout {seconds}"
        yield Finding("note", "job-size", "Runs may take another time", evidence, fix, frozenset({"job"}))


def quotas(look: Look) -> Iterator[Finding]:
    """Tell what the functions can take at once, to be compared with the project's quotas."""
    found = _here(look)
    if not found:
        return
    configurations = [one.get("serviceConfig", {}) for one in found.values()]
    cpus = sum(int(c.get("maxInstanceCount", 100)) * float(c.get("availableCpu", 1)) for c in configurations)
    evidence = f"all functions together can take {cpus:.0f} CPUs in {look.target.region}; a database takes about 1,000 "
    evidence += "writes a second (docs/scale.md)"
    fix = "Compare with IAM & Admin, Quotas: Cloud Run, total CPU allocation a region; max_instances in main.py"
    yield Finding("note", "quota", "What the functions can take at most", evidence, fix)


def _here(look: Look) -> dict[str, Any]:
    wanted = {one.name for one in functions()}
    found = look.at(backend.deployed_functions(look.target)) or []
    by_name = {str(one.get("name", "")).rpartition("/")[2]: one for one in found}
    return {name: one for name, one in by_name.items() if name in wanted}


def _environment(function: Any) -> dict[str, str]:
    return dict(function.get("serviceConfig", {}).get("environmentVariables", {}))


CHECKS = (task_names, deployed, queues, schedules, job, quotas)
