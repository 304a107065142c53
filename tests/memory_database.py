"""The Realtime Database in this process, behind the interface of firebase-admin's references.

It is the database emulator's own tree, queries, indexes and rules without the wire, so that the real adapter runs over
it as it is. ``tests/adapters/test_database.py`` runs one suite over both.
"""

import json
from pathlib import Path
from urllib.parse import unquote

from firebase_admin import db

from rtdb_emulator.testing import ADMIN, InProcessDatabase

RULES = (Path(__file__).resolve().parents[1] / "database.rules.json").read_text()
ATTEMPTS = 25
"""Of a transaction, as in firebase-admin."""


class MemoryDatabase:
    """One database.

    Args:
        now_ms: its clock.
        on_write: is called with every write.
        perform: is handed every request, as a function that makes it, with ``"read"``, ``"write"`` or
            ``"conditional write"``: to fail it, to delay it, to lose its answer, or to make it twice.
    """

    def __init__(self, now_ms, on_write=lambda write: None, perform=lambda kind, request: request()):
        self.service = InProcessDatabase(RULES, on_write, now_ms)
        self.perform = perform

    def reference(self, path):
        return Reference(self, path)

    def get(self, path):
        """Read without a request."""
        return self.service.get(path)

    def update(self, values, caller=ADMIN):
        """Write at several paths, relative to the root, without a request."""
        self.service.update(values, caller)


class Reference:
    """What the adapter uses of ``firebase_admin.db.Reference``."""

    def __init__(self, database, path):
        self._database, self._path = database, path

    def _read(self, request):
        return self._database.perform("read", request)

    def _write(self, request):
        return self._database.perform("write", request)

    def get(self, etag=False, shallow=False):
        if etag:
            return self._read(self._value_and_etag)
        if shallow:
            return self._read(self._shallow)
        return self._read(lambda: self._database.service.get(self._path))

    def _value_and_etag(self):
        service = self._database.service
        return service.get(self._path), service.etag(self._path)

    def _shallow(self):
        service = self._database.service
        keys = service.keys(self._path)
        return dict.fromkeys(keys, True) if keys else service.get(self._path)

    def get_if_changed(self, known):
        def request():
            value, now = self._value_and_etag()
            return (False, None, None) if now == known else (True, value, now)

        return self._read(request)

    def set(self, value):
        assert value is not None, "firebase-admin refuses None"
        self._write(lambda: self._put(value))

    def _put(self, value):
        json.dumps(value, allow_nan=False)
        self._database.service.update({self._path: value})

    def update(self, values):
        assert values, "firebase-admin refuses an empty update"
        json.dumps(values, allow_nan=False)
        writes = {f"{self._path}/{path}": value for path, value in values.items()}
        self._write(lambda: self._database.service.update(writes))

    def set_if_unchanged(self, expected, value):
        assert value is not None, "firebase-admin refuses None"

        def request():
            present, now = self._value_and_etag()
            if now != expected:
                return False, present, now
            self._put(value)
            return True, value, self._database.service.etag(self._path)

        return self._database.perform("conditional write", request)

    def transaction(self, change):
        value, tag = self.get(etag=True)
        for _ in range(ATTEMPTS):
            is_done, value, tag = self.set_if_unchanged(tag, change(value))
            if is_done:
                return value
        raise db.TransactionAbortedError("Transaction aborted after failed retries.")

    def order_by_child(self, path):
        return Query(self, path)

    def order_by_key(self):
        return Query(self, "$key")

    def order_by_value(self):
        return Query(self, "$value")


class Query:
    """What the adapter uses of ``firebase_admin.db.Query``: like there, each call narrows the same object."""

    def __init__(self, reference, order_by):
        self._reference, self._parameters = reference, {"orderBy": json.dumps(order_by)}

    def _with(self, name, value):
        self._parameters[name] = unquote(json.dumps(value))  # what a text in an address becomes
        return self

    def start_at(self, value):
        return self._with("startAt", value)

    def end_at(self, value):
        return self._with("endAt", value)

    def equal_to(self, value):
        return self._with("equalTo", value)

    def limit_to_first(self, number):
        return self._with("limitToFirst", number)

    def limit_to_last(self, number):
        return self._with("limitToLast", number)

    def get(self):
        path, service = self._reference._path, self._reference._database.service
        return self._reference._read(lambda: service.select(path, self._parameters))
