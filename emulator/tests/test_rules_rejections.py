"""What the rules may not say: every rejection with its line, its column and the service's words for it."""

import json

import pytest

from rtdb_emulator.rules.document import BadRulesError
from rtdb_emulator.rules.parser import parse_rules

NO_RULE = "Invalid rule expression.  Expected 'true', 'false', or an expression string."
NO_INDEX = "Invalid indexOn expression. Must be either a string or an array of strings"
NO_KEY = 'String can\'t contain ".", "#", "$", "/", "[", or "]"'
NO_FUNCTION = "Type error: Function call on target that is not a function."
NO_OBJECT = "Invalid property access: target is not an object."
NO_TRUTH = "Expression must evaluate to a boolean."
NO_ORDERING = "operand must be an ordering or string literal when comparing against an ordering."
NO_PATTERN = "matches() expects a regular expression literal argument."


def rejection(text):
    with pytest.raises(BadRulesError) as rejected:
        parse_rules(text)
    return str(rejected.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"rules": {\n  ".read": tru }}', "2:12: Parse error.\n"),
        ('{"rules": {\n\n', "3:1: Parse error.\n"),
        ('{"rules": {}} x', "1:15: Parse error.\n"),
        ('{"rules": {".read": "\\q"}}', "1:21: Parse error.\n"),
        ("", "1:1: Parse error.\n"),
        ("[]", "1:1: Expected '{'.\n"),
        ("{}", "1:2: Expected 'rules' property.\n"),
        ('{"rule": {}}', "1:2: Expected 'rules' property.\n"),
        ('{"rules": {}, "more": 1}', "1:15: Expected 'rules' property.\n"),
        ('{"rules": true}', "1:11: Expected '{'.\n"),
        ('{"rules": {\n ".read": 3}}', f"2:11: {NO_RULE}\n"),
        ('{"rules": {\n ".write": {"x": 1}}}', f"2:12: {NO_RULE}\n"),
        ('{"rules": {".read": ' + "9" * 5000 + "}}", f"1:21: {NO_RULE}\n"),
        ('{"rules": {".validate": null}}', f"1:25: {NO_RULE}\n"),
        ('{"rules": {".validate": ["true"]}}', f"1:25: {NO_RULE}\n"),
        ('{"rules": {\n // {\n ".reed": "true"}}', "3:11: Expected '{'.\n"),
        ('{"rules": {".reed": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"a": "true"}}', "1:17: Expected '{'.\n"),
        ('{"rules": {"a.b": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"a/b": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"a#b": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"$a[b]": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"a$b": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"": {}}}', f"1:12: {NO_KEY}\n"),
        ('{"rules": {"a": {},\n"a": {}}}', "2:1: 'a' occurs twice.\n"),
        ('{"rules": {"$a": {},\n"$b": {}}}', "2:1: Cannot have multiple default rules ('$a' and '$b').\n"),
        ('{"rules": {"$a": {"$a": {}}}}', "1:19: Variable '$a' is already used above.\n"),
        ('{"rules": {".indexOn": 3}}', f"1:24: {NO_INDEX}\n"),
        ('{"rules": {".indexOn": ["a", 3]}}', f"1:24: {NO_INDEX}\n"),
        ('{"rules": {".indexOn": ""}}', f"1:24: {NO_INDEX}\n"),
        ('{"rules": {".indexOn": {"a": 1}}}', f"1:24: {NO_INDEX}\n"),
    ],
)
def test_a_bad_file_is_rejected_at_its_first_error(text, error):
    assert rejection(text) == error


def test_a_file_that_is_nested_too_deeply_is_rejected():
    assert "Parse error." in rejection("{" * 5000)


@pytest.mark.parametrize(
    ("expression", "offset", "reason"),
    [
        ("auth.uid ==", 11, "Unexpected end of expression."),
        ("data.hasChildren(['a', 'b']", 27, "Unexpected end of expression."),
        ("", 0, "Unexpected end of expression."),
        ("auth.uid = 'x'", 9, "Rule expressions may not contain assignments."),
        ("true & false", 5, "syntax error"),
        ("true; false", 4, "syntax error"),
        ("2 ** 2 == 4", 3, "syntax error"),
        ("var a = 1", 4, "syntax error"),
        ("'a' == 'b", 7, "syntax error"),
        ("+1 == 1", 0, "syntax error"),
        ("a => true", 2, "Rule expressions may not contain assignments."),
        ("foo == 1", 0, "Unknown variable 'foo'."),
        ("true && $other == 'x'", 8, "Unknown variable '$other'."),
        ("data.foo()", 0, "No such method/property 'foo'."),
        ("true && data.foo == 1", 8, "No such method/property 'foo'."),
        ("newData.val().bar()", 0, "No such method/property 'bar'."),
        ("data.val().notFound == false", 0, "No such method/property 'notFound'."),
        ("data.contains('a')", 0, "No such method/property 'contains'."),
        ("query.foo == 1", 0, "No such method/property 'foo'."),
        ("root['no']()", 0, "No such method/property 'no'."),
        ("'a'.val() == 1", 0, "No such method/property 'val'."),
        ("root['exi' + 'sts']()", 0, "Invalid property access."),
        ("root[$x] == 1", 0, "Invalid property access."),
        ("data.val()[0] == 1", 0, "Invalid property access."),
        ("newData.val().length() > 0", 0, NO_FUNCTION),
        ("auth.exists()", 0, NO_FUNCTION),
        ("auth()", 0, NO_FUNCTION),
        ("now.length == 1", 0, NO_OBJECT),
        ("true.length == 1", 0, NO_OBJECT),
        ("null.x == 1", 0, NO_OBJECT),
        ("query.equalTo.length == 1", 0, NO_OBJECT),
        ("query.orderByChild.contains('a')", 0, NO_OBJECT),
        ("data.val.length == 1", 0, NO_OBJECT),
        ("(true ? 'a' : 1).length == 1", 0, NO_OBJECT),
        ("/a/.length == 1", 0, NO_OBJECT),
        ("7", 0, NO_TRUTH),
        ("'true'", 0, NO_TRUTH),
        ("null", 0, NO_TRUTH),
        ("auth.uid", 0, NO_TRUTH),
        ("data.val()", 0, NO_TRUTH),
        ("data", 0, NO_TRUTH),
        ("auth != null ? 7 : true", 0, NO_TRUTH),
        ("true ? true : auth.x", 0, NO_TRUTH),
        ("/a/", 0, NO_TRUTH),
        ("data.exists", 0, NO_TRUTH),
        ("!'a'", 0, "! only operates on booleans."),
        ("!data.val()", 0, "! only operates on booleans."),
        ("-'a' == 1", 0, "- only operates on numbers."),
        ("auth.x && true", 0, "Left operand of && must be boolean."),
        ("true && (false || 1)", 9, "Right operand of || must be boolean."),
        ("true && true && 1 && false", 0, "Right operand of && must be boolean."),
        ("auth ? true : false", 0, "condition of ? must be boolean."),
        ("data == 'a'", 0, "Invalid == expression: left operand is not a number, boolean, string, null."),
        ("data === 'a'", 0, "Invalid == expression: left operand is not a number, boolean, string, null."),
        ("'a' == data", 0, "Invalid == expression: right operand is not a number, boolean, string, or null."),
        ("query != null", 0, "Invalid != expression: left operand is not a number, boolean, string, or null."),
        ("'a' !== /a/", 0, "Invalid != expression: right operand is not a number, boolean, string, or null."),
        ("data.exists == true", 0, "Invalid == expression: left operand is not a number, boolean, string, null."),
        ("data > 1", 0, "Invalid > expression: left operand must be a number or string."),
        ("data.val() <= true", 0, "Invalid <= expression: right operand must be a number or string."),
        ("null < 1", 0, "Invalid < expression: left operand must be a number or string."),
        ("true + 1 == 2", 0, "Invalid + expression: left operand is not a number or string."),
        ("1 + null == 2", 0, "Invalid + expression: right operand is not a number or string."),
        ("'a' - 1 > 0", 0, "Invalid - expression: left operand is not a number."),
        ("2 * (1 + 'a') == 0", 0, "Invalid * expression: right operand is not a number."),
        ("query.orderByChild == 'a/' + auth.uid", 0, f"Invalid == expression: right {NO_ORDERING}"),
        ("auth.uid !== query.orderByChild", 0, f"Invalid != expression: left {NO_ORDERING}"),
        ("data.child().exists()", 0, "child() expects 1 argument."),
        ("data.child('a', 'b').exists()", 0, "child() expects 1 argument."),
        ("data.child(1).exists()", 0, "child() expects a string argument."),
        ("data.hasChild(query.equalTo)", 0, "hasChild() expects a string argument."),
        ("auth.foo.contains(7)", 0, "contains() expects a string argument."),
        ("'a'.contains(null)", 0, "contains() expects a string argument."),
        ("data.exists('a')", 0, "exists() expects no arguments."),
        ("'a'.toLowerCase('a') == 'a'", 0, "toLowerCase() expects no arguments."),
        ("'a'.replace('a') == 'a'", 0, "replace() expects two arguments."),
        ("'a'.replace('a', 5) == 'a'", 0, "Argument 2 of replace() must be a string."),
        ("'a'.replace(/a/, 'b') == 'b'", 0, "Argument 1 of replace() must be a string."),
        (
            "data.hasChildren('a', 'b')",
            0,
            "hasChildren() expects only a single argument (containing an array of child names).",
        ),
        ("data.hasChildren('a')", 0, "hasChildren() expects an array of child names."),
        ("data.hasChildren(['a', 7])", 0, "hasChildren() expects an array of strings."),
        ("['a'] == 'a'", 0, "Unexpected array literal."),
        ("auth[['uid']] == 1", 5, "Unexpected array literal."),
        ("data.hasChildren([['a']])", 18, "Unexpected array literal."),
        ("data.val().matches('a')", 0, NO_PATTERN),
        ("data.val().matches(auth.x)", 0, NO_PATTERN),
        ("'a'.matches()", 0, "matches() expects 1 regular expression literal argument."),
        ("'a'.matches(/a/g)", 12, "regular expressions do not support flags other than i"),
        ("'a'.matches(/(?=a)/)", 12, "Invalid regular expression: (? is not known."),
        ("'a'.matches(/a**/)", 12, "Invalid regular expression: a repetition of a repetition is not known."),
        ("'a'.matches(/(a/)", 12, "Invalid regular expression: missing ): (a."),
    ],
)
def test_a_bad_expression_is_rejected_at_the_part_that_is_wrong(expression, offset, reason):
    begin = '{"rules": {"$x": {\n".write": "'
    assert rejection(f'{begin}{expression}"}}}}}}') == f"2:{12 + offset}: {reason}\n"


@pytest.mark.parametrize("name", ["newData.exists()", "true || newData.val() == 1"])
def test_new_data_is_unknown_in_read_rules(name):
    column = 22 + name.index("newData")
    assert rejection(f'{{"rules": {{".read": "{name}"}}}}') == f"1:{column}: newData is invalid in .read expressions.\n"


@pytest.mark.parametrize(
    "expression",
    [
        "auth.uid + 1 > 'x'",
        "auth.foo.bar[$x].baz == 1",
        "query.orderByChild == null && query.orderByChild != 'a' && query.orderByChild == query.orderByChild",
        "query.equalTo == auth.uid && query.limitToFirst < 5 && query.startAt != null",
        "data.hasChildren([]) && data.hasChildren(['a', auth.uid, $x, data.val()])",
        "data.child(true ? 'a' : auth.uid).exists()",
        "(true ? 1 : 'a') == 1 && -(true ? 1 : auth.x) < 0",
        "data.getPriority() > 1 && data.val().length < 3 && auth.length == 1",
        "auth.uid['contains']('a') && data['child']('a')['exists']()",
    ],
)
def test_types_known_only_at_run_time_are_accepted(expression):
    parse_rules(f'{{"rules": {{"$x": {{".validate": "{expression}"}}}}}}')


def test_all_bad_expressions_are_reported_with_the_last_one_first():
    text = '{"rules": {"x": {".write": "same && data.foo()"},\n"y": {".write": "same"}}}'
    faults = rejection(text).splitlines()
    assert faults == [
        "2:18: Unknown variable 'same'.",
        "1:37: No such method/property 'foo'.",
        "1:29: Unknown variable 'same'.",
    ]


def test_a_wrong_part_is_reported_once():
    assert rejection('{"rules": {".read": "!(nobody.uid + 1 > 2) && nobody.has(1)[0]"}}').count("\n") == 2


def test_lines_and_columns_are_those_of_the_file_despite_escapes():
    assert rejection('{"rules": {".read": "true &&\n  foo == 1"}}') == "2:3: Unknown variable 'foo'.\n"
    assert rejection('{"rules": {".read": "\\"\\u00e9\\" == foo"}}') == "1:36: Unknown variable 'foo'.\n"
    assert rejection('{"rules": {".read": "\'\\ud83d\\ude00\' == foo"}}') == "1:40: Unknown variable 'foo'.\n"


@pytest.mark.parametrize(
    "comment",
    ["// it's free", "// a\n", "/* b */", "/* a\n * b\n */", "/**/", "/* // */", "// /* \n", "/***/", "// a\r\n//"],
)
def test_comments_are_accepted_anywhere_in_an_expression(comment):
    parts = ["", "auth.uid", "==", "'//'", "+", "data.val()", "/", "2", "&&", "'/* */'.matches(", "/[/]{2}\\/*/", ")"]
    separator = f" {comment}\n "
    text = json.dumps({"rules": {".read": separator.join(parts)}})
    parse_rules(text)
    parse_rules(text.replace("\\n", "\n").replace("\\r", "\r"))
    for place in range(1, len(parts)):
        parse_rules(json.dumps({"rules": {".read": " ".join(parts[:place]) + separator + " ".join(parts[place:])}}))


@pytest.mark.parametrize(
    ("expression", "offset", "reason"),
    [
        ("true /* a", 6, "syntax error"),
        ("true // a", None, ""),
        ("// a", 4, "Unexpected end of expression."),
        ("/* a */", 7, "Unexpected end of expression."),
        ("true && // a", 12, "Unexpected end of expression."),
        ("true /* a */ = 1", 13, "Rule expressions may not contain assignments."),
        ("/* a */ foo == 1", 8, "Unknown variable 'foo'."),
        ("true && /* foo */ foo", 18, "Unknown variable 'foo'."),
        ("true */", 6, "syntax error"),
        ("tr/**/ue", 6, "syntax error"),
    ],
)
def test_an_error_next_to_a_comment_is_at_its_place(expression, offset, reason):
    text = f'{{"rules": {{"$x": {{\n".write": "{expression}"}}}}}}'
    if offset is None:
        parse_rules(text)
    else:
        assert rejection(text).startswith(f"2:{12 + offset}: {reason}")


def test_comments_multi_line_texts_and_a_trailing_comma_are_accepted():
    parse_rules(
        '// a\n{"rules": { /* b\n */ ".read": "auth != null &&\n  auth.uid != \'//\'", "a": {".indexOn": ["x/y"],},}}'
    )
