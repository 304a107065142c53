"""Cells that a spreadsheet or another site has turned: what is mended, and what cannot be."""

import time

import pandas as pd
import pytest

from trainer.data.files import mending
from trainer.data.files.mending import MENDED, mend_ids, mend_stars, other_scale


def ids(*texts):
    mended = mend_ids(pd.Series(texts, dtype=object))
    return [None if bad else text for text, bad in zip(mended.values, mended.unusable, strict=True)], dict(
        mended.counts
    )


def stars(*texts, scale=None, halves=True):
    mended = mend_stars(pd.Series(texts, dtype=object), scale, halves=halves)
    assert not mended.unusable.any()
    return mended.values.tolist(), dict(mended.counts)


@pytest.mark.parametrize(
    ("text", "mended", "kind"),
    [
        ('="0439023483"', "0439023483", "formula"),
        (' ="080442957X" ', "080442957X", "formula"),
        ('=""', "", "formula"),
        ("'0439023483", "0439023483", "apostrophe"),
        ("'0-8044-2957-X", "0-8044-2957-X", "apostrophe"),
        ("\t0439023483", "0439023483", "spaces"),
        ("\u00a00-8044-2957-x  ", "0-8044-2957-x", "spaces"),
        ("9.780439023481E+12", "9780439023481", "scientific"),
        ("9,780439023481E+12", "9780439023481", "scientific"),
        ("9.780439023481e12", "9780439023481", "scientific"),
        ("4.39023483E+08", "439023483", "scientific"),
        ("9.7804390234810E+12", "9780439023481", "scientific"),
        ("9780439023481.0", "9780439023481", "trailing_zero"),
        ("9780439023481.00", "9780439023481", "trailing_zero"),
        ("439023483,0", "439023483", "trailing_zero"),
        ("9,780,439,023,481", "9780439023481", "thousands"),
    ],
)
def test_a_number_with_all_its_digits_is_mended(text, mended, kind):
    assert ids(text) == ([mended], {kind: 1})
    assert kind in MENDED


@pytest.mark.parametrize(
    "text", ["9.78044E+12", "9.78E+12", "9,78E+12", "9.78044e12", "9E+12", '="9.78E+12"', "4.5E-05"]
)
def test_a_number_with_lost_digits_cannot_be_mended(text):
    assert ids(text) == ([None], {})


@pytest.mark.parametrize(
    "text",
    [
        "0439023483",
        "0-8044-2957-X",
        "080442957x",
        "439023483",
        "",
        "4E10",
        "i.0",
        "'tis",
        "1.5",
        "978 0439",
        "=x",
        "é",
        "B00",
    ],
)
def test_an_id_stays_as_it_is_given(text):
    assert ids(text) == ([text], {})


def test_spaces_around_a_number_hide_no_other_repair():
    assert ids(" 9.780439023481E+12") == (["9780439023481"], {"spaces": 1, "scientific": 1})
    assert ids('="0439023483 "', " '0439023483") == (["0439023483"] * 2, {"formula": 1, "spaces": 2, "apostrophe": 1})
    assert ids("9.78E+12 ") == ([None], {})


@pytest.mark.parametrize("text", ["1" + " " * 100_000 + "y", "1." + "1" * 100_000 + "x"], ids=["spaces", "digits"])
def test_a_long_cell_takes_no_longer_than_its_length(text):
    began = time.process_time()
    assert ids(text) == ([text], {})
    assert time.process_time() - began < 5  # with backtracking, half a minute


def test_ids_with_fractions_are_names_and_lose_no_zero():
    assert ids("1.0", "1.5", "2.0") == (["1.0", "1.5", "2.0"], {})
    assert ids("1.0", "2.0", "2.0", "x") == (["1", "2", "2", "x"], {"trailing_zero": 3})


@pytest.mark.parametrize(
    ("text", "mended", "kinds"),
    [
        ("", "0", {"blank"}),
        ("  ", "0", {"blank"}),
        ('=""', "0", {"blank"}),
        ("4,5", "4.5", {"decimal_comma"}),
        (",5", ".5", {"decimal_comma"}),
        ("4,0", "4.0", {"decimal_comma"}),
        ('="4"', "4", set()),
        ("3.75", "4.0", {"rounded"}),
        ("4.25", "4.5", {"rounded"}),
        ("0.25", "0.5", {"rounded"}),
        ("4,75", "5.0", {"decimal_comma", "rounded"}),
        ("4.5", "4.5", set()),
        ("0", "0", set()),
        ("3.3", "3.3", set()),
        ("6.25", "6.25", set()),
        ("-0.25", "-0.25", set()),
        ("four", "four", set()),
        ("0_4", "0_4", set()),
        ("nan", "nan", set()),
        ("1e308", "1e308", set()),
    ],
)
def test_stars_are_mended_where_there_is_one_way(text, mended, kinds):
    assert stars(text) == ([mended], dict.fromkeys(kinds, 1))


def test_quarters_of_another_site_stay_for_a_comparison():
    assert stars("3.75", "", "4,25", halves=False) == (["3.75", "0", "4.25"], {"blank": 1, "decimal_comma": 1})


@pytest.mark.parametrize(
    ("scale", "given", "expected"),
    [
        (10, [0, 1, 2, 3, 5, 7.5, 10, 11], [0, 0.5, 1, 1.5, 2.5, 4.0, 5, 5.5]),
        (100, [0, 1, 10, 83, 85, 100], [0, 0.5, 0.5, 4.0, 4.5, 5]),
        (6, [1, 2, 3, 6], [1.0, 1.5, 2.5, 5]),
        (4, [1, 2, 4, 5], [1.5, 2.5, 5, 6.25]),
        (5, [1, 2.5, 6], [1, 2.5, 6]),
        (1, [0, 1], [0, 5]),
    ],
)
def test_another_scale_is_mapped_to_five_stars(scale, given, expected):
    values, counts = stars(*map(str, given), scale=scale)
    assert list(map(float, values)) == expected
    assert counts.get("scaled", 0) == (sum(stars > 0 for stars in given) if scale != 5 else 0)


def test_what_is_no_number_is_not_mapped():
    assert stars("0_4", "four", scale=10) == (["0_4", "four"], {})


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        ([0, 2, 3, 5, 6, 7, 8, 9, 10], 10),
        ([6, 7], 10),
        ([1, 4, 12, 18], 20),
        ([55, 80, 90], 100),
        ([1, 2, 3, 4, 5, 0], None),
        ([4, 5, 55], None),  # one is a slip
        ([4] * 30 + [44, 55], None),  # a few are slips
        ([4, 5000, 6000], None),
        (["x", "", "nan"], None),
    ],
)
def test_ratings_of_another_scale_are_recognised(given, scale):
    other = other_scale(pd.Series(list(map(str, given)), dtype=object))
    assert (other and other[0]) == scale


def test_names_of_repairs_are_explained():
    kinds = {value for name, value in vars(mending).items() if name.isupper() and isinstance(value, str)}
    assert kinds - {mending.LOST_DIGITS, mending.LOST_DIGITS_MESSAGE} == set(MENDED)
