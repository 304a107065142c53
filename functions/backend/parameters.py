"""The deployment's parameters. They are declared at import; handlers read their values."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

from firebase_functions.params import IntParam, StringParam

from bookrec.environment import whole
from bookrec.further import sizes
from bookrec.further.shared import Trend
from bookrec.further.sizes import Sizes
from bookrec.life_cycle.retraining import Policy

REGION = StringParam("REGION", default="us-central1", description="Region of the database, functions and trainer.")
MODEL_BUCKET = StringParam(
    "MODEL_BUCKET", default="", description="Bucket of the models; empty means the project's default bucket."
)
QUIET_SECONDS = IntParam(
    "RETRAIN_QUIET_SECONDS", default=60, description="Retrain when no entry has changed for this long."
)
MINIMUM_CHANGES = IntParam(
    "RETRAIN_MINIMUM_CHANGES", default=20, description="Retrain only after this many changed entries, at most 100,000."
)
MOST_COUNTED = 100_000
"""Each check of the policy counts up to the minimum: this many are 4.5 MB to read and take some 60 MB of memory."""
MAXIMUM_AGE_SECONDS = IntParam(
    "RETRAIN_MAXIMUM_AGE_SECONDS", default=86_400, description="Retrain at the latest when a change is this old."
)
RETRY_SECONDS = IntParam(
    "RETRAIN_RETRY_SECONDS", default=60, description="Wait this long after a failed run; doubled by further failures."
)
ATTEMPTS = IntParam(
    "RETRAIN_ATTEMPTS",
    default=5,
    description="Park retraining after this many failures in a row, until an operator releases it.",
)
TRAINER_JOB = StringParam("TRAINER_JOB", default="book-trainer", description="Name of the trainer's Cloud Run job.")
TRAINER_TIMEOUT_SECONDS = IntParam(
    "TRAINER_TIMEOUT_SECONDS", default=3_600, description="Longest training run, in seconds."
)
TRAINER_START_SECONDS = IntParam(
    "TRAINER_START_SECONDS", default=600, description="A trainer that has not begun after this time counts as dead."
)
LEASE_SECONDS = IntParam(
    "LEASE_SECONDS", default=120, description="A trainer that has been silent for this long counts as dead."
)
FANOUT_SHARD_SIZE = IntParam("FANOUT_SHARD_SIZE", default=100, description="Readers refreshed by one task.")
FANOUT_TASKS = 4
"""How many of these tasks run at the same time."""
SIMILAR_PAGE_SIZE = IntParam("SIMILAR_PAGE_SIZE", default=500, description="Books whose similar ones one task finds.")
SIMILAR_TASKS = 2
"""How many of these tasks run at the same time: lists come first."""
LIST_WRITES_PER_SECOND = IntParam(
    # A database takes about 1,000 writes a second. Source: Firebase documentation, Realtime Database limits.
    "LIST_WRITES_PER_SECOND",
    default=200,
    description="Lists of a new model written per second; the rest of a database's 1,000 writes is for readers.",
)
LIST_BYTES_PER_SECOND = 700_000
"""Bytes of lists written per second without an event: two thirds of the 64 MB a minute that a database takes.

Source: Firebase documentation, Realtime Database limits.
"""
CATALOGUE_TTL_SECONDS = IntParam(
    "CATALOGUE_TTL_SECONDS", default=60, description="How old the cached catalogue may be before it is checked."
)
SWEEP_REST_SECONDS = IntParam(
    "SWEEP_REST_SECONDS",
    default=3_600,
    description="How long the reconciler rests between two sweeps over all readers and entries.",
)
FATIGUE_HALF_LIFE = IntParam(
    "FATIGUE_HALF_LIFE",
    default=0,
    description="After so many showings, beyond the first three, a book that nobody took ranks in twice its place; "
    "0 is off.",
)
LIST_EVENTS = IntParam(
    "LIST_EVENTS",
    default=0,
    description="1: events of lists (made, shown, taken, dismissed) are collected for `python -m trainer events`.",
)
MORE_PAGES = IntParam(
    "MORE_PAGES", default=4, description="Pages of ten books that follow a reader's list, at most 9; 0 for none."
)
MORE_GENRES = IntParam(
    "MORE_GENRES", default=3, description="Genres of which a reader gets a list of ten, at most 9; 0 for none."
)
TREND_DAYS = IntParam("TREND_DAYS", default=7, description="Days in which books trend.")
TREND_DAYS_BEFORE = IntParam(
    "TREND_DAYS_BEFORE", default=28, description="Days before these, with which they are compared."
)
TREND_READERS = IntParam(
    "TREND_READERS", default=5, description="Different readers that a trending book needs at least."
)
SHARED_LIST_SIZE = IntParam(
    "SHARED_LIST_SIZE", default=20, description="Books on a list that all readers share; at most 20."
)
DATABASES = StringParam(
    "DATABASES",
    default="",
    description="Addresses of further database instances with their own readers, separated by commas.",
)

EXPLORATION = IntParam(
    "EXPLORATION",
    default=0,
    description="Percentage of the readers whose last place is for a book that few readers have; 0 is off.",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters' values, and what the platform says about the project.

    Attributes:
        bucket: the bucket of the models; empty: the default one, whose name the project does not say.
        is_emulated: whether the functions run in the Emulator Suite.
        exploration: the share of the readers who explore, 0 to 1.
        trend: what makes a book trend, for the lists that all readers share.
        sizes: of the lists that go with each reader's ten.
        databases: addresses of the further instances. The first, ``database_url``, has the catalogue, the model's
            pointer and the lease for all of them.
        fatigue_half_life: in showings; 0 is off.
        list_events: whether events of lists are collected.
    """

    project: str
    region: str
    database_url: str
    bucket: str
    policy: Policy
    trainer_job: str
    trainer_timeout_s: int
    trainer_start_s: int
    lease_s: int
    fanout_shard_size: int
    catalogue_ttl_s: int
    is_emulated: bool
    list_writes_per_second: int = 200
    sweep_rest_s: int = 3_600
    databases: tuple[str, ...] = ()
    similar_page_size: int = 500
    exploration: float = 0.0
    sizes: Sizes = field(default_factory=Sizes)
    trend: Trend = field(default_factory=Trend)
    fatigue_half_life: int = 0
    list_events: bool = False


def read_settings() -> Settings:
    """Return the settings of this instance; call this only in a handler.

    Raises:
        BadSetting: if a parameter is not a whole number or is too small; names it.
    """
    firebase = json.loads(os.environ.get("FIREBASE_CONFIG") or "{}")
    project = (
        os.environ.get("GCLOUD_PROJECT") or os.environ.get("GOOGLE_CLOUD_PROJECT") or firebase.get("projectId", "")
    )
    policy = Policy(
        quiet_ms=_whole(QUIET_SECONDS, least=0) * 1000,
        minimum_changes=min(_whole(MINIMUM_CHANGES, least=0), MOST_COUNTED),
        maximum_age_ms=_whole(MAXIMUM_AGE_SECONDS, least=0) * 1000,
        retry_ms=_whole(RETRY_SECONDS, least=0) * 1000,
        attempts=_whole(ATTEMPTS),
    )
    return Settings(
        project=project,
        region=REGION.value,
        database_url=_database_url(project, firebase),
        bucket=MODEL_BUCKET.value or firebase.get("storageBucket", ""),
        policy=policy,
        trainer_job=TRAINER_JOB.value,
        trainer_timeout_s=_whole(TRAINER_TIMEOUT_SECONDS),
        trainer_start_s=_whole(TRAINER_START_SECONDS),
        lease_s=_whole(LEASE_SECONDS),
        fanout_shard_size=_whole(FANOUT_SHARD_SIZE),
        catalogue_ttl_s=_whole(CATALOGUE_TTL_SECONDS, least=0),
        is_emulated=os.environ.get("FUNCTIONS_EMULATOR") == "true",
        list_writes_per_second=_whole(LIST_WRITES_PER_SECOND),
        sweep_rest_s=_whole(SWEEP_REST_SECONDS, least=0),
        similar_page_size=_whole(SIMILAR_PAGE_SIZE),
        sizes=sizes.read_sizes(os.environ),
        trend=Trend(
            days=_whole(TREND_DAYS),
            days_before=_whole(TREND_DAYS_BEFORE),
            readers=_whole(TREND_READERS),
            size=min(_whole(SHARED_LIST_SIZE), sizes.MOST_SHARED),
        ),
        databases=tuple(filter(None, (url.strip() for url in DATABASES.value.split(",")))),
        exploration=min(_whole(EXPLORATION, least=0), 100) / 100,
        fatigue_half_life=_whole(FATIGUE_HALF_LIFE, least=0),
        list_events=_whole(LIST_EVENTS, least=0) > 0,
    )


def _whole(parameter: IntParam, least: int = 1) -> int:
    assert isinstance(parameter.default, int)
    return whole(parameter.name, os.environ.get(parameter.name), parameter.default, least)


def _database_url(project: str, firebase: dict[str, str]) -> str:
    emulator = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST")
    if emulator:
        return f"http://{emulator}?ns={project}-default-rtdb"
    return firebase.get("databaseURL") or f"https://{project}-default-rtdb.firebaseio.com"
