"""The trainer as a process on this machine, in its own environment: used with the emulators."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The root of the checkout; deployed functions have none."""

_OF_THIS_ENVIRONMENT = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")


class LocalTrainerJobs:
    """Implements ``ports.TrainerJobs``; ``TRAINER_PYTHON`` and ``TRAINER_LOG`` override its Python and its log file."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def start(self, run_id: str, fence: int) -> None:
        """Start the run detached: it outlives the worker that started it."""
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_THIS_ENVIRONMENT}
        python = os.environ.get("TRAINER_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
        log = Path(os.environ.get("TRAINER_LOG") or ROOT / "out" / "trainer.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [python, "-m", "trainer", "run", "--run-id", run_id, "--fence", str(fence)],
                cwd=ROOT,
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie when it ends
