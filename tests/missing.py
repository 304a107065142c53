"""What a machine may lack for some tests."""

import os

import pytest


def skip_without(what):
    """Skip a test for want of something, saying what to install; where CI is set, which installs it, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
