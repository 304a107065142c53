"""Explains expected failures in one line: what, where, what to do. All others are bugs and keep their traceback.

What libraries raise for a fault in a program, such as NumPy's ``ValueError``, is not an expected failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from bookrec.errors import BadArgument, BadInput, BadSetting, BookrecError
from trainer.command_line import answers
from trainer.command_line.options import BAD_INPUT, FAILED, INTERRUPTED


class SettingError(BadInput):
    """A setting that a command needs is missing from the environment or wrong; the message names the variable."""


CREDENTIALS = (
    "no credentials: set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or run `gcloud auth "
    "application-default login`; for the emulators set FIREBASE_DATABASE_EMULATOR_HOST and STORAGE_EMULATOR_HOST"
)


def explain(problem: BaseException) -> tuple[int, str] | None:
    """Return exit code and message for an expected failure, or None for any other.

    The clients' own messages are left out: they contain addresses, and these contain user ids.
    """
    if isinstance(problem, KeyboardInterrupt):
        return INTERRUPTED, "interrupted: nothing is half-done, and a held lease is released"
    if isinstance(problem, BookrecError):
        return BAD_INPUT if isinstance(problem, (BadArgument, BadInput, BadSetting)) else FAILED, _line(problem)
    # By name: importing the clients' exceptions would take longer than most commands.
    for name in (f"{kind.__module__}.{kind.__qualname__}" for kind in type(problem).__mro__):
        if name in _BY_NAME:
            code, line = _BY_NAME[name]
            return code, line(problem) if callable(line) else line
    if isinstance(problem, OSError) and problem.filename:
        return BAD_INPUT, f"{problem.filename}: {problem.strerror}; give another path"
    return None


def _line(problem: BaseException) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__


def _database(problem: BaseException) -> str:
    where, check = _address()
    return f"the database {where} does not answer ({type(problem).__name__}): {check}"


def _answer(problem: BaseException) -> str:
    status = answers.status_of(problem)
    if status is None:
        return f"the database {_address()[0]} answered with an error ({type(problem).__name__}): try again"
    return f"the database {_address()[0]} answered with status {status} ({type(problem).__name__}): try again"


def _silence_or_answer(problem: BaseException) -> str:
    """An error that the client raises both for a service that is silent and for one that says it is not available."""
    return _database(problem) if answers.status_of(problem) is None else _answer(problem)


def _rejection(problem: BaseException) -> str:
    if not answers.lacks_index(problem):
        return f"the database {_address()[0]} answered that a request is invalid: check DATABASE_URL, and its rules"
    index = answers.missing_index(problem)
    lacks = f"the index {index}" if index else "an index"
    return (
        f"the database {_address()[0]} lacks {lacks} of database.rules.json: give it the rules with "
        f"`{answers.command_for_rules()}`"
    )


def _address() -> tuple[str, str]:
    """Return where the database is, and what to check if it does not answer."""
    emulator = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST")
    return (
        (f"at {emulator} ($FIREBASE_DATABASE_EMULATOR_HOST)", "is the emulator running?")
        if emulator
        else (f"at {os.environ.get('DATABASE_URL') or 'the default address'}", "check DATABASE_URL and the network")
    )


def _storage(problem: BaseException) -> str:
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    where = f" at {emulator} ($STORAGE_EMULATOR_HOST)" if emulator else ""
    return f"Cloud Storage{where} does not answer ({type(problem).__name__}): try again, or check the network"


def _storages_answer(problem: BaseException) -> str:
    status = answers.status_of(problem)
    how = type(problem).__name__ if status is None else f"status {status}, {type(problem).__name__}"
    return f"a request to Cloud Storage failed ({how}): try again, or check MODEL_BUCKET"


def _storage_is_silent(problem: BaseException) -> str:
    return _storage(problem) if answers.status_of(problem) is None else _storages_answer(problem)


def _bucket(problem: BaseException) -> str:
    asked, named = answers.bucket_asked(problem), os.environ.get("MODEL_BUCKET")
    if asked:
        bucket = f"bucket {asked}{' ($MODEL_BUCKET)' if asked == named else ''}"
    else:
        bucket = f"bucket {named} ($MODEL_BUCKET)" if named else f"bucket {answers.default_bucket_names()}"
    return f"Cloud Storage has no {bucket}, or no such object in it: set MODEL_BUCKET to the bucket of the models"


def _no_json(problem: BaseException) -> str:
    return (
        f"what answers in the database's place, {_address()[0]}, does not send JSON: check the address, and whether a "
        "proxy is in between"
    )


_FIREBASE, _GOOGLE, _AUTH = "firebase_admin.exceptions", "google.api_core.exceptions", "google.auth.exceptions"
_NOT_ALLOWED = "the account may not do this: give it the roles in docs/access.md"

_BY_NAME: dict[str, tuple[int, str | Callable[[BaseException], str]]] = {
    f"{_AUTH}.DefaultCredentialsError": (BAD_INPUT, CREDENTIALS),
    f"{_AUTH}.GoogleAuthError": (
        FAILED,
        "the credentials could not be used: sign in again, or check GOOGLE_APPLICATION_CREDENTIALS",
    ),
    f"{_FIREBASE}.UnauthenticatedError": (BAD_INPUT, f"database: {_NOT_ALLOWED}"),
    f"{_FIREBASE}.PermissionDeniedError": (BAD_INPUT, f"database: {_NOT_ALLOWED}"),
    f"{_FIREBASE}.NotFoundError": (
        BAD_INPUT,
        "there is no such database: set DATABASE_URL to its address, as the console shows it",
    ),
    f"{_FIREBASE}.InvalidArgumentError": (BAD_INPUT, _rejection),
    f"{_FIREBASE}.UnavailableError": (FAILED, _silence_or_answer),
    f"{_FIREBASE}.DeadlineExceededError": (FAILED, _silence_or_answer),
    f"{_FIREBASE}.FirebaseError": (FAILED, _answer),
    f"{_GOOGLE}.Unauthorized": (BAD_INPUT, f"Cloud Storage: {_NOT_ALLOWED}"),
    f"{_GOOGLE}.Forbidden": (BAD_INPUT, f"Cloud Storage: {_NOT_ALLOWED}"),
    f"{_GOOGLE}.NotFound": (BAD_INPUT, _bucket),
    f"{_GOOGLE}.ServiceUnavailable": (FAILED, _storage_is_silent),
    f"{_GOOGLE}.GatewayTimeout": (FAILED, _storage_is_silent),
    f"{_GOOGLE}.RetryError": (FAILED, _storage),
    f"{_GOOGLE}.GoogleAPIError": (FAILED, _storages_answer),
    "requests.exceptions.JSONDecodeError": (FAILED, _no_json),
    "requests.exceptions.ConnectionError": (FAILED, _storage),
    "requests.exceptions.Timeout": (FAILED, _storage),
    "requests.exceptions.RequestException": (FAILED, _storages_answer),
    "builtins.ConnectionError": (FAILED, lambda problem: f"a service does not answer ({type(problem).__name__})"),
}
"""Exit code and message by the clients' exception classes; the most derived class listed counts."""
