"""Repairs cells that a spreadsheet or another site has written in another form, if there is one way to do it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bookrec.entries import MAX_RATING
from trainer.data.dataset import parsed_number

FORMULA, SPACES, APOSTROPHE, SCIENTIFIC, TRAILING_ZERO, THOUSANDS = (
    "formula", "spaces", "apostrophe", "scientific", "trailing_zero", "thousands",
)  # fmt: skip
OTHER_ISBN = "other_isbn"
BLANK, DECIMAL_COMMA, SCALED, ROUNDED = "blank", "decimal_comma", "scaled", "rounded"

MENDED: Mapping[str, str] = {
    FORMULA: 'a text that a spreadsheet wrote as ="…"',
    SPACES: "spaces and tabs around a number are removed",
    APOSTROPHE: "the apostrophe before a spreadsheet's text is removed",
    SCIENTIFIC: "a number such as 9.780439023481E+12, with all its digits",
    TRAILING_ZERO: "the .0 after a whole number is removed",
    THOUSANDS: "the commas between thousands are removed",
    OTHER_ISBN: "the ISBN has lost digits, and another column has it whole",
    BLANK: "no stars: on the shelf, not rated",
    DECIMAL_COMMA: "4,5 is 4.5",
    SCALED: "mapped to five stars with --scale",
    ROUNDED: "rounded to half stars; a quarter is rounded up",
}
"""What was mended, by the name under which it is counted."""

LOST_DIGITS = "digits_lost"
"""Why a cell is rejected here; all other reasons are the contract's."""

LOST_DIGITS_MESSAGE = (
    "a spreadsheet has rounded the number: give its column the format Text, enter or import it again, and save as CSV"
)

SCALES = (10, 20, 100)
"""Highest ratings of other sites' scales."""

SUSPICIOUS, LEAST_ABOVE = 0.1, 2
"""If more than this share of the ratings, and so many, are above 5, they are on another scale."""

_FORMULA = re.compile(r'\s*="(.*)"\s*', re.DOTALL)
_NUMERIC = re.compile(r"'?[0-9][0-9XxEe.,+ -]*")
_APOSTROPHE = re.compile(r"'[0-9][0-9Xx -]*")
_SCIENTIFIC = re.compile(r"([1-9])(?:[.,](\d+))?[eE]([+-]?)(\d{1,3})")
_TRAILING_ZERO = re.compile(r"(\d+)[.,]0+")
_FRACTION = re.compile(r"\d+[.,]0*[1-9]\d*")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
_COMMA = re.compile(r"([+-]?\d*),(\d+)")

Cell = tuple[str | None, tuple[str, ...]]
"""A cell's new text, or None if it cannot be used, and what was mended."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A column after repair.

    Attributes:
        values: the texts.
        unusable: bool [rows], which cells have lost digits.
        counts: number of repaired cells by kind.
    """

    values: pd.Series
    unusable: npt.NDArray[np.bool_]
    counts: Counter[str]


def mend_ids(column: pd.Series) -> Mended:
    """Repair a column of ISBNs or of readers' ids."""
    texts = column.unique()
    # Names such as 1.0 and 1.5 are not numbers that a spreadsheet has turned.
    are_numbers = not any(isinstance(text, str) and _FRACTION.fullmatch(text) for text in texts)
    return _mended(column, lambda text: _id(text, are_numbers))


def mend_first(columns: Sequence[pd.Series]) -> Mended:
    """Repair, row by row, the first of some columns of ISBNs that has a usable one; if none has, the first text."""
    chosen = columns[-1]
    has_text, is_usable, has_lost = (np.zeros(len(chosen), bool) for _ in range(3))
    for column in columns:
        is_text = column.map(lambda text: bool(unwrapped(text).strip())).to_numpy(bool)
        is_lost = mend_ids(column).unusable
        is_better = ~is_usable & is_text & (~is_lost | ~has_text)
        chosen = chosen.where(~is_better, column)
        has_lost |= is_lost & ~is_usable
        has_text, is_usable = has_text | is_text, is_usable | (is_text & ~is_lost)
    mended = mend_ids(chosen)
    if others := int(np.count_nonzero(has_lost & is_usable)):
        mended.counts[OTHER_ISBN] += others
    return mended


def mend_stars(column: pd.Series, scale: float | None, *, halves: bool) -> Mended:
    """Repair a column of stars.

    Args:
        scale: the highest rating in the file, which becomes five stars; None is 5.
        halves: round quarters, and what ``scale`` makes of a rating, to half stars.
    """
    return _mended(column, lambda text: _stars(text, scale or MAX_RATING, halves))


def other_scale(column: pd.Series) -> tuple[int, int, int] | None:
    """Return the scale that ratings above 5 are on, how many are above 5, and how many are rated at all.

    None means that they may be stars of five. The column is one that ``mend_stars`` has returned, without a scale.
    """
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    rated = numbers[np.isfinite(numbers) & (numbers > 0)]
    above = rated[rated > MAX_RATING]
    if len(above) < LEAST_ABOVE or len(above) <= SUSPICIOUS * len(rated):
        return None
    scale = next((scale for scale in SCALES if above.max() <= scale), None)
    return (scale, len(above), len(rated)) if scale else None


def _mended(column: pd.Series, mend: Callable[[str], Cell]) -> Mended:
    """Repair each distinct text once."""
    codes, texts = pd.factorize(column.to_numpy(object))
    numbers = np.bincount(codes, minlength=len(texts))
    counts: Counter[str] = Counter()
    values = np.empty(len(texts), object)
    unusable = np.zeros(len(texts), bool)
    for place, text in enumerate(texts):
        value, what = mend(text)
        unusable[place] = value is None
        values[place] = text if value is None else value
        if value is not None:
            counts.update({kind: int(numbers[place]) for kind in what})
    return Mended(pd.Series(values[codes], column.index, dtype=object), unusable[codes], counts)


def unwrapped(text: str) -> str:
    """Return what is in a text that a spreadsheet or Goodreads wrote as a formula, ="…"; any other text as it is."""
    match = _FORMULA.fullmatch(text)
    return match.group(1).replace('""', '"') if match else text


def _id(text: str, are_numbers: bool) -> Cell:
    what = []
    plain = unwrapped(text)
    if plain != text:
        what.append(FORMULA)
    bare = plain.strip()
    if bare != plain and _NUMERIC.fullmatch(bare):
        plain = bare
        what.append(SPACES)
    if _APOSTROPHE.fullmatch(plain):
        plain = plain[1:]
        what.append(APOSTROPHE)
    if match := _SCIENTIFIC.fullmatch(plain):
        return _whole(match, plain, what)
    if are_numbers and (match := _TRAILING_ZERO.fullmatch(plain)):
        return match.group(1), (*what, TRAILING_ZERO)
    if _THOUSANDS.fullmatch(plain):
        return plain.replace(",", ""), (*what, THOUSANDS)
    return plain, tuple(what)


def _whole(match: re.Match[str], text: str, what: list[str]) -> Cell:
    """Return the whole number that a text such as 9.780439023481E+12 writes with all its digits.

    Without a point and a sign, a text such as 4E10 may be a name.
    """
    first, fraction, sign, exponent = match.group(1), match.group(2) or "", match.group(3), int(match.group(4))
    if not sign and not match.group(2):
        return text, tuple(what)
    if sign == "-" or len(fraction) < exponent or fraction[exponent:].strip("0"):
        return None, ()
    return first + fraction[:exponent], (*what, SCIENTIFIC)


def _stars(text: str, scale: float, halves: bool) -> Cell:
    what = []
    plain = unwrapped(text).strip()
    if not plain:
        return "0", (BLANK,)
    if match := _COMMA.fullmatch(plain):
        plain = f"{match.group(1)}.{match.group(2)}"
        what.append(DECIMAL_COMMA)
    number = parsed_number(plain)
    if number is None:
        return text, ()
    if not math.isfinite(number) or number <= 0:
        return plain, tuple(what)
    stars = number * MAX_RATING / scale
    if scale != MAX_RATING:
        what.append(SCALED)
    is_rough = scale != MAX_RATING or stars * 4 == int(min(stars * 4, 1e9))
    if halves and is_rough and stars <= MAX_RATING and stars * 2 != int(stars * 2):
        stars = max(math.floor(stars * 2 + 0.5 + 1e-9), 1) / 2
        what.append(ROUNDED)
    return (repr(stars) if what and stars != number else plain), tuple(what)
