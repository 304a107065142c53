"""The operator's page as an operator uses it, and the backend behind it."""

import hashlib
import json
from urllib.parse import quote

import requests
from playwright.sync_api import expect

from local.stack import ADMIN, ROOT

OPERATOR = ("operator@example.com", "operator-password")
SHOTS = ROOT / "out" / "web"
FUNCTIONS = ("operator_retrain", "operator_rollback", "operator_release", "operator_experiment", "operator_reconcile")

expect.set_options(timeout=30_000)


def sign_in(page, email, password):
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_operations(visit, **options):
    """Return the page after signing in, showing the live model."""
    page = visit("/operator", **options)
    sign_in(page, *OPERATOR)
    expect(page.locator("[data-part=live] .headline .version")).to_be_visible()
    return page


def shoot(page, name, **options):
    """Save a screenshot for people, by default of the whole page."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    if options.get("full_page", True):
        page.evaluate("scrollTo(0, 0)")  # fixed elements are at the top of the window
    page.screenshot(path=SHOTS / f"operator-{name}.png", **{"full_page": True, **options})


def manifest(stack, version):
    """Return a version's manifest from the bucket."""
    name = quote(f"models/{version}/manifest.json", safe="")
    url = f"http://{stack.addresses.storage}/storage/v1/b/{stack.addresses.bucket}/o/{name}"
    answer = requests.get(url, params={"alt": "media"}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def put(stack, path, value, *, silently=False):
    """Replace or remove a node as an admin; silently: without triggering functions."""
    url = f"http://{stack.addresses.database}/{path}.json"
    parameters = {"ns": stack.addresses.namespace, "disableTriggers": str(silently).lower()}
    requests.put(url, params=parameters, data=json.dumps(value), headers=ADMIN, timeout=30).raise_for_status()


def call(stack, function, data, token=None):
    """Call a function as an SDK does, without the page; return the response."""
    url = f"http://{stack.addresses.functions}/{stack.addresses.project}/us-central1/{function}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(url, json={"data": data}, headers=headers, timeout=120)


def arm_of(experiment, uid):
    """Return a reader's arm, computed as the contract says."""
    digest = hashlib.sha256(f"{experiment['id']}:{uid}".encode()).hexdigest()
    return "b" if int(digest[:8], 16) / 2**32 < experiment["share"] else "a"
