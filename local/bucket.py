"""The bucket of the local stack: its objects, and their copy in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

INDEX = "objects.json"
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of fake-gcs-server.

    Attributes:
        address: where the server listens (``host:port``).
        name: the bucket's name.
    """

    address: str
    name: str

    def create(self) -> None:
        """Make the bucket."""
        url = f"http://{self.address}/storage/v1/b"
        requests.post(url, json={"name": self.name}, timeout=PATIENCE_S).raise_for_status()

    def names(self) -> list[str]:
        """Return the names of all objects."""
        names: list[str] = []
        query: dict[str, str] = {}
        while True:
            answer = requests.get(self._url(), params=query, timeout=PATIENCE_S)
            answer.raise_for_status()
            page = answer.json()
            names += [item["name"] for item in page.get("items", ())]
            if "nextPageToken" not in page:
                return names
            query = {"pageToken": page["nextPageToken"]}

    def metadata(self, name: str) -> dict[str, Any]:
        """Return an object's metadata."""
        answer = requests.get(self._url(name), timeout=PATIENCE_S)
        answer.raise_for_status()
        metadata: dict[str, Any] = answer.json()
        return metadata

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        answer = requests.get(self._url(name), params={"alt": "media"}, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.content

    def write(self, name: str, body: bytes, content_type: str) -> None:
        """Make or replace an object."""
        url = f"http://{self.address}/upload/storage/v1/b/{quote(self.name, safe='')}/o"
        query = {"uploadType": "media", "name": name}
        headers = {"Content-Type": content_type}
        requests.post(url, params=query, data=body, headers=headers, timeout=PATIENCE_S).raise_for_status()

    def save(self, folder: Path) -> None:
        """Copy all objects into a new folder."""
        folder.mkdir(parents=True)
        index = []
        for number, name in enumerate(self.names()):
            file = f"{number:06}"
            (folder / file).write_bytes(self.read(name))
            index.append({"name": name, "contentType": self.metadata(name).get("contentType"), "file": file})
        (folder / INDEX).write_text(json.dumps(index, indent=1))

    def load(self, folder: Path) -> None:
        """Make the objects that ``save`` copied."""
        for entry in json.loads((folder / INDEX).read_text()):
            content_type = entry["contentType"] or "application/octet-stream"
            self.write(entry["name"], (folder / entry["file"]).read_bytes(), content_type)

    def _url(self, name: str | None = None) -> str:
        objects = f"http://{self.address}/storage/v1/b/{quote(self.name, safe='')}/o"
        return objects if name is None else f"{objects}/{quote(name, safe='')}"
