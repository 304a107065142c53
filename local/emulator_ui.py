"""The Emulator UI: firebase-tools downloads its files at the first start, and does not start without them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "node_modules" / "firebase-tools"
REACHABLE_S, DOWNLOAD_S = 3, 120
"""How long the download's server may take to answer, and the download (4 MB) to be done."""


def is_installed() -> bool:
    """Return True if firebase-tools finds the UI's files in its cache."""
    details = _details()
    return details is not None and (_cache() / details["binaryPathRelativeToCacheDir"]).exists()


def install() -> bool:
    """Have firebase-tools download the UI unless its files are there; return True if they are there then."""
    details = _details()
    if details is None or is_installed():
        return details is not None
    try:
        requests.head(details["remoteUrl"], timeout=REACHABLE_S).raise_for_status()
        command = [str(ROOT / "node_modules" / ".bin" / "firebase"), "setup:emulators:ui"]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOWNLOAD_S, check=True)
    except (requests.RequestException, subprocess.SubprocessError, OSError):
        return False
    return is_installed()


def _details() -> dict[str, Any] | None:
    """Return what firebase-tools knows about the download, or None if it does not say so where it does today."""
    try:
        details: dict[str, Any] = json.loads((TOOLS / "lib/emulator/downloadableEmulatorInfo.json").read_text())
        return dict(details["ui"]["main"])
    except (OSError, ValueError, KeyError):
        return None


def _cache() -> Path:
    return Path(os.environ.get("FIREBASE_EMULATORS_PATH") or Path.home() / ".cache" / "firebase" / "emulators")
