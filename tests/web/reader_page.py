"""The reader's page as a person uses it: elements are found by role and name."""

import contextlib
import json
import re
from functools import partial

from playwright.sync_api import expect

from local.stack import ROOT
from tests import waiting
from tests.web.conftest import LATE, PASSWORD

OUT = ROOT / "out" / "web"
wait_until = partial(waiting.wait_until, patience_s=LATE / 1000)
NOT_YET_READ = re.compile(r"^Book \d+$")
"""The page's name for a book whose title has not been loaded yet."""

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def sign_in(page, email, password=PASSWORD):
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def signed_in(page, reader):
    """Sign in and wait for the list."""
    sign_in(page, reader.email)
    expect(recommended(page)).to_have_count(10)
    return page


def recommended(page):
    return page.locator("#top-ten > .book")


def isbns(page):
    return recommended(page).evaluate_all("books => books.map(book => book.dataset.isbn)")


def title(card):
    """Return a book's title, once the page has it from the catalogue."""
    heading = card.get_by_role("heading")
    expect(heading).not_to_have_text(NOT_YET_READ)
    return heading.inner_text()


def shelf_entry(page, name):
    return page.locator("#entries > .entry").filter(has=page.get_by_role("heading", name=name, exact=True))


def stars(place):
    return place.get_by_role("slider")


def rate(place, rating):
    """Click the star, or its left half."""
    slider = stars(place)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] / 5 * (rating - 0.25), "y": box["height"] / 2})


def updated_ms(page):
    """Wait until the page says how long the list took; return the milliseconds."""
    pulse = page.locator("#pulse.fresh")
    expect(pulse).to_contain_text("Updated")
    number, unit = re.search(r"Updated ([\d.]+) (ms|s)", pulse.inner_text()).groups()
    return float(number) * (1 if unit == "ms" else 1000)


def picture(page, name):
    """Save a screenshot of the page, for people."""
    OUT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUT / f"{name}.png")


def keep_figures(**figures):
    """Add figures to ``out/web.json``."""
    path = OUT.with_suffix(".json")
    path.parent.mkdir(exist_ok=True)
    known = {}
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, **figures}, indent=1, sort_keys=True))
