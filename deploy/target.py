"""The target of a deployment: a project, a region, and the names of everything created there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

REGIONS = ("us-central1", "europe-west1", "asia-southeast1")
"""Where the Realtime Database can be. Source: Firebase documentation, Realtime Database locations."""

JOB = "book-trainer"
REPOSITORY = "book-recommender"
WEB_APP = "book-recommender"

_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{2,98}")
_QUANTITY = re.compile(r"[1-9][0-9]*(Gi|Mi)")
_CHANNEL = re.compile(r"projects/[^/,\s]+/notificationChannels/[0-9]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class BadTarget(ValueError):
    """The target is not possible; the message says why, and what is."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to deploy, and how large.

    Attributes:
        number: the project's number, which is part of the names of service agents and default accounts; "" if unknown.
        timeout_s: limit of a training run in seconds; the job's timeout and ``TRAINER_TIMEOUT_SECONDS``.
        snapshots: training runs keep what they have read (decision 14).
        notify: a notification channel for the alerts, ``projects/P/notificationChannels/N``; "" for none.

    Raises:
        BadTarget: the platform does not accept a name, or the region has no Realtime Database.
    """

    project: str
    region: str
    number: str = ""
    instance: str = ""
    bucket: str = ""
    timeout_s: int = 3_600
    memory: str = "8Gi"
    cpu: int = 2
    snapshots: bool = False
    notify: str = ""

    def __post_init__(self) -> None:
        if not _PROJECT.fullmatch(self.project):
            raise BadTarget(
                f"{self.project!r} is not a project ID: it needs 6 to 30 lowercase letters, digits and hyphens, starts "
                "with a letter and does not end with a hyphen"
            )
        if self.project.startswith("demo-"):
            raise BadTarget(
                f"{self.project!r}: IDs that begin with demo- exist in emulators only; nothing can be deployed"
            )
        if self.region not in REGIONS:
            raise BadTarget(
                f"there is no Realtime Database in {self.region!r}, and the functions have to be in its region: "
                f"choose one of {', '.join(REGIONS)}"
            )
        object.__setattr__(self, "instance", self.instance or f"{self.project}-default-rtdb")
        object.__setattr__(self, "bucket", self.bucket or f"{self.project}-book-models")
        for value, pattern, what in (
            (self.instance, _INSTANCE, "name of a database instance"),
            (self.bucket, _BUCKET, "name of a bucket (without dots)"),
            (self.memory, _QUANTITY, "amount of memory such as 8Gi"),
        ):
            if not pattern.fullmatch(value):
                raise BadTarget(f"{value!r} is not a valid {what}")
        if self.notify and not _CHANNEL.fullmatch(self.notify):
            raise BadTarget(f"{self.notify!r} is not of the form projects/PROJECT/notificationChannels/NUMBER")
        # Source: Cloud Run documentation, task timeout of jobs: at most 168 hours.
        if not 60 <= self.timeout_s <= 168 * 3_600:
            raise BadTarget(f"a timeout of {self.timeout_s} s: a job can have 60 s to 168 hours")
        if self.cpu not in (1, 2, 4, 8):
            raise BadTarget(f"{self.cpu} CPUs: a job can have 1, 2, 4 or 8")

    @property
    def database_url(self) -> str:
        """Return the address of the database; us-central1 uses an older form."""
        if self.region == "us-central1":
            return f"https://{self.instance}.firebaseio.com"
        return f"https://{self.instance}.{self.region}.firebasedatabase.app"

    @property
    def functions_account(self) -> str:
        """Return the account that the functions run as."""
        return self._account("recommender-functions")

    @property
    def trainer_account(self) -> str:
        """Return the account that the training job runs as."""
        return self._account("recommender-trainer")

    @property
    def builder_account(self) -> str:
        """Return the account that builds the trainer's image."""
        return self._account("recommender-builder")

    @property
    def source_bucket(self) -> str:
        """Return the bucket that the image's source is uploaded to."""
        return f"{self.project}-book-builds"

    @property
    def image(self) -> str:
        """Return the trainer's image, without a tag."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{REPOSITORY}/{JOB}"

    @property
    def parameters_file(self) -> Path:
        """Return the file with the functions' parameters."""
        return ROOT / "functions" / f".env.{self.project}"

    @property
    def firebase_file(self) -> Path:
        """Return the configuration file for firebase-tools: firebase.json with this project's bucket and instance."""
        return ROOT / f".firebase-deploy-{self.project}.json"

    def _account(self, name: str) -> str:
        return f"{name}@{self.project}.iam.gserviceaccount.com"


def email(text: str) -> str:
    """Return an e-mail address.

    Raises:
        BadTarget: the text is not an e-mail address.
    """
    if not _EMAIL.fullmatch(text):
        raise BadTarget(f"{text!r} is not an e-mail address")
    return text
