"""firebase-admin for Python against the emulator, as its reference and the guides have it.

With EMULATOR=official in the environment, all of it runs against Google's emulator instead; so nothing is in here that
only one of the two promises.
"""

import itertools
import queue
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import firebase_admin
import pytest
import requests
from firebase_admin import db, exceptions

from .server import PROJECT, Emulator

ADMIN = {"Authorization": "Bearer owner"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    emulator = Emulator(tmp_path_factory.mktemp("admin-python"))
    emulator.start()
    yield f"127.0.0.1:{emulator.port}"
    emulator.stop()


class Namespace:
    """A database of its own, and the apps that use it."""

    def __init__(self, host):
        self.name = f"python-{random.getrandbits(48):012x}"
        self.host, self.url = host, f"http://{host}?ns={self.name}"
        self.apps = []

    def app(self, **options):
        options = {"databaseURL": self.url, "projectId": PROJECT, "httpTimeout": 10, **options}
        self.apps.append(firebase_admin.initialize_app(options=options, name=f"{self.name}-{next(_numbers)}"))
        return self.apps[-1]

    def rules(self, rules):
        url = f"http://{self.host}/.settings/rules.json"
        answer = requests.put(url, params={"ns": self.name}, json={"rules": rules}, headers=ADMIN, timeout=10)
        assert answer.ok, answer.text

    def rest(self, method, path, **more):
        return requests.request(method, f"http://{self.host}/{path}.json", params={"ns": self.name}, timeout=10, **more)


@pytest.fixture
def namespace(host, monkeypatch):
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", host)
    namespace = Namespace(host)
    yield namespace
    for app in namespace.apps:
        firebase_admin.delete_app(app)


@pytest.fixture
def ref(namespace):
    """References of an admin, by path."""
    app = namespace.app()
    return lambda path="/": db.reference(path, app=app)


VALUES = [
    True,
    False,
    0,
    -1,
    2**31,
    1.5,
    -1e-9,
    1e300,
    "",
    "text",
    'é 日本 \U0001f600 " \\ \n',
    ["a", "b"],
    {"a": {"b": 1}},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_read_as_it_was_set(ref, value):
    ref("n").set(value)
    assert ref("n").get() == value


def test_a_missing_node_is_none(ref):
    assert ref().get() is None
    assert ref("a/b").get() is None


def test_nulls_and_empty_objects_and_lists_are_nothing(ref):
    ref("n").set({"a": 1, "b": None, "c": {}, "d": [], "e": {"f": None}})
    assert ref("n").get() == {"a": 1}


def test_a_set_replaces_all_below(ref):
    ref("n").set({"a": 1, "b": 2})
    ref("n").set({"c": 3})
    assert ref("n").get() == {"c": 3}
    ref("n/c/d").set(4)
    assert ref("n").get() == {"c": {"d": 4}}


def test_arrays(ref):
    ref("n").set(["a", "b", "c"])
    assert ref("n/1").get() == "b"
    ref("n/1").delete()
    assert ref("n").get() == ["a", None, "c"]
    ref("n").set({"0": "a", "key": "b"})
    assert ref("n").get() == {"0": "a", "key": "b"}


def test_an_update_leaves_other_children_and_reaches_several_places(ref):
    ref("n").set({"a": {"x": 1, "y": 2}, "b": 3})
    ref("n").update({"a/x": 5, "c/d/e": True, "b": None})
    assert ref("n").get() == {"a": {"x": 5, "y": 2}, "c": {"d": {"e": True}}}


def test_an_update_is_all_or_nothing(ref):
    ref("n").set({"a": 1})
    for bad in ({"a": 2, "b.c": 3}, {"a": {"x": 1}, "a/y": 2}):
        with pytest.raises(exceptions.InvalidArgumentError):
            ref("n").update(bad)
    assert ref("n").get() == {"a": 1}


def test_pushed_keys_ascend(ref):
    keys = [ref("list").push(number).key for number in range(10)]
    assert keys == sorted(keys)
    assert list(ref("list").order_by_key().get().values()) == list(range(10))
    assert ref("list").push().get() == ""


def test_a_delete_removes_what_becomes_empty(ref):
    ref("a/b/c").set(1)
    ref("a/b/c").delete()
    assert ref().get() is None
    ref("a/b/c").delete()


def test_shallow(ref):
    ref("n").set({"a": {"b": 1}, "c": 2})
    assert ref("n").get(shallow=True) == {"a": True, "c": True}
    assert ref("n/c").get(shallow=True) == 2
    assert ref("none").get(shallow=True) is None


def test_etags(ref):
    assert ref("n").get(etag=True) == (None, "null_etag")
    success, value, _ = ref("n").set_if_unchanged("null_etag", {"a": 1})
    assert (success, value) == (True, {"a": 1})
    value, etag = ref("n").get(etag=True)
    assert value == {"a": 1}
    assert ref("n").get_if_changed(etag) == (False, None, None)
    assert ref("n").get_if_changed("other") == (True, {"a": 1}, etag)
    assert ref("n").set_if_unchanged("other", 5) == (False, {"a": 1}, etag)
    ref("n/a").set(2)
    changed, value, new = ref("n").get_if_changed(etag)
    assert (changed, value) == (True, {"a": 2})
    assert new != etag
    assert ref("n").set_if_unchanged(etag, 5) == (False, {"a": 2}, new)
    assert ref("n").set_if_unchanged(new, 5)[0]
    assert ref("n").get() == 5


def test_transactions_of_several_threads_lose_no_update(ref):
    with ThreadPoolExecutor(4) as pool:
        steps = list(pool.map(lambda _: ref("n").transaction(lambda value: (value or 0) + 1), range(16)))
    assert sorted(steps) == list(range(1, 17))
    assert ref("n").get() == 16


def test_a_transaction_that_fails_writes_nothing(ref):
    ref("n").set(1)

    def give_up(value):
        raise RuntimeError(value)

    with pytest.raises(RuntimeError):
        ref("n").transaction(give_up)
    assert ref("n").get() == 1


def test_a_transaction_that_never_succeeds(ref):
    def meddle(value):
        ref("n").set((value or 0) + 1)
        return "never"

    with pytest.raises(db.TransactionAbortedError):
        ref("n").transaction(meddle)
    assert ref("n").get() == 25


DINOSAURS = {
    "lambeosaurus": {"height": 2.1, "dimensions": {"weight": 5000}},
    "stegosaurus": {"height": 4, "dimensions": {"weight": 2500}},
    "bruhathkayosaurus": {"height": 25},
    "linhenykus": {"height": 0.6, "dimensions": {"weight": 1}},
    "pterodactyl": {"height": 0.6},
}


@pytest.fixture
def dinosaurs(namespace, ref):
    namespace.rules({"dinosaurs": {".indexOn": ["height", "dimensions/weight"]}, "scores": {".indexOn": ".value"}})
    ref("dinosaurs").set(DINOSAURS)
    ref("scores").set({"a": 55, "b": 21, "c": "x", "d": False, "e": 93})
    return ref("dinosaurs")


def test_queries_by_child(dinosaurs):
    def by_height():  # a query keeps what it was given
        return dinosaurs.order_by_child("height")

    assert list(by_height().get()) == ["linhenykus", "pterodactyl", "lambeosaurus", "stegosaurus", "bruhathkayosaurus"]
    assert list(by_height().limit_to_last(2).get()) == ["stegosaurus", "bruhathkayosaurus"]
    assert list(by_height().limit_to_first(3).get()) == ["linhenykus", "pterodactyl", "lambeosaurus"]
    assert list(dinosaurs.order_by_child("height").start_at(3).get()) == ["stegosaurus", "bruhathkayosaurus"]
    assert list(dinosaurs.order_by_child("height").end_at(2.1).limit_to_last(1).get()) == ["lambeosaurus"]
    assert list(dinosaurs.order_by_child("height").equal_to(0.6).get()) == ["linhenykus", "pterodactyl"]
    assert dinosaurs.order_by_child("height").equal_to("0.6").get() == {}
    assert list(dinosaurs.order_by_child("dimensions/weight").start_at(2).get()) == ["stegosaurus", "lambeosaurus"]


def test_queries_by_key(dinosaurs):
    assert list(dinosaurs.order_by_key().get()) == sorted(DINOSAURS)
    assert list(dinosaurs.order_by_key().start_at("l").end_at("o").get()) == ["lambeosaurus", "linhenykus"]
    assert list(dinosaurs.order_by_key().equal_to("pterodactyl").get()) == ["pterodactyl"]
    assert list(dinosaurs.order_by_key().limit_to_last(1).get()) == ["stegosaurus"]


def test_queries_by_value(ref, dinosaurs):
    assert list(ref("scores").order_by_value().get()) == ["d", "b", "a", "e", "c"]
    assert list(ref("scores").order_by_value().start_at(50).limit_to_first(2).get()) == ["a", "e"]
    assert list(ref("scores").order_by_value().equal_to("x").get()) == ["c"]


def test_a_query_without_an_index_is_an_invalid_argument(ref, dinosaurs):
    with pytest.raises(exceptions.InvalidArgumentError, match="Index not defined") as rejected:
        dinosaurs.order_by_child("age").get()
    assert rejected.value.code == exceptions.INVALID_ARGUMENT
    assert rejected.value.http_response.status_code == 400


@pytest.fixture
def guarded(namespace, ref):
    namespace.rules(
        {
            "open": {".read": True},
            "users": {"$uid": {".read": "auth.uid === $uid", ".write": "auth.uid === $uid"}},
            "premium": {".read": "auth.token.premium === true"},
            "signed": {".read": "auth !== null"},
            "valid": {".write": True, ".validate": "newData.isNumber()"},
        }
    )
    ref().set({"open": 1, "users": {"u1": 1, "u2": 2}, "premium": 3, "signed": 4})


def test_an_admin_is_above_the_rules(ref, guarded):
    assert ref("users/u2").get() == 2
    ref("valid").set("text")
    ref("elsewhere").set(1)
    assert ref("elsewhere").get() == 1


def test_an_app_can_act_as_a_user(namespace, guarded):
    app = namespace.app(databaseAuthVariableOverride={"uid": "u1"})
    assert db.reference("users/u1", app=app).get() == 1
    db.reference("users/u1", app=app).set(5)
    assert db.reference("signed", app=app).get() == 4
    db.reference("valid", app=app).set(7)
    for rejected in (
        lambda: db.reference("users/u2", app=app).get(),
        lambda: db.reference("users/u2", app=app).set(1),
        lambda: db.reference("users", app=app).get(),
        lambda: db.reference("valid", app=app).set("text"),
        lambda: db.reference("premium", app=app).get(),
    ):
        with pytest.raises(exceptions.UnauthenticatedError, match="Permission denied"):
            rejected()


def test_an_app_can_act_as_nobody(namespace, guarded):
    app = namespace.app(databaseAuthVariableOverride=None)
    assert db.reference("open", app=app).get() == 1
    with pytest.raises(exceptions.UnauthenticatedError) as rejected:
        db.reference("signed", app=app).get()
    assert rejected.value.code == exceptions.UNAUTHENTICATED
    assert rejected.value.http_response.status_code == 401


def test_a_token_of_the_override_has_claims(namespace, guarded):
    app = namespace.app(databaseAuthVariableOverride={"uid": "u1", "token": {"premium": True}})
    assert db.reference("premium", app=app).get() == 3


@pytest.mark.parametrize(
    "value",
    [{"a.b": 1}, {"a": {"$b": 1}}, {"a": {"b#": 1}}, {"[": 1}, {"a/b": 1}, {"x" * 769: 1}, {".sv": "nonsense"}],
    ids=repr,
)
def test_data_that_the_database_does_not_store_is_an_invalid_argument(ref, value):
    with pytest.raises(exceptions.InvalidArgumentError):
        ref("n").set(value)
    assert ref("n").get() is None


def test_data_that_is_too_deep_is_an_invalid_argument(ref):
    value = 1
    for _ in range(33):
        value = {"a": value}
    with pytest.raises(exceptions.InvalidArgumentError):
        ref().set(value)
    ref().set(value["a"])


def test_server_values(ref):
    ref("n").set({"at": {".sv": "timestamp"}, "count": {".sv": {"increment": 2}}})
    ref("n").update({"count": {".sv": {"increment": 0.5}}})
    found = ref("n").get()
    assert found["count"] == 2.5
    assert found["at"] > 1.6e12


# The library's thread may end with an error when its stream is closed under it.
closes_under_its_thread = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Listening:
    """The events of a listener."""

    def __init__(self, reference):
        self._events, self._reference = queue.Queue(), reference
        self._registration = reference.listen(self._take)

    def _take(self, event):
        self._events.put((event.event_type, event.path, event.data))

    def next(self):
        return self._events.get(timeout=10)

    def close(self, wake):
        """Close; the library's thread only notices at the next event, which ``wake`` causes."""
        closing = threading.Thread(target=self._registration.close)
        closing.start()
        for number in itertools.count():
            closing.join(0.1)
            if not closing.is_alive():
                return
            wake(number)


@closes_under_its_thread
def test_a_listener_is_told_of_every_change_below_it(ref):
    ref("n").set({"a": 1})
    listening = Listening(ref("n"))
    assert listening.next() == ("put", "/", {"a": 1})
    ref("n/b/c").set("é")
    assert listening.next() == ("put", "/b/c", "é")
    ref("n").update({"a": 2, "b/d": 3})
    assert listening.next() == ("patch", "/", {"a": 2, "b/d": 3})
    ref("n/a").delete()
    assert listening.next() == ("put", "/a", None)
    ref().set({"n": {"z": 1}, "other": 2})
    assert listening.next() == ("put", "/", {"z": 1})
    ref().delete()
    assert listening.next() == ("put", "/", None)
    listening.close(lambda number: ref("n").set(number))


@closes_under_its_thread
def test_several_listeners_and_one_that_is_closed(ref):
    first, second = Listening(ref("n")), Listening(ref("n/a"))
    assert first.next() == second.next() == ("put", "/", None)
    ref("n/a").set(1)
    assert first.next() == ("put", "/a", 1)
    assert second.next() == ("put", "/", 1)
    first.close(lambda number: ref("n/wake").set(number))
    ref("n/a").set(2)
    assert second.next() == ("put", "/", 2)
    second.close(lambda number: ref("n/a").set(number + 10))


def test_a_listen_without_permission_is_denied(namespace, guarded):
    app = namespace.app(databaseAuthVariableOverride={"uid": "u1"})
    with pytest.raises(exceptions.UnauthenticatedError):
        db.reference("users/u2", app=app).listen(print)
