"""``status``: the system's status, for people and programs, and what needs an operator."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bookrec.paths import children
from trainer.command_line.connections import project_databases
from trainer.command_line.options import ATTENTION, DONE, Done, declare

if TYPE_CHECKING:
    from trainer.publishing.status import Status


def add_parser(commands: Any) -> None:
    """Declare the command."""
    declare(
        commands,
        "status",
        "show what is live, what waits, and whether something needs attention",
        run,
        about="Exit code 3 means that something needs an operator: retraining is parked, the model that is live\n"
        "or on trial in an experiment cannot be used, the reconciler has been silent for 15 minutes, the gate\n"
        "refused the last model, or no more events of lists are collected. The output says what to do, with the\n"
        "section of docs/operations.md. It writes nothing.",
        examples=["", "--json | jq .attention"],
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    with project_databases() as databases:
        from trainer.cloud import now_ms
        from trainer.publishing.status import look

        status = look(databases.instances, now_ms())
    return Done("\n".join(lines(status)), status.to_json(), DONE if status.is_healthy else ATTENTION)


def lines(status: Status) -> Iterator[str]:
    """Yield the lines of the status, for people."""
    from trainer.publishing.status import RUNBOOK

    for name, text in _rows(status.facts):
        yield f"{name:<11} {text}"
    for title, is_urgent in (("needs attention", True), ("note", False)):
        for finding in status.findings:
            if finding.is_urgent == is_urgent:
                yield ""
                yield f"{title}: {finding.why}"
                yield f"  what to do: {finding.do}"
                yield f"  see {RUNBOOK}, section {finding.what}"


def _rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from trainer.publishing.status import age

    now = facts["at"]

    def ago(at: object) -> str:
        return f"{age(now - at)} ago" if isinstance(at, int) else "never"

    live, run, lease, waiting = facts["live"], facts["run"], facts["lease"], facts["waiting"]
    yield (
        "live",
        f"{live['version']}, published {ago(live['publishedAt'])}, fence {live['fence']}" if live else "no model",
    )
    others = [version for version in facts["kept"] if not live or version != live["version"]]
    yield "kept", ", ".join(others) or "no other version"
    yield "experiment", _experiment(facts["experiment"], ago)
    yield "last run", _run(run, ago) if run else "none"
    oldest = f", the oldest of {ago(waiting['oldestAt'])}" if waiting["oldestAt"] else ""
    yield "waiting", f"{waiting['changes']} changed entries{oldest}"
    yield "lease", _lease(lease, now)
    yield "parked", f"since {ago(facts['parked'].get('at'))}" if facts["parked"] else "no"
    for instance in facts["instances"]:
        of = "" if len(facts["instances"]) == 1 else f"{instance['name']}: "
        fanout, reconcile = instance["fanout"], instance["reconcile"]
        done = f"{fanout['done']} of {fanout['shards']} shards of {fanout['publication']}" if fanout else "none yet"
        yield "fan-out", f"{of}{done}"
        repaired = ", ".join(f"{kind} {number}" for kind, number in sorted(reconcile["repaired"].items()))
        yield "reconciler", f"{of}{ago(reconcile['at'])}, repaired {repaired or 'nothing'}"
        paused, left_out = (instance["readers"][name]["readers"] for name in ("paused", "leftOut"))
        yield "readers", f"{of}{paused} paused, {left_out} left out"
    rejected = facts["rejected"]
    reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(rejected.items(), key=lambda i: -i[1]))
    yield "rejected", f"{sum(rejected.values())} entries" + (f": {reasons}" if reasons else "")
    if not facts["quality"]:
        yield "hit rate", "not counted yet"
    for label in sorted(facts["quality"], reverse=True)[:5]:
        yield from hit_rates(label, facts["quality"][label])


def _experiment(experiment: Mapping[str, Any] | None, ago: Any) -> str:
    if not experiment:
        return "none"
    return (
        f"{experiment['share']:.0%} of the readers have {experiment['version']}, begun {ago(experiment['startedAt'])}"
    )


def _run(run: Mapping[str, Any], ago: Any) -> str:
    words = [str(run.get("outcome")), str(run.get("version") or run.get("runId") or "")]
    if run.get("outcome") == "running":
        words.append(f"({run.get('step')})")
    reason = f": {run['reason']}" if run.get("reason") else ""
    return f"{' '.join(filter(None, words))}, {ago(run.get('at'))}{reason}"


def _lease(lease: Mapping[str, Any], now: int) -> str:
    from trainer.publishing.status import age

    if lease["holder"] is None:
        return f"free, fence {lease['fence']}"
    if not lease["held"]:
        return f"{lease['holder']} fell silent {age(now - lease['expires_at'])} ago; the reconciler frees it"
    return f"{lease['holder']}, until {age(lease['expires_at'] - now)} from now unless it is renewed"


def hit_rates(label: str, counted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the hit rate of a label, or of each arm of an experiment."""
    arms = counted.get("arms")
    if not isinstance(arms, Mapping):
        yield "hit rate", f"{label}: {_rate(counted)}{_taken(counted)}"
        return
    for arm in sorted(arms):
        rate = f"{_rate(arms[arm])}{_taken(arms[arm])}"
        yield "hit rate", f"{label}, arm {arm} ({arms[arm].get('version', '?')}): {rate}"


def _taken(counted: Mapping[str, Any]) -> str:
    shown = children(counted.get("shown"))
    if not shown:
        return ""
    books, lists = sum(children(children(shown.get("taken")).get("sources")).values()), shown.get("lists", 0)
    return f"; {shown.get('takers', 0)} of {shown.get('readers', 0)} took {books} books from {lists} shown lists"


def _rate(counted: Mapping[str, Any]) -> str:
    readers, hit = int(counted.get("readers", 0)), int(counted.get("hitReaders", 0))
    if not readers:
        return "no reader has shelved a book yet"
    interval = ""
    if "low" in counted and "high" in counted:
        interval = f" (95%: {100 * counted['low']:.1f}–{100 * counted['high']:.1f}%)"
    return f"{100 * hit / readers:.1f}% of {readers} readers who shelved a book{interval}"
