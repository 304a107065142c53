"""Chaos: readers write while events get lost and doubled, training runs are killed, and functions restart.

python -m local.chaos [--kills 20] [--seed 1] [--data emulator-data] [--out out]

In the end everything must be as if nothing had happened; exit code 1 if it is not.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bookrec import paths
from bookrec.paths import children
from bookrec.push_keys import first_key
from bookrec.shelf import MAX_SHELF
from local import chaos_checks as checks
from local import chaos_faults as faults
from local.chaos_actors import Keeper, Watcher, Writer
from local.chaos_report import report
from local.reader import Reader
from local.signals import interrupt_on_signals
from local.stack import ROOT, Stack, StackError
from local.up import say

MINIMUM_CHANGES = 5
PARAMETERS = {
    "RETRAIN_QUIET_SECONDS": "1",
    "RETRAIN_MINIMUM_CHANGES": str(MINIMUM_CHANGES),
    "RETRAIN_RETRY_SECONDS": "1",
    "RETRAIN_ATTEMPTS": "3",
    "TRAINER_START_SECONDS": "30",
    "LEASE_SECONDS": "6",
    "FANOUT_SHARD_SIZE": "10",
}
"""Shorter than the defaults: twenty runs can die in a quarter of an hour, and retraining is soon parked."""

READERS = 6
FULL_SHELF_BOOKS = 100
"""One reader begins with as many entries as count, of so many books: each further entry pushes out the oldest one."""
IMPORTED_AT_MS = 1_577_836_800_000
RECONCILE_EVERY_S = 3.0
QUIET_PATIENCE_S = 300.0


def main() -> int:
    """Run the chaos; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="training runs to kill")
    parser.add_argument("--seed", type=int, default=1, help="seed of what readers write and of what goes wrong")
    parser.add_argument("--data", type=Path, default=ROOT / "emulator-data", help="the export to start with")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder for logs and chaos.json")
    arguments = parser.parse_args()
    interrupt_on_signals()
    stack = Stack(
        data=arguments.data,
        logs=arguments.out,
        parameters=PARAMETERS,
        fresh_ports=True,
        say=lambda line: say(f"   {line}"),
    )
    chaos = Chaos(stack, arguments.kills, arguments.seed)
    try:
        with stack:
            chaos.run()
    except (StackError, TimeoutError) as problem:
        chaos.problems.append(str(problem))
    except KeyboardInterrupt:
        say("\nStopped; nothing is left running.")
        return 130
    chaos.problems += [f"still running: {process.pid} {process.name()}" for process in stack.processes.alive()]
    report(chaos.result, chaos.problems, arguments.out)
    return 1 if chaos.problems else 0


class Chaos:
    """One run on a stack that is up.

    Attributes:
        result: the content of ``chaos.json``.
        problems: everything that is wrong.
    """

    def __init__(self, stack: Stack, kills: int, seed: int) -> None:
        self._stack, self._number, self._seed = stack, kills, seed
        self._chance = random.Random(f"{seed} kills")
        self._began = time.monotonic()
        self.result: dict[str, Any] = {"seed": seed, "kills": [], "restarts": 0, "workers_killed": 0}
        self.problems: list[str] = []
        self._full_uid = ""

    def run(self) -> None:
        """Run all steps."""
        faults.set_deliveries(self._stack, self._seed)
        self._step("A first training run, unharmed")
        run_s = self._train_first()
        self._step(f"{READERS} readers write; {self._number} runs are killed; the functions restart now and then")
        watcher, keeper, writers = Watcher(self._stack), Keeper(self._stack, RECONCILE_EVERY_S), self._writers()
        for actor in (watcher, keeper, *writers):
            actor.start()
        try:
            self._kill_all(run_s, writers)
            self._step("The readers stop, and nothing goes wrong any more: everything must come to rest")
            self._await_rest()
        finally:
            for actor in (keeper, watcher):
                actor.finish()
            self.problems += [problem for actor in (watcher, keeper, *writers) for problem in actor.problems]
            self._note(keeper, watcher)
        self._check()

    def _kill_all(self, run_s: float, writers: list[Writer]) -> None:
        try:
            for moment in faults.draw_moments(self._number, run_s, self._chance):
                self._kill_one(moment, run_s)
        finally:
            for writer in writers:
                writer.finish()
            self.result["deliveries"] = faults.clear_deliveries(self._stack)
            self.result["writes"] = dict(sum((writer.writes for writer in writers), Counter()))

    def _train_first(self) -> float:
        began, log = time.monotonic(), self._stack.logs / "trainer.log"
        trainer = self._stack.start_trainer("run", log=log)
        try:
            code = trainer.wait(600)
        except subprocess.TimeoutExpired as problem:
            raise StackError(f"the first run has not ended in {problem.timeout:.0f} s; its log is {log}") from problem
        if code:
            raise StackError(f"the first run ended with code {code}; its log is {log}")
        seconds = self.result["first_run_s"] = round(time.monotonic() - began, 1)
        say(f"   {seconds} s")
        return seconds

    def _writers(self) -> list[Writer]:
        isbns = sorted({book["isbn"] for book in self._stack.admin_get(paths.ARCHIVE).values()})
        writers: list[Writer] = []
        for number in range(READERS):
            reader = Reader(self._stack.addresses, f"chaos-{number}@example.com")
            reader.sign_up()
            if not writers:
                self._full_uid = reader.uid
                self._stack.admin_import(paths.USER_BOOK, _full_shelf(reader.uid, isbns[:FULL_SHELF_BOOKS]))
            writers.append(Writer(reader, isbns, random.Random(f"{self._seed} reader {number}")))
        return writers

    def _kill_one(self, moment: faults.Moment, run_s: float) -> None:
        while True:
            run = faults.await_run(self._stack)
            kill, workers = faults.kill_at(self._stack, run, moment)
            self.result["restarts"] += moment.restart_s is not None
            self.result["workers_killed"] += workers
            if kill is not None:
                self.result["kills"].append(asdict(kill))
                number = f"{len(self.result['kills']):2} of {self._number}"
                say(f"   {number}: {kill.run} dies after {kill.after_s:4} s in {kill.step:10}"
                    f" -> {kill.outcome}, lease free after {kill.free_after_s} s")  # fmt: skip
                return
            say("   a run was over before it could be killed")
            moment = faults.Moment(self._chance.uniform(0, run_s))

    def _await_rest(self) -> None:
        """Wait until two checks in a row find nothing wrong, or patience ends."""
        began, good = time.monotonic(), 0
        while good < 2 and time.monotonic() - began < QUIET_PATIENCE_S:
            time.sleep(2)
            wrong, _ = checks.check_database(self._stack, MINIMUM_CHANGES)
            good = 0 if wrong or faults.trainer_runs(self._stack) else good + 1
        self.result["rest_after_s"] = round(time.monotonic() - began, 1)
        say(f"   {self.result['rest_after_s']} s")

    def _note(self, keeper: Keeper, watcher: Watcher) -> None:
        total = self._stack.admin_get(f"{paths.STATUS}/reconcile/total") or {}
        self.result |= {
            "reconcile": {"calls": keeper.calls, "failed": keeper.failed, "repaired": total},
            "releases": keeper.releases,
            "published": watcher.published,
            "seconds": round(time.monotonic() - self._began, 1),
        }

    def _check(self) -> None:
        nodes = self._stack.admin_get(paths.USER_BOOK).values()
        self.result["largest_shelf"] = sum(children(node).get("userId") == self._full_uid for node in nodes)
        if self.result["largest_shelf"] < MAX_SHELF:
            self.problems.append(f"the largest shelf has only {self.result['largest_shelf']} entries")
        wrong, self.result["lists_checked"] = checks.check_database(self._stack, MINIMUM_CHANGES)
        self.problems += wrong + checks.check_model(self._stack)

    def _step(self, what: str) -> None:
        say(f"\n== {what}")


def _full_shelf(uid: str, isbns: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return old entries by push key, as many as count, with some of each book."""
    entries: dict[str, dict[str, object]] = {}
    for number in range(MAX_SHELF):
        entry = {
            "userId": uid,
            "bookId": f"-N{number:018}",
            "isbn": isbns[number % len(isbns)],
            "myRate": number % 11 / 2,
        }
        entries[f"{first_key(IMPORTED_AT_MS + number)}{number:012}"] = entry
    return entries


if __name__ == "__main__":
    sys.exit(main())
