"""What the local stack provides for the pages: modules, policy, accounts, and a schedule."""

import base64
import hashlib
import json
import re

import requests

from local import vendor
from local.accounts import ACCOUNTS, sign_in
from local.pages import POLICY, hosting_for
from local.schedule import reconciling
from local.stack import ROOT

HOSTING = json.loads((ROOT / "firebase.json").read_text())["hosting"]
SDK = json.loads((ROOT / "package.json").read_text())["devDependencies"]["firebase"]


def policy(hosting):
    [value] = [header["value"] for rule in hosting["headers"] for header in rule["headers"] if header["key"] == POLICY]
    return {part.split()[0]: part.split()[1:] for part in value.split("; ")}


def import_maps():
    """Return the text of each page's import map."""
    pages = [file.read_text() for file in sorted((ROOT / "web").glob("*.html"))]
    return [re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL).group(1) for page in pages]


def test_the_policy_allows_no_inline_script_but_the_import_map():
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in import_maps()}
    assert policy(HOSTING)["script-src"] == ["'self'", *hashes]


def test_the_import_map_has_every_module_of_the_sdk_and_the_parser():
    [text] = set(import_maps())
    imports = json.loads(text)["imports"]
    core = "/vendor/firebase-app.js"
    wanted = {f"firebase/{module}": f"/vendor/firebase-{module}.js" for module in vendor.MODULES}
    parser = {"csv-parse/sync": "/vendor/csv-parse.js"}
    assert imports == {**parser, **wanted, f"https://www.gstatic.com/firebasejs/{SDK}/firebase-app.js": core}


def test_modules_are_copied_once_and_name_no_source_maps(tmp_path):
    vendor.copy(tmp_path)
    first = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert sorted(first) == sorted([*(f"firebase-{module}.js" for module in vendor.MODULES), *vendor.OTHERS])
    assert not any("sourceMappingURL" in file.read_text() for file in tmp_path.iterdir())
    assert all("Permission is hereby granted" in (tmp_path / name).read_text() for name in vendor.OTHERS)
    vendor.copy(tmp_path)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == first


def test_with_emulators_the_policy_also_allows_their_addresses_and_nothing_else():
    deployed, local = policy(HOSTING), policy(hosting_for(HOSTING, "folder", ["127.0.0.1:9000"]))
    here, everywhere = local.pop("connect-src"), deployed.pop("connect-src")
    assert set(here) - set(everywhere) == {"http://127.0.0.1:9000", "ws://127.0.0.1:9000"}
    assert local == deployed


def test_accounts_are_created_once_and_only_the_operator_has_the_claim(stack):
    assert stack.sign_up_accounts() == stack.sign_up_accounts()
    for account in ACCOUNTS:
        body = sign_in(account.email, account.password, stack.addresses.auth)["idToken"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        assert claims.get("operator", False) == (account.email == "operator@example.com")


def test_each_stack_has_its_own_configuration_and_every_response_the_policy(stack):
    response = requests.get(f"{stack.web}/config.json", timeout=10)
    assert response.json()["emulators"]["database"] == stack.addresses.database
    assert stack.addresses.database in response.headers[POLICY]
    assert not (ROOT / "web" / "config.json").exists() or response.text != (ROOT / "web" / "config.json").read_text()


def test_the_reconciler_runs_repeatedly_while_pages_are_served(stack, new_reader):
    reader = new_reader()
    isbn = next(iter(stack.admin_get("archive").values()))["isbn"]
    lost = {"userId": reader.uid, "bookId": "b", "isbn": isbn, "myRate": 5}
    with reconciling(stack, every_s=0.5):
        reader.request("PUT", f"User_Book/lost-{reader.uid}", lost, disableTriggers="true").raise_for_status()
        reader_list, _ = reader.wait_for_list()
    assert reader_list["basedOn"]["entries"] == 1
