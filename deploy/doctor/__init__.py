"""Checks a live project with commands that only read, and says what to fix."""

from __future__ import annotations

from deploy.doctor.examination import examine
from deploy.doctor.findings import Finding, exit_code, report

__all__ = ["Finding", "examine", "exit_code", "report"]
