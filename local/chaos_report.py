"""The report of a chaos run: what was done, and the result."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from local.up import say


def report(result: dict[str, Any], problems: list[str], out: Path) -> None:
    """Print what was done and the result, and write ``chaos.json``."""
    steps = Counter(kill["step"] for kill in result["kills"])
    outcomes = Counter(kill["outcome"] for kill in result["kills"])
    result |= {"kills_by_step": dict(steps), "kills_by_outcome": dict(outcomes), "problems": problems}
    say("\n== What was done")
    say(f"   runs killed: {len(result['kills'])}, by step: {_listed(steps)}; by outcome: {_listed(outcomes)}")
    for trigger, counts in result.get("deliveries", {}).items():
        say(f"   events of {trigger}: {_listed(counts)}")
    say(f"   functions restarted: {result['restarts']} times, {result['workers_killed']} processes")
    say(f"   writes: {_listed(result.get('writes', {}))}")
    if "reconcile" in result:
        reconcile = result["reconcile"]
        say(f"   reconcile: {reconcile['calls']} calls, {reconcile['failed']} failed; "
            f"repaired: {_listed(reconcile['repaired'])}")  # fmt: skip
        say(f"   retraining released: {result['releases']} times; models published: {len(result['published'])}")
        say(f"   {result['seconds']} s in all; {result.get('rest_after_s', '-')} s of these until rest")
    say("\n== The result")
    for problem in problems:
        say(f"   WRONG: {problem}")
    if not problems:
        say(f"   {result['lists_checked']} lists are for the last shelves and from the live model, with ten books each;"
            f" the largest shelf has {result['largest_shelf']:,} entries")  # fmt: skip
        say("   every model was complete at once, with a fence greater than all before; the last one answers")
        say("   the lease is free, no run is recorded as running, no process is left")
    path = out / "chaos.json"
    path.write_text(json.dumps(result, indent=1))
    say(f"\nWrote {path}")


def _listed(counts: Any) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
