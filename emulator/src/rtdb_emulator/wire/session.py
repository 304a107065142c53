"""One client's conversation: what it asks for over its connection, and what is pushed to it.

Source: the client SDKs' protocol, version 5, as the open-source SDKs speak it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rtdb_emulator.data.compound_hash import CompoundHash, parse_compound_hash
from rtdb_emulator.data.keys import Path, parse_path
from rtdb_emulator.data.query import Query, parse_wire_query
from rtdb_emulator.data.tree import Node, get, hash_of, is_empty, json_text, to_json
from rtdb_emulator.database.auth import NOBODY, Caller, caller_of
from rtdb_emulator.database.databases import Database
from rtdb_emulator.database.watches import Listener, Update
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.requests import MAX_SDK_WRITE, TOO_BIG, update_of
from rtdb_emulator.wire.writes_at_end import WritesAtEnd

VERSION = "5"

Body = Mapping[str, Any]
Answer = tuple[str, Any]
"""The status of a response, ``ok`` or what went wrong, and its data."""

PONG = '{"t":"c","d":{"t":"o","d":null}}'
"""The answer to a ping."""

log = logging.getLogger(__name__)


class Session:
    """Answers one client's requests, in their order.

    Args:
        database: what it talks to.
        faults: what is to go wrong.
        send: sends a JSON text. May be called from within a write of another client.
        later: calls a function after so many seconds, unless the function that it returns is called before.

    Attributes:
        hang_up: ends the client's connection; the module that serves it sets this.
        is_over: whether the client has left.
    """

    def __init__(
        self,
        database: Database,
        faults: Faults,
        send: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._database, self._faults, self._send, self._later = database, faults, send, later
        self._caller = NOBODY
        self._listeners: dict[str, Listener] = {}
        self._at_end = WritesAtEnd()
        self._keep_token: Callable[[], None] = lambda: None
        self._offered: tuple[Callable[[str], None], asyncio.Event] | None = None
        self.is_over = False
        self.hang_up: Callable[[], None] = lambda: None

    def greet(self, host: str, session_id: str, last_session_id: str = "") -> None:
        """Send the handshake; ``host`` is where the client is to connect from now on.

        The client's earlier session ends, even if its broken connection has not been noticed yet. The time in the
        handshake is a little old, as from a server on another machine: the client's estimate of the time then never
        equals the time of a write that follows, and that write arrives as a change.
        """
        last = self._database.sessions.get(last_session_id)
        if last is not None and not last.is_over:
            last.end()
            last.hang_up()
        self._database.sessions[session_id] = self
        now = self._database.now_ms() - 1
        self._send(_control("h", {"ts": now, "v": VERSION, "h": host, "s": session_id}))

    async def take(self, text: str) -> None:
        """Answer one message; an invalid one is logged and ignored."""
        if self.is_over:
            return
        try:
            message = json.loads(text)
            kind, content = message["t"], message["d"]
            if kind == "c":
                self._take_control(content["t"])
                return
            number, action, body = content["r"], content["a"], content["b"]
        except (ValueError, KeyError, TypeError, RecursionError):
            log.warning("ignored a message that is not in the client protocol")
            return
        try:
            status, data = await self._answer(action, body, len(text))
        except ServiceError as problem:
            status, data = problem.code, problem.message
        self._send(json_text({"t": "d", "d": {"r": number, "b": {"s": status, "d": data}}}))

    def offer(self, send: Callable[[str], None]) -> asyncio.Event:
        """Offer another connection of the same client; return an event that is set when the client has moved to it."""
        self._offered = (send, asyncio.Event())
        send(_control("a", {}))
        return self._offered[1]

    @property
    def has_moved(self) -> bool:
        """Whether the client has moved to a connection that was offered."""
        return self._offered is not None and self._offered[1].is_set()

    def end(self) -> None:
        """Forget the client, and carry out its ``onDisconnect`` writes."""
        if self.is_over:
            return
        self.is_over = True
        self._keep_token()
        for listener in self._listeners.values():
            self._database.unlisten(listener)
        try:
            self._database.write(self._at_end.as_one(), self._caller)
        except ServiceError:
            self._write_one_by_one()

    def _write_one_by_one(self) -> None:
        """Write what can be written, one by one, since the whole was denied or invalid."""
        for values in self._at_end:
            try:
                self._database.write(values, self._caller)
            except ServiceError as problem:
                log.info("an onDisconnect write failed: %s", problem.message)

    def _revoke(self, listener: Listener, query: Any) -> None:
        """Tell the client that it may no longer listen."""
        self._listeners.pop(_name(listener.path, listener.query), None)
        body = {"p": "/".join(listener.path)} | ({"q": [query]} if query else {})
        self._push("c", body)

    async def _answer(self, action: str, body: Body, size: int) -> Answer:
        handler = self._HANDLERS.get(action)
        if handler is None or not isinstance(body, Mapping):
            return "error", f"unknown request {action!r}"
        if action not in self._METHODS or not self._faults.concern_requests:
            return handler(self, body, size)
        async with self._faults.around(self._METHODS[action], _places(action, body)):
            return handler(self, body, size)

    def _listen(self, body: Body, size: int) -> Answer:
        path, query = _path(body), parse_wire_query(body.get("q"))
        tag = body.get("t")
        listener = Listener(
            path,
            query,
            self._caller,
            tell=partial(self._tell, tag),
            revoke=lambda: self._revoke(listener, body.get("q")),
        )
        self._unlisten(body, size)
        node = self._database.listen(listener, needs_index=False)
        self._listeners[_name(path, query)] = listener
        if not _is_known(node, body.get("h")):
            self._tell_all(path, node, parse_compound_hash(body.get("ch")), tag)
        is_indexed = query is None or self._database.has_index(path, query)
        return "ok", {} if is_indexed else {"w": ["no_index"]}  # a warning for the client's log

    def _tell_all(self, path: Path, node: Node, known: CompoundHash | None, tag: Any) -> None:
        """Send a node, or what of it the client does not have."""
        if known is None:
            self._tell(tag, Update(path, {(): node}, is_merge=False))
        elif merges := known.merges(node):
            tagged = {} if tag is None else {"t": tag}
            self._push("rm", {"p": "/".join(path), "d": merges, **tagged})

    def _tell(self, tag: Any, update: Update) -> None:
        key = ("wire", tag)
        if key not in update.memo:
            tail = "" if tag is None else f',"t":{json.dumps(tag)}'
            place = json.dumps("/".join(update.path), ensure_ascii=False)
            action = "m" if update.is_merge else "d"
            body = f'{{"p":{place},"d":{update.text(export=True)}{tail}}}'
            update.memo[key] = f'{{"t":"d","d":{{"a":"{action}","b":{body}}}}}'
        self._send(update.memo[key])

    def _unlisten(self, body: Body, size: int) -> Answer:
        listener = self._listeners.pop(_name(_path(body), parse_wire_query(body.get("q"))), None)
        if listener is not None:
            self._database.unlisten(listener)
        return "ok", ""

    def _get(self, body: Body, size: int) -> Answer:
        node = self._database.read(_path(body), self._caller, parse_wire_query(body.get("q")))
        return "ok", to_json(node, export=True)

    def _put(self, body: Body, size: int) -> Answer:
        path = _path(body)
        if "h" in body and body["h"] != hash_of(get(self._database.root, path)):
            return "datastale", "Transaction hash does not match"
        self._database.write({path: _data(body, size)}, self._caller)
        return "ok", ""

    def _merge(self, body: Body, size: int) -> Answer:
        self._database.write(update_of(_path(body), _data(body, size)), self._caller)
        return "ok", ""

    def _put_at_end(self, body: Body, size: int) -> Answer:
        return self._write_at_end({_path(body): _data(body, size)})

    def _merge_at_end(self, body: Body, size: int) -> Answer:
        return self._write_at_end(update_of(_path(body), _data(body, size)))

    def _write_at_end(self, values: dict[Path, Any]) -> Answer:
        self._database.check_write(values, self._caller)
        self._at_end.add(values)
        return "ok", ""

    def _cancel_at_end(self, body: Body, size: int) -> Answer:
        self._at_end.cancel(_path(body))
        return "ok", ""

    def _authenticate(self, body: Body, size: int) -> Answer:
        override = None if body.get("noauth") else body.get("authvar")
        narrowed = body.get("noauth") or "authvar" in body
        try:
            caller = caller_of(str(body.get("cred")), *([override] if narrowed else []))
        except ServiceError as problem:
            self._become(NOBODY)
            return ("expired_token" if "expired" in problem.message else "invalid_token"), problem.message
        self._become(caller)
        return "ok", {"auth": caller.auth, "expires": caller.expires}

    def _sign_out(self, body: Body, size: int) -> Answer:
        self._become(NOBODY)
        return "ok", ""

    def _become(self, caller: Caller) -> None:
        """Continue as another caller, and revoke the listeners that it may not have."""
        self._keep_token()
        self._caller = caller
        if caller.expires is not None:
            wait_s = max(0.0, caller.expires - self._database.now_ms() / 1000)
            self._keep_token = self._later(wait_s, self._expire)
        for listener in self._listeners.values():
            listener.caller = caller
        self._database.check_listeners(list(self._listeners.values()))

    def _expire(self) -> None:
        self._push("ac", {"s": "expired_token", "d": "Auth token is expired"})
        self._become(NOBODY)

    def _ignore(self, body: Body, size: int) -> Answer:
        return "ok", ""

    def _take_control(self, kind: str) -> None:
        if kind == "p":
            self._send(PONG)
        if kind == "n" and self._offered is not None:
            self._send(_control("n", {}))
            self._send, moved = self._offered
            moved.set()

    def _push(self, action: str, body: Any) -> None:
        self._send(json_text({"t": "d", "d": {"a": action, "b": body}}))

    _HANDLERS: Mapping[str, Callable[[Session, Body, int], Answer]] = {
        "q": _listen,
        "n": _unlisten,
        "g": _get,
        "p": _put,
        "m": _merge,
        "o": _put_at_end,
        "om": _merge_at_end,
        "oc": _cancel_at_end,
        "auth": _authenticate,
        "gauth": _authenticate,
        "unauth": _sign_out,
        "s": _ignore,  # statistics
        "appcheck": _ignore,
        "unappcheck": _ignore,
    }
    _METHODS: Mapping[str, str] = {"q": "GET", "g": "GET", "p": "PUT", "m": "PATCH"}
    """The method by which faults match a request."""


def later(wait_s: float, act: Callable[[], None]) -> Callable[[], None]:
    """Call a function after so many seconds, unless the function that is returned is called before."""
    return asyncio.get_running_loop().call_later(wait_s, act).cancel


def _control(kind: str, data: Any) -> str:
    """Return a message about the connection itself."""
    return json_text({"t": "c", "d": {"t": kind, "d": data}})


def _path(body: Body) -> Path:
    path = body.get("p")
    if not isinstance(path, str):
        raise ServiceError(400, "Invalid path: a string is expected")
    return parse_path(path, may_be_priority=True)


def _places(action: str, body: Body) -> list[Path]:
    """Return the places that a request reads or writes."""
    path = _path(body)
    return [path, *update_of(path, body.get("d"))] if action == "m" else [path]


def _data(body: Body, size: int) -> Any:
    if size > MAX_SDK_WRITE:
        raise ServiceError(400, TOO_BIG, "write_too_big")
    return body.get("d")


def _is_known(node: Node, known: Any) -> bool:
    """Return whether a client already has a node, by the hash of what it has; hashing a large node takes time."""
    return hash_of(node) == known if known else known == "" and is_empty(node)


def _name(path: Path, query: Query | None) -> str:
    return repr((path, query))
