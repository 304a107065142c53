"""The service's errors: a status and a message."""

from __future__ import annotations


class ServiceError(Exception):
    """An error that the client gets as ``{"error": message}``.

    Attributes:
        status: the HTTP status.
        code: what the client SDKs get instead.
    """

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or ("unavailable" if status >= 500 else "invalid_data")


class IndexNotDefinedError(ServiceError):
    """A query needs an index that the rules do not name."""

    def __init__(self, path: tuple[str, ...], name: str) -> None:
        where = f'".indexOn": "{name}", for path "/{"/".join(path)}", to the rules'
        super().__init__(400, f"Index not defined, add {where}")


class PermissionDeniedError(ServiceError):
    """The security rules do not allow it."""

    def __init__(self) -> None:
        super().__init__(401, "Permission denied", "permission_denied")
