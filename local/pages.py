"""The pages of one stack: the files of ``web/`` with the stack's own configuration and headers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local import vendor

WEB = vendor.ROOT / "web"
POLICY = "Content-Security-Policy"


def lay_out(folder: Path, configuration: Mapping[str, object]) -> None:
    """Make a hosting folder: ``config.json``, and links to the files of ``web/``, where an edit shows at once."""
    vendor.copy()
    folder.mkdir(parents=True)
    for file in WEB.iterdir():
        if file.name != "config.json" and not file.name.startswith("."):
            (folder / file.name).symlink_to(os.path.relpath(file, folder))
    (folder / "config.json").write_text(json.dumps(configuration, indent=1))


def client_configuration(project: str, namespace: str, bucket: str, emulators: Mapping[str, str]) -> dict[str, object]:
    """Return the configuration of a page; ``emulators`` are addresses (``host:port``) by service."""
    return {
        "apiKey": "emulator",
        "authDomain": f"{project}.firebaseapp.com",
        "databaseURL": f"https://{namespace}.firebaseio.com",
        "projectId": project,
        "storageBucket": bucket,
        "region": "us-central1",
        "emulators": dict(emulators),
    }


def hosting_for(hosting: Mapping[str, Any], folder: str, emulators: Sequence[str]) -> dict[str, Any]:
    """Return the hosting section for a stack: its own folder, and a policy that allows its emulators."""
    local = " ".join(f"{scheme}://{address}" for address in emulators for scheme in ("http", "ws"))

    def allowing(header: Mapping[str, str]) -> dict[str, str]:
        if header["key"] != POLICY:
            return dict(header)
        return {**header, "value": header["value"].replace("connect-src 'self'", f"connect-src 'self' {local}")}

    headers = [{**rule, "headers": [allowing(header) for header in rule["headers"]]} for rule in hosting["headers"]]
    without = {key: value for key, value in hosting.items() if key != "predeploy"}
    return {**without, "public": folder, "headers": headers, "ignore": []}
