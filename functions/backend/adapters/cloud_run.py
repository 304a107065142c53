"""The trainer as a Cloud Run job. Its client is imported when a run is started: no other event needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud import run_v2


class CloudRunTrainerJobs:
    """Implements ``ports.TrainerJobs``."""

    def __init__(self, job: str, timeout_s: int, environment: Mapping[str, str]) -> None:
        self._job, self._timeout_s, self._environment = job, timeout_s, environment

    def start(self, run_id: str, fence: int) -> None:
        """Start an execution without waiting for its end."""
        from google.cloud import run_v2

        run_v2.JobsClient().run_job(request=run_request(self._job, self._timeout_s, self._environment, run_id, fence))


def run_request(
    job: str, timeout_s: int, environment: Mapping[str, str], run_id: str, fence: int
) -> run_v2.RunJobRequest:
    """Return the request for one execution.

    The job's own timeout, by default 10 minutes, is replaced.
    """
    from google.cloud import run_v2
    from google.protobuf.duration_pb2 import Duration

    container = run_v2.RunJobRequest.Overrides.ContainerOverride(
        args=["run", "--run-id", run_id, "--fence", str(fence)],
        env=[run_v2.EnvVar(name=name, value=value) for name, value in sorted(environment.items())],
    )
    overrides = run_v2.RunJobRequest.Overrides(
        container_overrides=[container], timeout=Duration(seconds=timeout_s), task_count=1
    )
    return run_v2.RunJobRequest(name=job, overrides=overrides)
