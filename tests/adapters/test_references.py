"""The database in memory compared with firebase-admin's references over the wire: they answer alike."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookrec_database.connection import disconnect
from tests.database_server import Server, references
from tests.memory_database import MemoryDatabase

KEYS = st.sampled_from(["a", "b", "0", "1", "-N1", "u&v", "50%", "at"])
SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.5, "x", "here", "gone", ""]))
VALUES = st.one_of(SCALARS, st.dictionaries(KEYS, SCALARS, max_size=3), st.just({}))
CHILDREN = st.dictionaries(KEYS, st.one_of(VALUES, st.none()), min_size=1, max_size=3)
PATHS = st.sampled_from(
    ["Recommender/readers", "Recommender/changes", "Recommender/changes/a", "Users/u&v", "Users/u&v/a", "User_Book"]
)
ORDERS = st.sampled_from(["key", "at", "value"])
FILTERS = st.dictionaries(
    st.sampled_from(["start_at", "end_at", "equal_to"]), st.sampled_from(["a", "b", "here", "u%26v"]), max_size=1
)
REQUESTS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), PATHS, VALUES),
        st.tuples(
            st.just("update"), PATHS, st.dictionaries(KEYS, st.one_of(VALUES, st.none()), min_size=1, max_size=3)
        ),
        st.tuples(st.just("get"), PATHS),
        st.tuples(st.just("shallow"), PATHS),
        st.tuples(st.just("replace"), PATHS, VALUES, st.booleans()),
        st.tuples(st.just("if changed"), PATHS, st.booleans()),
        st.tuples(st.just("transaction"), PATHS, VALUES),
        st.tuples(st.just("query"), ORDERS, FILTERS, st.sampled_from([None, 1, 2]), st.booleans()),
    ),
    max_size=12,
)
_numbers = iter(range(10_000))


def answer(node_at, request):
    """Make one request; return what comes back."""
    kind, *arguments = request
    if kind == "query":
        return query(node_at, *arguments)
    node, rest = node_at(arguments[0]), arguments[1:]
    if kind in ("set", "update"):
        return getattr(node, kind)(*rest)
    if kind == "get":
        return node.get()
    if kind == "shallow":
        return node.get(shallow=True)
    if kind == "transaction":
        return node.transaction(lambda present: rest[0] if present is None else {"was": present})
    value, tag = node.get(etag=True)
    if kind == "if changed":
        changed, found, now = node.get_if_changed(tag if rest[0] else "another")
        return value, changed, found, now == tag
    is_done, present, _ = node.set_if_unchanged(tag if rest[1] else "another", rest[0])
    return value, is_done, None if is_done else present


def query(node_at, order, filters, limit, is_last):
    """Query the node that is indexed for the order."""
    node = node_at("Recommender/changes" if order == "at" else "Recommender/readers")
    found = {"key": node.order_by_key, "value": node.order_by_value, "at": lambda: node.order_by_child("at")}[order]()
    for name, value in filters.items():
        found = getattr(found, name)(value)
    if limit:
        found = (found.limit_to_last if is_last else found.limit_to_first)(limit)
    answer = found.get()
    if isinstance(answer, list):
        return {str(i): value for i, value in enumerate(answer) if value is not None}
    return dict(answer) if isinstance(answer, dict) else answer or {}


@pytest.fixture(scope="module")
def over_the_wire(port):
    yield references(Server(port, "references"))
    disconnect()


@given(requests=REQUESTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_give_the_same_answers(over_the_wire, requests):
    over_the_wire("/").set({"Books": {"keeps": "the root"}})
    memory = MemoryDatabase(lambda: 0)
    memory.update({"Books": {"keeps": "the root"}})
    for request in requests:
        assert answer(memory.reference, request) == answer(over_the_wire, request), request
    assert memory.get("/") == over_the_wire("/").get()


@pytest.mark.parametrize("name", ["set", "update"])
def test_both_reject_what_the_sdk_rejects(over_the_wire, name):
    nothing = None if name == "set" else {}
    with pytest.raises(ValueError, match=r"."):
        getattr(over_the_wire("a"), name)(nothing)
    with pytest.raises(AssertionError, match="firebase-admin refuses"):
        getattr(MemoryDatabase(lambda: 0).reference("a"), name)(nothing)
