"""Numbers in the environment: what may be, or a sentence that names the variable."""

import pytest

from backend.parameters import MOST_COUNTED, read_settings
from bookrec.errors import BadSetting


def minimum_changes(monkeypatch, text):
    monkeypatch.setenv("RETRAIN_MINIMUM_CHANGES", text)
    return read_settings().policy.minimum_changes


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("7", 7), (str(MOST_COUNTED), MOST_COUNTED), (str(MOST_COUNTED + 1), MOST_COUNTED)]
)
def test_a_number_counts_up_to_the_most_that_is_allowed(monkeypatch, text, number):
    assert minimum_changes(monkeypatch, text) == number


@pytest.mark.parametrize("text", ["-1", "1e3", "many"])
def test_another_text_is_rejected_and_the_variable_is_named(monkeypatch, text):
    with pytest.raises(BadSetting, match=f"RETRAIN_MINIMUM_CHANGES is '{text}' .* at least 0"):
        minimum_changes(monkeypatch, text)
