"""Numbers in the environment: within their range, or a sentence that names it."""

import pytest

from backend.parameters import MOST_COUNTED, read_settings
from bookrec.errors import BadSetting


def minimum_changes(monkeypatch, text):
    monkeypatch.setenv("RETRAIN_MINIMUM_CHANGES", text)
    return read_settings().policy.minimum_changes


def test_a_number_in_its_range_counts(monkeypatch):
    assert [minimum_changes(monkeypatch, text) for text in ("0", "7", str(MOST_COUNTED))] == [0, 7, MOST_COUNTED]


@pytest.mark.parametrize("text", ["-1", str(MOST_COUNTED + 1), "1e3", "many"])
def test_another_is_rejected_and_the_range_is_named(monkeypatch, text):
    with pytest.raises(BadSetting, match=f"RETRAIN_MINIMUM_CHANGES is '{text}' .* from 0 to {MOST_COUNTED}"):
        minimum_changes(monkeypatch, text)
