"""The same book, spelt otherwise: hyphens or none, a small x, leading zeros or none, 10, 13 or 14 digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_PREFIX = re.compile(r"(?:URN:)?ISBN(?:-?1[03](?=[ :]))?[ :]*(?=[0-9])")
_SEPARATORS = str.maketrans("", "", " ._:-\t")
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2212\u00a0", "----- ")
_ISBN10 = re.compile(r"\d{9}[\dX]")
_SHORT = re.compile(r"\d{4,8}[\dX]")
_ISBN13 = re.compile(r"97[89]\d{10}")


def same_book(isbn: str) -> str:
    """Return a text that is equal for all spellings of one book's ISBN.

    An ISBN-10 and its ISBN-13 are equal only if their check digits are right: other numbers may be another shop's.
    """
    bare = _PREFIX.sub("", isbn.translate(_DASHES).upper().strip()).translate(_SEPARATORS)
    thirteen = bare.lstrip("0")  # some catalogues write all numbers with 14 digits
    if _ISBN13.fullmatch(thirteen) and is_valid_13(thirteen):
        return thirteen[:12]
    padded = bare.zfill(10) if _SHORT.fullmatch(bare) else bare
    if _ISBN10.fullmatch(padded) and is_valid_10(padded):
        return f"978{padded[:9]}"
    return bare.lstrip("0") or bare


def is_valid_10(isbn: str) -> bool:
    """Return whether the last of ten characters is the right check digit. Source: ISO 2108, annex on check digits."""
    digits = [10 if character == "X" else int(character) for character in isbn]
    return sum(weight * digit for weight, digit in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0


def is_valid_13(isbn: str) -> bool:
    """Return whether the last of thirteen digits is the right check digit. Source: ISO 2108, as above."""
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(isbn)) % 10 == 0


def spelt_otherwise(isbns: Iterable[str], catalogue: Iterable[str]) -> Mapping[str, str]:
    """Return the catalogue's spelling of each ISBN that it does not have as given; of several, the first counts."""
    own = dict.fromkeys(catalogue)
    missing = [isbn for isbn in dict.fromkeys(isbns) if isbn not in own]
    if not missing:
        return {}
    spelling: dict[str, str] = {}
    for isbn in own:
        spelling.setdefault(same_book(isbn), isbn)
    keys = ((isbn, same_book(isbn)) for isbn in missing)
    return {isbn: spelling[key] for isbn, key in keys if key in spelling}
