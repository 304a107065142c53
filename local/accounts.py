"""Accounts to sign in with under the emulators: two readers and an operator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import requests

ADMIN = {"Authorization": "Bearer owner"}
"""The header by which every emulator recognizes an admin."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account; its password is not a secret, since the account exists under the emulators only.

    Attributes:
        claims: custom claims of its token, as the Admin SDK sets them.
    """

    email: str
    password: str
    claims: dict[str, bool]


READERS = (
    Account("reader@example.com", "reader-password", {}),
    Account("second@example.com", "reader-password", {}),
)
OPERATOR = Account("operator@example.com", "operator-password", {"operator": True})
ACCOUNTS = (*READERS, OPERATOR)


def sign_in(email: str, password: str, auth: str) -> dict[str, Any]:
    """Sign in to the Auth emulator at ``auth`` (``host:port``); make the account if it is missing.

    Returns:
        the service's answer: ``localId`` is the user id, ``idToken`` the token for other services.
    """
    toolkit = f"http://{auth}/identitytoolkit.googleapis.com/v1"
    body = {"email": email, "password": password, "returnSecureToken": True}
    answer = requests.post(f"{toolkit}/accounts:signUp?key=emulator", json=body, timeout=30)
    if answer.status_code == 400 and answer.json()["error"]["message"] == "EMAIL_EXISTS":
        answer = requests.post(f"{toolkit}/accounts:signInWithPassword?key=emulator", json=body, timeout=30)
    answer.raise_for_status()
    user: dict[str, Any] = answer.json()
    return user


def sign_up(account: Account, project: str, auth: str) -> str:
    """Make an account with its claims unless it exists; return its user id."""
    uid = str(sign_in(account.email, account.password, auth)["localId"])
    if account.claims:
        update = {"localId": uid, "customAttributes": json.dumps(account.claims)}
        url = f"http://{auth}/identitytoolkit.googleapis.com/v1/projects/{project}/accounts:update"
        requests.post(url, json=update, headers=ADMIN, timeout=30).raise_for_status()
    return uid
