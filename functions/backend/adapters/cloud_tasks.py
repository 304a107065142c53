"""Cloud Tasks through firebase-admin. Its client is imported when a task is queued, so lists do not wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import firebase_admin
from firebase_admin import exceptions

PATIENCE_S = 15
"""How long a request may take, instead of the SDK's 120 s: a fan-out waits for a few at a time."""


class CloudTaskQueue:
    """Implements ``ports.TaskQueue``."""

    def __init__(self, project: str, region: str, is_emulated: bool) -> None:
        self._app = firebase_admin.initialize_app(options={"projectId": project}, name="tasks")
        self._region, self._is_emulated = region, is_emulated

    def enqueue(self, function: str, payload: Mapping[str, object], task_id: str, at_ms: int | None = None) -> None:
        """Queue a task under a deterministic id; a used id means that the task is already queued or done."""
        from firebase_admin import functions

        queue = functions.task_queue(f"locations/{self._region}/functions/{function}", app=self._app)
        queue._http_client._timeout = PATIENCE_S  # the SDK has no option for it
        times: dict[str, Any] = {"schedule_time": datetime.fromtimestamp(at_ms / 1000, UTC)} if at_ms else {}
        try:
            # The SDK sends the payload unchanged; the function expects it under "data".
            queue.enqueue({"data": dict(payload)}, functions.TaskOptions(task_id=task_id, **times))
        except (exceptions.AlreadyExistsError, exceptions.ConflictError):
            return
        except ValueError as problem:
            # firebase-admin 7.7.0 queues the task in the emulator, then fails on the name in the answer.
            if not (self._is_emulated and "Invalid resource name format" in str(problem)):
                raise
