"""Spellings of one book's ISBN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.files.spelling import is_valid_10, is_valid_13, same_book, spelt_otherwise

SAME = [
    ("080442957X", ["080442957x", "0-8044-2957-X", "0 8044 2957 x", "80442957X", "9780804429573", "978-0-8044-2957-3"]),
    ("0439023483", ["439023483", "0-439-02348-3", "9780439023481", "ISBN 0439023483", "isbn:978-0-439-02348-1"]),
    ("9780439023481", ["0439023483", "439023483", "978.0439.023481", "ISBN-13: 9780439023481"]),
    ("0002005018", ["2005018", "9780002005012"]),
    ("007", ["7", "0-07"]),
    ("b-x", ["BX", "b x"]),
]


@pytest.mark.parametrize(("own", "others"), SAME)
def test_spellings_of_one_book_are_the_same_book(own, others):
    for other in others:
        assert same_book(other) == same_book(own), other
    assert spelt_otherwise(others, [own]) == dict.fromkeys(others, own)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0439023483", "0439554934"),
        ("0439023484", "9780439023481"),  # the check digit is wrong
        ("9780439023480", "0439023483"),
        ("9790439023480", "0439023483"),
        ("1", "11"),
        ("x", "y"),
        ("0", "00x"),
    ],
)
def test_other_books_are_other_books(one, other):
    assert spelt_otherwise([one], [other]) == {}


def test_a_book_that_the_catalogue_has_as_given_is_spelt_right():
    assert spelt_otherwise(["a", "0439023483"], ["0439023483", "9780439023481"]) == {}
    assert spelt_otherwise(["439023483"], ["9780439023481", "0439023483"]) == {"439023483": "9780439023481"}


@given(st.integers(0, 10**9 - 1))
def test_an_isbn_10_and_its_isbn_13_are_the_same_book(number):
    nine = f"{number:09}"
    ten = next(nine + digit for digit in "0123456789X" if is_valid_10(nine + digit))
    thirteen = next(f"978{nine}{digit}" for digit in "0123456789" if is_valid_13(f"978{nine}{digit}"))
    assert same_book(ten) == same_book(thirteen) == same_book(ten.lower())


@given(st.text(max_size=20))
def test_no_text_is_an_error_and_a_book_is_spelt_as_itself(text):
    assert spelt_otherwise([text], [text]) == {}
    assert spelt_otherwise([text], [same_book(text)]).keys() <= {text}
