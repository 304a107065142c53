"""``python -m benchmarks.heart``: the longest time without a renewal of the lease while a library holds Python's lock.

EASE inverts a matrix as large as the catalogue by LAPACK, which keeps the interpreter's lock. A run is a process that
takes a lease, and fits EASE while a thread or a process renews it every quarter of a second; this process looks at the
lease in the database meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from bookrec import paths
from bookrec_database.connection import connect, disconnect
from local.database_emulator import running

BOOKS, QUICK_BOOKS = 12_000, 2_000
EVERY_S = 0.25
RUN = """
import sys
import numpy as np
import scipy.sparse as sp
from bookrec_operations.lease_holder import LeaseHolder, beat_in_thread
from trainer.cloud import now_ms
from trainer.command_line.connections import project_databases
from trainer.evaluation.ease import ease
from trainer.publishing.heart import beat_in_process

heart, books = {"thread": beat_in_thread, "process": beat_in_process}[sys.argv[1]], int(sys.argv[2])
shelves = sp.random(5_000, books, 0.002, "csr", np.float32, np.random.default_rng(1))
features = sp.identity(books, np.float32, "csr")
with project_databases() as databases:
    with LeaseHolder(databases.database, now_ms, lambda beat, _: heart(beat, 0.25), 600_000, 3_600_000):
        ease(shelves, features, 100.0, 1.0)
"""


def main() -> None:
    """Print the longest time without a renewal, and how long the run took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heart", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_BOOKS:,} books instead of {BOOKS:,}")
    books = QUICK_BOOKS if parser.parse_args().quick else BOOKS
    with running() as emulator:
        for heart in ("thread", "process"):
            longest, seconds = _measure(heart, books, emulator.address)
            print(
                f"{books:,} books, renewed by a {heart}: {longest:.1f} s at most without a renewal, in {seconds:.1f} s"
            )


def _measure(heart: str, books: int, address: str) -> tuple[float, float]:
    """Return the longest time between two renewals, and the seconds from the first to the end of the run."""
    url = f"http://{address}?ns={heart}"
    environment = {
        **os.environ,
        "GOOGLE_CLOUD_PROJECT": "demo-bookrec",
        "DATABASE_URL": url,
        "DATABASES": "",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    expiry = connect("demo-bookrec", url)(f"{paths.LEASE}/expiresAt")
    run = subprocess.Popen([sys.executable, "-c", RUN, heart, str(books)], env=environment)
    seen, began, renewed, longest = None, 0.0, 0.0, 0.0
    try:
        while run.poll() is None:
            value, now = expiry.get(), time.monotonic()
            if value != seen:
                began, renewed, seen = began or now, now, value
            longest = max(longest, now - renewed) if began else 0.0
            time.sleep(EVERY_S / 5)
    finally:
        run.kill()
        run.wait()
        disconnect()
    if run.returncode:
        raise RuntimeError(f"the run ended with exit code {run.returncode}")
    return longest, time.monotonic() - began


if __name__ == "__main__":
    main()
