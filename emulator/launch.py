"""How firebase-tools is made to start this program where it would start Google's JAR."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEEDED_JAVA = 21


class LaunchError(RuntimeError):
    """Google's emulator was asked for and cannot be had; the message says what to install."""


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which to run firebase-tools.

    ``EMULATOR=official`` in ``base`` leaves Google's JAR in charge, which firebase-tools downloads at its first
    start; otherwise our ``java`` comes first on PATH, and any existing file stands for the JAR.

    Raises:
        LaunchError: where the official emulator is asked for without the Java that it needs.
    """
    env = dict(base)
    if env.get("EMULATOR") == "official":
        version = java_version()
        if version is None or version < NEEDED_JAVA:
            found = "none" if version is None else f"Java {version}"
            raise LaunchError(
                f"EMULATOR=official needs Java {NEEDED_JAVA} or newer on PATH, found {found}. Install a JDK "
                f"{NEEDED_JAVA}, and let firebase-tools download the emulator once "
                "(`npx firebase setup:emulators:database`), or leave EMULATOR unset to use the one in emulator/."
            )
        return env
    env["PATH"] = f"{HERE / 'bin'}:{env.get('PATH', '')}"
    env["DATABASE_EMULATOR_BINARY_PATH"] = str(HERE / "bin" / "java")
    return env


def java_version() -> int | None:
    """Return the major version of the ``java`` on PATH, or None where there is none."""
    java = shutil.which("java")
    if java is None:
        return None
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else None
