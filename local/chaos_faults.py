"""What goes wrong during the chaos: deliveries, training runs that are killed, functions that are restarted."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import requests

from bookrec import paths
from bookrec.life_cycle.lease import read_lease
from bookrec.paths import children
from local.stack import ADMIN, Stack

DELIVERIES = {"drop": 1 / 3, "duplicate": 1 / 3, "delay_ms": [0, 2000], "reorder": True}
TRIGGERS = ("on_user_book_written", "on_model_published")

START_PATIENCE_S, FREE_PATIENCE_S = 180.0, 120.0
"""How long a run may take to start, and how long the lease of a dead run may stay held."""

Event = Literal["uploading", "published"]


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill a run.

    Attributes:
        delay_s: seconds after its start, or after the event.
        after: the event to wait for first, if any.
        restart_s: seconds after its start at which the functions are restarted, if they are.
    """

    delay_s: float
    after: Event | None = None
    restart_s: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A run that was killed.

    Attributes:
        run: the lease holder.
        after_s: seconds for which it had been seen at work.
        step: the step that it had noted last; ``starting`` before its first renewal, ``published`` once it was live.
        outcome: the outcome on the lease in the end.
        free_after_s: seconds until another run could take the lease.
    """

    run: str
    after_s: float
    step: str
    outcome: str
    free_after_s: float


def draw_moments(kills: int, run_s: float, chance: random.Random) -> list[Moment]:
    """Return a moment for each kill, in random order, spread over a run of ``run_s`` seconds.

    One in five waits for the upload or for the switch of the pointer, which chance alone would hardly hit.
    """
    aimed: list[Event] = ["uploading", "published"] * kills
    aimed = aimed[: kills // 5]
    number = kills - len(aimed)
    moments = [Moment(chance.uniform(place, place + 1) * run_s / number) for place in range(number)]
    restarted = chance.sample(range(number), min(1 + kills // 5, number))
    for place in restarted:
        delay_s = moments[place].delay_s
        moments[place] = Moment(delay_s, restart_s=chance.uniform(0, delay_s))
    moments += [Moment(chance.uniform(0, 0.3), after) for after in aimed]
    chance.shuffle(moments)
    return moments


def set_deliveries(stack: Stack, seed: int) -> None:
    """Have deliveries dropped, duplicated, delayed and reordered from now on."""
    plan = {"seed": seed, "rules": [{"trigger": trigger, **DELIVERIES} for trigger in TRIGGERS]}
    requests.put(_address(stack), json=plan, headers=ADMIN, timeout=60).raise_for_status()


def clear_deliveries(stack: Stack) -> dict[str, dict[str, int]]:
    """Have everything delivered again; return the decisions so far by trigger."""
    answer = requests.get(_address(stack), headers=ADMIN, timeout=60)
    answer.raise_for_status()
    requests.delete(_address(stack), headers=ADMIN, timeout=60).raise_for_status()
    by_name: dict[str, dict[str, int]] = answer.json()["counts"]["triggers"]
    return {trigger: counts for name, counts in by_name.items() for trigger in TRIGGERS if trigger in name}


def trainer_runs(stack: Stack) -> list[psutil.Process]:
    """Return the training runs of this stack."""
    return [process for process in stack.processes.alive() if _words(process)[1:4] == ["-m", "trainer", "run"]]


def restart_functions(stack: Stack) -> int:
    """Kill the functions' workers of this stack; the next event starts new ones. Return how many there were."""
    workers = [p for p in stack.processes.alive() if any(Path(w).name == "functions-framework" for w in _words(p))]
    return sum(_kill(worker) for worker in workers)


def await_run(stack: Stack) -> psutil.Process:
    """Return the next training run that the functions start.

    Raises:
        TimeoutError: with the status of retraining.
    """
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline:
        for process in trainer_runs(stack):
            if "--fence" in _words(process):
                return process
        time.sleep(0.2)
    status = {name: stack.admin_get(path) for name, path in (("lease", paths.LEASE), ("training", _TRAINING))}
    raise TimeoutError(f"no training run was started in {START_PATIENCE_S:.0f} s: {status}")


def kill_at(stack: Stack, process: psutil.Process, moment: Moment) -> tuple[Kill | None, int]:
    """Kill a run at a moment.

    Returns:
        the kill, or None if the run had ended by itself; and how many workers of functions were killed meanwhile.

    Raises:
        TimeoutError: if the lease of the dead run stays held.
    """
    words = _words(process)
    began = time.monotonic()
    fence = int(words[words.index("--fence") + 1]) if "--fence" in words else 0
    restarted = 0
    if moment.restart_s is not None:
        _sleep_until(began + moment.restart_s)
        restarted = restart_functions(stack)
    if moment.after is None:
        _sleep_until(began + moment.delay_s)
    else:
        while _is_alive(process) and _step(stack, fence) not in (moment.after, "published"):
            time.sleep(0.03)
        time.sleep(moment.delay_s)
    step = _step(stack, fence)
    killed_at = time.monotonic()
    if not fence or not _kill(process):
        return None, restarted
    # It may have gone on between the check and the kill: only the pointer says what is irrevocable.
    step = "published" if _is_live(stack, fence) else step
    outcome = _await_free(stack, fence)
    kill = Kill(f"run-{fence}", round(killed_at - began, 1), step, outcome, round(time.monotonic() - killed_at, 1))
    return kill, restarted


_TRAINING = f"{paths.STATUS}/training"


def _step(stack: Stack, fence: int) -> str:
    if _is_live(stack, fence):
        return "published"
    run = children(stack.admin_get(f"{_TRAINING}/run"))
    return str(run.get("step") or run.get("outcome")) if run.get("fence") == fence else "starting"


def _is_live(stack: Stack, fence: int) -> bool:
    return children(stack.admin_get(paths.MODEL)).get("fence") == fence


def _await_free(stack: Stack, fence: int) -> str:
    deadline = time.monotonic() + FREE_PATIENCE_S
    while time.monotonic() < deadline:
        lease = read_lease(stack.admin_get(paths.LEASE))
        if lease.holder is None or lease.fence != fence:
            return lease.outcome or "none"
        time.sleep(0.2)
    raise TimeoutError(f"the lease of a dead run was not freed in {FREE_PATIENCE_S:.0f} s: {lease}")


def _sleep_until(at: float) -> None:
    time.sleep(max(at - time.monotonic(), 0))


def _kill(process: psutil.Process) -> bool:
    """Kill one process of the stack and wait for its end; return True if it was still alive."""
    if not _is_alive(process):
        return False
    try:
        process.kill()  # psutil raises if the id belongs to another process by now
        process.wait(20)
    except psutil.NoSuchProcess:
        return False
    return True


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def _address(stack: Stack) -> Any:
    return f"http://{stack.addresses.database}/.settings/faults.json"
