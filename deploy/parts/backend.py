"""The functions, their parameters, and what deploying them creates: images and the schedule."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import firebase, gcloud
from deploy.parts import trainer
from deploy.parts.rules import deploy
from deploy.source import Function, digest, functions, parameters
from deploy.steps import Check, LocalFile, Question, Step, by_name
from deploy.target import JOB, Target

SOURCE = ("functions",)
MARK = "SOURCE_DIGEST"
"""An environment variable of the functions that identifies the source they were deployed from."""

CLEANUP_POLICY = "firebase-functions-cleanup"
"""The name of the policy that firebase-tools creates. Source: firebase-tools 15.34, functions/artifacts."""


def steps(target: Target) -> list[Step]:
    """Return the steps that deploy the functions."""
    return [_parameters(target), _functions(target), _functions_cleanup(target)]


def parameter_values(target: Target) -> dict[str, str]:
    """Return every parameter of the functions: from the target, else from the present file, else the default.

    None may be missing: without a terminal firebase-tools fails if a parameter has no value in the file.
    """
    values = {**parameters(), **_present(target)}
    values |= {
        "REGION": target.region,
        "MODEL_BUCKET": target.bucket,
        "TRAINER_JOB": JOB,
        "TRAINER_TIMEOUT_SECONDS": str(target.timeout_s),
    }
    values.pop(MARK, None)
    values[MARK] = digest(*SOURCE, also=json.dumps(values, sort_keys=True))
    return values


def _present(target: Target) -> dict[str, str]:
    if not target.parameters_file.is_file():
        return {}
    lines = [line for line in target.parameters_file.read_text().splitlines() if "=" in line and line[0] != "#"]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _parameters(target: Target) -> Step:
    def render() -> str:
        head = "# Written by make deploy, which keeps changes made by hand. No secrets: this file is uploaded.\n"
        return head + "".join(f"{name}={value}\n" for name, value in parameter_values(target).items())

    return Step(
        key="parameters",
        title=f"Write functions/{target.parameters_file.name}",
        why="All parameters of the functions. Change retraining's thresholds there; region, bucket, job and timeout "
        "come from the command.",
        file=LocalFile(target.parameters_file, render),
    )


def deployed_functions(target: Target) -> Question:
    """Return the question that lists the functions of the region."""
    words = ("functions", "list", "--v2", "--regions", target.region)
    return Question(gcloud(*words, project=target.project, json_answer=True))


def is_current(target: Target, listed: Any) -> bool:
    """Return whether all functions exist, are active, and have this source and these parameters."""
    present = by_name(listed)
    mark = parameter_values(target)[MARK]

    def current(function: Function) -> bool:
        one = present.get(function.name, {})
        environment = one.get("serviceConfig", {}).get("environmentVariables", {})
        return bool(one.get("state") == "ACTIVE" and environment.get(MARK) == mark)

    return all(map(current, functions()))


def _functions(target: Target) -> Step:
    return Step(
        key="functions",
        title=f"Deploy {len(functions())} functions: {', '.join(one.name for one in functions())}",
        why=f"They handle events. {MARK} in their environment identifies their source.",
        commands=(deploy(target, "functions"),),
        check=Check(deployed_functions(target), lambda listed: is_current(target, listed)),
        remedy="The first deployment of database triggers often fails while Eventarc gets its permissions: wait some "
        "minutes and run the same command again. The message above says which function failed and why.",
    )


def _functions_cleanup(target: Target) -> Step:
    words = ("functions:artifacts:setpolicy", "--location", target.region, "--days", "7", "--force")
    return Step(
        key="functions-cleanup",
        title="Delete old images of the functions after a week",
        why="Each deployment leaves images behind. Without a cleanup policy firebase-tools ends with an error.",
        commands=(firebase(*words, project=target.project),),
        check=Check(
            trainer.repositories(target), lambda listed: CLEANUP_POLICY in trainer.cleanup_of(listed, "gcf-artifacts")
        ),
    )


def schedules(target: Target) -> Question:
    """Return the question that lists the scheduler's jobs of the region."""
    words = ("scheduler", "jobs", "list", "--location", target.region)
    return Question(gcloud(*words, project=target.project, json_answer=True))


def schedule_name(target: Target, function: Function) -> str:
    """Return the name that firebase-tools gives the scheduler's job of a function."""
    return f"firebase-schedule-{function.name}-{target.region}"


def schedule_steps(target: Target) -> list[Step]:
    """Return the steps that check that the schedules run; deploying the functions creates them."""
    steps = []
    for function in functions():
        if function.kind != "schedule":
            continue
        name = schedule_name(target, function)
        resume = gcloud("scheduler", "jobs", "resume", name, "--location", target.region, project=target.project)

        def runs(listed: Any, name: str = name) -> bool:
            return schedule_state(listed, name) == "ENABLED"

        steps.append(
            Step(
                f"schedule-{function.name}",
                f"The schedule of {function.name} runs",
                "It repairs what lost events left behind; an alert watches that it runs.",
                (resume,),
                Check(schedules(target), runs),
                remedy="Deploying the functions creates it. If it does not exist, delete the function and run the "
                f"same command again: firebase functions:delete {function.name} --region {target.region}.",
            )
        )
    return steps


def schedule_state(listed: Any, name: str) -> str | None:
    """Return the state of a scheduler's job, or None if there is none."""
    return next((one.get("state") for one in listed or [] if str(one.get("name", "")).endswith(f"/{name}")), None)
