"""A headless Chromium that can reach only this machine."""

import contextlib
import os
import shutil

from playwright.sync_api import sync_playwright

from tests.missing import skip_without

NOTHING_BUT_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
QUIETLY = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]  # fmt: skip

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium():
    """The program of a Chromium: CHROMIUM, or one on PATH; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def launched():
    """Yield a running browser, driven by Playwright."""
    program = chromium()
    if program is None:
        skip_without("no Chromium on this machine: install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*QUIETLY, NOTHING_BUT_HERE])
        yield browser
        browser.close()
