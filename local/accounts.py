"""Accounts to sign in with under the emulators: two readers and an operator."""

from __future__ import annotations

import json
from dataclasses import dataclass

import requests

ADMIN = {"Authorization": "Bearer owner"}


@dataclass(frozen=True, slots=True)
class Account:
    """One account; its password is no secret, since it exists under the emulators only.

    Attributes:
        claims: what its token says beside the usual, as the Admin SDK sets it.
    """

    email: str
    password: str
    claims: dict[str, bool]


ACCOUNTS = (
    Account("reader@example.com", "reader-password", {}),
    Account("second@example.com", "reader-password", {}),
    Account("operator@example.com", "operator-password", {"operator": True}),
)


def sign_up(account: Account, project: str, auth: str) -> str:
    """Make an account in the Auth emulator at ``auth`` (``host:port``), unless it is there; return its user id."""
    toolkit = f"http://{auth}/identitytoolkit.googleapis.com/v1"
    body = {"email": account.email, "password": account.password, "returnSecureToken": True}
    answer = requests.post(f"{toolkit}/accounts:signUp?key=emulator", json=body, timeout=30)
    if answer.status_code == 400 and answer.json()["error"]["message"] == "EMAIL_EXISTS":
        answer = requests.post(f"{toolkit}/accounts:signInWithPassword?key=emulator", json=body, timeout=30)
    answer.raise_for_status()
    uid = str(answer.json()["localId"])
    if account.claims:
        update = {"localId": uid, "customAttributes": json.dumps(account.claims)}
        url = f"{toolkit}/projects/{project}/accounts:update"
        requests.post(url, json=update, headers=ADMIN, timeout=30).raise_for_status()
    return uid
