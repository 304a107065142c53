"""Checks what protects the project: the rules, the bucket, App Check and the alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from deploy.commands import rest
from deploy.doctor.findings import Finding, Probe
from deploy.parts import monitoring, rules, storage
from deploy.steps import Question
from deploy.target import ROOT

_INDEX = re.compile(r'"\.indexOn"\s*:\s*(\[[^\]]*\]|"[^"]*")')
APP_CHECK = ("firebasedatabase.googleapis.com", "firebasestorage.googleapis.com")


def database_rules(probe: Probe) -> Iterator[Finding]:
    """Find rules that differ from the file; name missing indexes."""
    target = probe.target
    deployed = probe.text(rules.database_rules(target))
    if deployed is None or rules.same_rules(deployed, "database.rules.json"):
        return
    fix, explains = rules.deploy(target, "database").shell(), frozenset({"rules-database"})
    file = (ROOT / "database.rules.json").read_text()
    missing = [one for one in _indexes(file) if one not in _indexes(deployed)]
    if missing:
        evidence = f"deployed rules lack {'; '.join(missing)}: such queries fail"
        yield Finding("error", "index-missing", "The database lacks an index", evidence, fix, explains)
        return
    evidence = f"first difference: {_difference(deployed, file)}"
    yield Finding("error", "rules-drift", "The database's rules differ from the file", evidence, fix, explains)


def storage_rules(probe: Probe) -> Iterator[Finding]:
    """Find storage rules that differ from the file."""
    target = probe.target
    ruleset = probe.json(rules.storage_rules(target))
    if ruleset is None or rules.same_rules(rules.storage_text(ruleset), "storage.rules"):
        return
    difference = _difference(rules.storage_text(ruleset), (ROOT / "storage.rules").read_text())
    fix = rules.deploy(target, "storage").shell()
    explains = frozenset({"rules-storage"})
    title = "The storage rules differ from the file"
    yield Finding("error", "storage-rules-drift", title, f"first difference: {difference}", fix, explains)


def bucket(probe: Probe) -> Iterator[Finding]:
    """Find a bucket that could be made public, or that keeps readers' data forever."""
    target = probe.target
    models = storage.bucket_named(probe.json(storage.buckets(target)), target.bucket)
    if models is None:
        return
    lifecycle = str(storage.MODELS_LIFECYCLE.relative_to(ROOT))
    name = f"gs://{target.bucket}"
    explains = frozenset({"bucket"})
    if not storage.is_private(models):
        uniform, prevention = models.get("uniform_bucket_level_access"), models.get("public_access_prevention")
        evidence = f"uniform access is {uniform}, public access prevention is {prevention}"
        fix = f"gcloud storage buckets update {name} --uniform-bucket-level-access --public-access-prevention"
        yield Finding("error", "bucket-open", "The models' bucket could be made public", evidence, fix, explains)
    if not storage.has_lifecycle(models, lifecycle):
        evidence = f"its lifecycle differs from {lifecycle}: old lists and snapshots, which name readers, may stay"
        fix = f"gcloud storage buckets update {name} --lifecycle-file {lifecycle}"
        yield Finding(
            "warning", "bucket-lifecycle", "The models' bucket does not delete old data", evidence, fix, explains
        )


def app_check(probe: Probe) -> Iterator[Finding]:
    """Report services for which App Check is not enforced."""
    target = probe.target
    for service in APP_CHECK:
        url = f"https://firebaseappcheck.googleapis.com/v1/projects/{target.number}/services/{service}"
        answer = Question(rest("GET", url, target.project)).ask(probe.ask)
        mode = str((answer.json() or {}).get("enforcementMode", "OFF")) if answer.ok else "OFF"
        if mode != "ENFORCED" and (answer.ok or answer.absent):
            fix = "Once the app has App Check's SDK: see docs/access.md, App Check"
            evidence = f"{service}: {mode}"
            yield Finding("note", "app-check", "App Check is not enforced", evidence, fix)


def alerts(probe: Probe) -> Iterator[Finding]:
    """Find alerts that are off, notify nobody, or watch something else."""
    listed = probe.json(monitoring.alerts(probe.target))
    for name in monitoring.ALERTS:
        alert = monitoring.alert_named(listed, name)
        if alert is None:
            continue
        title, policy = monitoring.wanted_alert(name)["displayName"], alert.get("name", "POLICY")
        project = probe.target.project
        update = f"gcloud alpha monitoring policies update {policy} --project {project}"
        if alert.get("enabled", True) in (False, {"value": False}):
            evidence, fix = f"{title}: enabled is false", f"{update} --enabled"
            yield Finding("warning", "alert-off", "An alert is switched off", evidence, fix)
        if not alert.get("notificationChannels"):
            evidence = f"{title} has no notification channel"
            fix = f"{update} --add-notification-channels projects/{project}/notificationChannels/NUMBER"
            yield Finding("warning", "alert-silent", "An alert notifies nobody", evidence, fix)
        if _filters(alert) != _filters(monitoring.wanted_alert(name)):
            evidence = f"{title} watches {'; '.join(_filters(alert)) or 'nothing'}"
            fix = f"{update} --policy-from-file deploy/policies/alert-{name}.json"
            yield Finding("warning", "alert-changed", "An alert watches something else", evidence, fix)


def _filters(policy: Any) -> list[str]:
    conditions = policy.get("conditions", [])
    return [str(one.get(kind, {}).get("filter")) for one in conditions for kind in sorted(one) if "condition" in kind]


def _indexes(text: str) -> list[str]:
    """Return "node: child" for each index in the text of some rules, in order. Comments are not parsed."""
    indexes = []
    for match in _INDEX.finditer(text):
        node = re.findall(r'"(\$?\w+)"\s*:\s*\{', text[: match.start()])
        fields = json.loads(match[1])
        indexes += [f"{node[-1] if node else ''}: {one}" for one in ([fields] if isinstance(fields, str) else fields)]
    return indexes


def _difference(deployed: str, file: str) -> str:
    present, wanted = ([line.strip() for line in text.strip().splitlines()] for text in (deployed, file))
    pairs = zip([*present, ""], [*wanted, ""], strict=False)
    is_, should = next(((is_, should) for is_, should in pairs if is_ != should), ("", ""))
    return f"{is_[:120]!r} instead of {should[:120]!r}"


CHECKS = (database_rules, storage_rules, bucket, app_check, alerts)
