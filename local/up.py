"""The local stack, for development: functions that reload, the pages, and the data of the last run if that was kept.

python -m local.up [--data emulator-data] [--out out] [--keep-data FOLDER] [--no-train] [--fresh-ports]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookrec import paths
from local import emulator_ui
from local.accounts import ACCOUNTS, READERS
from local.kept_data import METADATA, KeptData, KeptDataError
from local.reader import Reader
from local.reloads import Reloads, end_replaced_workers, is_watched
from local.schedule import reconciling
from local.signals import interrupt_on_signals
from local.stack import ROOT, Stack, StackError

PROBLEMS = (StackError, KeptDataError, subprocess.CalledProcessError, OSError)
"""What may keep a stack from starting or from running; the message says what to do. A failed request is an OSError."""

LOOK_EVERY_S, CLEAN_EVERY_S = 0.5, 10.0
TRAINER_END_S = 20.0

COMMANDS_NEED = ("GOOGLE_CLOUD_PROJECT", "FIREBASE_DATABASE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
"""What the operators' commands must find in the environment to use a local stack."""


def main() -> int:
    """Start the stack and keep it running; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.up", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "emulator-data", help="an export, or real ratings as CSV")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder for logs")
    parser.add_argument("--keep-data", type=Path, help="folder that keeps database, accounts and models between runs")
    parser.add_argument("--no-train", action="store_true", help="train no first model")
    parser.add_argument("--fresh-ports", action="store_true", help="take free ports, next to another stack")
    arguments = parser.parse_args()
    interrupt_on_signals()
    try:
        kept = KeptData(arguments.keep_data) if arguments.keep_data else None
        with started(arguments.data, arguments.out, kept=kept, fresh_ports=arguments.fresh_ports, ui=True) as stack:
            stack.sign_up_accounts()
            write_profiles(stack)
            show(stack)
            stay(stack, trainer=train_first(stack, is_wanted=not arguments.no_train))
        say("Stopped; nothing is left running.")
        return 0
    except PROBLEMS as problem:
        say(f"The stack failed: {problem}\nLogs: {arguments.out}/*.log")
        return 1
    except KeyboardInterrupt:
        say("\nStopped; nothing is left running.")
        return 130


def say(line: str) -> None:
    """Print a line at once; a terminal that was closed must not keep the stack from ending."""
    with contextlib.suppress(OSError):
        print(line, flush=True)  # noqa: T201


@contextmanager
def started(
    data: Path, out: Path, *, kept: KeptData | None = None, fresh_ports: bool = False, ui: bool = False
) -> Iterator[Stack]:
    """Start the stack with the minute's schedule, and end it with the block.

    Args:
        data: an export, or a folder with ratings.csv and books.csv.
        out: folder for logs.
        kept: what to begin with instead of ``data`` if it holds anything; the data are written there at the end.
        fresh_ports: take free ports although those of ``firebase.json`` are free.
        ui: start the Emulator UI if its files can be had.
    """
    is_kept = kept is not None and kept.prepare()
    export = kept.folder if kept is not None and is_kept else _export_of(data, out)
    has_ui = ui and emulator_ui.install()
    say("\n== Starting the Emulator Suite and Cloud Storage")
    if kept is not None and is_kept:
        say(f"   with what {kept.folder} has kept")
    if ui and not has_ui:
        say("   without the Emulator UI: its download is not in firebase-tools' cache, and cannot be reached")
    stack = Stack(data=export, logs=out, fresh_ports=fresh_ports, ui=has_ui, say=lambda line: say(f"   {line}"))
    with stack, reconciling(stack):
        try:
            yield stack
        except KeyboardInterrupt:
            _keep(stack, kept)
            raise
        except Exception:
            # What was done with the stack is worth keeping, if the emulators still run.
            try:
                _keep(stack, kept)
            except StackError as problem:
                say(str(problem))
            raise
        _keep(stack, kept)


def _keep(stack: Stack, kept: KeptData | None) -> None:
    if kept is not None:
        stack.export(kept)
        say(f"Database, accounts and models are kept in {kept.folder}")


def _export_of(data: Path, out: Path) -> Path:
    """Return an export of the emulators: ``data`` itself, or one made of its ratings."""
    if (data / METADATA).exists():
        return data
    say(f"\n== Turning {data} into a database")
    export = out / "import"
    shutil.rmtree(export, ignore_errors=True)  # an earlier one: the command overwrites nothing
    command = [sys.executable, "-m", "trainer", "import", str(data.resolve()), "--out", str(export.resolve())]
    subprocess.run(command, cwd=ROOT, check=True)
    return export


def write_profiles(stack: Stack) -> None:
    """Write the profiles of the readers' accounts, as the app does at sign-up, unless they are there."""
    for account in READERS:
        reader = Reader(stack.addresses, account.email, account.password)
        # Replacing a profile would remove the list below it.
        if reader.request("GET", f"Users/{reader.uid}/id").json() is None:
            reader.sign_up()


def show(stack: Stack) -> None:
    """Print the addresses of a running stack, and the accounts for its pages."""
    at = stack.addresses
    say("\n== The pages")
    say(f"   {stack.web}/           for readers: rate a book, and see the list follow")
    say(f"   {stack.web}/operator   for operators: the model, its training, what readers make of it")
    if at.ui:
        say(f"   http://{at.ui}/           the Emulator UI")
    say("")
    for account in ACCOUNTS:
        say(f"   {account.email:22} {account.password}")
    say("\n== The services, for programs (their addresses are not pages)")
    say(f"   database    http://{at.database}/?ns={at.namespace}")
    say(f"   functions   http://{at.functions}/{at.project}/us-central1/")
    say(f"   auth        http://{at.auth}/")
    say(f"   storage     http://{at.storage}/ (bucket {at.bucket}); for Firebase's SDKs http://{at.firebase_storage}/")
    say(f"   logs        {stack.logs}/*.log")
    say("   commands    paste these lines into another shell, in this folder:")
    for name in COMMANDS_NEED:
        say(f"      export {name}={at.environment[name]}")
    say("      .venv/bin/python -m trainer status")


def train_first(stack: Stack, *, is_wanted: bool) -> subprocess.Popen[bytes] | None:
    """Say which model is live; if none is, start to train one if that is wanted, and return the run."""
    version = stack.admin_get(f"{paths.MODEL}/version")
    if version is not None:
        say(f"\nModel {version} is live.")
        return None
    if not is_wanted:
        say("\nNo model is live: lists have popular books until the queue trains one, some minutes from now.")
        say("The operator's page has a button that starts it at once.")
        return None
    say("\nNo model is live yet: lists have popular books until a first one is trained, about a minute from now.")
    return stack.start_trainer("run", log=stack.logs / "trainer.log")


def stay(stack: Stack, trainer: subprocess.Popen[bytes] | None = None) -> None:
    """Keep the stack running until Ctrl-C, and say what happens meanwhile.

    Raises:
        StackError: if one of the stack's programs ends.
    """
    if not is_watched(ROOT / "functions"):
        say("\nFunctions do not reload here: firebase-tools watches no path with a name that begins with a dot.")
    say("\nEverything stays up until Ctrl-C. A change in functions/ is reloaded when it is saved.")
    reloads, cleaned_at = Reloads(stack.emulators_log), time.monotonic()
    try:
        while True:
            stack.check()
            for line in reloads.news():
                say(f"   {line}")
            if trainer is not None and trainer.poll() is not None:
                say(f"   {_outcome(stack, trainer)}")
                trainer = None
            if time.monotonic() - cleaned_at > CLEAN_EVERY_S:
                end_replaced_workers(stack.processes)
                cleaned_at = time.monotonic()
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        say("\nStopping.")
        if trainer is not None and trainer.poll() is None:
            trainer.send_signal(signal.SIGINT)  # it gives its lease back, so that the next run can begin at once
            with contextlib.suppress(subprocess.TimeoutExpired):
                trainer.wait(TRAINER_END_S)


def _outcome(stack: Stack, trainer: subprocess.Popen[bytes]) -> str:
    if trainer.returncode:
        return f"the training run ended with code {trainer.returncode}; its log is {stack.logs / 'trainer.log'}"
    return f"model {stack.admin_get(f'{paths.MODEL}/version')} is live: the lists of all readers follow"


if __name__ == "__main__":
    sys.exit(main())
