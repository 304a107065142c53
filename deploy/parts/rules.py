"""The rules of database and bucket, and the configuration with which firebase-tools deploys to this project."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import Command, firebase, rest
from deploy.source import runtime
from deploy.steps import Check, LocalFile, Question, Step
from deploy.target import ROOT, Target


def steps(target: Target) -> list[Step]:
    """Return the steps that deploy the rules."""
    return [_firebase_file(target), _database_rules(target), _storage_rules(target)]


def deploy(target: Target, only: str, *words: str) -> Command:
    """Return the command that deploys one kind of resource with this project's configuration."""
    config = ("--config", target.firebase_file.name)
    return firebase("deploy", "--only", only, *words, *config, project=target.project)


def firebase_configuration(target: Target) -> str:
    """Return firebase.json without the emulators, with this project's instance and bucket and the functions' Python."""
    configuration = json.loads((ROOT / "firebase.json").read_text())
    configuration.pop("emulators", None)
    configuration["database"] = [{"instance": target.instance, "rules": configuration["database"]["rules"]}]
    configuration["storage"] = [{"bucket": target.bucket, "rules": configuration["storage"]["rules"]}]
    configuration["functions"][0]["runtime"] = runtime() or configuration["functions"][0]["runtime"]
    return json.dumps(configuration, indent=2) + "\n"


def _firebase_file(target: Target) -> Step:
    return Step(
        key="firebase-file",
        title=f"Write {target.firebase_file.name}",
        why="firebase.json is for every project; the rules have to go to this project's instance and bucket.",
        file=LocalFile(target.firebase_file, lambda: firebase_configuration(target)),
    )


def database_rules(target: Target) -> Question:
    """Return the question for the deployed rules, as text."""
    words = ("database:get", "/.settings/rules", "--instance", target.instance)
    return Question(firebase(*words, project=target.project))


def same_rules(deployed: str, file: str) -> bool:
    """Return whether deployed rules equal those of a file, ignoring white space at the ends of lines."""
    lines = [[line.rstrip() for line in text.strip().splitlines()] for text in (deployed, (ROOT / file).read_text())]
    return lines[0] == lines[1]


def _database_rules(target: Target) -> Step:
    return Step(
        key="rules-database",
        title="Deploy the database's rules, with its indexes",
        why="Without them a new database is closed, and queries by reader are denied. First, so nothing is ever open.",
        commands=(deploy(target, "database"),),
        check=Check(database_rules(target), lambda text: same_rules(text, "database.rules.json"), is_text=True),
    )


def storage_rules(target: Target) -> Question:
    """Return the question for the deployed storage rules: the release names the ruleset, which has the text."""
    base = "https://firebaserules.googleapis.com/v1"

    def ruleset(release: Any) -> Command | None:
        name = (release or {}).get("rulesetName", "")
        return rest("GET", f"{base}/{name}", target.project) if name.startswith("projects/") else None

    url = f"{base}/projects/{target.project}/releases/firebase.storage/{target.bucket}"
    return Question(rest("GET", url, target.project), ruleset)


def storage_text(ruleset: Any) -> str:
    """Return the text of a ruleset."""
    files = ((ruleset or {}).get("source") or {}).get("files") or [{}]
    return str(files[0].get("content", ""))


def _storage_rules(target: Target) -> Step:
    return Step(
        key="rules-storage",
        title="Deploy the storage rules",
        why="Signed-in readers may read a model's files by name, and nothing else.",
        commands=(deploy(target, "storage"),),
        check=Check(storage_rules(target), lambda ruleset: same_rules(storage_text(ruleset), "storage.rules")),
    )
