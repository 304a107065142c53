"""Where the emulator and targaryen answer a case differently, and which of them is right.

A difference that shows when rules run is known by what targaryen does there: with that imitated, the emulator has to
give targaryen's answer. One that shows when rules are rejected is known by the reason that the rejecting side gives.

Sources that are records of the service itself: PYRIC, verdicts and rejections captured in 2026; the issues of those who
saw what it does. The rest is its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from rtdb_emulator.data.keys import Path
from rtdb_emulator.data.tree import Node, bare, get, is_parent, put, with_priority
from rtdb_emulator.rules import expression, operators, ruleset, snapshot
from rtdb_emulator.rules.snapshot import RuleError, Snapshot

from .rules_cases import Answer, Case, answer

PYRIC = "https://github.com/davideast/pyric"
REFERENCE = "https://firebase.google.com/docs/reference/security/database"
REGEX = "https://firebase.google.com/docs/database/security/regex"
CASES = f"{__package__}.rules_cases"


@dataclass(frozen=True)
class Difference:
    """One kind of difference.

    Attributes:
        right: the emulator, targaryen, or neither: that is documented nowhere.
        example: a case that shows it.
        imitate: makes the emulator do as targaryen does, where that is known.
        rejected: what the side that rejects says, for a difference in what is rejected.
    """

    name: str
    right: str
    why: str
    source: str
    example: Case
    imitate: Callable[[Case], Any] | None = None
    rejected: str = ""

    def explains(self, case: Case, ours: Answer, theirs: Answer) -> bool:
        """Return whether this alone makes the answers differ."""
        if self.rejected:
            reasons = _reasons(ours) if ours.answer == "rejected" else [theirs.why]
            return "rejected" in (ours.answer, theirs.answer) and all(re.search(self.rejected, why) for why in reasons)
        return "rejected" not in (ours.answer, theirs.answer) and imitating([self], case) == theirs.answer


def explanations(case: Case, ours: Answer, theirs: Answer) -> list[Difference]:
    """Return what makes the answers differ: one kind that suffices, or all kinds together; empty if nothing does."""
    for each in DIFFERENCES:
        if each.explains(case, ours, theirs):
            return [each]
    together = [each for each in DIFFERENCES if each.imitate]
    if ours.answer == "rejected":
        together = [each for each in DIFFERENCES if each.rejected]
        known = all(any(re.search(each.rejected, why) for each in together) for why in _reasons(ours))
        return together if known else []
    return together if theirs.answer != "rejected" and imitating(together, case) == theirs.answer else []


def imitating(kinds: list[Difference], case: Case) -> str:
    """Return the emulator's answer when it does some things as targaryen does."""
    with ExitStack() as stack:
        for each in kinds:
            if each.imitate:
                stack.enter_context(each.imitate(case))
        return answer(case).answer


def _reasons(ours: Answer) -> list[str]:
    return [line.split(": ", 1)[1] for line in ours.why.splitlines()]


def rule(expression: str, data: Any = None, auth: Any = None, **more: Any) -> Case:
    """Return the case of a read at the root by one expression."""
    return Case({".read": expression}, data, auth, **more)


def _ends_with(case: Case) -> Any:
    def ends_with(text: str, part: Any) -> bool:
        if not isinstance(part, str):
            raise RuleError("a text is needed here")
        return text.find(part) + len(part) == len(text)

    return patch.dict(operators.STRING_METHODS, {"endsWith": ends_with})


def _compare(special: Callable[[Any, str, Any], bool | None]) -> Callable[[Case], Any]:
    def imitated(case: Case) -> Any:
        real = expression.compare

        def compare(left: Any, operator: str, right: Any) -> bool:
            found = special(left, operator, right)
            return real(left, operator, right) if found is None else found

        return patch.object(expression, "compare", compare)

    return imitated


def _null_has_an_order(left: Any, operator: str, right: Any) -> bool | None:
    return "=" in operator if left is right is None and operator[0] in "<>" else None


def _same_object(left: Any, operator: str, right: Any) -> bool | None:
    both = isinstance(left, dict) and left is right
    return operator[0] == "=" if both and operator[0] in "=!" else None


def _no_lists(left: Any, operator: str, right: Any) -> bool | None:
    if isinstance(left, list) or isinstance(right, list):
        raise RuleError("a list is no operand")
    return None


class _Absent(dict[str, Any]):
    def get(self, key: str, default: Any = None) -> Any:
        raise RuleError("unknown variable")


def _no_query(case: Case) -> Any:
    real = ruleset._query_scope
    return patch.object(ruleset, "_query_scope", real if case.operation == "read" else lambda query: _Absent())


def _order_by_key(case: Case) -> Any:
    real = ruleset._query_scope

    def scope(query: Any) -> Any:
        return real(query) if query else {**real(query), "orderByKey": True}

    return patch.object(ruleset, "_query_scope", real if case.operation != "read" else scope)


def _nothing_at(pattern: str) -> Callable[[Case], Any]:
    """Return what makes child() of some paths a place where nothing is."""
    real = Snapshot.child

    def child(self: Snapshot, path: Any) -> Snapshot:
        nothing = isinstance(path, str) and re.search(pattern, path) is not None
        return Snapshot(None, ()) if nothing else real(self, path)

    @contextmanager
    def imitated(case: Case) -> Iterator[None]:
        with patch.object(Snapshot, "child", child), patch.dict(snapshot.METHODS, {"child": child}):
            yield

    return imitated


def _put_as(change: Callable[[Node, Path, Node], Node]) -> Callable[[Case], Any]:
    return lambda case: patch(f"{CASES}.put", change)


def _put_without_scalars(node: Node, path: Path, value: Node) -> Node:
    if value is None:
        for depth in range(len(path)):
            above = get(node, path[:depth])
            if bare(above) is not None and not is_parent(bare(above)):
                return put(node, path[:depth], None)
    return put(node, path, value)


def _put_without_priorities(node: Node, path: Path, value: Node) -> Node:
    after = put(node, path, value)
    for depth in range(1, len(path)):
        after = put(after, path[:depth], with_priority(get(after, path[:depth]), None))
    return after


def _dots(case: Case) -> Any:
    lines = "\n" in repr((case.data, case.value)).replace("\\n", "\n")
    return patch("rtdb_emulator.rules.pattern.Pattern.matches", lambda self, text: False) if lines else ExitStack()


DIFFERENCES = [
    Difference(
        "a read without a query has no order",
        "the emulator",
        "orderByKey was recorded as false for a plain read in 2026 (r30); targaryen follows a record of 2018",
        PYRIC,
        rule("query.orderByKey == false"),
        imitate=_order_by_key,
    ),
    Difference(
        "endsWith",
        "the emulator",
        "targaryen looks at the first occurrence only, and takes a missing text of one character more for an end",
        REFERENCE,
        rule("'aba'.endsWith('a')"),
        imitate=_ends_with,
    ),
    Difference(
        "null has no order",
        "the emulator",
        "a null operand of <, <=, > or >= fails the rule (r33); targaryen compares null with null",
        PYRIC,
        rule("auth.none <= auth.none"),
        imitate=_compare(_null_has_an_order),
    ),
    Difference(
        "query in rules for writing",
        "the emulator",
        ".write and .validate have access to all variables; for targaryen query is not there when they are evaluated",
        REFERENCE,
        Case({".write": "query.orderByChild == null"}, operation="write", value=1),
        imitate=_no_query,
    ),
    Difference(
        "what is removed below a scalar",
        "the emulator",
        "a deletion of what does not exist changes nothing; targaryen loses the scalar above it",
        "https://firebase.google.com/docs/reference/rest/database",
        Case({".write": "newData.exists()"}, "text", operation="write", path="a"),
        imitate=_put_as(_put_without_scalars),
    ),
    Difference(
        "priorities above what is written",
        "the emulator",
        "a write keeps the priorities of the nodes above; targaryen keeps only that of the root",
        "https://firebase.google.com/docs/reference/js/database#setpriority",
        Case(
            {".write": "newData.child('a').getPriority() == 2"},
            {"a": {"b": 1, "c": 1, ".priority": 2}},
            operation="write",
            path="a/b",
            value=5,
        ),
        imitate=_put_as(_put_without_priorities),
    ),
    Difference(
        "an empty path",
        "the emulator",
        "child('') is the node itself, as was seen of the service; targaryen has nothing there",
        "https://github.com/goldibex/targaryen/issues/154",
        rule("data.child('').exists() && data.hasChild('')", 1),
        imitate=_nothing_at("^$"),
    ),
    Difference(
        "a path with several slashes in a row",
        "neither",
        "the emulator reads them as one, as the clients do; targaryen has nothing there",
        "https://github.com/firebase/firebase-js-sdk/blob/main/packages/database/src/core/util/Path.ts",
        rule("data.child('a//b').exists()", {"a": {"b": 1}}),
        imitate=_nothing_at("//"),
    ),
    Difference(
        "any character",
        "the emulator",
        ". matches any character; for targaryen none that ends a line",
        REGEX,
        rule("data.val().matches(/^a.b$/)", "a\nb"),
        imitate=_dots,
    ),
    Difference(
        "an object compared with itself",
        "neither",
        "an object equals no other, even where they hold the same; for targaryen the one in auth equals itself",
        "https://github.com/goldibex/targaryen/issues/133",
        rule("auth.token == auth.token", auth={"uid": "u1", "token": {"a": 1}}),
        imitate=_compare(_same_object),
    ),
    Difference(
        "a list compared",
        "neither",
        "the emulator has it equal nothing; targaryen fails",
        REFERENCE,
        rule("auth.token.groups != null", auth={"uid": "u1", "token": {"groups": ["a"]}}),
        imitate=_compare(_no_lists),
    ),
    Difference(
        "a literal null is rejected by an order",
        "the emulator",
        "the operands of an order must be numbers or texts",
        PYRIC,
        rule("auth.uid > null"),
        rejected=r"^Invalid [<>]=? expression: \w+ operand must be a number or string",
    ),
    Difference(
        "operands of an order are checked one by one",
        "the emulator",
        "the service rejects an operand that has no order, not two that have different ones",
        PYRIC,
        rule("'a' < 1 || true"),
        rejected=r"Invalid [<>]=? expression: Left and right sides types are different",
    ),
    Difference(
        "an empty list of children",
        "the emulator",
        "hasChildren([]) is taken by the service, and true",
        PYRIC,
        rule("data.hasChildren([])"),
        rejected="hasChildren got an empty array",
    ),
    Difference(
        "arguments that a method does not take",
        "the emulator",
        "exists() and the like expect no arguments",
        PYRIC,
        rule("data.exists('a')"),
        rejected=r"^\w+\(\) expects no arguments",
    ),
    Difference(
        "the order of a query is compared with literals only",
        "the emulator",
        "the service says so itself",
        "https://github.com/firebase/firebase-tools/issues/944",
        rule("query.orderByChild == auth.uid"),
        rejected="operand must be an ordering or string literal when comparing against an ordering",
    ),
    Difference(
        "members of what is not an object",
        "the emulator",
        "properties of query and choices between two types have no members",
        PYRIC,
        rule("query.orderByChild.contains('a')"),
        rejected="^Invalid property access: target is not an object",
    ),
    Difference(
        "a property of query is no text",
        "the emulator",
        "methods that take texts do not take it",
        PYRIC,
        rule("data.hasChild(query.equalTo)", query={"orderByKey": True, "equalTo": "a"}),
        rejected=r"^\w+\(\) expects a string argument",
    ),
    Difference(
        "startAfter and endBefore",
        "neither",
        "no list of the properties of query has them; the emulator knows them since queries have them",
        "https://firebase.google.com/docs/database/security/rules-conditions",
        rule("query.startAfter == null"),
        rejected="No such method/property (startAfter|endBefore)",
    ),
    Difference(
        "keys of rules",
        "the emulator",
        "a key that no node can have is rejected; targaryen looks at none",
        PYRIC,
        Case({"a#b": {}, ".read": True}),
        rejected="^String can't contain",
    ),
]
