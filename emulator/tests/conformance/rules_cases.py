"""Cases of security rules: what they are, how the emulator answers them, and where they come from at random."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from hypothesis import strategies as st

from rtdb_emulator.data.query import Bound, Query
from rtdb_emulator.data.tree import from_json, get, put
from rtdb_emulator.rules.document import BadRulesError
from rtdb_emulator.rules.parser import parse_rules

NOW = 1_700_000_000_000


@dataclass(frozen=True)
class Case:
    """One question: may this be read, or written?

    Attributes:
        rules: what stands in the file under ``rules``.
        operation: read, write or update.
        value: what is written; for an update by path below ``path``.
        query: properties as rules name them, for a read; None for a plain one.
    """

    rules: dict[str, Any]
    data: Any = None
    auth: dict[str, Any] | None = None
    operation: str = "read"
    path: str = ""
    value: Any = None
    query: dict[str, Any] | None = None
    now: int = NOW

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "rules": {"rules": self.rules}})


@dataclass(frozen=True)
class Answer:
    """What one of the two says: rejected (the rules), allowed or denied; and why."""

    answer: str
    why: str = ""


def answer(case: Case) -> Answer:
    """Return what the emulator answers."""
    try:
        rules = parse_rules(json.dumps({"rules": case.rules}))
    except BadRulesError as problem:
        return Answer("rejected", str(problem))
    before, path = from_json(case.data), _path(case.path)
    if case.operation == "read":
        allowed = rules.may_read(before, path, case.auth, _query(case.query), case.now)
    else:
        values = {path: case.value} if case.operation == "write" else case.value
        if case.operation == "update":
            values = {(*path, *_path(below)): value for below, value in values.items()}
        after = before
        for place, value in values.items():
            after = put(after, place, from_json(value, len(place)))
        nodes = {place: get(after, place) for place in values}
        allowed = rules.may_write(before, after, nodes, case.auth, case.now)
    return Answer("allowed" if allowed else "denied")


def _path(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("/") if part)


def _query(given: dict[str, Any] | None) -> Query | None:
    if given is None:
        return None
    special = {"orderByKey": "$key", "orderByValue": "$value", "orderByPriority": "$priority"}
    order = next((special[name] for name in given if name in special), None) or given.get("orderByChild", "$key")
    start = Bound(given["startAt"]) if "startAt" in given else None
    end = Bound(given["endAt"]) if "endAt" in given else None
    if "equalTo" in given:
        start = end = Bound(given["equalTo"])
    limit = given.get("limitToFirst", given.get("limitToLast"))
    return Query(order, start, end, limit, "limitToLast" in given)


KEYS = ("a", "b", "c", "10")
WILDCARDS = ("$x", "$y", "$z")
TEXTS = ("", "a", "ab", "aba", "B", "u1", "c/a", "10", "é", "\U0001f600", "a b", "it's", "\\")
NUMBERS = ("0", "1", "2", "-1", "1.5", "1e3", "0x10", "10", str(NOW))
PATTERNS = (
    "/a/", "/^a/", "/b$/", "/^a*$/", "/^a+b?$/", "/^(ab)+$/i", "/^[a-c]{1,2}$/", "/^[^a]$/", r"/^\d+$/",
    r"/^\w+$/i", "/a|^b/", "/^..$/", r"/\//", "/^[A-Z0-9._%+-]+@[A-Z0-9.-]+$/i", "/(a+)+b/", r"/^\S \D$/",
)  # fmt: skip
TOKEN = {"admin": True, "level": 2, "role": "a", "firebase": {"sign_in_provider": "custom", "identities": {}}}
AUTHS = (None, {"uid": "u1", "provider": "custom", "token": TOKEN}, {"uid": "a", "provider": "anonymous", "token": {}})

scalars = st.sampled_from([*TEXTS, 0, 1, 2, -1, 1.5, 10, NOW, True, False])
priorities = st.sampled_from([None, None, None, None, 2, "p"])


def _with_priority(value: Any, priority: Any) -> Any:
    if priority is None or value is None:
        return value
    return {**(value if isinstance(value, dict) else {".value": value}), ".priority": priority}


trees = st.recursive(
    st.builds(_with_priority, st.one_of(scalars, scalars, st.none()), priorities),
    lambda below: st.builds(_with_priority, st.dictionaries(st.sampled_from(KEYS), below, max_size=3), priorities),
)
paths = st.lists(st.sampled_from(KEYS), max_size=3).map("/".join)


def quoted(text: str) -> str:
    """Return a text as an expression writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Expressions:
    """Draws expressions, most of them of types that fit, from ``draw``."""

    def __init__(self, draw: Any, names: tuple[str, ...], *, is_read: bool) -> None:
        self._draw, self._wildcards = draw, names
        self._snapshots = ("data", "root") if is_read else ("data", "root", "newData", "newData")

    def _one(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def any(self, depth: int) -> str:
        return getattr(self, self._one("truth", "number", "text", "value", "snapshot", "odd"))(depth - 1)

    def _of(self, kind: str, depth: int) -> str:
        """Draw a part of a kind, or now and then of any."""
        if self._draw(st.integers(0, 120)) == 0 and depth > 0:
            return self.any(depth)
        return getattr(self, kind)(depth - 1)

    def odd(self, depth: int) -> str:
        return self._one("null", "auth", "/a/", "['a']", "nobody", "query", "data.val", "newData", "auth.uid.length")

    def truth(self, depth: int) -> str:
        if depth <= 0:
            return self._one("true", "false", "auth != null", "data.exists()", "auth.token.admin == true")
        kinds = ("equal", "equal", "order", "tests", "children", "text_test", "matches", "query", "choice")
        return getattr(self, "_" + self._one(*["logic"] * 4, *kinds))(depth)

    def _logic(self, depth: int) -> str:
        if self._one(True, False, False):
            return f"!({self._of('truth', depth)})"
        return f"({self._of('truth', depth)} {self._one('&&', '||')} {self._of('truth', depth)})"

    def _choice(self, depth: int) -> str:
        return f"({self._of('truth', depth)} ? {self._of('truth', depth)} : {self._of('truth', depth)})"

    def _equal(self, depth: int) -> str:
        kind = self._one("number", "text", "value", "value")
        left, right = self._of(kind, depth), self._of(self._one(kind, kind, "value", "odd_value"), depth)
        return f"{left} {self._one('==', '!=', '===', '!==')} {right}"

    def odd_value(self, depth: int) -> str:
        return self._one("null", "true", "false", "auth.none", "data.getPriority()", "1/0", "''")

    def _order(self, depth: int) -> str:
        kind = self._one("number", "text", "value")
        left, right = self._of(kind, depth), self._of(self._one(kind, kind, "value"), depth)
        return f"{left} {self._one('<', '<=', '>', '>=')} {right}"

    def _tests(self, depth: int) -> str:
        method = self._one("exists()", "isNumber()", "isString()", "isBoolean()", "hasChildren()", "exists()")
        return f"{self._of('snapshot', depth)}.{method}"

    def _children(self, depth: int) -> str:
        if self._one(True, False):
            return f"{self._of('snapshot', depth)}.hasChild({self._key(depth)})"
        keys = ", ".join(self._key(depth) for _ in range(self._one(1, 1, 2)))
        return f"{self._of('snapshot', depth)}.hasChildren([{keys}])"

    def _key(self, depth: int) -> str:
        plain = [quoted(key) for key in (*KEYS, "a/b", "none")]
        return self._one(*plain, *self._wildcards, "auth.uid") if depth <= 1 else self._of("text", depth)

    def _text_test(self, depth: int) -> str:
        method = self._one("contains", "beginsWith", "endsWith")
        return f"{self._of('text', depth)}.{method}({self._of('text', depth)})"

    def _matches(self, depth: int) -> str:
        return f"{self._of('text', depth)}.matches({self._one(*PATTERNS)})"

    def _query(self, depth: int) -> str:
        return self._one(
            "query.orderByValue", "query.orderByPriority == false", "query.orderByChild == 'a'", "query.endAt != null",
            "query.orderByChild == null", "query.equalTo == auth.uid", "query.limitToFirst <= 10", "query.orderByKey",
            "query.limitToLast == null", "query.startAt == 'a'", "query.equalTo > 1",
        )  # fmt: skip

    def number(self, depth: int) -> str:
        if depth <= 0:
            return self._one(*NUMBERS[:3], *NUMBERS, "now", "auth.token.level")
        kind = self._one("literal", "length", "sum", "sum", "minus", "value", "choice")
        if kind == "sum":
            return f"({self._of('number', depth)} {self._one(*'+-*/%')} {self._of('number', depth)})"
        if kind == "choice":
            return f"({self._of('truth', depth)} ? {self._of('number', depth)} : {self._of('number', depth)})"
        if kind == "length":
            return f"{self._of('text', depth)}.length"
        return {"literal": self.number(0), "minus": f"-({self._of('number', depth)})"}.get(kind) or self.value(depth)

    def text(self, depth: int) -> str:
        if depth <= 0:
            return self._one(*map(quoted, TEXTS), *self._wildcards, "auth.uid", "auth.token.role", "data.val()")
        kind = self._one("literal", "join", "join", "case", "replace", "value")
        if kind == "join":
            parts = [self._of("text", depth), self._of(self._one("text", "text", "number"), depth)]
            return f"({' + '.join(parts if self._one(True, False) else parts[::-1])})"
        if kind == "case":
            return f"{self._of('text', depth)}.{self._one('toLowerCase', 'toUpperCase')}()"
        if kind == "replace":
            texts = [self._of("text", depth) for _ in range(3)]
            return f"{texts[0]}.replace({texts[1]}, {texts[2]})"
        return self.text(0) if kind == "literal" else self.value(depth)

    def value(self, depth: int) -> str:
        kind = self._one("val", "val", "val", "auth", "priority")
        if kind == "auth":
            return self._one("auth.uid", "auth.provider", "auth.token.level", "auth.token['role']", "auth.none.deeper",
                             "auth.token.firebase.sign_in_provider", "auth[" + quoted("uid") + "]")  # fmt: skip
        return f"{self._of('snapshot', depth)}.{'val' if kind == 'val' else 'getPriority'}()"

    def snapshot(self, depth: int) -> str:
        found = self._one(*self._snapshots)
        for _ in range(self._one(0, 1, 1, 2)):
            found += self._one(".parent()", *[f".child({self._key(min(depth, 1))})"] * 4)
        return found


@st.composite
def rules(draw, depth: int = 3, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Draw an object of rules."""
    found: dict[str, Any] = {}
    for kind in (".read", ".write", ".validate"):
        if draw(st.integers(0, 2 if kind == ".validate" else 1)) == 0:
            expressions = Expressions(draw, names, is_read=kind == ".read")
            plain = draw(st.sampled_from([True, True, None, None, None, None, None, False]))
            found[kind] = expressions.truth(draw(st.integers(1, 4))) if plain is None else plain
    if depth:
        for key in draw(st.lists(st.sampled_from(KEYS[:3]), max_size=2, unique=True)):
            found[key] = draw(rules(depth - 1, names))
        wildcard = WILDCARDS[3 - depth]
        if draw(st.booleans()):
            found[wildcard] = draw(rules(depth - 1, (*names, wildcard)))
    return found


QUERIES = (
    None, None, {"orderByKey": True}, {"orderByValue": True, "startAt": "a"}, {"orderByChild": "a", "equalTo": "u1"},
    {"orderByPriority": True, "limitToLast": 1}, {"orderByChild": "b", "endAt": 2, "limitToFirst": 10},
)  # fmt: skip


@st.composite
def cases(draw) -> Case:
    """Draw a case."""
    operation = draw(st.sampled_from(["read", "write", "write", "update"]))
    value = draw(trees) if operation == "write" else None
    if operation == "update":
        value = draw(st.dictionaries(st.sampled_from(["a", "b", "c/a", "c/b"]), trees, min_size=1, max_size=3))
    return Case(
        rules=draw(rules()),
        data=draw(trees),
        auth=draw(st.sampled_from(AUTHS)),
        operation=operation,
        path=draw(paths),
        value=value,
        query=draw(st.sampled_from(QUERIES)) if operation == "read" else None,
    )
