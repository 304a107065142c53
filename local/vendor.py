"""Firebase's browser modules for the pages: copied from npm's package, since the pages have no build step.

python -m local.vendor [FOLDER]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "web" / "vendor"
PACKAGE = ROOT / "node_modules" / "firebase"
MODULES = ("app", "auth", "database", "storage", "functions")
"""The parts of the SDK that a page may import; each is one file that depends on ``firebase-app.js`` alone."""


class VendorError(RuntimeError):
    """The SDK is not installed; the message says what to do."""


def copy(folder: Path = FOLDER, package: Path = PACKAGE) -> None:
    """Copy the modules that are missing or of another version; stacks may do it at the same time."""
    if not package.exists():
        raise VendorError("the Firebase SDK is not installed: run `make setup` first")
    folder.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        name = f"firebase-{module}.js"
        # A browser's tools would ask for the source map, which is not here.
        text = (package / name).read_text().split("\n//# sourceMappingURL=")[0] + "\n"
        copied = folder / name
        if not copied.exists() or copied.read_text() != text:
            part = folder / f".{name}.{os.getpid()}"
            part.write_text(text)
            part.replace(copied)


if __name__ == "__main__":
    copy(*map(Path, sys.argv[1:2]))
