"""Dismissals that may be in a database: which count, why the others do not, and which a client can write."""

import json
import time

import pytest

from bookrec.usage.dismissed import parse_dismissals
from tests.corpus import corpus
from tests.database_server import token

ITEMS = json.loads((corpus.FOLDER / "dismissals.json").read_text())
STATUS = {"passes": 200, "denied": 401, "unsendable": 400}
each = pytest.mark.parametrize("item", ITEMS, ids=[item["what"] for item in ITEMS])


def value_of(item, now_ms):
    return now_ms - item["age"] if "age" in item else corpus.expand(item["value"])


@each
def test_a_dismissal_counts_or_has_the_reason_that_the_corpus_says(item):
    now, key = int(time.time() * 1000), corpus.expand(item["key"])
    value = value_of(item, now)
    value = now if value == {".sv": "timestamp"} else value
    dismissals = parse_dismissals({key: value}, None)
    reasons = {key: problem.reason for key, problem in dismissals.removable(now).items()}
    assert reasons == ({} if item["reason"] is None else {key: item["reason"]})
    assert dismissals.counted(now) == (() if item["reason"] else (key.replace(",", "."),))


@each
def test_a_reason_says_what_is_right_and_repeats_nothing(item):
    now = int(time.time() * 1000)
    for problem in parse_dismissals({corpus.expand(item["key"]): value_of(item, now)}, None).removable(now).values():
        assert len(problem.message) > 20
        given = str(item.get("value", "no value"))
        assert len(given) < 3 or given not in problem.message


@each
def test_a_client_can_write_a_dismissal_only_if_the_corpus_says_so(shared, item):
    key, uid = corpus.expand(item["key"]), f"reader-{ITEMS.index(item)}"
    values = {
        f"dismissed/{key}": value_of(item, int(time.time() * 1000)),
        "dismissals/count": 1,
        "dismissals/last": key,
    }
    headers = {"Authorization": f"Bearer {token(uid)}"}
    answer = shared.request("PATCH", f"Users/{uid}", headers=headers, data=json.dumps(values).encode())
    assert answer.status_code == STATUS[item["rules"]]
