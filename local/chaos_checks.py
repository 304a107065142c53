"""Checks that must pass once everything is quiet, whatever happened before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import requests

from backend.adapters.tflite_model import load_recommender
from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import Catalogue, parse_catalogue
from bookrec.errors import BadModel
from bookrec.life_cycle.lease import read_lease
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL, Pointer, parse_pointer
from bookrec.paths import children
from bookrec.ranking import LIST_SIZE
from bookrec.reader import parse_reader
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf, build_shelf, sort_out
from local.stack import Stack
from trainer.publishing.versions import read_version


def read_whole(stack: Stack, pointer: Pointer) -> dict[str, bytes]:
    """Return the files of a version by name, as they are in the bucket.

    Raises:
        BadModel: if manifest or files are not the ones whose hash the pointer names.
    """
    return read_version(partial(_object, stack), pointer.version, pointer.manifest_sha256)[1]


def check_model(stack: Stack) -> list[str]:
    """Return what is wrong with the live model: it must be complete, and answer."""
    from trainer.pipeline import answers

    try:
        pointer = parse_pointer(stack.admin_get(paths.MODEL))
        if pointer is None:
            return ["no model is live"]
        files = read_whole(stack, pointer)
        answers(pointer.version, files[RECOMMEND_MODEL], files[ITEMS])
    except BadModel as problem:
        return [f"the live model: {problem}"]
    return []


def check_database(stack: Stack, minimum_changes: int) -> tuple[list[str], int]:
    """Return what is wrong in the database, and how many lists were checked."""
    nodes = stack.admin_get(paths.USER_BOOK) or {}
    users = stack.admin_get(paths.USERS) or {}
    catalogue, _ = parse_catalogue(stack.admin_get(paths.ARCHIVE))
    live = _live(stack)
    entries, _ = sort_out(nodes)
    owners = {entry.user_id for entry in entries}
    readers = sorted(owners | {uid for uid, node in users.items() if parse_reader(node, None).has_profile})
    problems = []
    for user_id in readers:
        recommendations = children(children(users.get(user_id)).get("recommendations"))
        wrong = list(_wrong_in(recommendations, build_shelf(user_id, entries), live, catalogue))
        if wrong:
            problems.append(f"the list of {user_id}: {'; '.join(wrong)}")
    return problems + check_retraining(stack, minimum_changes), len(readers)


def check_retraining(stack: Stack, minimum_changes: int) -> list[str]:
    """Return what is wrong with lease, record and marks."""
    lease = read_lease(stack.admin_get(paths.LEASE))
    training = children(stack.admin_get(f"{paths.STATUS}/training"))
    marks = len(stack.admin_get(paths.CHANGES, shallow="true") or ())
    problems = []
    if lease.holder is not None:
        problems.append(f"the lease is held by {lease.holder}")
    elif children(training.get("run")).get("outcome") == "running":
        problems.append(f"the record says that run {training['run'].get('runId')} is running, the lease is free")
    if training.get("parked") is not None:
        problems.append(f"retraining is parked: {training['parked']}")
    if marks >= minimum_changes:
        problems.append(f"{marks} changed entries wait for training; {minimum_changes} are enough for a run")
    return problems


def _live(stack: Stack) -> Recommender | None:
    """Load the live model; None if no model is live or it cannot be loaded (``check_model`` says why)."""
    try:
        pointer = parse_pointer(stack.admin_get(paths.MODEL))
        files = read_whole(stack, pointer) if pointer else {}
        return load_recommender(pointer.version, files[RECOMMEND_MODEL], files[ITEMS]) if pointer else None
    except BadModel:
        return None


def _wrong_in(recommendations: Any, shelf: Shelf, live: Recommender | None, catalogue: Catalogue) -> Iterator[str]:
    if not recommendations:
        yield "there is no list"
        return
    if children(recommendations.get("basedOn")).get("digest") != shelf.digest:
        yield "it is for an earlier shelf"
    isbns = [children(item).get("isbn") for item in recommendations.get("items", ())]
    is_of_live = live is not None and recommendations.get("modelVersion") == live.version
    if not is_of_live and tuple(isbns) != make_list(shelf, live, catalogue).isbns:
        version = recommendations.get("modelVersion")
        yield f"it is from model {version}; {live.version if live else None} gives other books"
    if len(isbns) != LIST_SIZE or len(set(isbns)) != LIST_SIZE:
        yield f"it has {len(set(isbns))} different books of {LIST_SIZE}"
    if set(isbns) & set(shelf.ratings):
        yield "it has books of the shelf"
    if not all(isbn in catalogue for isbn in isbns):
        yield "it has books that are not in the catalogue"


def _object(stack: Stack, name: str) -> bytes:
    address = f"http://{stack.addresses.storage}/storage/v1/b/{stack.addresses.bucket}/o/{quote(name, safe='')}"
    answer = requests.get(address, params={"alt": "media"}, timeout=30)
    if answer.status_code == 404:
        raise BadModel(f"{name} is not in the bucket")
    answer.raise_for_status()
    return answer.content
