"""The promises of the security page: each named test exists, logs hold no data, and dependencies are locked."""

import json
import re

import pytest

from backend import logs
from backend.handlers.entry_written import EntryWritten
from backend.logs import FunctionFailedError
from bookrec import paths
from bookrec.errors import StoreUnavailable
from tests.clients.guide import ROOT
from tests.fakes import World, entry

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
REQUIREMENTS = {
    "requirements-dev.txt": 100,
    "functions/requirements.txt": 40,
    "trainer/requirements.txt": 60,
    "trainer/requirements-baselines.txt": 5,
    "trainer/requirements-tflite.txt": 2,
}
"""How many packages each has at least."""

LOCKS = ["package-lock.json", "emulator/tests/conformance/package-lock.json"]


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_test_that_the_page_names_exists(file, test):
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_claim_names_its_test_or_says_that_there_is_none():
    protected = PAGE[PAGE.index("\n## Readers") : PAGE.index("\n## What is not protected")]
    for section in re.split(r"\n## ", protected)[1:]:
        assert re.search(r"::test_|untested", section, re.IGNORECASE), section.splitlines()[0]
    assert len(NAMED) > 35


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_python_package_is_locked_with_its_hashes(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(packages) >= REQUIREMENTS[name]
    assert [line[:60] for line in packages if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_npm_package_is_locked_with_its_integrity(name):
    packages = json.loads((ROOT / name).read_text())["packages"]
    fetched = {path: package for path, package in packages.items() if path and not package.get("inBundle")}
    assert len(fetched) > 10
    assert [path for path, package in fetched.items() if not package.get("integrity", "").startswith("sha512-")] == []
    assert [path for path, package in fetched.items() if "resolved" in package] == []  # npm's registry, no address


def test_no_log_line_has_a_user_id_or_content_of_an_entry(capfd):
    world = World()
    world.publish("v1", 1)
    ana, ben = "ana-of-the-house", "Ben-Secret-Uid"
    secrets = [ana, ben, "isbn004", "isbn007", "not an isbn at all", "hidden@example.com"]

    def write(key, value, author=None):
        before = world.database.entry(key)
        world.database.update({f"{paths.USER_BOOK}/{key}": value})
        world.backend.entry_written(EntryWritten("e", key, before, value, author))

    world.database.update({f"{paths.USERS}/{ana}": {"id": ana, "firstname": "hidden@example.com"}})
    write("k1", entry(ana, "isbn004"))
    write("k2", {**entry(ben, "isbn007"), "isbn": "not an isbn at all"})
    write("k3", entry(ben, "isbn007"), author=ana)
    world.publish("v2", 2)
    world.backend.model_published()
    world.database.update({f"{paths.USERS}/{ana}": None})
    for _ in range(5):
        world.backend.reconcile(rests=False)

    def fail(number):
        raise StoreUnavailable(f"/Users/{ana} is away")

    world.database.on_shelf_read = fail
    with pytest.raises(FunctionFailedError) as failure, logs.reported("on_user_book_written"):
        world.backend.entry_written(EntryWritten("e", "k1", None, entry(ana, "isbn004"), ana))
    assert ana not in str(failure.value)
    out, err = capfd.readouterr()
    assert out.count("\n") + err.count("\n") > 3
    assert [secret for secret in secrets if secret in out + err] == []
