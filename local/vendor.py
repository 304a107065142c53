"""The pages' libraries: browser modules copied from npm's packages, since the pages have no build step.

python -m local.vendor [FOLDER]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "web" / "vendor"
PACKAGES = ROOT / "node_modules"
MODULES = ("app", "auth", "database", "storage", "functions")
"""The parts of the Firebase SDK that a page may import; each is one file that depends on ``firebase-app.js`` alone."""

OTHERS = {"csv-parse.js": ("csv-parse", "dist/esm/sync.js")}
"""Other libraries by the name of the copy: the package, and its browser module, which depends on nothing."""


class VendorError(RuntimeError):
    """A library is not installed; the message says what to do."""


def copy(folder: Path = FOLDER, packages: Path = PACKAGES) -> None:
    """Copy the modules that are missing or of another version; stacks may do it at the same time."""
    if not (packages / "firebase").exists():
        raise VendorError("the Firebase SDK is not installed: run `make setup` first")
    if missing := [package for package, _ in OTHERS.values() if not (packages / package).exists()]:
        raise VendorError(f"{missing[0]} is not installed: run `npm ci`")
    folder.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        name = f"firebase-{module}.js"
        _keep(folder / name, _without_source_map((packages / "firebase" / name).read_text()))
    for name, (package, module) in OTHERS.items():
        # Its licence asks to be part of each copy.
        licence = (packages / package / "LICENSE").read_text().strip()
        _keep(folder / name, f"/*!\n{licence}\n*/\n" + _without_source_map((packages / package / module).read_text()))


def _without_source_map(text: str) -> str:
    """Return a module without the address of its source map: a browser's tools would ask for it, and it is not here."""
    return text.split("\n//# sourceMappingURL=")[0] + "\n"


def _keep(copied: Path, text: str) -> None:
    if not copied.exists() or copied.read_text() != text:
        part = copied.with_name(f".{copied.name}.{os.getpid()}")
        part.write_text(text)
        part.replace(copied)


if __name__ == "__main__":
    copy(*map(Path, sys.argv[1:2]))
