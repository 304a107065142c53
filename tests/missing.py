"""Programs that a machine may lack for some tests."""

import os

import pytest


def skip_without(what):
    """Skip a test because something is missing, saying what to install; fail it if CI is set, which installs it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
