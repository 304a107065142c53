"""Whatever is written, every listener ends with what the database holds, and with what a plain dict holds."""

import functools
import json

from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.keys import parse_path
from rtdb_emulator.data.tree import get, hash_of
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases

from .conversation import Conversation

RULES = '{"rules": {".read": true, ".write": true, "n": {".indexOn": ["a", "a/b", ".value"]}}}'
KEYS = ["a", "b", "c", "2", "10", "-3", "x\U0001f600"]
SCALARS = st.sampled_from([None, True, False, 0, 1, 2.5, "", "1", "t", "é"])
PRIORITIES = st.sampled_from([None, 0, 1, 2.5, "p", "1"])
INDEXES = [None, ".key", ".value", "a", "a/b"]


def prioritized(value):
    """A value in export form, now and then with a priority."""
    return st.tuples(value, PRIORITIES).map(lambda pair: _with_priority(*pair))


def _with_priority(value, priority):
    if priority is None:
        return value
    return {**value, ".priority": priority} if isinstance(value, dict) else {".value": value, ".priority": priority}


VALUES = st.recursive(
    prioritized(SCALARS),
    lambda inner: prioritized(st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=6,
)
BELOW = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2).map("/".join)
PLACES = st.one_of(st.just("n"), BELOW.map("n/{}".format), st.sampled_from(["", "m", "m/a"]))
PUTS = st.one_of(st.tuples(PLACES, VALUES), st.tuples(BELOW.map("n/{}/.priority".format), PRIORITIES))
WRITES = st.one_of(
    PUTS.map(lambda put: ("p", *put)),
    st.tuples(st.just("m"), st.just("n"), st.dictionaries(BELOW, VALUES, min_size=1, max_size=3)),
)


# What the database should hold, as naively as can be: plain dicts in export form.


def tidy(value):
    """What is left of a written value: without nulls and empty objects."""
    if not isinstance(value, dict):
        return value
    if ".value" in value:
        return value if value[".value"] is not None else None
    kept = {key: child for key, each in value.items() if (child := tidy(each)) is not None}
    return kept if kept.keys() - {".priority"} else None


def naive_put(tree, keys, value):
    if not keys:
        return tidy(value)
    key, *rest = keys
    if key == ".priority":
        return None if tree is None else _with_priority(naive_bare(tree), value)
    node = dict(tree) if isinstance(tree, dict) else {}
    if ".value" in node or not isinstance(tree, dict):
        scalar, node = tree, {k: v for k, v in node.items() if k == ".priority"}
    else:
        scalar = None
    child = naive_put(node.get(key), rest, value)
    if child is None and key not in node and scalar is not None:
        return scalar
    node.pop(key, None)
    if child is not None:
        node[key] = child
    return node if node.keys() - {".priority"} else None


def naive_bare(tree):
    if not isinstance(tree, dict):
        return tree
    return tree[".value"] if ".value" in tree else {key: child for key, child in tree.items() if key != ".priority"}


def naive_children(tree):
    bare = naive_bare(tree)
    return bare if isinstance(bare, dict) else {}


def compare_keys(left, right):
    """As the SDKs compare keys."""
    numbers = [int(key) if key.lstrip("-").isdigit() else None for key in (left, right)]
    if None not in numbers:
        return numbers[0] - numbers[1]
    if numbers != [None, None]:
        return -1 if numbers[0] is not None else 1
    left, right = (key.encode("utf-16-be") for key in (left, right))
    return (left > right) - (left < right)


def compare_values(left, right):
    """As the documentation of queries orders values."""

    def kind(value):
        kinds = [value is None, value is False, value is True, isinstance(value, (int, float)), isinstance(value, str)]
        return [*kinds, True].index(True)

    if kind(left) != kind(right) or kind(left) not in (3, 4):
        return kind(left) - kind(right)
    return (left > right) - (left < right)


def sorted_by(tree, index):
    def value(child):
        if index == ".value":
            return naive_bare(child)
        if index is None:
            return child.get(".priority") if isinstance(child, dict) else None
        for key in index.split("/"):
            child = naive_children(child).get(key)
        return naive_bare(child)

    def compare(left, right):
        by_value = 0 if index == ".key" else compare_values(value(left[1]), value(right[1]))
        return by_value or compare_keys(left[0], right[0])

    return sorted(naive_children(tree).items(), key=functools.cmp_to_key(compare)), value


def naive_select(tree, query):
    index = query.get("i")
    rows, value = sorted_by(tree, index)

    def against(row, bound, key):
        if index == ".key":
            return compare_keys(row[0], bound)
        return compare_values(value(row[1]), bound) or (0 if key is None else compare_keys(row[0], key))

    if "sp" in query:
        least = 0 if query["sin"] else 1
        rows = [row for row in rows if against(row, query["sp"], query.get("sn")) >= least]
    if "ep" in query:
        most = 0 if query["ein"] else -1
        rows = [row for row in rows if against(row, query["ep"], query.get("en")) <= most]
    if "l" in query:
        rows = rows[: query["l"]] if query["vf"] == "l" else rows[-query["l"] :]
    return dict(rows)


@st.composite
def queries(draw):
    index = draw(st.sampled_from(INDEXES))
    query = {} if index is None else {"i": index}
    bound = st.sampled_from(KEYS) if index == ".key" else SCALARS
    key = st.none() if index == ".key" else st.one_of(st.none(), st.sampled_from(KEYS))
    for value, name, inclusive in (("sp", "sn", "sin"), ("ep", "en", "ein")):
        if draw(st.booleans()):
            query |= {value: draw(bound), inclusive: draw(st.booleans())}
            if (named := draw(key)) is not None:
                query[name] = named
    if draw(st.booleans()) or not query.keys() - {"i"}:
        query |= {"l": draw(st.integers(1, 3)), "vf": draw(st.sampled_from("lr"))}
    return query


class Client(Conversation):
    """Keeps the state of each listen, as a client would."""

    def __init__(self, database):
        super().__init__(database)
        self.copies = {}

    def listen(self, path, query=None, tag=None):
        self.copies[(path, tag)] = None
        body = {} if query is None else {"q": query, "t": tag}
        return self.ask("q", path, h="", **body)

    def told(self, action, body):
        told = {"": body["d"]} if action == "d" else body["d"]
        for key in list(self.copies):
            # Without a tag the data are for every listen without one.
            if key[1] == body.get("t"):
                for place, value in told.items():
                    self._apply(key, "/".join(filter(None, (body["p"], place))), value)

    def _apply(self, key, place, value):
        path, keys = parse_path(key[0]), tuple(filter(None, place.split("/")))
        if keys[: len(path)] == path:
            self.copies[key] = naive_put(self.copies[key], list(keys[len(path) :]), plain(value))


def plain(value):
    """A JSON value without arrays."""
    if isinstance(value, list):
        value = {str(place): child for place, child in enumerate(value)}
    if not isinstance(value, dict):
        return value
    return {key: plain(child) for key, child in value.items()}


def text(value):
    """What tells values apart, and 1 from true; no children are no node."""
    return json.dumps(None if value == {} else value, sort_keys=True)


def held(tree, place):
    for key in filter(None, place.split("/")):
        tree = naive_children(tree).get(key)
    return tree is not None


@given(
    st.lists(st.tuples(st.integers(0, 2), WRITES), min_size=1, max_size=8),
    st.lists(queries(), min_size=1, max_size=4, unique_by=repr),
    st.lists(st.sampled_from(["", "n", "n/a", "n/b/c", "m"]), max_size=3, unique=True),
)
def test_every_listener_ends_with_what_the_database_and_a_plain_dict_hold(writes, asked, places):
    database = Databases()["x"]
    database.set_rules(RULES)
    clients = [Client(database) for _ in range(3)]
    for client in clients:
        for place in places:
            client.listen(place)
        for tag, query in enumerate(asked):
            assert client.listen("n", query, tag)["s"] == "ok"
    model = None
    for writer, (action, place, value) in writes:
        written = {place: value} if action == "p" else {f"{place}/{key}": child for key, child in value.items()}
        status = clients[writer].ask(action, place, d=value)["s"]
        if status == "ok":
            for path, each in sorted(written.items(), key=lambda item: tidy(item[1]) is None):  # what goes, last
                model = naive_put(model, list(filter(None, path.split("/"))), each)
        elif action == "m":  # one place within another
            assert len(written) > 1
        else:  # a priority for what is not there
            assert place.endswith("/.priority")
            assert value is not None
            assert not held(model, place.removesuffix("/.priority"))
        assert text(plain(clients[0].ask("g", "")["d"])) == text(model)
        for client in clients:
            for (place, tag), copy in client.copies.items():
                expected = model
                for key in filter(None, place.split("/")):
                    expected = naive_children(expected).get(key)
                if tag is not None:
                    expected = naive_select(expected, asked[tag])
                assert text(copy) == text(expected), (place, tag)


@given(st.lists(PUTS, min_size=1, max_size=6), queries())
def test_a_query_answers_as_a_naive_sort_does(writes, query):
    database = Databases()["x"]
    database.set_rules(RULES)
    client = Client(database)
    model = None
    for place, value in writes:
        client.ask("p", place, d=value)
        model = naive_put(model, list(filter(None, place.split("/"))), value)
        found = plain(client.ask("g", "n", q=query)["d"])
        assert text(found) == text(naive_select(naive_children(model).get("n"), query))


@given(VALUES, VALUES)
def test_a_hash_is_equal_exactly_for_equal_nodes(left, right):
    database = Databases()["x"]
    hashes = []
    for value in (left, right):
        database.write({("n",): value}, Caller(is_admin=True))
        hashes.append(hash_of(get(database.root, ("n",))))
    assert (hashes[0] == hashes[1]) == (text(tidy(left)) == text(tidy(right)))
