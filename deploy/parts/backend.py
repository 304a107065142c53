"""The functions, their parameters, and what their deployment makes: images, the schedule."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import firebase, gcloud
from deploy.parts import trainer
from deploy.parts.rules import deploy
from deploy.source import Function, digest, functions, parameters
from deploy.steps import Check, LocalFile, Question, Step
from deploy.target import JOB, Target

SOURCE = ("functions",)
MARK = "SOURCE_DIGEST"
"""An environment variable of the functions, by which a deployed function tells which source it is of."""

CLEANUP_POLICY = "firebase-functions-cleanup"
"""The name that firebase-tools gives the policy. Source: firebase-tools 15.34, functions/artifacts."""


def steps(target: Target) -> list[Step]:
    """Return the steps that deploy the functions."""
    return [_parameters(target), _functions(target), _functions_cleanup(target)]


def parameter_values(target: Target) -> dict[str, str]:
    """Return every parameter of the functions: what the target decides, what the file has already, else the default.

    None is left out: without a terminal firebase-tools refuses a parameter that has no value in the file.
    """
    found = {**parameters(), **_present(target)}
    found |= {
        "REGION": target.region,
        "MODEL_BUCKET": target.bucket,
        "TRAINER_JOB": JOB,
        "TRAINER_TIMEOUT_SECONDS": str(target.timeout_s),
    }
    found.pop(MARK, None)
    found[MARK] = digest(*SOURCE, also=json.dumps(found, sort_keys=True))
    return found


def _present(target: Target) -> dict[str, str]:
    if not target.parameters_file.is_file():
        return {}
    lines = [line for line in target.parameters_file.read_text().splitlines() if "=" in line and line[0] != "#"]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _parameters(target: Target) -> Step:
    def render() -> str:
        head = "# Written by make deploy, which keeps what is changed by hand. No secrets: this file is uploaded.\n"
        return head + "".join(f"{name}={value}\n" for name, value in parameter_values(target).items())

    return Step(
        key="parameters",
        title=f"Write functions/{target.parameters_file.name}",
        why="The functions' parameters, all of them. Change retraining's thresholds there; region, bucket, job and "
        "timeout come from the command.",
        file=LocalFile(target.parameters_file, render),
    )


def deployed_functions(target: Target) -> Question:
    """Return what asks for the functions of the region."""
    words = ("functions", "list", "--v2", "--regions", target.region)
    return Question(gcloud(*words, project=target.project, json_answer=True))


def is_current(target: Target, found: Any) -> bool:
    """Tell whether all functions are there, work, and are of this source with these parameters."""
    by_name = {str(one.get("name", "")).rpartition("/")[2]: one for one in found or []}
    mark = parameter_values(target)[MARK]

    def current(function: Function) -> bool:
        one = by_name.get(function.name, {})
        environment = one.get("serviceConfig", {}).get("environmentVariables", {})
        return bool(one.get("state") == "ACTIVE" and environment.get(MARK) == mark)

    return all(map(current, functions()))


def _functions(target: Target) -> Step:
    return Step(
        key="functions",
        title=f"Deploy {len(functions())} functions: {', '.join(one.name for one in functions())}",
        why=f"They answer events. {MARK} in their environment tells which source they are of.",
        commands=(deploy(target, "functions"),),
        check=Check(deployed_functions(target), lambda found: is_current(target, found)),
        remedy="The first deployment of database triggers often fails while Eventarc gets its permissions: wait some "
        "minutes and run the same command again. firebase-tools says here which function failed and why.",
    )


def _functions_cleanup(target: Target) -> Step:
    words = ("functions:artifacts:setpolicy", "--location", target.region, "--days", "7", "--force")
    return Step(
        key="functions-cleanup",
        title="Let old images of the functions go after a week",
        why="Each deployment leaves images behind; firebase-tools warns, and fails at its end, as long as nothing "
        "removes them.",
        commands=(firebase(*words, project=target.project),),
        check=Check(
            trainer.repositories(target), lambda found: CLEANUP_POLICY in trainer.cleanup_of(found, "gcf-artifacts")
        ),
    )


def schedules(target: Target) -> Question:
    """Return what asks for the scheduler's jobs of the region."""
    words = ("scheduler", "jobs", "list", "--location", target.region)
    return Question(gcloud(*words, project=target.project, json_answer=True))


def schedule_name(target: Target, function: Function) -> str:
    """Return the name that firebase-tools gives the scheduler's job of a function."""
    return f"firebase-schedule-{function.name}-{target.region}"


def schedule_steps(target: Target) -> list[Step]:
    """Return the steps that see the schedules run; the functions' deployment made them."""
    steps = []
    for function in functions():
        if function.kind != "schedule":
            continue
        name = schedule_name(target, function)
        resume = gcloud("scheduler", "jobs", "resume", name, "--location", target.region, project=target.project)

        def runs(found: Any, name: str = name) -> bool:
            return schedule_state(found, name) == "ENABLED"

        steps.append(
            Step(
                f"schedule-{function.name}",
                f"The schedule of {function.name} runs",
                "It finds what lost events left behind, and its sign of life is what an alert watches.",
                (resume,),
                Check(schedules(target), runs),
                remedy="It is made by the functions' deployment: if it is not there, delete the function and run the "
                f"same command again: firebase functions:delete {function.name} --region {target.region}.",
            )
        )
    return steps


def schedule_state(found: Any, name: str) -> str | None:
    """Return the state of a scheduler's job, or None where there is none."""
    return next((one.get("state") for one in found or [] if str(one.get("name", "")).endswith(f"/{name}")), None)
