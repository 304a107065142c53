"""What a client has already of what it listens to: only the other parts are sent."""

import base64
import hashlib
import random

import pytest

from rtdb_emulator.data.compound_hash import parse_compound_hash
from rtdb_emulator.data.tree import from_json, hash_of
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases

from .conversation import Conversation

ADMIN = Caller(is_admin=True)
ONE, TWO = "number:3ff0000000000000", "number:4000000000000000"


def sha1(text):
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def known(texts, ends):
    """What a client says that it has, by the texts that it hashes."""
    return {"hs": [text and sha1(text) for text in texts], "ps": ends}


TREE = {"a": {"x": 1, "y": 2}, "b": {".priority": 2, "10": True, "9": 'a"\\', "z": {".value": "s", ".priority": "p"}}}
A = f'("a":("x":({ONE}),"y":({TWO})))'
B = r'("b":("9":(string:"a\"\\"),"10":(boolean:true),".priority":(' + TWO + '),"z":(priority:string:"p":string:"s")))'


@pytest.fixture
def database():
    database = Databases()["x"]
    database.write({("at",): TREE}, ADMIN)
    return database


@pytest.fixture
def client(database):
    return Conversation(database)


def test_parts_that_a_client_has_are_not_sent_again(client):
    assert client.ask("q", "at", h="other", ch=known([A, B, ""], ["a/y", "b/z"]))["s"] == "ok"
    assert client.pushes == []


def test_only_a_range_that_differs_is_sent(client):
    client.ask("q", "at", h="other", ch=known(["(other)", B, ""], ["a/y", "b/z"]))
    assert client.pushes == [("rm", {"p": "at", "d": [{"e": "a/y", "m": {"a": {"x": 1, "y": 2}}}]})]


def test_priorities_are_sent_with_a_range(client):
    client.ask("q", "at", h="other", ch=known([A, "(other)", ""], ["a/y", "b/10"]))
    ranges = [
        {"s": "a/y", "e": "b/10", "m": {"b": {"9": 'a"\\', "10": True}}},
        {"s": "b/10", "m": {"b": {".priority": 2, "z": {".value": "s", ".priority": "p"}}}},
    ]
    assert client.pushes == [("rm", {"p": "at", "d": ranges})]


def test_removed_nodes_are_sent_as_an_empty_range(client):
    client.ask("q", "at", h="other", ch=known([A, "(x)", B, "(y)", ""], ["a/y", "a/zz", "b/z", "c/c"]))
    ranges = [{"s": "a/y", "e": "a/zz", "m": None}, {"s": "b/z", "e": "c/c", "m": None}]
    assert client.pushes == [("rm", {"p": "at", "d": ranges})]


def test_a_client_without_anything_gets_one_range(client, database):
    client.ask("q", "at/a", h="", ch={"hs": [""], "ps": []})
    database.write({("at", "a"): 5}, ADMIN)
    client.ask("q", "at/a", h="", ch={"hs": ["other", ""], "ps": [""]})
    merges = [body["d"] for action, body in client.pushes if action == "rm"]
    assert merges == [[{"m": {"x": 1, "y": 2}}], [{"e": "", "m": 5}]]


def test_a_simple_hash_that_is_right_suffices(client, database):
    client.ask("q", "at", h=hash_of(from_json(TREE)), ch=known(["(other)", ""], ["a/y"]))
    assert client.pushes == []


def test_a_query_gets_its_tag_and_only_what_it_selects(client):
    client.ask("q", "at", q={"l": 1, "vf": "l"}, t=7, h="other", ch=known(["(other)", ""], ["a/y"]))
    assert client.pushes == [("rm", {"p": "at", "d": [{"e": "a/y", "m": {"a": {"x": 1, "y": 2}}}], "t": 7})]


@pytest.mark.parametrize(
    "value",
    [None, 5, {}, {"hs": [""]}, {"hs": [], "ps": []}, {"hs": [""], "ps": ["a"]}, {"hs": [1], "ps": []},
     {"hs": ["", ""], "ps": [1]}, {"hs": ["", ""], "ps": ["a.b"]}],
)  # fmt: skip
def test_an_invalid_hash_is_ignored(client, value):
    client.ask("q", "at/a", h="other", ch=value)
    assert client.pushes == [("d", {"p": "at/a", "d": {"x": 1, "y": 2}})]


class Client:
    """A node as a client has it: its leaves by path."""

    def __init__(self, leaves):
        self.leaves = leaves

    def ranges(self, ends):
        starts = [None, *ends]
        for start, end in zip(starts, [*ends, None], strict=True):
            yield {path: leaf for path, leaf in self.leaves.items() if _is_between(path, start, end)}

    def take(self, merges):
        for merge in merges:
            start, end = (tuple(merge[name].split("/")) if name in merge else None for name in "se")
            kept = {path: leaf for path, leaf in self.leaves.items() if not _is_between(path, start, end)}
            self.leaves = kept | dict(_leaves(merge["m"]))


def _is_between(path, start, end):
    return (start is None or path > start) and (end is None or path <= end)


def _leaves(value, path=()):
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif value is not None:
        yield path, value


def _text(leaves):
    """The text of one range, from the outside in."""

    def inner(rows):
        if () in rows:
            return f'string:"{rows[()]}"'
        heads = sorted({path[0] for path in rows})
        below = {head: {path[1:]: leaf for path, leaf in rows.items() if path[0] == head} for head in heads}
        return ",".join(f'"{head}":({inner(below[head])})' for head in heads)

    return f"({inner(leaves)})" if leaves else ""


@pytest.mark.parametrize("seed", range(40))
def test_a_client_that_merges_the_ranges_has_the_whole_node(seed):
    chance = random.Random(seed)

    def tree(depth=0):
        if depth == 3 or (depth and chance.random() < 0.4):
            return chance.choice("stuv") if chance.random() < 0.9 else None
        return {key: tree(depth + 1) for key in chance.sample("abcdef", 3)}

    had, has = tree(), tree()
    client = Client(dict(_leaves(had)))
    ends = sorted(chance.sample(sorted(client.leaves), min(4, len(client.leaves))))
    texts = [_text(leaves) for leaves in client.ranges(ends)]
    said = parse_compound_hash(known(texts, ["/".join(end) for end in ends]))
    client.take(said.merges(from_json(has)))
    assert client.leaves == dict(_leaves(has))
    assert said.merges(from_json(had)) == []
