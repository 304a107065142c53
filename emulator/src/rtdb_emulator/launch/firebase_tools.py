"""The environment in which firebase-tools starts this emulator in the place of Google's JAR."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

BIN = Path(__file__).resolve().parent / "bin"
PYTHON = "RTDB_EMULATOR_PYTHON"
"""Environment variable that tells ``bin/java`` which Python has this package."""

NEEDED_JAVA = 21


class LaunchError(RuntimeError):
    """firebase-tools cannot be run with an emulator; the message says what to do."""


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which to run firebase-tools.

    ``EMULATOR=official`` in ``base`` leaves Google's JAR in charge, which firebase-tools downloads at its first
    start; otherwise the ``java`` of this package comes first on PATH, and is named as the JAR too.

    Raises:
        LaunchError: if Google's emulator is asked for without the Java that it needs, or the package is incomplete.
    """
    env = dict(base)
    if env.get("EMULATOR") == "official":
        version = java_version(env.get("PATH"))
        if version is None or version < NEEDED_JAVA:
            there = "there is none" if version is None else f"this is Java {version}"
            raise LaunchError(
                f"EMULATOR=official needs Java {NEEDED_JAVA} or newer on PATH, and {there}. Install a JDK "
                f"{NEEDED_JAVA}, and let firebase-tools download the emulator once "
                "(`npx firebase setup:emulators:database`). Without that download, leave EMULATOR unset: "
                "this emulator needs neither."
            )
        return env
    java = BIN / "java"
    if not os.access(java, os.X_OK):
        raise LaunchError(f"{java} is missing or not executable: install rtdb-emulator again")
    env["PATH"] = os.pathsep.join(filter(None, [str(BIN), env.get("PATH")]))
    env["DATABASE_EMULATOR_BINARY_PATH"] = str(java)
    env[PYTHON] = sys.executable
    return env


def java_version(path: str | None = None) -> int | None:
    """Return the major version of the ``java`` on ``path`` (PATH if None), or None if there is none that answers."""
    java = shutil.which("java", path=path)
    if java is None:
        return None
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(version.group(1)) if version else None
