"""Who may call the operators' functions, and what a client is told if one fails."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from firebase_functions import https_fn
from firebase_functions.https_fn import FunctionsErrorCode, HttpsError

from backend import logs
from bookrec.errors import BadArgument, BadModel, BadSetting, BookrecError, LeaseLost, NotNow

CLAIM = "operator"
"""The claim in an operator's token; only the Admin SDK can set it."""

_CODES: tuple[tuple[type[BookrecError], FunctionsErrorCode], ...] = (
    (BadArgument, FunctionsErrorCode.INVALID_ARGUMENT),
    (BadModel, FunctionsErrorCode.FAILED_PRECONDITION),
    (BadSetting, FunctionsErrorCode.FAILED_PRECONDITION),
    (LeaseLost, FunctionsErrorCode.FAILED_PRECONDITION),
    (NotNow, FunctionsErrorCode.FAILED_PRECONDITION),
    (BookrecError, FunctionsErrorCode.UNAVAILABLE),  # transient: the same call may succeed later
)


MAX_DEPTH = 32
"""How deeply a request's arguments may be nested: far less than the parser's own limit, which depends on its caller."""

MALFORMED = b'{"data": null, "malformed": true}'

Function = Callable[[https_fn.Request], https_fn.Response]


def well_formed(function: Function) -> Function:
    """Decorate a callable function: a malformed body is ``invalid-argument``.

    The SDK (0.6.0) has this answer for a body with further fields, and ``internal`` for one that is not JSON, not an
    object, or without ``data``. So each malformed body is replaced by one with a further field.
    """

    @functools.wraps(function)
    def checked(request: https_fn.Request) -> https_fn.Response:
        if request.method != "POST" or _is_well_formed(request.get_data()):
            return function(request)
        body = {"wsgi.input": io.BytesIO(MALFORMED), "CONTENT_LENGTH": str(len(MALFORMED))}
        return function(https_fn.Request({**request.environ, **body}))

    return checked


def _is_well_formed(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() == {"data"} and _is_flat(value)


def _is_flat(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level if isinstance(node, (dict, list)) for child in
                 (node.values() if isinstance(node, dict) else node)]  # fmt: skip
    return not level


@contextmanager
def operated(function: str, request: https_fn.CallableRequest[Any]) -> Iterator[Mapping[str, Any]]:
    """Check that the caller is an operator, yield the arguments, and pass the domain's error messages to the client.

    Raises:
        HttpsError: the SDK's answer; ``unauthenticated`` and ``permission-denied`` before anything is done.
        FunctionFailedError: for any other failure; the SDK answers ``internal``.
    """
    operator = require_operator(request)
    arguments = request.data if request.data is not None else {}
    if not isinstance(arguments, Mapping):
        raise HttpsError(FunctionsErrorCode.INVALID_ARGUMENT, "the arguments are an object")
    with logs.reported(function):
        try:
            yield arguments
        except BookrecError as problem:
            logs.info("an operator's request was rejected", function=function, operator=operator, reason=str(problem))
            error = HttpsError(next(code for kind, code in _CODES if isinstance(problem, kind)), str(problem))
        else:
            logs.info("an operator has acted", function=function, operator=operator)
            return
    raise error


def require_operator(request: https_fn.CallableRequest[Any]) -> str:
    """Return the caller's hash for logs.

    Raises:
        HttpsError: if the caller is not signed in, or is not an operator.
    """
    if request.auth is None:
        raise HttpsError(FunctionsErrorCode.UNAUTHENTICATED, "sign in first")
    if request.auth.token.get(CLAIM) is not True:
        raise HttpsError(FunctionsErrorCode.PERMISSION_DENIED, f"this needs the claim {CLAIM}")
    return logs.user_key(str(request.auth.uid))
