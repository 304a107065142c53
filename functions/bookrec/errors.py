"""The failures of the domain, in two kinds: bad data (permanent) and everything else (transient).

Bad data is recorded and acknowledged. Every other error propagates: the platform retries, or the reconciler repairs
what was left undone.
"""

from __future__ import annotations


class BookrecError(Exception):
    """Base class of the errors that the domain raises."""


class BadData(BookrecError):
    """Input that can never be processed, however often it is tried.

    Attributes:
        reason: a stable code for counters and tests, for example ``rating_out_of_range``.
        message: one sentence for a person: what is wrong and what would be right. It never repeats
            the value, so it can be logged and stored.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class BadModel(BookrecError):
    """A published model that cannot be used: missing, altered, malformed or too large."""


class StoreUnavailable(BookrecError):
    """The bucket does not answer at present; what was loaded before stays in use."""


class BadSetting(BookrecError):
    """An environment variable has a wrong value; the message names the variable and the right values."""


class BadInput(BookrecError, ValueError):
    """An option, a file or a folder that a command was given cannot be used; the message says which, and what to do."""


class LeaseLost(BookrecError):
    """The training run no longer holds the lease, or a newer run has published."""


class NotNow(BookrecError):
    """An operator's request cannot be met at present; the message says what has to be done first."""


class BadArgument(BookrecError):
    """An operator's request makes no sense in any state; the message says what would."""
