"""The trainer as a Cloud Run job."""

from __future__ import annotations

from google.cloud import run_v2
from google.protobuf.duration_pb2 import Duration


class CloudRunTrainerJobs:
    """Implements ``ports.TrainerJobs``."""

    def __init__(self, project: str, region: str, job: str, timeout_s: int) -> None:
        self._client = run_v2.JobsClient()
        self._name = f"projects/{project}/locations/{region}/jobs/{job}"
        self._timeout_s = timeout_s

    def start(self, run_id: str, fence: int) -> None:
        """Start an execution and leave it running. The default timeout of 10 minutes is replaced."""
        overrides = run_v2.RunJobRequest.Overrides(
            container_overrides=[
                run_v2.RunJobRequest.Overrides.ContainerOverride(
                    args=["run", "--run-id", run_id, "--fence", str(fence)]
                )
            ],
            timeout=Duration(seconds=self._timeout_s),
        )
        self._client.run_job(request=run_v2.RunJobRequest(name=self._name, overrides=overrides))
