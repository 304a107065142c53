"""Regular expressions of the rules: the documented subset, in linear time."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.rules.pattern import BadPatternError, compile_literal, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("/a/", "bab", True),
        ("/ a[/]/", "b a/", True),
        ("/^a/", "ba", False),
        ("/a$/", "ab", False),
        ("/^a$/", "a\n", False),
        ("/^a.b$/", "a\nb", True),
        ("/^a*$/", "", True),
        ("/^a+$/", "", False),
        ("/^a?$/", "aa", False),
        ("/^(ab)*$/", "abab", True),
        ("/^(a|bc)$/", "bc", True),
        ("/^[0-9A-F]+$/", "0AF", True),
        ("/^[0-9A-F]+$/", "0af", False),
        ("/^[0-9A-F]+$/i", "0af", True),
        ("/^[^0-9]$/", "5", False),
        ("/^a{2,3}$/", "aaa", True),
        ("/^a{2}$/", "aaa", False),
        ("/^a{2,}$/", "aaaa", True),
        (r"/^\s\S\d\D\w\W$/", "\va5a_-", True),
        (r"/^[\s\d]+$/", "\v 5\t", True),
        (r"/^[\S]+$/", "a\v", False),
        (r"/^[^\d\-x]$/", "-", False),
        (r"/^\d$/", "\u0663", False),
        (r"/^\w$/", "\u00e9", False),
        (r"/^\.\/\$\^\n$/", "./$^\n", True),
        ("/^[-a]+[b-]$/", "-a-", True),
        ("/^[.$|()*+?{}~#& ]+$/", ".$|()*+?{}~#& ", True),
        ("/^\u00e9$/i", "\u00c9", True),
        ("/^..$/", "\U0001f600", True),
        ("/^.$/", "\U0001f600", False),
        ("/^\U0001f600$/", "\U0001f600", True),
        ("/^[^a]{2}$/", "\U0001f600", True),
        ("/^$/", "", True),
        ("/^(a|())$/", "", True),
        (r"/^(a|\||b)$/", "|", True),
        ("/^([|]|b)$/", "|", True),
        (r"/^(a\(|\)|b)$/", ")", True),
    ],
)
def test_patterns_match_as_documented(pattern, text, answer):
    assert compile_literal(pattern).matches(text) is answer


@pytest.mark.parametrize(
    "bad",
    [
        "(?=a)",
        r"(a)\1",
        "a*?",
        "a++",
        "a**",
        "a^b",
        "a$b",
        r"\b",
        "[a",
        "(a",
        "a)",
        "a{",
        "*a",
        "[b-a]",
        "a{3,2}",
        "a\\",
        "^(foo|)$",
        "foo|",
        "|foo",
        "(|foo)",
        "foo||bar",
        "(foo||bar)",
        "^|foo",
        "foo|$",
        "^(a(b|))+$",
        "(|)",
        "|",
    ],
)
def test_patterns_outside_the_documented_subset_are_rejected(bad):
    with pytest.raises(BadPatternError):
        compile_pattern(bad, ignore_case=False)


def test_a_pattern_that_would_backtrack_without_end_is_answered_at_once():
    pattern = compile_literal("/^(a+)+$/")
    started = time.monotonic()
    assert pattern.matches("a" * 100_000 + "b") is False
    assert time.monotonic() - started < 5


@given(st.text(r"ab-[]()^$|&~\d.*+?{}1,/", max_size=12), st.text("ab-1\U0001f600", max_size=5))
def test_any_text_is_a_pattern_or_is_rejected(text, subject):
    with contextlib.suppress(BadPatternError):
        assert compile_pattern(text, ignore_case=True).matches(subject) in (True, False)
