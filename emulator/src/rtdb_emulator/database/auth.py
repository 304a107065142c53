"""Who a request comes from: an admin, a user with an ID token, or nobody."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rtdb_emulator.errors import ServiceError

ADMIN_TOKEN = "owner"
"""What the emulators accept as an admin's credentials."""

AuthType = Literal["app_user", "admin", "unauthenticated"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind a request.

    Attributes:
        is_admin: security rules do not apply.
        auth: what rules see as ``auth``; None for nobody.
        expires: when the identity ends, in seconds since 1970; None for never.
    """

    is_admin: bool
    auth: Mapping[str, Any] | None = None
    expires: float | None = None

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


NOBODY = Caller(is_admin=False)


def identify(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Caller:
    """Return who sends a request.

    Raises:
        ServiceError: 401 for a token that cannot be read or has expired.
    """
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    token = bearer if scheme.lower() == "bearer" else None
    token = token or parameters.get("access_token") or parameters.get("auth")
    if not token:
        return NOBODY
    if "auth_variable_override" in parameters:
        return caller_of(token, _parsed(parameters["auth_variable_override"]))
    return caller_of(token)


def caller_of(token: str, *override: Any) -> Caller:
    """Return who a token belongs to.

    Args:
        token: an admin's, or an ID token of the Auth emulator.
        override: the identity that an admin takes on: the value of ``auth``, None for nobody.

    Raises:
        ServiceError: 401 for a token that cannot be read or has expired, 400 for an override that is not an object.
    """
    if token != ADMIN_TOKEN:
        return _user(token)
    if not override:
        return Caller(is_admin=True)
    if override[0] is None:
        return NOBODY
    if not isinstance(override[0], Mapping):
        raise ServiceError(400, "auth_variable_override must be a valid JSON encoded object or null")
    return Caller(is_admin=False, auth={"token": {}, **override[0]})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ServiceError(400, "auth_variable_override must be a valid JSON encoded object or null") from problem


def _user(token: str) -> Caller:
    """Return who an ID token of the Auth emulator belongs to: a JWT that nobody signed."""
    claims = _claims(token)
    uid, expires, firebase = claims.get("user_id") or claims.get("sub"), claims.get("exp"), claims.get("firebase")
    if not isinstance(uid, str) or not (expires is None or isinstance(expires, (int, float))):
        raise ServiceError(401, "Could not parse auth token.")
    if claims.get("iat") == 0:
        expires = None  # a token that a client SDK made up for tests: issued in 1970, and valid for ever
    if expires is not None and expires < time.time():
        raise ServiceError(401, "Auth token is expired")
    sign_in = firebase.get("sign_in_provider") if isinstance(firebase, dict) else None
    auth = {"uid": uid, "token": claims, "provider": sign_in or claims.get("provider_id", "custom")}
    return Caller(is_admin=False, auth=auth, expires=expires)


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
