"""A Cloud Storage emulator on a free port."""

import time

import pytest
import requests

from local.processes import Processes, free_port
from local.stack import storage_program


@pytest.fixture(scope="session")
def storage_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gcs")
    port, processes = free_port(), Processes()
    url = f"http://127.0.0.1:{port}"
    command = [str(storage_program()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    processes.start(
        [*command, "-backend", "memory", "-external-url", url, "-public-host", f"127.0.0.1:{port}"],
        log=folder / "gcs.log",
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            requests.get(f"{url}/storage/v1/b", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield url
    processes.stop(patience_s=5)
