"""Rule expressions: what they mean when they are evaluated."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.tree import from_json
from rtdb_emulator.rules.coverage import SEEN
from rtdb_emulator.rules.expression import GLOBALS, allows, compile_expression
from rtdb_emulator.rules.operators import number_text
from rtdb_emulator.rules.snapshot import Snapshot
from rtdb_emulator.rules.syntax import BadExpressionError, parse

OLD = {"a": {"n": 5, "s": "text", "t": True}, "list": {"0": "x"}}
NEW = {**OLD, "b": {"n": 6}}


def holds(expression, auth=None):
    compiled = compile_expression(parse(expression), GLOBALS | {"$key"})
    seen = [{} for _ in range(7000)]
    scope = {"auth": auth, "now": 1000, "root": Snapshot(OLD, ()), "$key": "k1", "query": {"limitToFirst": 3}}
    scope |= {"data": Snapshot(OLD, ("a",)), "newData": Snapshot(NEW, ("b",))}
    answer = allows(compiled, scope)
    assert allows(compiled, {**scope, SEEN: seen}) is answer
    assert (seen[compiled.part.number].get(True) == 1) is answer
    return answer


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
        "1/0 + '' == 'NaN' && 1 % 0 + '' == 'NaN' && !(1/0 > 2) && !(1/0 < 2) && 1/0 != 1/0",
        "1.5 + 'a' == '1.5a' && 0.1 + 0.2 + '' == '0.30000000000000004' && 4 / 2 + '' == '2'",
        "1e21 + '' == '1e+21' && 1e20 + '' == '100000000000000000000' && .000001 + '' == '0.000001'",
        "1.5e-7 + '' == '1.5e-7' && 0x10 == 16 && 1. == 1 && 0 - 5 + 'a' == '-5a'",
        "1e308 * 10 + '' == 'Infinity' && 0 - 1e308 * 10 + '' == '-Infinity' && 1e308 * 10 % 2 + '' == 'NaN'",
        "root['exists']() && 'abc'['contains']('b') && (data.exists)()",
        "data.val() != null && data.val() != data.val() && !(data.val() == data.val())",
        "data.hasChildren([]) && data.child('n').hasChildren([])",
        "'\uffff' > '\ud83d\ude00' && 'a' < 'ab' && !('b' < 'a')",
        "!data.child('.priority').exists() && data.child('a/../n').val() == null && !data.hasChild('banned/b@c.d')",
        "true ? 1 < 2 : 'a' == null",
        "now === 1000 && query.limitToFirst <= 3 && query.orderByChild == null",
        "auth == null && auth.uid == null",
        "'😀'.length === 2",
    ],
)
def test_expressions_that_are_true(expression):
    assert holds(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "data.val() > 1",
        "'a' < data.child('n').val() || true",
        "null == 0 || 'a' < 1",
        "data.child('n').val().contains('5') || true",
        "'a'.contains(data.child('n').val()) || true",
        "'a'.replace('a', auth.uid) == 'a' || true",
        "data.child(data.child('n').val()).exists() || true",
        "data.hasChild(auth.uid) || true",
        "data.hasChildren([auth.uid]) || true",
        "root.parent().exists() || true",
        "-data.child('s').val() == 1 || true",
        "data.child('s').val() - 1 == 1 || true",
        "1 + data.child('t').val() == 2 || true",
        "data.child('none').val() > 1 || true",
        "auth.none.length > 0 || true",
        "query.limitToLast <= 3 || true",
        "!(auth.none.contains('a'))",
        "auth.contains('a') || true",
        "'a\\n'.matches(/^a$/)",
        "'٣'.matches(/^\\d$/)",
        "'ba'.matches(/^a/)",
    ],
)
def test_expressions_that_are_not_boolean_deny(expression):
    assert not holds(expression)


def test_a_signed_in_user_with_claims():
    auth = {"uid": "u", "provider": "password", "token": {"admin": True, "firebase": {"tenant": "t"}}}
    assert holds("auth != null && auth.token.admin === true && auth.provider == 'password'", auth)
    assert holds("auth['uid'] === 'u' && auth.token.firebase.tenant == 't' && auth.token.other == null", auth)


def test_claims_are_read_at_any_depth_by_names_and_places():
    identities = {"email": ["u@example.com"], "google.com": ["1", "2"]}
    auth = {"uid": "u", "token": {"firebase": {"sign_in_provider": "password", "identities": identities}, "level": 3}}
    assert holds("auth.token.firebase.sign_in_provider == 'password' && auth.token.level >= 3", auth)
    assert holds("auth.token.firebase.identities['google.com'][1] == '2'", auth)
    assert holds("auth.token.firebase.identities.email[0].endsWith('@example.com')", auth)
    assert holds(
        "auth.token.firebase.identities.email[5] == null && auth.uid[$key] == null && auth.uid.other == null", auth
    )
    assert holds(
        "auth.token.firebase.identities.email.length == 1 && auth.token.firebase.identities[$key] == null", auth
    )
    assert not holds("auth.token.level.contains('3') || true", auth)


def test_priorities_are_read_and_values_come_without_them():
    node = from_json({"p": {".value": "text", ".priority": 2}, "q": {"x": 1, ".priority": "b"}})
    scope = {"data": Snapshot(node, ())}
    for expression in (
        "data.child('p').val() == 'text' && data.child('p').isString() && data.child('p').getPriority() == 2",
        "data.child('q').getPriority() == 'b' && data.child('q').hasChildren(['x']) && data.child('q/x').val() == 1",
        "data.getPriority() == null && data.child('p').getPriority() >= 1 && !data.child('p').hasChildren()",
    ):
        assert allows(compile_expression(parse(expression), GLOBALS), scope)


def test_a_deeply_nested_expression_is_answered_or_rejected():
    with contextlib.suppress(BadExpressionError):
        assert holds("(" * 3000 + "true" + ")" * 3000) in (True, False)
    with contextlib.suppress(BadExpressionError):
        assert holds("!" * 3000 + "true") in (True, False)


def test_long_chains_do_not_count_as_nesting():
    assert holds(" && ".join(["true"] * 3000) + " || " + " || ".join(["false"] * 3000))
    assert not holds(" && ".join(["true"] * 3000) + " && false")


def test_numbers_of_any_length_are_numbers():
    assert holds(f"{'9' * 5000} > 1 && 0x{'f' * 500} > 1 && 9007199254740993 == 9007199254740992")


@given(
    st.lists(
        st.sampled_from([*"()[].,!?:+-*/%<>=", "==", "&&", "||", "auth", "data", "null", "1", "'a'", "uid", "/a/"])
    )
)
def test_any_text_is_an_expression_that_answers_or_is_rejected(tokens):
    text = " ".join(tokens)
    with contextlib.suppress(BadExpressionError):
        compiled = compile_expression(parse(text), GLOBALS)
        assert allows(compiled, {"auth": {"uid": "u"}, "data": Snapshot(OLD, ())}) in (True, False)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_is_that_number(number):
    assert float(number_text(number)) == number
