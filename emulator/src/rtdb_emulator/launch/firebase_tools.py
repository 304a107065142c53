"""How firebase-tools is made to start this program where it would start Google's JAR."""

from __future__ import annotations

import os
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
        version = java_version(env.get("PATH"))
        if version is None or version < NEEDED_JAVA:
            found = "none" if version is None else f"Java {version}"
            raise LaunchError(
                f"EMULATOR=official needs Java {NEEDED_JAVA} or newer on PATH, found {found}. Install a JDK "
                f"{NEEDED_JAVA}, and let firebase-tools download the emulator once "
                "(`npx firebase setup:emulators:database`). Where that download cannot be had, leave EMULATOR "
                "unset to use the one in emulator/, which needs neither."
            )
        return env
    env["PATH"] = os.pathsep.join(filter(None, [str(HERE / "bin"), env.get("PATH")]))
    env["DATABASE_EMULATOR_BINARY_PATH"] = str(HERE / "bin" / "java")
    return env


def java_version(path: str | None = None) -> int | None:
    """Return the major version of the ``java`` on ``path`` (PATH where None), or None where none answers."""
    java = shutil.which("java", path=path)
    if java is None:
        return None
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else None
