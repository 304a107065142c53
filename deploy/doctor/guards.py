"""Whether the rules, the bucket, App Check and the alerts guard what they should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from deploy.commands import rest
from deploy.doctor.findings import Finding, Look
from deploy.parts import rules, storage, watch
from deploy.steps import Question
from deploy.target import ROOT

_INDEX = re.compile(r'"\.indexOn"\s*:\s*(\[[^\]]*\]|"[^"]*")')
APP_CHECK = ("firebasedatabase.googleapis.com", "firebasestorage.googleapis.com")


def database_rules(look: Look) -> Iterator[Finding]:
    """Find rules that differ from the file; missing indexes by name."""
    target = look.target
    found = look.text(rules.database_rules(target))
    if found is None or rules.same_rules(found, "database.rules.json"):
        return
    fix, explains = rules.deploy(target, "database").shell(), frozenset({"rules-database"})
    file = (ROOT / "database.rules.json").read_text()
    missing = [one for one in _indexes(file) if one not in _indexes(found)]
    if missing:
        evidence = f"deployed rules lack {'; '.join(missing)}: such queries fail"
        yield Finding("error", "index-missing", "The database lacks an index", evidence, fix, explains)
        return
    evidence = f"first difference: {_difference(found, file)}"
    yield Finding("error", "rules-drift", "The database's rules are not those of the file", evidence, fix, explains)


def storage_rules(look: Look) -> Iterator[Finding]:
    """Find storage rules that differ from the file."""
    target = look.target
    found = look.at(rules.storage_rules(target))
    if found is None or rules.same_rules(rules.storage_text(found), "storage.rules"):
        return
    difference = _difference(rules.storage_text(found), (ROOT / "storage.rules").read_text())
    fix = rules.deploy(target, "storage").shell()
    explains = frozenset({"rules-storage"})
    title = "The storage rules are not those of the file"
    yield Finding("error", "storage-rules-drift", title, f"first difference: {difference}", fix, explains)


def bucket(look: Look) -> Iterator[Finding]:
    """Find a bucket that could be made public, or that keeps readers' data for ever."""
    target = look.target
    found = storage.bucket_named(look.at(storage.buckets(target)), target.bucket)
    if found is None:
        return
    lifecycle = str(storage.MODELS_LIFECYCLE.relative_to(ROOT))
    name = f"gs://{target.bucket}"
    explains = frozenset({"bucket"})
    if not storage.is_private(found):
        uniform, prevention = found.get("uniform_bucket_level_access"), found.get("public_access_prevention")
        evidence = f"uniform access is {uniform}, public access prevention is {prevention}"
        fix = f"gcloud storage buckets update {name} --uniform-bucket-level-access --public-access-prevention"
        yield Finding("error", "bucket-open", "The models' bucket could be made public", evidence, fix, explains)
    if not storage.has_lifecycle(found, lifecycle):
        evidence = f"its rules are not those of {lifecycle}: old lists and snapshots, which name readers, may stay"
        fix = f"gcloud storage buckets update {name} --lifecycle-file {lifecycle}"
        yield Finding("warning", "bucket-lifecycle", "The models' bucket forgets nothing", evidence, fix, explains)


def app_check(look: Look) -> Iterator[Finding]:
    """Tell whether App Check is enforced."""
    target = look.target
    for service in APP_CHECK:
        url = f"https://firebaseappcheck.googleapis.com/v1/projects/{target.number}/services/{service}"
        answer = Question(rest("GET", url, target.project)).ask(look.ask)
        mode = str((answer.json() or {}).get("enforcementMode", "OFF")) if answer.ok else "OFF"
        if mode != "ENFORCED" and (answer.ok or answer.absent):
            fix = "When the app has App Check's SDK: docs/access.md, App Check"
            evidence = f"{service}: {mode}"
            yield Finding("note", "app-check", "App Check is not enforced", evidence, fix)


def alerts(look: Look) -> Iterator[Finding]:
    """Find alerts that are off, that tell nobody, or that watch something else."""
    listed = look.at(watch.alerts(look.target))
    for name in watch.ALERTS:
        found = watch.alert_named(listed, name)
        if found is None:
            continue
        title, policy = watch.wanted_alert(name)["displayName"], found.get("name", "POLICY")
        project = look.target.project
        update = f"gcloud alpha monitoring policies update {policy} --project {project}"
        if found.get("enabled", True) in (False, {"value": False}):
            evidence, fix = f"{title}: enabled is false", f"{update} --enabled"
            yield Finding("warning", "alert-off", "An alert is switched off", evidence, fix)
        if not found.get("notificationChannels"):
            evidence = f"{title} has no notification channel"
            fix = f"{update} --add-notification-channels projects/{project}/notificationChannels/NUMBER"
            yield Finding("warning", "alert-silent", "An alert tells nobody", evidence, fix)
        if _filters(found) != _filters(watch.wanted_alert(name)):
            evidence = f"{title} watches {'; '.join(_filters(found)) or 'nothing'}"
            fix = f"{update} --policy-from-file deploy/policies/alert-{name}.json"
            yield Finding("warning", "alert-changed", "An alert watches something else", evidence, fix)


def _filters(policy: Any) -> list[str]:
    conditions = policy.get("conditions", [])
    return [str(one.get(kind, {}).get("filter")) for one in conditions for kind in sorted(one) if "condition" in kind]


def _indexes(text: str) -> list[str]:
    """Return "node: child" for each index, in the order of the text, whose comments need not be understood."""
    found = []
    for match in _INDEX.finditer(text):
        node = re.findall(r'"(\$?\w+)"\s*:\s*\{', text[: match.start()])
        fields = json.loads(match[1])
        found += [f"{node[-1] if node else ''}: {one}" for one in ([fields] if isinstance(fields, str) else fields)]
    return found


def _difference(found: str, file: str) -> str:
    deployed, wanted = ([line.strip() for line in text.strip().splitlines()] for text in (found, file))
    pairs = zip([*deployed, ""], [*wanted, ""], strict=False)
    is_, should = next(((is_, should) for is_, should in pairs if is_ != should), ("", ""))
    return f"{is_[:120]!r} instead of {should[:120]!r}"


CHECKS = (database_rules, storage_rules, bucket, app_check, alerts)
