"""What a service's error says that may be shown: a status, an index, a bucket. All else may contain user ids."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qs, urlsplit

from bookrec import paths
from bookrec.environment import default_buckets

_INDEX = re.compile(r'"\.indexOn": "([\w.$]+)", for path "(/[\w/]+)"')
_BUCKET = re.compile(r"/b/([a-z0-9][a-z0-9._-]{1,220})(?=[/?:\s]|$)")
_NODES = frozenset(
    part
    for name, value in vars(paths).items()
    if name.isupper() and isinstance(value, str)
    for part in value.split("/")
)
"""The names of the database's own nodes: an index on another path could be a reader's."""


def status_of(problem: BaseException) -> int | None:
    """Return the HTTP status with which a service answered, or None if it did not."""
    own, other = (getattr(problem, name, None) for name in ("http_response", "response"))
    response = other if own is None else own  # as a condition, an answer with an error is false
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def lacks_index(problem: BaseException) -> bool:
    """Return whether a database answered that a query needs an index."""
    return "index not defined" in str(problem).lower()


def missing_index(problem: BaseException) -> str | None:
    """Return the index that a query needs, and its node, as in ``".value" of /Recommender/readers``."""
    match = _INDEX.search(str(problem))
    if match is None or not _NODES.issuperset(match.group(2).strip("/").split("/")):
        return None
    return f'"{match.group(1)}" of {match.group(2)}'


def command_for_rules() -> str:
    """Return the command that gives the database its rules, in a checkout: the emulator is not deployed to."""
    emulator = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST")
    if not emulator:
        return "firebase deploy --only database"
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT") or "demo-bookrec"
    named = parse_qs(urlsplit(os.environ.get("DATABASE_URL", "")).query).get("ns", [])
    name = named[0] if named else f"{project}-default-rtdb"
    return (
        f"curl -X PUT --data-binary @database.rules.json -H 'Authorization: Bearer owner' "
        f"'http://{emulator}/.settings/rules.json?ns={name}'"
    )


def bucket_asked(problem: BaseException) -> str | None:
    """Return the bucket that a failed request was for."""
    match = _BUCKET.search(str(problem))
    return match.group(1) if match else None


def default_bucket_names() -> str:
    """Return the names of the project's default bucket."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT") or "PROJECT"
    return " or ".join(default_buckets(project))
