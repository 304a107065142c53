"""A backup or an export as a stream: what is in it, and what is reported if it is not one."""

import gzip
import io
import json
import re
import tracemalloc

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from bookrec.push_keys import push_time
from trainer.data.ingest import backup
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.sources import SourceError, read_export, read_files

ENTRY = {"userId": "secret-reader", "bookId": "b", "isbn": "1", "myRate": 4.5}
TREE = {
    "Books": {"-a": {"title": 'a "quoted, [title]"', "n": 1e300, "m": 10**4000, "deep": [[[{}]]]}},
    "User_Book": {"-NWcEFgMwmdaYcA4ndml": ENTRY, "item": {**ENTRY, "isbn": "2", "myRate": 0}, "x": 7},
    "Users": {"secret-reader": {"firstname": "\ud800, \udc00\ud83d\ude00"}},
    "archive": {"-b": {"isbn": "1", "title": "T, \\ \ud83d\ude00 \ud800"}},
}


def everything(content):
    nodes = {"User_Book": {}, "archive": {}}
    for section, page in sections(io.BytesIO(content), "file"):
        nodes[section].update(page)
    return nodes


@pytest.mark.parametrize("order", [sorted(TREE), sorted(TREE, reverse=True)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_entries_and_catalogue_are_found_whatever_surrounds_them(order, pack, tmp_path):
    file = tmp_path / "2026-11-24T03:00:00Z_demo_data.json.gz"
    file.write_bytes(pack(json.dumps({name: TREE[name] for name in order}).encode()))
    snapshot = read_files(str(file), None)
    assert snapshot.ratings[["key", "userId", "isbn", "myRate"]].to_numpy().tolist() == [
        ["-NWcEFgMwmdaYcA4ndml", "secret-reader", "1", 4.5],
        ["item", "secret-reader", "2", 0.0],
    ]
    assert snapshot.ratings["at"].tolist() == [push_time("-NWcEFgMwmdaYcA4ndml"), -1]
    assert snapshot.books["title"].tolist() == [
        "T, \\ \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + "  "
    ]
    assert snapshot.rejected == {"entry:not_an_object": 1}
    assert snapshot.taken == time_of_backup(file.name) == 1_795_489_200_000 - 3_600_000


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
NODES = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(
    tree=st.fixed_dictionaries({"User_Book": NODES}, optional={"archive": NODES, "Books": NODES, "z": SCALARS}),
    is_ascii=st.booleans(),
    buffer=st.integers(1, 64),
)
def test_nodes_equal_those_that_pythons_json_reads(tree, is_ascii, buffer):
    content = json.dumps(tree, ensure_ascii=is_ascii).encode()
    expected = json.loads(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "BUFFER", buffer)
        nodes = everything(content)
    assert repr(nodes) == repr({name: without_null_elements(expected.get(name, {})) for name in nodes})


def without_null_elements(node):
    """Return a node without the nulls of arrays, which are not children."""
    if isinstance(node, list):
        return [without_null_elements(child) for child in node if child is not None]
    return {key: without_null_elements(child) for key, child in node.items()} if isinstance(node, dict) else node


PIECES = ["\\", "\\ud800", "\\udc00", "\\uD83D\\uDE00", "u", "a", ",", '"', "é", "\\ud8"]


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from(PIECES), max_size=12), buffer=st.integers(1, 40))
def test_half_a_surrogate_pair_becomes_a_control_character_wherever_the_buffer_ends(parts, buffer):
    raw = json.dumps(["".join(parts)], ensure_ascii=False)[1:-1]
    for escape in ("ud800", "udc00", "uD83D\\\\uDE00"):  # json.dumps has doubled the backslashes
        raw = raw.replace(f"\\\\{escape}", f"\\{escape}".replace("\\\\", "\\"))
    expected = re.sub("[\ud800-\udfff]", "\1", json.loads(raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "BUFFER", buffer)
        assert everything(f'{{"User_Book":{{"a":{raw}}}}}'.encode())["User_Book"]["a"] == expected


GOOD = json.dumps(TREE).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(GOOD)[:-4], "cut off or damaged"),
        (gzip.compress(GOOD)[:-30], "cut off or damaged"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "cut off or damaged"),
        (gzip.compress(GOOD) + b"rest", "cut off or damaged"),
        (gzip.compress(GOOD)[:40] + b"\xff\xff" + gzip.compress(GOOD)[42:], "cut off or damaged|not JSON"),
        (GOOD[:-1], "not JSON: parse error: premature EOF"),
        (GOOD[:150], "not JSON: parse error: premature EOF"),
        (GOOD + b"}", "not JSON: parse error"),
        (GOOD.replace(b"4.5", b"4,5"), r"not JSON: .*"),
        (GOOD.replace(b"4.5", b"NaN"), r"not JSON: lexical error.*"),
        (GOOD.replace(b"secret-reader", b"secret-reader\xff"), "not JSON: lexical error"),
        (json.dumps({"archive": TREE["archive"]}).encode(), "there is no /User_Book in it"),
        (json.dumps({"User_Books": TREE["User_Book"]}).encode(), "there is no /User_Book in it"),
        (b'{"User_Book":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}", "too deep"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_place_and_reason_but_none_of_its_content(content, reason, tmp_path):
    file = tmp_path / "backup.json.gz"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=rf"backup\.json\.gz: .*({reason})") as caught:
        read_export(file)
    assert re.search(
        r"\((after /\w+/\S+|near the beginning), within the first [\d,]+ bytes of JSON\)$", str(caught.value)
    )
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"none\.json: cannot be read"):
        read_export(tmp_path / "none.json")


def test_other_nodes_and_the_whole_file_are_never_in_memory():
    noise = {f"k{n}": {"description": f"{n}" * 40} for n in range(40_000)}
    content = gzip.compress(json.dumps({"Books": noise, "User_Book": {"a": ENTRY}, "Users": noise}).encode())
    del noise
    tracemalloc.start()
    assert everything(content)["User_Book"] == {"a": ENTRY}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize("name", ["data.json.gz", "2026-13-24T03:00:00Z_demo_data.json.gz", "2026-11-24_x.json", ""])
def test_a_name_without_a_time_gives_none(name):
    assert time_of_backup(name) is None


def test_a_backup_is_read_from_cloud_storage(storage_url, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-bookrec")
    requests.post(f"{storage_url}/storage/v1/b", json={"name": "backups"}, timeout=5).raise_for_status()
    name = "2026-11-24T03:00:00Z_demo_data.json.gz"
    address = f"{storage_url}/upload/storage/v1/b/backups/o"
    many = {f"-N{n:05}": {**ENTRY, "userId": f"secret-reader-{n % 20}", "isbn": f"{n}"} for n in range(20_000)}
    content = gzip.compress(json.dumps({"User_Book": many}).encode())
    answer = requests.post(address, params={"uploadType": "media", "name": name}, data=content, timeout=5)
    answer.raise_for_status()
    assert len(read_export(f"gs://backups/{name}").ratings) == 20_000
    with pytest.raises(SourceError, match=r"gs://backups/other\.json: there is no such object"):
        read_export("gs://backups/other.json")
