"""Who may call an operator's functions, and what a client is told where one fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from firebase_functions import https_fn
from firebase_functions.https_fn import FunctionsErrorCode, HttpsError

from backend import logs
from bookrec.errors import BadArgument, BadModel, BadSetting, BookrecError, LeaseLost, NotNow

CLAIM = "operator"
"""What a token of an operator says; only the Admin SDK can put it there."""

_CODES: tuple[tuple[type[BookrecError], FunctionsErrorCode], ...] = (
    (BadArgument, FunctionsErrorCode.INVALID_ARGUMENT),
    (BadModel, FunctionsErrorCode.FAILED_PRECONDITION),
    (BadSetting, FunctionsErrorCode.FAILED_PRECONDITION),
    (LeaseLost, FunctionsErrorCode.FAILED_PRECONDITION),
    (NotNow, FunctionsErrorCode.FAILED_PRECONDITION),
    (BookrecError, FunctionsErrorCode.UNAVAILABLE),  # it is transient: the same call may do later
)


@contextmanager
def operated(function: str, request: https_fn.CallableRequest[Any]) -> Iterator[Mapping[str, Any]]:
    """Let an operator in, and yield the arguments; tell the client of the domain's failures in its own words.

    Raises:
        HttpsError: what the SDK answers with; ``unauthenticated`` and ``permission-denied`` before anything is done.
        FunctionFailedError: of any other failure, which the SDK answers as ``internal``.
    """
    operator = require_operator(request)
    arguments = request.data if request.data is not None else {}
    if not isinstance(arguments, Mapping):
        raise HttpsError(FunctionsErrorCode.INVALID_ARGUMENT, "the arguments are an object")
    with logs.reported(function):
        try:
            yield arguments
        except BookrecError as problem:
            logs.info("an operator's wish is not granted", function=function, operator=operator, reason=str(problem))
            refusal = HttpsError(next(code for kind, code in _CODES if isinstance(problem, kind)), str(problem))
        else:
            logs.info("an operator has acted", function=function, operator=operator)
            return
    raise refusal


def require_operator(request: https_fn.CallableRequest[Any]) -> str:
    """Return what stands for the caller in logs.

    Raises:
        HttpsError: where the caller is not signed in, or is no operator.
    """
    if request.auth is None:
        raise HttpsError(FunctionsErrorCode.UNAUTHENTICATED, "sign in first")
    if request.auth.token.get(CLAIM) is not True:
        raise HttpsError(FunctionsErrorCode.PERMISSION_DENIED, f"this needs the claim {CLAIM}")
    return logs.user_key(str(request.auth.uid))
