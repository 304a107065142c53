"""The main job, start to end: a reader rates a book, the list follows, the model retrains and replaces itself.

python -m local.demo [--data emulator-data | FOLDER WITH ratings.csv AND books.csv] [--out out] [--keep]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bookrec.catalogue import parse_catalogue
from bookrec.ranking import LIST_SIZE
from local.accounts import READERS
from local.reader import Reader
from local.signals import interrupt_on_signals
from local.stack import ROOT, Stack, StackError
from local.up import PROBLEMS, say, show, started, stay

FIRST_BOOKS = 5
"""The number of books that the demo's reader rates: enough changes for a retraining under the emulators."""

STARS = (5, 4.5, 4, 5, 0)

MODEL_PATIENCE_S = 900.0


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "emulator-data", help="an export, or real ratings as CSV")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder for logs and demo.json")
    parser.add_argument("--keep", action="store_true", help="leave everything running, and the pages up, until Ctrl-C")
    arguments = parser.parse_args()
    interrupt_on_signals()
    try:
        return Demo(arguments.out, keep=arguments.keep).run(arguments.data)
    except PROBLEMS as problem:
        say(f"The demo failed: {problem}\nLogs: {arguments.out}/*.log")
        return 1
    except KeyboardInterrupt:
        say("\nStopped; nothing is left running.")
        return 130


class Demo:
    """One run; ``result`` is the content of ``demo.json``."""

    def __init__(self, out: Path, *, keep: bool = False) -> None:
        self._out, self._keep = out, keep
        self._said_s = 0.0
        self.result: dict[str, Any] = {"write_to_list_ms": []}

    def run(self, data: Path) -> int:
        """Play all scenes; return 0 if the lists are as promised."""
        with started(data, self._out, ui=self._keep) as stack:
            self.result["train_s"] = self._train_first(stack)
            reader, keys = self._rate_books(stack)
            self._change_and_remove(reader, keys)
            self._wait_for_second(stack, reader)
            self._check(stack, reader)
            self._write()
            if self._keep:
                self._keep_up(stack)
        left = stack.processes.alive()
        if left:
            say(f"Still running: {[process.pid for process in left]}")
        elif self._keep:
            say("Stopped; nothing is left running.")
        else:
            say("To see it for yourself, in a browser: make demo KEEP=1")
        return 1 if left else 0

    def _train_first(self, stack: Stack) -> float:
        self._step("Training and publishing a first model (python -m trainer run)")
        began = time.monotonic()
        trainer = stack.start_trainer("run", log=self._out / "trainer.log")
        while trainer.poll() is None:
            time.sleep(0.2)
            self._tick(began)
        if trainer.returncode:
            raise StackError(f"the trainer ended with code {trainer.returncode}; see {self._out / 'trainer.log'}")
        seconds = time.monotonic() - began
        self.result["first_version"] = stack.admin_get("Recommender/model/version")
        say(f"\r   version {self.result['first_version']} is live after {seconds:.1f} s")
        self._wait_for_fanout(stack, self.result["first_version"])
        return seconds

    def _rate_books(self, stack: Stack) -> tuple[Reader, list[str]]:
        self._step("A new reader signs up and rates books, as the app does: with a token, through the rules")
        reader = Reader(stack.addresses, f"reader-{int(time.time())}@example.com")
        reader.sign_up()
        titles = {book["isbn"]: book["title"] for book in stack.admin_get("archive").values()}
        keys = []
        for isbn, rating in zip(self._taste(stack), STARS, strict=True):
            began = time.monotonic()
            keys.append(reader.shelve(isbn, rating))
            self._await_list(
                reader,
                began,
                f"rated {rating} stars: {titles[isbn]}" if rating else f"shelved, not rated: {titles[isbn]}",
            )
        self.result["list_before"] = reader.recommendations()
        self._show(self.result["list_before"], titles)
        return reader, keys

    def _taste(self, stack: Stack, rank: int = 0) -> list[str]:
        """Return books of one taste: those that the readers of a popular book have shelved most."""
        entries = list(stack.admin_get("User_Book").values())
        catalogue, _ = parse_catalogue(stack.admin_get("archive"))
        counts = Counter(entry["isbn"] for entry in entries if entry["isbn"] in catalogue)
        favourite = counts.most_common(rank + 1)[-1][0]
        fans = {entry["userId"] for entry in entries if entry["isbn"] == favourite}
        fans = set(sorted(fans)[:50])
        shared = Counter(entry["isbn"] for entry in entries if entry["userId"] in fans and entry["isbn"] in catalogue)
        return [isbn for isbn, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))[:FIRST_BOOKS]]

    def _change_and_remove(self, reader: Reader, keys: list[str]) -> None:
        self._step("The reader changes a rating, removes a book and dismisses one: the list follows")
        began = time.monotonic()
        reader.rate(keys[0], 2.5)
        self._await_list(reader, began, "changed 5 stars to 2.5")
        began = time.monotonic()
        reader.remove(keys[1])
        self._await_list(reader, began, "removed a book")
        book = (reader.recommendations() or {})["items"][0]
        began = time.monotonic()
        reader.dismiss(book["isbn"])
        self._await_list(reader, began, f"not interested: {book['title']}")
        began = time.monotonic()
        reader.dismiss(book["isbn"], undo=True)
        self._await_list(reader, began, "took that back")

    def _wait_for_second(self, stack: Stack, reader: Reader) -> None:
        self._step("The queue retrains by itself, once the readers are quiet; a second model goes live")
        began = time.monotonic()
        while stack.admin_get("Recommender/model/version") == self.result["first_version"]:
            if time.monotonic() - began > MODEL_PATIENCE_S:
                raise TimeoutError(f"no second model after {MODEL_PATIENCE_S:.0f} s")
            time.sleep(0.2)
            self._tick(began)
        version = self.result["second_version"] = stack.admin_get("Recommender/model/version")
        say(f"\r   version {version} is live after {time.monotonic() - began:.1f} s")
        self._wait_for_fanout(stack, version)
        self.result["list_after"], _ = reader.wait_for_list()
        titles = {book["isbn"]: book["title"] for book in stack.admin_get("archive").values()}
        self._show(self.result["list_after"], titles)

    def _check(self, stack: Stack, reader: Reader) -> None:
        catalogue, _ = parse_catalogue(stack.admin_get("archive"))
        shelf = set(reader.shelf().ratings)
        isbns = [item["isbn"] for item in self.result["list_after"]["items"]]
        if len(set(isbns)) != LIST_SIZE or shelf & set(isbns) or not all(isbn in catalogue for isbn in isbns):
            raise StackError(f"the list is not {LIST_SIZE} books of the catalogue that are not on the shelf: {isbns}")
        say(f"\n{LIST_SIZE} books, none of them on the reader's shelf, each in the catalogue.")

    def _wait_for_fanout(self, stack: Stack, version: str, patience_s: float = 300.0) -> None:
        began = time.monotonic()
        while time.monotonic() - began < patience_s:
            state = stack.admin_get("Recommender/status/fanout") or {}
            if (
                state.get("publication", "").startswith(f"{version}@")
                and len(state.get("done") or ()) == state["shards"]
            ):
                say(f"   the lists of all readers are refreshed, {time.monotonic() - began:.1f} s later")
                return
            time.sleep(0.2)
        raise TimeoutError(f"the lists were not refreshed with {version} after {patience_s:.0f} s")

    def _keep_up(self, stack: Stack) -> None:
        stack.sign_up_accounts()
        for number, account in enumerate(READERS):
            reader = Reader(stack.addresses, account.email, account.password)
            reader.sign_up()
            for isbn, rating in zip(self._taste(stack, rank=5 + 25 * number), STARS, strict=True):
                reader.shelve(isbn, rating)
            reader.wait_for_list()
        show(stack)
        stay(stack)

    def _await_list(self, reader: Reader, began: float, what: str) -> None:
        reader.wait_for_list()
        milliseconds = (time.monotonic() - began) * 1000
        self.result["write_to_list_ms"].append(round(milliseconds, 1))
        say(f"   {milliseconds:7.0f} ms from write to list   {what}")

    def _show(self, recommendations: dict[str, Any], titles: dict[str, str]) -> None:
        say(f"\n   The list ({recommendations['source']}, model {recommendations['modelVersion']}):")
        for rank, item in enumerate(recommendations["items"], start=1):
            reasons = ", ".join(titles.get(isbn, isbn)[:30] for isbn in item.get("because", []))
            stars = f"{item['predictedRating']:.1f}" if "predictedRating" in item else "-"
            reason = f"because of {reasons}" if reasons else item["source"]
            say(f"   {rank:3}. {item['title'][:56]:56} {item['author'][:20]:20} {stars:>4} stars  {reason}")

    def _tick(self, began: float) -> None:
        seconds = time.monotonic() - began
        if sys.stdout.isatty():
            print(f"\r   {seconds:5.0f} s", end="", flush=True)  # noqa: T201
        elif seconds > self._said_s + 15:
            say(f"   {seconds:5.0f} s …")
            self._said_s = seconds

    def _step(self, what: str) -> None:
        self._said_s = 0.0
        say(f"\n== {what}")

    def _write(self) -> None:
        path = self._out / "demo.json"
        path.write_text(json.dumps(self.result, indent=1))
        say(f"Wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
