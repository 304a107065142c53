"""Security rules: what an expression means, what a file may say, and what is granted."""

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.auth import Caller
from emulator.database import Databases
from emulator.errors import PermissionDeniedError
from emulator.query import parse_query
from emulator.rules.document import BadRulesError
from emulator.rules.expression import GLOBALS, BadExpressionError, allows, compile_expression
from emulator.rules.parser import parse_rules
from emulator.rules.pattern import BadPatternError, compile_pattern
from emulator.rules.snapshot import Snapshot

ADMIN = Caller(is_admin=True)
NOBODY = Caller(is_admin=False)
OLD = {"a": {"n": 5, "s": "text", "t": True}, "list": {"0": "x"}}
NEW = {**OLD, "b": {"n": 6}}


def user(uid, **claims):
    return Caller(is_admin=False, auth={"uid": uid, "token": claims, "provider": "custom"})


def holds(expression, auth=None):
    compiled = compile_expression(expression, GLOBALS | {"$key"})
    scope = {"auth": auth, "now": 1000, "root": Snapshot(OLD, ()), "$key": "k1", "query": {"limitToFirst": 3}}
    return allows(compiled, {**scope, "data": Snapshot(OLD, ("a",)), "newData": Snapshot(NEW, ("b",))})


@pytest.mark.parametrize(
    "expression",
    [
        "true",
        "1 + 2 * 3 === 7 && (1 + 2) * 3 == 9",
        "10 / 4 === 2.5 && -7 % 3 === -1 && 7 % 3 == 1",
        "1 < 2 == true && !(2 <= 1) && 'a' < 'b'",
        "false || true && false || true",
        "true ? true : false",
        "false ? true : true ? true : false",
        "'a' + 1 + 'b' === 'a1b'",
        "'it\\'s' === \"it's\" && '\\u00e9'.length === 1 && '\\n'.length == 1",
        "1 !== true && 'a' != null && null == null && 0 != false",
        "data.child('n').val() === 5 && data.child('n').isNumber()",
        "data.hasChild('s') && data.hasChildren() && data.hasChildren(['n', 's']) && !data.hasChildren(['n', 'x'])",
        "data.child('t').isBoolean() && data.child('s').isString() && !data.child('s').isNumber()",
        "data.parent().child('list/0').val() == 'x' && root.child('a').child('n').exists()",
        "newData.parent().child('a/n').val() + 1 === newData.child('n').val()",
        "!data.child('none').exists() && data.child('none/deeper').val() == null",
        "data.child('n').getPriority() == null",
        "$key.length == 2 && $key.beginsWith('k') && $key.endsWith('1') && $key.contains('k1')",
        "'aXa'.toLowerCase() == 'axa' && 'ab'.toUpperCase() == 'AB' && 'a.a.a'.replace('.', '') == 'aaa'",
        "'2024-01-31'.matches(/^(19|20)[0-9][0-9][-\\/. ](0[1-9]|1[012])[-\\/. ](0[1-9]|[12][0-9]|3[01])$/)",
        "'A@B.COM'.matches(/^[A-Z0-9._%+-]+@[A-Z0-9.-]+\\.[A-Z]{2,4}$/i) && 'xabx'.matches(/ab/)",
        "8 / 2 / 2 === 2",
        "now === 1000 && query.limitToFirst <= 3 && query.orderByChild == null",
        "auth == null && auth.uid == null",
        "'😀'.length === 2",
    ],
)
def test_expressions_that_hold(expression):
    assert holds(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "1",
        "'true'",
        "null",
        "auth.uid",
        "!null",
        "data.val() > 1",
        "'a' < 1",
        "1 / 0 == 1",
        "data.child('n').val().contains('5') || true",
        "'a'.contains(1) || true",
        "data.child(data.child('n').val()).exists() || true",
        "root.parent().exists() || true",
        "data.hasChildren([]) || true",
        "'a\\n'.matches(/^a$/)",
        "'٣'.matches(/^\\d$/)",
        "'ba'.matches(/^a/)",
    ],
)
def test_expressions_without_a_truth_value_deny(expression):
    assert not holds(expression)


def test_a_signed_in_user_with_claims():
    auth = {"uid": "u", "provider": "password", "token": {"admin": True, "firebase": {"tenant": "t"}}}
    assert holds("auth != null && auth.token.admin === true && auth.provider == 'password'", auth)
    assert not holds("auth[['uid']] == 1 || true", auth)
    assert holds("auth['uid'] === 'u' && auth.token.firebase.tenant == 't' && auth.token.other == null", auth)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("auth.uid ==", "ends too early"),
        ("auth.uid = 1", "syntax error at column 10"),
        ("nobody.uid == 1", "unknown variable 'nobody'"),
        ("data.remove()", "unknown method 'remove'"),
        ("$other == 1", "unknown variable '$other'"),
        ("'a'.matches(/(?=a)/)", "bad regular expression"),
        ("'a'.matches(/a/g)", "syntax error"),
    ],
)
def test_bad_expressions_say_what_is_wrong(expression, reason):
    with pytest.raises(BadExpressionError, match=re.escape(reason)):
        compile_expression(expression, GLOBALS)


def test_a_deeply_nested_expression_is_answered_or_refused():
    with contextlib.suppress(BadExpressionError):
        assert holds("(" * 3000 + "true" + ")" * 3000) in (True, False)
    with contextlib.suppress(BadExpressionError):
        assert holds("!" * 3000 + "true") in (True, False)


@pytest.mark.parametrize(
    "bad", ["(?=a)", r"(a)\1", "a*?", "a++", "a**", "a^b", "a$b", r"\b", "[a", "(a", "a{", "*a", "[b-a]"]
)
def test_patterns_outside_the_documented_subset_are_refused(bad):
    with pytest.raises(BadPatternError):
        compile_pattern(bad, ignore_case=False)


@given(st.text(r"ab-[]()^$|&~\d.*+?{}1,/", max_size=12))
def test_any_text_is_a_pattern_or_is_refused(text):
    with contextlib.suppress(BadPatternError):
        compile_pattern(text, ignore_case=True)


@given(
    st.lists(st.sampled_from([*"()[].,!?:+-*/%<>", "==", "&&", "||", "auth", "data", "null", "1", "'a'", "uid", "/a/"]))
)
def test_any_text_is_an_expression_that_answers_or_is_refused(tokens):
    text = " ".join(tokens)
    try:
        compiled = compile_expression(text, GLOBALS)
    except BadExpressionError:
        return
    assert allows(compiled, {"auth": {"uid": "u"}, "data": Snapshot(OLD, ())}) in (True, False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"rules": {\n  ".read": tru }}', "2:12: Parse error"),
        ('{"rules": {\n\n', "3:1: Parse error: unexpected end"),
        ("[]", "1:1: "),
        ('{"rule": {}}', '1:1: Expected one "rules"'),
        ('{"rules": {\n ".read": 3}}', "2:2: .read is true, false or an expression"),
        ('{"rules": {\n // {\n ".reed": true}}', "3:2: Unknown rule type '.reed'"),
        ('{"rules": {"a": true}}', "1:12: 'a' takes an object"),
        ('{"rules": {"a.b": {}}}', "1:12: 'a.b' is no valid key"),
        ('{"rules": {"a": {},\n"a": {}}}', "2:1: 'a' is there twice"),
        ('{"rules": {"$a": {},\n"$b": {}}}', "2:1: Only one $"),
        ('{"rules": {"$a": {"$a": {}}}}', "1:19: Only one $"),
        ('{"rules": {".indexOn": 3}}', "1:12: .indexOn takes"),
        ('{"rules": {".read": "newData.exists()"}}', "1:12: .read: unknown variable 'newData'"),
        ('{"rules": {"x": {".write": "same"},\n"y": {".write": "same"}}}', "1:18: .write: unknown variable 'same'"),
        ("{" * 5000, ""),
    ],
)
def test_a_bad_file_is_refused_with_line_column_and_reason(text, error):
    with pytest.raises(BadRulesError) as refused:
        parse_rules(text)
    assert str(refused.value).startswith(error)


def test_comments_texts_over_lines_and_a_last_comma_are_taken():
    parse_rules(
        '// a\n{"rules": { /* b\n */ ".read": "auth != null &&\n  auth.uid != \'//\'", "a/b": {".indexOn": ["x"],},}}'
    )


def database(rules, data=None):
    found = Databases()["x"]
    found.write({(): data}, ADMIN)
    found.set_rules(rules)
    return found


def may_write(found, caller, values):
    try:
        found.write({tuple(path.split("/")): value for path, value in values.items()}, caller)
    except PermissionDeniedError:
        return False
    return True


def may_read(found, caller, path, **query):
    try:
        found.read(tuple(path.split("/")), caller, parse_query(query))
    except PermissionDeniedError:
        return False
    return True


def test_a_grant_above_holds_below_and_cannot_be_taken_back():
    found = database('{"rules": {"a": {".read": true, ".write": true, "b": {".read": false, ".write": false}}}}')
    assert may_read(found, NOBODY, "a/b/c")
    assert may_write(found, NOBODY, {"a/b/c": 1})
    assert not may_read(found, NOBODY, "x")
    assert not may_write(found, NOBODY, {"x": 1})


def test_validation_looks_at_what_is_written_at_its_ancestors_and_never_at_deletions_or_siblings():
    rules = """{"rules": {"p": {".write": true, "$id": {
      ".validate": "newData.hasChildren(['n'])",
      "n": {".validate": "newData.isNumber()"},
      "own": {".validate": false},
      "$other": {".validate": "$other.length < 3"}}}}}"""
    found = database(rules, {"p": {"old": {"n": "no number", "own": 1}}})
    assert may_write(found, NOBODY, {"p/x": {"n": 1, "ab": 2}})
    assert not may_write(found, NOBODY, {"p/y": {"n": "1"}})
    assert not may_write(found, NOBODY, {"p/y": {"ab": 1}})
    assert not may_write(found, NOBODY, {"p/y/ab": 1})
    assert not may_write(found, NOBODY, {"p/x/abc": 1})
    assert not may_write(found, NOBODY, {"p/x/own": 1})
    assert may_write(found, NOBODY, {"p/old/ab": 1})
    assert may_write(found, NOBODY, {"p/old/own": None})
    assert may_write(found, NOBODY, {"p/x/n": None})
    assert may_write(found, NOBODY, {"p": None})
    assert may_write(found, ADMIN, {"p/y/own": 1})


def test_a_multi_path_update_is_judged_as_one():
    rules = """{"rules": {"a": {"$id": {".write": "newData.parent().parent().child('b/' + $id).exists()"}},
      "b": {"$id": {".write": "newData.parent().parent().child('a/' + $id).exists()"}}}}"""
    found = database(rules)
    assert not may_write(found, NOBODY, {"a/1": True})
    assert may_write(found, NOBODY, {"a/1": True, "b/1": True})
    assert not may_write(found, NOBODY, {"a/2": True, "b/2": True, "c": True})
    assert found.read((), ADMIN) == {"a": {"1": True}, "b": {"1": True}}


def test_a_server_timestamp_is_the_rules_now():
    found = database('{"rules": {".write": "newData.child(\'at\').val() === now"}}')
    for _ in range(50):
        assert may_write(found, NOBODY, {"at": {".sv": "timestamp"}})
    assert not may_write(found, NOBODY, {"at": int(time.time() * 1000) - 5})


def test_a_query_is_judged_by_what_it_asks_for():
    rules = """{"rules": {"list": {".indexOn": "owner", ".read":
      "query.orderByChild === 'owner' && query.equalTo === auth.uid
       || query.orderByKey && query.limitToFirst <= 10"}}}"""
    found = database(rules, {"list": {"a": {"owner": "u"}, "b": {"owner": "v"}}})
    assert may_read(found, user("u"), "list", orderBy='"owner"', equalTo='"u"')
    assert not may_read(found, user("u"), "list", orderBy='"owner"', equalTo='"v"')
    assert not may_read(found, user("u"), "list", orderBy='"owner"', startAt='"u"')
    assert not may_read(found, user("u"), "list")
    assert may_read(found, NOBODY, "list", orderBy='"$key"', limitToFirst="10")
    assert not may_read(found, NOBODY, "list", orderBy='"$key"', limitToFirst="11")
