"""Connections to database instances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlsplit

import firebase_admin
from firebase_admin import db
from requests.adapters import HTTPAdapter

from bookrec_database.concurrency import MAX_THREADS

APP = "bookrec"
"""The name of the SDK's app; there is one in a process."""

NodeAt = Callable[[str], db.Reference]
"""From a path to the reference of its node."""


def connect(project: str, url: str, *, uses_proxies: bool = False) -> NodeAt:
    """Return the references of one database. They share its connections, which are kept open between requests.

    Args:
        url: the address of the instance; of an emulator's, with ``?ns=NAME``.
        uses_proxies: the environment may name proxies. Looking them up takes a third of what a request costs.

    Raises:
        ValueError: if the address is not one.
    """
    try:
        app = firebase_admin.get_app(APP)
    except ValueError:
        app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": project}, name=APP)
    root = db.reference("/", app=app, url=url)
    # The SDK keeps 10 connections, opens and closes one for every request beyond, and has no option for it.
    session = root._client.session
    session.trust_env = uses_proxies
    for scheme, adapter in list(session.adapters.items()):
        session.mount(scheme, HTTPAdapter(pool_maxsize=MAX_THREADS, max_retries=adapter.max_retries))
    return lambda path: (
        root if path == "/" else root.child(quote(path))
    )  # the SDK puts a path into the address as it is


def disconnect() -> None:
    """Close the connections to all instances."""
    with suppress(ValueError):  # there are none
        firebase_admin.delete_app(firebase_admin.get_app(APP))


def instance_name(url: str) -> str:
    """Return the name of the database instance at an address: of an emulator's, what ``ns`` says."""
    parts = urlsplit(url)
    return parse_qs(parts.query).get("ns", [(parts.hostname or "").partition(".")[0]])[0]
