"""The whole loop in the real Emulator Suite: functions, rules, tasks, storage, and the real trainer."""

import os
import random
import subprocess
import sys
import time

import pytest

from bookrec.ranking import LIST_SIZE
from local.reader import Reader
from local.stack import ROOT, Stack
from tests.waiting import is_fanned_out, wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    with Stack(data=ROOT / "emulator-data", logs=logs, fresh_ports=True) as stack:
        done = subprocess.run(
            [sys.executable, "-m", "trainer", "run"],
            cwd=ROOT,
            env={**os.environ, **stack.addresses.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        yield stack
    assert stack.processes.alive() == []


@pytest.fixture(scope="module")
def isbns(stack):
    return sorted(book["isbn"] for book in stack.admin_get("archive").values())


_numbers = iter(range(10_000))


@pytest.fixture
def reader(stack):
    reader = Reader(stack.addresses, f"reader-{next(_numbers)}@example.com")
    reader.sign_up()
    return reader


def assert_good(node, shelf, isbns):
    listed = [item["isbn"] for item in node["items"]]
    assert len(set(listed)) == LIST_SIZE
    assert set(listed) <= set(isbns)
    assert not set(listed) & set(shelf.ratings)
    assert all(0.5 <= item["predictedRating"] <= 5 for item in node["items"])
    assert all(set(item.get("because", [])) <= set(shelf.ratings) for item in node["items"])


def test_everybody_has_a_list_of_the_first_model(stack):
    wait_until(lambda: is_fanned_out(stack))
    assert all("recommendations" in user for user in stack.admin_get("Users").values())


def test_a_readers_write_becomes_a_list_and_an_update_and_a_delete_change_it(stack, reader, isbns):
    key = reader.shelve(isbns[10], 4.5)
    first, _ = reader.wait_for_list()
    assert_good(first, reader.shelf(), isbns)
    assert first["source"] in ("personal", "mixed")
    assert any(item.get("because") == [isbns[10]] for item in first["items"])  # a database keeps no empty list

    reader.request("PATCH", f"User_Book/{key}", {"isbn": isbns[200]}).raise_for_status()
    second, _ = reader.wait_for_list()
    assert_good(second, reader.shelf(), isbns)
    assert second["listId"] != first["listId"]

    reader.remove(key)
    third, _ = reader.wait_for_list()
    assert third["basedOn"]["entries"] == 0
    assert third["source"] == "popular"


def test_a_dismissed_book_leaves_the_list_of_its_reader_only_and_undo_brings_it_back(stack, reader, isbns):
    other = Reader(stack.addresses, f"reader-{next(_numbers)}@example.com")
    for one in (reader, other):
        one.shelve(isbns[10], 4.5)
    first, _ = reader.wait_for_list()
    others, _ = other.wait_for_list()
    book = first["items"][1]["isbn"]
    reader.dismiss(book)
    second, _ = reader.wait_for_list()
    assert_good(second, reader.shelf(), isbns)
    assert book not in [item["isbn"] for item in second["items"]]
    assert second["basedOn"]["dismissed"] == 1
    assert reader.request("PATCH", f"Users/{reader.uid}/dismissed", {book: 1}).status_code == 401
    reader.dismiss(book, undo=True)
    third, _ = reader.wait_for_list()
    assert {**third, "generatedAt": 0} == {**first, "generatedAt": 0}
    assert other.recommendations() == others


def test_a_burst_of_50_writes_by_10_readers_gives_the_lists_of_the_final_shelves(stack, isbns):
    rng = random.Random(7)
    readers = [Reader(stack.addresses, f"burst-{number}@example.com") for number in range(10)]
    keys = {reader.uid: [] for reader in readers}
    for number in range(50):
        reader = readers[number % 10]
        mine = keys[reader.uid]
        action = rng.choice(["add", "add", "add", "rate", "remove"]) if mine else "add"
        if action == "add":
            mine.append(reader.shelve(rng.choice(isbns), rng.randint(0, 10) / 2))
        elif action == "rate":
            reader.rate(rng.choice(mine), rng.randint(1, 10) / 2)
        else:
            reader.remove(mine.pop(rng.randrange(len(mine))))
    for reader in readers:
        latest, _ = reader.wait_for_list()
        assert_good(latest, reader.shelf(), isbns)
    time.sleep(2)  # late and overlapping events must not bring an older list back
    for reader in readers:
        assert reader.recommendations()["basedOn"]["digest"] == reader.shelf().digest


def test_bad_entries_in_the_database_are_rejected_and_the_others_are_used(stack, reader, isbns):
    good = {"userId": reader.uid, "bookId": "b", "isbn": isbns[5], "myRate": 4}
    bad = {
        "text-rating": ({**good, "myRate": "five"}, "rating_not_number"),
        "seven-stars": ({**good, "myRate": 7}, "rating_out_of_range"),
        "no-user": ({**good, "userId": "a/b"}, "user_invalid"),
        "emoji": ({**good, "isbn": "\N{DRAGON}"}, "isbn_invalid"),
        "long": ({**good, "isbn": "1" * 200_000}, "isbn_invalid"),
        "a-text": ("text", "not_an_object"),
    }
    for key, (value, _) in bad.items():
        stack.admin_put(f"User_Book/{key}", value)
    stack.admin_put("User_Book/good", good)
    for key, (_, reason) in bad.items():
        record = wait_until(lambda key=key: stack.admin_get(f"Recommender/rejected/{key}"))
        assert record["reason"] == reason
        assert record["message"]
    latest, _ = reader.wait_for_list()
    assert latest["basedOn"]["entries"] == 1


def test_a_forged_entry_is_denied_by_the_rules(stack, reader, isbns):
    forged = {"userId": "somebody-else", "bookId": "b", "isbn": isbns[5], "myRate": 4}
    assert reader.request("POST", "User_Book", forged).status_code == 401


def test_an_entry_without_an_isbn_passes_the_rules_and_is_rejected_until_it_has_one(stack, reader, isbns):
    entry = {"userId": reader.uid, "bookId": "b", "myRate": 4}
    key = reader.request("POST", "User_Book", entry).json()["name"]
    record = wait_until(lambda: stack.admin_get(f"Recommender/rejected/{key}"))
    assert record["reason"] == "isbn_missing"
    reader.request("PATCH", f"User_Book/{key}", {"isbn": isbns[3]}).raise_for_status()
    latest, _ = reader.wait_for_list()
    assert latest["basedOn"]["entries"] == 1
    wait_until(lambda: stack.admin_get(f"Recommender/rejected/{key}") is None)


def test_the_reconciler_finds_an_entry_whose_trigger_was_lost(stack, reader, isbns):
    reader.shelve(isbns[7], 5)
    reader.wait_for_list()
    lost = {"userId": reader.uid, "bookId": "b", "isbn": isbns[8], "myRate": 5}
    reader.request("PUT", "User_Book/lost", lost, disableTriggers="true").raise_for_status()
    stack.call_scheduled("reconcile")
    latest, _ = reader.wait_for_list(patience_s=10)
    assert latest["basedOn"]["entries"] == 2


def test_retraining_publishes_a_new_version_and_refreshes_everybody(stack, reader, isbns):
    before = stack.admin_get("Recommender/model")
    for number in range(6):
        reader.shelve(isbns[30 + number], 4)

    def another_is_live():
        live = stack.admin_get("Recommender/model")
        return live if live["version"] != before["version"] else None

    live = wait_until(another_is_live, 240)
    assert live["fence"] > before["fence"]
    wait_until(lambda: is_fanned_out(stack))
    reader.wait_for_list()
    run = stack.admin_get("Recommender/status/training/run")
    assert run["outcome"] in ("published", "running")
