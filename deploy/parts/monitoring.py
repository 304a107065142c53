"""Monitoring: metrics counted from logs, alerts, and a dashboard."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import gcloud
from deploy.steps import Check, Question, Step
from deploy.target import ROOT, Target

POLICIES = ROOT / "deploy" / "policies"
METRICS = ("recommender_alarms", "recommender_reconciled", "recommender_lists")
ALERTS = ("alarm", "reconciled-absent")
DASHBOARD = "deploy/policies/dashboard.json"


def steps(target: Target) -> list[Step]:
    """Return the steps that create metrics, alerts and the dashboard."""
    watched = [*(_metric(target, name) for name in METRICS), *(_alert(target, name) for name in ALERTS)]
    return [*watched, _dashboard(target)]


def metrics(target: Target) -> Question:
    """Return the question that lists the metrics counted from logs."""
    return Question(gcloud("logging", "metrics", "list", project=target.project, json_answer=True))


def dashboards(target: Target) -> Question:
    """Return the question that lists the dashboards."""
    return Question(gcloud("monitoring", "dashboards", "list", project=target.project, json_answer=True))


def alerts(target: Target) -> Question:
    """Return the question that lists the alert policies."""
    return Question(gcloud("alpha", "monitoring", "policies", "list", project=target.project, json_answer=True))


def wanted_alert(name: str) -> dict[str, Any]:
    """Return an alert policy of this repository."""
    policy: dict[str, Any] = json.loads((POLICIES / f"alert-{name}.json").read_text())
    return policy


def alert_named(listed: Any, name: str) -> dict[str, Any] | None:
    """Return the project's alert with the same display name, or None."""
    title = wanted_alert(name)["displayName"]
    return next((one for one in listed or [] if one.get("displayName") == title), None)


def _metric(target: Target, name: str) -> Step:
    file = f"deploy/policies/metric-{name}.json"
    wanted = json.loads((ROOT / file).read_text())
    create = gcloud("logging", "metrics", "create", name, "--config-from-file", file, project=target.project)
    return Step(
        f"metric-{name}",
        f"Count {name} from the logs",
        wanted["description"],
        (create,),
        Check(metrics(target), lambda listed: name in [one.get("name") for one in listed or []]),
    )


def _alert(target: Target, name: str) -> Step:
    wanted = wanted_alert(name)
    channel = ("--notification-channels", target.notify) if target.notify else ()
    create = gcloud(
        *("alpha", "monitoring", "policies", "create", "--policy-from-file", f"deploy/policies/alert-{name}.json"),
        *channel,
        project=target.project,
    )
    return Step(
        f"alert-{name}",
        f"Alert: {wanted['displayName']}",
        wanted["documentation"]["content"].splitlines()[0],
        (create,),
        Check(alerts(target), lambda listed: alert_named(listed, name) is not None),
        remedy="It can take ten minutes until an alert can use a new metric: run the same command again. "
        "gcloud alpha has to be installed: gcloud components install alpha.",
    )


def _dashboard(target: Target) -> Step:
    title = json.loads((ROOT / DASHBOARD).read_text())["displayName"]
    create = gcloud("monitoring", "dashboards", "create", "--config-from-file", DASHBOARD, project=target.project)
    return Step(
        "dashboard",
        f"Dashboard: {title}",
        "It shows lists and their time, alarms, and the reconciler's runs, in Cloud Monitoring.",
        (create,),
        Check(dashboards(target), lambda listed: title in [one.get("displayName") for one in listed or []]),
        remedy="It can take ten minutes until a dashboard can use a new metric: run the same command again.",
    )
