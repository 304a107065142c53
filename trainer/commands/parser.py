"""All commands in one parser, in the groups that the help shows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import ModuleType

from trainer.command_line.options import EXIT_CODES, PROGRAM, Formatter, Parser
from trainer.commands import (
    evaluate,
    events,
    experiment,
    export,
    import_,
    lists,
    publish,
    release,
    rollback,
    run,
    simulate,
    status,
    train,
)

MODULES: tuple[ModuleType, ...] = (
    train, evaluate, publish, rollback, experiment, status, release, events, export, import_, lists, simulate, run,
)  # fmt: skip

GROUPS: Mapping[str, tuple[str, ...]] = {
    "models": ("train", "evaluate", "publish", "rollback", "experiment"),
    "operation": ("status", "release"),
    "data": ("export", "import", "lists", "events"),
    "checks": ("simulate",),
    "started by others": ("run",),
}
"""The groups, in the order of a day's work."""

ENVIRONMENT: Mapping[str, str] = {
    "GOOGLE_CLOUD_PROJECT": "the project (the emulators' is demo-bookrec)",
    "DATABASE_URL": "the database's address, if it is not the project's default one",
    "DATABASES": "addresses of further database instances, separated by commas",
    "MODEL_BUCKET": "the bucket of the models, if it is not the project's default one",
    "GOOGLE_APPLICATION_CREDENTIALS": "a service account's key file, if nothing else gives credentials",
    "FIREBASE_DATABASE_EMULATOR_HOST": "HOST:PORT of the database emulator, instead of the real one",
    "STORAGE_EMULATOR_HOST": "address of a Cloud Storage emulator, instead of the real one",
    "SNAPSHOTS": "folder or gs://BUCKET/PREFIX of the snapshots, as with --snapshots",
    "BATCH_LISTS": "1: `run` and `train` also make all readers' lists, as with --lists",
    "BY_USER": "K: `run` and `train` also publish by_user.tflite with K books per reader, as with --by-user",
    "BASELINES": "1: `run` and `train` also fit and score the baselines, as with --baselines",
    "TFLITE_PYTHON": "a Python with tflite-runtime, if it is not that of .venv-tflite: every export is checked in it",
    "TFLITE_REQUIRED": "1: without tflite-runtime nothing is trained",
    "LEASE_SECONDS": "a run that has been silent for this long counts as dead (120); the functions pass on theirs",
    "TRAINER_TIMEOUT_SECONDS": "time limit of a run (3600); the functions pass on theirs",
    "TF_CONFIG": "the cluster, and this machine's task in it, if several machines train one model",
    "WORKERS_PATIENCE_SECONDS": "with TF_CONFIG: how long a worker waits for the others (300)",
}
"""The variables that a command reads; the first ones select its project and services."""

ABOUT = "Train, judge, publish and operate the book recommender's models."


def make_parser() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser, and the parsers of the commands by name."""
    parser = Parser(prog=PROGRAM, description=ABOUT, formatter_class=Formatter, usage=f"{PROGRAM} COMMAND [OPTION ...]")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS, prog=PROGRAM)
    for module in MODULES:
        module.add_parser(commands)
    summaries = {action.dest: action.help or "" for action in commands._choices_actions}
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.epilog = _overview(summaries)
    return parser, commands.choices


def _overview(summaries: Mapping[str, str]) -> str:
    parts = []
    for group, names in GROUPS.items():
        parts.append("\n".join([f"{group}:", *(f"  {name:<11} {summaries[name]}" for name in names)]))
    parts.append(f"For more about a command: {PROGRAM} COMMAND --help, or docs/commands.md.")
    width = max(map(len, ENVIRONMENT))
    parts.append("\n".join(["environment:", *(f"  {name:<{width}} {what}" for name, what in ENVIRONMENT.items())]))
    parts.append("\n".join(["exit codes:", *(f"  {code:<4} {what}" for code, what in EXIT_CODES.items())]))
    return "\n\n".join(parts)
