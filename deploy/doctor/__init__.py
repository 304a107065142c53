"""Looks at a live project by commands that only read, and says what to mend."""

from __future__ import annotations

from deploy.doctor.examination import examine
from deploy.doctor.findings import Finding, exit_code, report

__all__ = ["Finding", "examine", "exit_code", "report"]
