"""The default app of firebase-admin, with which the SDK verifies the tokens of callable functions."""

from __future__ import annotations

import firebase_admin


def prepare() -> None:
    """Make the app; call this at import: the SDK verifies a token before any code of a function runs.

    It takes no time and no credentials: tokens are verified with public keys, which are fetched with the first token.
    """
    try:
        firebase_admin.get_app()
    except ValueError:
        firebase_admin.initialize_app()
