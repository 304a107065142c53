"""The failures of the domain, in two kinds: bad data (permanent) and everything else (transient).

Bad data is recorded and acknowledged; whatever is not a ``BadData`` propagates, so that the platform
retries it or the reconciler finds what it left behind.
"""

from __future__ import annotations


class BookrecError(Exception):
    """Base of every error that the domain raises on purpose."""


class BadData(BookrecError):
    """Input that can never be processed, however often it is tried.

    Attributes:
        reason: a stable code for counters and tests, for example ``rating_out_of_range``.
        message: one sentence for a person: what is wrong and what would be right. It never repeats
            the offending value, so that it can be logged and stored.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class BadModel(BookrecError):
    """A published model that cannot be used: missing, altered, malformed or too large."""


class StoreUnavailable(BookrecError):
    """The bucket does not answer for now: what was loaded before stays in use."""


class BadSetting(BookrecError):
    """A setting of the environment is not what it has to be; the message names the variable, and says what would be."""


class LeaseLost(BookrecError):
    """The training run no longer holds the lease, or a newer run has published."""


class NotNow(BookrecError):
    """What an operator asks for cannot be done as things stand; the message says what has to be done first."""


class BadArgument(BookrecError):
    """What an operator asks for is no sense, whatever the state of things; the message says what would be."""
