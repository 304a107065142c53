"""Makes users operators: by a claim in their token, which only the Admin SDK can set."""

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
        """Make the user sign in again. Tokens already issued keep their claims for up to an hour."""


def change(accounts: Accounts, email: str, *, is_operator: bool) -> str:
    """Give a user the claim, or remove it; other claims stay. Return a message that says what was done.

    Raises:
        LookupError: no user has this e-mail address.
    """
    user = accounts.find(email)
    if user is None:
        raise LookupError("no user has this e-mail address: they have to sign up first")
    user_id, claims = user
    if (claims.get(CLAIM) is True) == is_operator:
        return "already so; nothing was changed"
    kept = {name: value for name, value in claims.items() if name != CLAIM}
    accounts.set_claims(user_id, {**kept, CLAIM: True} if is_operator else kept)
    if is_operator:
        return "is an operator after the next sign-in, or within an hour"
    accounts.end_sessions(user_id)
    return "is no longer an operator; a token already issued keeps the claim for up to an hour"


class FirebaseAccounts:
    """Implements ``Accounts`` with firebase-admin and the credentials of ``gcloud auth application-default login``."""

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
        """Make the user sign in again."""
        from firebase_admin import auth

        auth.revoke_refresh_tokens(user_id, app=self._app)
