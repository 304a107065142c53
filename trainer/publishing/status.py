"""The status, from the nodes under ``/Recommender``: what is live, what waits, and what needs an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.manifest import Pointer, parse_pointer
from bookrec.life_cycle.ranges import is_time
from bookrec.paths import children, whole
from bookrec.usage.list_events import MAX_ROWS
from bookrec.usage.quality import Count, read_count

SILENT_MS = 900_000
"""The reconciler runs every five minutes: after three runs without a sign of life, something is wrong."""

RUNBOOK = "docs/operations.md"

MINUTE_MS = 60_000


NodeAt = Callable[[str], Any]
"""Returns the reference of the node at a path."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an operator should know.

    Attributes:
        what: the section of the runbook, without its file; "" if it has none.
        why: what is wrong.
        do: what to do.
        is_urgent: whether it does not recover by itself.
    """

    what: str
    why: str
    do: str
    is_urgent: bool = True

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"what": self.what, "why": self.why, "do": self.do, "see": f"{RUNBOOK}#{self.what}"}


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the recommender.

    Attributes:
        facts: what ``status --json`` prints.
        findings: the urgent ones first.
    """

    facts: Mapping[str, Any]
    findings: Sequence[Finding]

    @property
    def is_healthy(self) -> bool:
        """Return whether nothing needs an operator."""
        return not any(finding.is_urgent for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        urgent = [finding.to_json() for finding in self.findings if finding.is_urgent]
        others = [finding.to_json() for finding in self.findings if not finding.is_urgent]
        return {"healthy": self.is_healthy, "attention": urgent, "notes": others, **self.facts}


def look(instances: Sequence[tuple[str, NodeAt]], now_ms: int) -> Status:
    """Read the status; nothing is written.

    Args:
        instances: name and references of every database instance; the one with pointer and lease comes first.
        now_ms: milliseconds since 1970.
    """
    first = instances[0][1]
    pointer, damage = _pointer(first(paths.MODEL).get())
    lease = leases.read_lease(first(paths.LEASE).get())
    statuses = [(name, children(node_at(paths.STATUS).get())) for name, node_at in instances]
    status = statuses[0][1]
    training = children(status.get("training"))
    rejected: Counter[str] = Counter()
    for _, node in statuses:
        rejected.update({reason: whole(number) for reason, number in children(node.get("rejected")).items()})
    facts = {
        "at": now_ms,
        "live": _live(pointer),
        "kept": sorted(pointer.kept, reverse=True) if pointer else [],
        "experiment": pointer.experiment.to_node() if pointer and pointer.experiment else None,
        "run": dict(children(training.get("run"))) or None,
        "outcomes": dict(children(training.get("outcomes"))),
        "waiting": _waiting([node_at for _, node_at in instances]),
        "lease": {**asdict(lease), "held": lease.is_held(now_ms)},
        "parked": dict(children(training.get("parked"))) or None,
        "model": dict(children(status.get("model"))) or None,
        "instances": [
            {**_instance(name, node), "readers": _unserved(children(node_at(paths.PAUSED).get()), node, now_ms)}
            for (name, node), (_, node_at) in zip(statuses, instances, strict=True)
        ],
        "similar": _similar(children(status.get("similar")), pointer),
        "rejected": dict(sorted(rejected.items())),
        "quality": _quality([children(children(node.get("quality")).get("labels")) for _, node in statuses]),
    }
    findings = [*_urgent(facts, damage, lease, now_ms), *_notes(facts, lease, now_ms)]
    return Status(facts, findings)


def _pointer(node: object) -> tuple[Pointer | None, str]:
    try:
        return parse_pointer(node), ""
    except BadModel as problem:
        return None, str(problem)


def _live(pointer: Pointer | None) -> dict[str, Any] | None:
    if pointer is None:
        return None
    return {
        "version": pointer.version,
        "fence": pointer.fence,
        "publishedAt": pointer.published_at,
        "snapshotAt": pointer.snapshot_at,
        "lists": pointer.lists,
    }


def _waiting(node_ats: Sequence[NodeAt]) -> dict[str, int | None]:
    """Return the number of changed entries that no run has trained on, and the time of the oldest mark."""
    oldest: list[int] = []
    count = 0
    for node_at in node_ats:
        count += len(children(node_at(paths.CHANGES).get(shallow=True)))
        marks = children(node_at(paths.CHANGES).order_by_child("at").limit_to_first(1).get())
        oldest += map(int, filter(is_time, (children(mark).get("at") for mark in marks.values())))
    return {"changes": count, "oldestAt": min(oldest, default=None)}


def _similar(state: Mapping[str, Any], pointer: Pointer | None) -> dict[str, int] | None:
    """Return the progress of the live model's run over the books, if it has begun."""
    if pointer is None or state.get("publication") != pointer.release:
        return None
    attempt = whole(state.get("attempt"))
    done = sum(run == f"{pointer.release}:{attempt}" for run in children(state.get("done")).values())
    return {"pages": whole(state.get("pages")), "done": done, "attempt": attempt}


def _instance(name: str, status: Mapping[str, Any]) -> dict[str, Any]:
    fanout, reconcile = children(status.get("fanout")), children(status.get("reconcile"))
    events = children(status.get("events"))
    rows = sum(map(whole, children(events.get("rows")).values()))
    return {
        "name": name or "first",
        "fanout": {
            "publication": fanout.get("publication"),
            "shards": whole(fanout.get("shards")),
            "done": len(children(fanout.get("done"))),
            "attempt": whole(fanout.get("attempt")),
            "at": fanout.get("at"),
        }
        if fanout
        else None,
        "reconcile": {
            "at": reconcile.get("at"),
            "failed": reconcile.get("failed"),
            "repaired": dict(children(reconcile.get("repaired"))),
            "sweptAt": reconcile.get("sweptAt"),
        },
        # After an export, the reconciler's next run opens the gate.
        "events": {"rows": rows, "full": events.get("isFull") is True and rows >= MAX_ROWS},
    }


def _unserved(paused: Mapping[str, Any], status: Mapping[str, Any], now_ms: int) -> dict[str, dict[str, int | None]]:
    """Return how many readers are paused, and left out, and until when the last of each is."""
    facts = {}
    for name, nodes in (("paused", paused), ("leftOut", children(status.get("leftOut")))):
        times = [children(node).get("until") for node in nodes.values()]
        later = [int(until) for until in times if is_time(until) and until > now_ms]
        facts[name] = {"readers": len(later), "until": max(later, default=None)}
    return facts


def _quality(instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures by label, merged if a label's readers are in several instances."""
    figures = {}
    for label in sorted({label for labels in instances for label in labels}):
        nodes = [labels[label] for labels in instances if label in labels]
        figures[label] = dict(children(nodes[0])) if len(nodes) == 1 else _merged(nodes)
    return figures


def _merged(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = [read_count(node) for node in nodes]
    total = Count(sum(c.readers for c in counts), sum(c.hit_readers for c in counts), sum(c.hits for c in counts))
    for count in counts:
        total.positions.update(count.positions)
        total.sources.update(count.sources)
        total.shown.include(count.shown)
    figures: dict[str, Any] = total.figures()
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes:
        for arm, part in children(node.get("arms")).items():
            arms.setdefault(arm, []).append(part)
    if arms:
        versions = {arm: next((p["version"] for p in parts if p.get("version")), None) for arm, parts in arms.items()}
        figures["arms"] = {arm: {**_merged(parts), "version": versions[arm]} for arm, parts in arms.items()}
    return figures


def _urgent(facts: Mapping[str, Any], damage: str, lease: leases.Lease, now_ms: int) -> list[Finding]:
    findings = []
    parked, run, model = facts["parked"], facts["run"] or {}, facts["model"] or {}
    if parked:
        why = f"{lease.failures} training runs in a row failed ({parked.get('outcome')}), and no other will start"
        findings.append(Finding("retraining-parked", why, "fix the cause, then `release`; see also run-failed"))
    problem = damage or (model.get("problem") if model.get("loads") is False else "")
    if problem:
        used = f"; lists come from {model['using']}" if model.get("using") and not damage else ""
        findings.append(
            Finding("model-unusable", f"the live model cannot be used: {problem}{used}", "`rollback` to a kept version")
        )
    arm = children(model.get("experiment"))
    if arm.get("loads") is False and facts["experiment"]:
        why = f"the experiment's model {arm.get('version')} cannot be used: {arm.get('problem')}"
        findings.append(Finding("model-unusable", why, "`experiment end`: both arms have the live model meanwhile"))
    for instance in facts["instances"]:
        at, where = instance["reconcile"]["at"], "" if instance["name"] == "first" else f" of {instance['name']}"
        if not isinstance(at, int) or now_ms - at > SILENT_MS:
            since = f"for {age(now_ms - at)}" if isinstance(at, int) else "yet"
            do = "look at the job of `reconcile` in Cloud Scheduler and at its function's errors, and run it by hand"
            findings.append(Finding("reconcile-failed", f"the reconciler{where} has not reported {since}", do))
        if instance["events"]["full"]:
            rows = instance["events"]["rows"]
            why = f"no more events of lists{where} are collected: {rows} rows wait for their export"
            do = "run `events`, and find out why it does not run every day; lists are not affected"
            findings.append(Finding("list-events-full", why, do))
    if run.get("outcome") == "refused":
        do = "nothing if it happens once: the live model stays; look at the entries if it keeps happening"
        findings.append(Finding("model-refused", f"the gate refused the last model: {run.get('reason')}", do))
    return findings


def _notes(facts: Mapping[str, Any], lease: leases.Lease, now_ms: int) -> list[Finding]:
    findings = []
    run = facts["run"] or {}
    if lease.failures and not facts["parked"]:
        outcome, reason = lease.outcome or "interrupted", run.get("reason") or "no reason was recorded"
        why = f"the last training run ended as {outcome}: {reason}"
        findings.append(Finding("run-failed", why, "the next one starts by itself", is_urgent=False))
    for instance in facts["instances"]:
        fanout, failed = instance["fanout"] or {}, instance["reconcile"]["failed"]
        paused, left_out = instance["readers"]["paused"], instance["readers"]["leftOut"]
        if number := left_out["readers"]:
            why = f"a function died each time it made some lists: readers left out: {number}"
            do = f"look at the crashes; the last is tried again in {age(left_out['until'] - now_ms)}"
            findings.append(Finding("reader-left-out", why, do, is_urgent=False))
        if number := paused["readers"]:
            why = f"some readers write too many entries, and the rules deny them: readers paused: {number}"
            do = f"nothing if it happens once; the last pause ends in {age(paused['until'] - now_ms)}"
            findings.append(Finding("reader-paused", why, do, is_urgent=False))
        if fanout.get("attempt"):
            why = (
                f"shards of {fanout['publication']} were queued again ({fanout['done']} of {fanout['shards']} are done)"
            )
            do = "look at the errors of the function `fanout` if it happens again"
            findings.append(Finding("fanout-incomplete", why, do, is_urgent=False))
        if failed:
            do = "the next run tries again"
            findings.append(Finding("reconcile-failed", f"steps failed: {failed}", do, is_urgent=False))
    similar = facts["similar"]
    if similar and similar["attempt"] and similar["done"] < similar["pages"]:
        why = f"pages of similar books were queued again ({similar['done']} of {similar['pages']} are done)"
        do = "nothing if the catalogue has just changed; look at the errors of the function `similar` if it lasts"
        findings.append(Finding("similar-incomplete", why, do, is_urgent=False))
    return findings


def age(milliseconds: int) -> str:
    """Return a duration in its two largest units at most."""
    minutes = max(milliseconds, 0) // MINUTE_MS
    if not minutes:
        return f"{max(milliseconds, 0) // 1000} s"
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
