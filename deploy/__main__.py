"""The command line: ``python -m deploy plan|apply|doctor|operator``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from deploy import operators
from deploy.apply import apply, show
from deploy.commands import Answer, ToolMissing, run
from deploy.doctor import examine, exit_code, report
from deploy.project import NoProject, identified
from deploy.source import parameters
from deploy.target import BadTarget, Target, email


def arguments() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(prog="python -m deploy", description="See docs/deploying.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("plan", "print every step with its commands; change nothing"),
        ("apply", "carry out the steps that are not done"),
        ("doctor", "check a live project; change nothing (exit code 0: no problem, 1: warnings, 2: errors)"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--project", required=True)
        command.add_argument("--region", required=True, help="region of the database; everything else goes there too")
        command.add_argument("--instance", default="", help="database instance (default: PROJECT-default-rtdb)")
        command.add_argument("--bucket", default="", help="bucket of the models (default: PROJECT-book-models)")
        timeout = int(parameters()["TRAINER_TIMEOUT_SECONDS"])
        command.add_argument("--trainer-timeout", type=int, default=timeout, help="limit of a training run, in seconds")
        command.add_argument("--memory", default="8Gi", help="the training job's memory")
        command.add_argument("--cpu", type=int, default=2, help="the training job's CPUs")
        command.add_argument(
            "--snapshots", action="store_true", help="training runs keep what they read (docs/operations.md)"
        )
        command.add_argument("--notify", default="", help="notification channel for the alerts")
        if name == "doctor":
            command.add_argument("--json", action="store_true", help="print the findings as JSON")
    operator = commands.add_parser("operator", help="give a user the claim operator, or remove it")
    operator.add_argument("--project", required=True)
    operator.add_argument("--revoke", action="store_true")
    operator.add_argument("email")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = arguments().parse_args(words)
    try:
        if options.command == "operator":
            return _operator(options)
        target = _target(options)
        if options.command == "doctor":
            findings = examine(target, run)
            print(json.dumps([one.to_json() for one in findings], indent=2) if options.json else report(findings))
            return exit_code(findings)
        if options.command == "plan":
            return _plan(target)
        return apply(identified(target, run), run, print)
    except (BadTarget, NoProject, ToolMissing, LookupError) as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What the last command began may still finish; run the same command again to continue.")
        return 130


def _plan(target: Target) -> int:
    """Print the plan. If the project cannot be seen, print all steps without their state and return 2."""
    try:
        known = identified(target, run)
    except (NoProject, ToolMissing) as problem:
        print(problem, file=sys.stderr)
        print("The project could not be checked: these are all steps, whether or not they are done.\n")
        show(
            replace(target, number="PROJECT_NUMBER"),
            lambda command: Answer(1, "", "the project was not checked"),
            print,
        )
        return 2
    show(known, run, print)
    return 0


def _target(options: argparse.Namespace) -> Target:
    return Target(
        project=options.project,
        region=options.region,
        instance=options.instance,
        bucket=options.bucket,
        timeout_s=options.trainer_timeout,
        memory=options.memory,
        cpu=options.cpu,
        snapshots=options.snapshots,
        notify=options.notify,
    )


def _operator(options: argparse.Namespace) -> int:
    project = Target(options.project, "us-central1").project  # the region does not matter here
    address = email(options.email)
    accounts = operators.FirebaseAccounts(project)
    print(operators.change(accounts, address, is_operator=not options.revoke))
    return 0


if __name__ == "__main__":
    sys.exit(main())
