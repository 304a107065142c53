"""Who a request comes from: an admin, a user with an ID token, or nobody."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emulator.errors import ServiceError

ADMIN_TOKEN = "owner"
"""What the emulators take for an admin's credentials."""

AuthType = Literal["app_user", "admin", "unauthenticated"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind a request.

    Attributes:
        is_admin: security rules do not apply.
        auth: what rules see as ``auth``; None for nobody.
    """

    is_admin: bool
    auth: Mapping[str, Any] | None = None

    @property
    def auth_type(self) -> AuthType:
        """What events say of the caller."""
        if self.is_admin:
            return "admin"
        return "app_user" if self.auth else "unauthenticated"

    @property
    def auth_id(self) -> str | None:
        """The user id that events carry."""
        uid = self.auth.get("uid") if self.auth else None
        return None if uid is None else str(uid)


def identify(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Caller:
    """Return who sends a request.

    Raises:
        ServiceError: 401 for a token that cannot be read or has expired.
    """
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    token = bearer if scheme.lower() == "bearer" else None
    token = token or parameters.get("access_token") or parameters.get("auth")
    if not token:
        return Caller(is_admin=False)
    if token != ADMIN_TOKEN:
        return Caller(is_admin=False, auth=_user(token))
    if "auth_variable_override" in parameters:
        return Caller(is_admin=False, auth=_override(parameters["auth_variable_override"]))
    return Caller(is_admin=True)


def _override(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise ServiceError(400, "auth_variable_override must be a valid JSON encoded object or null") from problem
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ServiceError(400, "auth_variable_override must be a valid JSON encoded object or null")
    return {"token": {}, **value}


def _user(token: str) -> Mapping[str, Any]:
    """Return ``auth`` for an ID token of the Auth emulator: a JWT that nobody signed."""
    claims = _claims(token)
    uid, expires, firebase = claims.get("user_id") or claims.get("sub"), claims.get("exp"), claims.get("firebase")
    if not isinstance(uid, str) or not (expires is None or isinstance(expires, (int, float))):
        raise ServiceError(401, "Could not parse auth token.")
    if expires is not None and expires < time.time():
        raise ServiceError(401, "Auth token is expired")
    sign_in = firebase.get("sign_in_provider") if isinstance(firebase, dict) else None
    return {"uid": uid, "token": claims, "provider": sign_in or claims.get("provider_id", "custom")}


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError("a JWT has three parts")
        claims = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as problem:
        raise ServiceError(401, "Could not parse auth token.") from problem
    if not isinstance(claims, dict):
        raise ServiceError(401, "Could not parse auth token.")
    return claims
