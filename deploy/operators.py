"""Who is an operator: a claim in a user's token, which only the Admin SDK can set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

CLAIM = "operator"


class Accounts(Protocol):
    """The project's users."""

    def find(self, email: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return a user's id and claims by e-mail, or None."""

    def set_claims(self, user_id: str, claims: Mapping[str, Any]) -> None:
        """Replace a user's claims."""

    def end_sessions(self, user_id: str) -> None:
        """Have the user sign in again: what is given out already keeps its claims for up to an hour."""


def change(accounts: Accounts, email: str, *, is_operator: bool) -> str:
    """Give a user the claim, or take it; other claims stay. Return what was done, for a person to read.

    Raises:
        LookupError: no user has this e-mail.
    """
    found = accounts.find(email)
    if found is None:
        raise LookupError("no user has this e-mail: they have to sign up first")
    user_id, claims = found
    if (claims.get(CLAIM) is True) == is_operator:
        return "already so; nothing was changed"
    kept = {name: value for name, value in claims.items() if name != CLAIM}
    accounts.set_claims(user_id, {**kept, CLAIM: True} if is_operator else kept)
    if is_operator:
        return "is an operator from the next sign-in, or within an hour"
    accounts.end_sessions(user_id)
    return "is no operator any more; a token that is out already says so for up to an hour"


class FirebaseAccounts:
    """Implements ``Accounts`` by firebase-admin, with the credentials of ``gcloud auth application-default login``."""

    def __init__(self, project: str) -> None:
        import firebase_admin

        self._app = firebase_admin.initialize_app(options={"projectId": project}, name="operators")

    def find(self, email: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return a user's id and claims by e-mail, or None."""
        from firebase_admin import auth

        try:
            user = auth.get_user_by_email(email, app=self._app)
        except auth.UserNotFoundError:
            return None
        return user.uid, user.custom_claims or {}

    def set_claims(self, user_id: str, claims: Mapping[str, Any]) -> None:
        """Replace a user's claims."""
        from firebase_admin import auth

        auth.set_custom_user_claims(user_id, dict(claims) or None, app=self._app)

    def end_sessions(self, user_id: str) -> None:
        """Have the user sign in again."""
        from firebase_admin import auth

        auth.revoke_refresh_tokens(user_id, app=self._app)
