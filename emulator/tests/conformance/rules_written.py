"""Cases of security rules that are written by hand: each part of the language, and each way to be granted or denied."""

from __future__ import annotations

import itertools

from .rules_cases import NOW, Case

DATA = {"a": {"n": 5, "s": "text", "t": True, "f": False}, "b": {"c": {"d": 1}}, "s": "top", "u1": {"role": "editor"}}
AUTH = {
    "uid": "u1",
    "provider": "password",
    "token": {
        "admin": True,
        "level": 2,
        "name": "Ann",
        "firebase": {"sign_in_provider": "password", "identities": {"email": ["u1@example.com"]}},
    },
}

EXPRESSIONS = """
true
false
auth != null
auth.uid == 'u1' && auth.provider == 'password'
auth.token.admin == true && auth.token.level >= 2
auth.token.firebase.sign_in_provider == 'password'
auth.token.firebase.identities.email[0] == 'u1@example.com'
auth.token.none.deeper == null
auth['uid'] == 'u1' && auth[auth.none + 'uid'] == 'u1'
auth.token['name'].toLowerCase() == 'ann' && auth.token.name.toUpperCase() == 'ANN'
auth.contains('u') || true
auth.none.contains('u') || true
auth.uid.contains('1') && auth.uid.beginsWith('u') && !auth.uid.beginsWith('1')
auth.token.level + 1 == 3 && auth.token.level - 1 == 1 && auth.token.level * 2 == 4 && auth.token.level / 4 == 0.5
7 % 4 == 3 && -7 % 4 == -3 && 7 % -4 == 3 && 7.5 % 2 == 1.5
1/0 + '' == 'NaN' && (1/0 > 1) == false && 1/0 != 1/0
1e21 + '' == '1e+21' && 0.000001 + '' == '0.000001' && 1e-7 + '' == '1e-7' && 123456789012 + '' == '123456789012'
1 + 2 + 'a' + 1 + 2 == '3a12' && 2 * 0.5 + '' == '1' && 0.1 + 0.2 + '' == '0.30000000000000004'
auth.token.admin + 1 == 2 || true
'a' + auth.none == 'a' || true
-auth.uid == 1 || true
auth.uid - 1 == 0 || true
auth.uid > 1 || true
auth.none > 1 || true
'a' < 'b' && !('b' < 'a') && 'a' <= 'a' && 'B' < 'a' && 'a' < 'aa'
'\uffff' > '\U0001f600'
1 < 2 == true && 1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 8 / 2 / 2 == 2 && 8 - 2 - 2 == 4
false == 1 > 2 && true || false && false
true ? false : true ? true : true
false ? false : true ? true : false
!(true || false && false) || true
!true == false && !(1 == 2)
5 == '5' || 1 == true || 0 == false || '' == false || null == false || null == 0
5 != '5' && 1 !== true && null === null && 'a' === 'a'
data.child('a/n').val() == 5 && data.child('a').child('n').isNumber() && data.child('/a//n/').exists()
data.child('a/s').isString() && data.child('a/t').isBoolean() && !data.child('a').isString() && !data.isNumber()
data.hasChildren() && data.hasChildren(['a', 'b/c']) && !data.hasChildren(['a', 'x']) && !data.child('s').hasChildren()
data.hasChild('a') && data.hasChild('b/c/d') && !data.hasChild('x') && !data.child('s').hasChild('a')
data.child('a/n').parent().parent().child('s').val() == 'top'
data.parent().exists() || true
root.child('b/c').parent().child('c/d').val() === 1 && root.child(auth.uid).child('role').val() == 'editor'
root.child('x').val() == null && root.child('x/y').val() == null && !root.child('x').exists()
root.child('banned/u1@example.com').val() != true && root.hasChild('a.b') == false
root.child(auth.none).exists() || true
root.hasChild(auth.token.level) || true
data.child('a').val() != null && data.child('a').val() != 5
data.child('a').getPriority() == null
data.child('a/s').val().length == 4 && 'é'.length == 1 && '\U0001f600'.length == 2
'aXbX'.replace('X', '-') == 'a-b-' && 'a.b'.replace('.', '$&') == 'a$&b' && 'aaa'.replace('aa', 'b') == 'ba'
'it\\'s' == "it's" && 'a\\nb'.length == 3 && '\\u0041\\x42' == 'AB' && 'a\\qb' == 'aqb'
now == 1700000000000 && now > 0 && now + 1 - now == 1
'2024-01-31'.matches(/^(19|20)[0-9][0-9][-\\/. ](0[1-9]|1[012])[-\\/. ](0[1-9]|[12][0-9]|3[01])$/)
'a@b.example'.matches(/^[A-Z0-9._%+-]+@[A-Z0-9.-]+\\.[A-Z]{2,9}$/i)
'xaby'.matches(/ab/) && !'xaby'.matches(/^ab/) && !'xaby'.matches(/ab$/) && 'ab'.matches(/^ab$/) && 'AB'.matches(/b/i)
'aaa'.matches(/^a{3}$/) && 'aaa'.matches(/^a{2,}$/) && !'aaa'.matches(/^a{1,2}$/)
'b'.matches(/^a?b$/) && 'c'.matches(/b|c/) && '/'.matches(/\\//)
'5 a_'.matches(/^\\d\\s\\w\\w$/) && '-'.matches(/^\\W$/) && 'x'.matches(/^\\D$/) && 'x'.matches(/^\\S$/)
'a-b'.matches(/^[a-c-]+$/) && !'-'.matches(/^[^-]$/) && 'ab'.matches(/^(a|b)+$/) && '+'.matches(/^\\+$/)
auth.token.level.matches(/2/) || true
query.orderByChild == null && query.limitToFirst == null && query.startAt == null && query.equalTo == null
query.orderByValue == false && query.orderByPriority == false
query.limitToFirst <= 10 || true
root['exists']() && data['child']('a')['hasChildren']() && auth.uid['contains']('u')
(auth.uid == 'u1' ? data : root).exists() && (true ? 'a' : 'b').length == 1
7
'true'
null
auth.uid
data.val()
data
auth ? true : false
auth.uid && true
!auth.uid
true && 1
auth.uid == 'u1' ? 7 : true
var a = 1
auth.uid = 'u1'
true; false
2 ** 2 == 4
true & false
~1 == 1
+1 == 1
typeof auth == 'object'
nobody == 1
$x == 'a'
newData.exists()
data.nothing()
data.exists.nothing == 1
data.nothing == 1
data.contains('a')
data == 'a'
data != null
data.val().nothing == 1
data.val() > true
auth.exists()
auth.uid.nothing() == 1
query.nothing == 1
root[auth.uid]() == true
root['no' + 'thing']()
data.child().exists()
data.child('a', 'b').exists()
data.child(7).exists()
auth.uid.contains(7)
auth.uid.contains()
auth.uid.replace('a') == 'b'
auth.uid.replace('a', 7) == 'b'
data.hasChildren('a', 'b')
data.hasChildren('a')
data.hasChildren(['a', 7])
auth.uid.matches('u')
auth.uid.matches(/u/g)
'a' - 1 == 0
true + 1 == 2
-'a' == 1
null + 1 == 1
['a'] == 'a'
""".strip().splitlines()

RULES = {
    "open": {".read": True, ".write": True, "closed": {".read": False, ".write": False}},
    "own": {"$uid": {".read": "auth.uid == $uid", ".write": "auth.uid === $uid"}},
    "once": {"$id": {".write": "!data.exists() && newData.exists()"}},
    "count": {".write": "newData.val() == data.val() + 1 || !data.exists()", ".validate": "newData.isNumber()"},
    "form": {
        ".write": True,
        ".validate": "newData.hasChildren(['n'])",
        "n": {".validate": "newData.isNumber() && newData.val() > 0"},
        "at": {".validate": "newData.val() == now"},
        "deep": {"$k": {".validate": "$k.length == 1 && newData.parent().parent().hasChild('n')"}},
        "$other": {".validate": False},
    },
    "pair": {
        "a": {"$i": {".write": "newData.parent().parent().child('b/' + $i).exists()"}},
        "b": {"$i": {".write": "newData.parent().parent().child('a').child($i).val() == newData.val()"}},
    },
    "names": {
        "special": {".write": False},
        "$any": {".write": "$any != 'x'", "$below": {".validate": "$below != $any"}},
    },
    "rank": {".write": True, ".validate": "newData.getPriority() == null || newData.getPriority() > 5"},
    "fails": {".write": "data.val().length > 0", "inner": {".write": True}},
}
BEFORE = {"count": 1, "form": {"n": 1, "deep": {"k": 1}}, "once": {"old": 1}, "own": {"u1": {"x": 1}}, "fails": 5}

WRITES = [
    ("open/x", 1), ("open/closed/y", 1), ("elsewhere", 1), ("", {"open": 1}), ("own/u1", {"x": 2}), ("own/u2", 1),
    ("own/u1/x/y", None), ("own/u1", None), ("once/new", 1), ("once/old", 2), ("once/old", None), ("once/new", None),
    ("count", 2), ("count", 3), ("count", "2"), ("count", None), ("form", {"n": 2}), ("form", {"n": 0}), ("form", {}),
    ("form", None), ("form", {"at": NOW}), ("form", {"n": 1, "at": NOW}), ("form", {"n": 1, "at": NOW - 1}),
    ("form", {"n": 1, "x": 1}), ("form/x", 1), ("form/n", "1"), ("form/n", None), ("form/deep/q", 1),
    ("form/deep/qq", 1), ("names/y", 1),
    ("form/deep", None), ("form/deep/k/below", 1), ("pair/a/1", 1), ("pair/b/1", 1), ("names/special", 1),
    ("names/x", 1), ("names/y", {"z": 1}), ("names/y", {"y": 1}), ("names/y/y", 1), ("rank", 1),
    ("rank", {".value": 1, ".priority": 6}), ("rank", {".value": 1, ".priority": 5}),
    ("rank", {"a": 1, ".priority": "x"}), ("fails", 1), ("fails/inner", 1), ("fails/inner/deeper", 1),
]  # fmt: skip

UPDATES = [
    ("pair", {"a/1": 1, "b/1": 1}), ("pair", {"a/1": 1, "b/1": 2}), ("pair", {"a/1": 1, "b/2": 1}),
    ("", {"open/x": 1, "own/u1": 1}), ("", {"open/x": 1, "own/u2": 1}), ("form", {"n": 3, "at": NOW}),
    ("form", {"n": None}), ("form", {"n": None, "deep": None}), ("form", {"n": 3, "x": None}), ("count", {"x": 1}),
    ("once", {"a": 1, "b": 1}), ("once", {"a": 1, "old": 1}), ("own/u1", {"x": None, "y": 2}),
    ("open", {"closed/a": 1}),
]  # fmt: skip

FILES = [
    {}, {"a": {}}, {"a": True}, {"a": None}, {"a": "true"}, {"a": 1}, {".read": 1}, {".read": None}, {".read": {}},
    {".write": "true", ".validate": "newData.exists()"}, {".reed": "true"}, {".indexOn": "a"},
    {".indexOn": ["a", ".value"]},
    {".indexOn": 1}, {".indexOn": ["a", 1]}, {".indexOn": True}, {"$a": {}, "$b": {}}, {"$a": {"$a": {}}},
    {"$a": {"$b": {".read": "$a == $b"}}}, {"$a": {".read": "$b == 'x'"}, "b": {}},
    {"$a": {}, "b": {".read": "$a == 'x'"}},
    {".read": "newData.exists()"}, {"a": {"b": {"c": {".read": "data.exists() == true"}}}},
]  # fmt: skip

QUERIES = [
    ("query.orderByChild == 'owner' && query.equalTo == auth.uid", {"orderByChild": "owner", "equalTo": "u1"}),
    ("query.orderByChild == 'owner' && query.equalTo == auth.uid", {"orderByChild": "owner", "equalTo": "u2"}),
    ("query.orderByChild == 'a/b'", {"orderByChild": "a/b"}),
    ("query.orderByKey == true && query.limitToFirst <= 2", {"orderByKey": True, "limitToFirst": 2}),
    ("query.orderByKey == true && query.limitToFirst <= 2", {"orderByKey": True, "limitToFirst": 3}),
    ("query.limitToLast <= 2", {"orderByValue": True, "limitToFirst": 1}),
    ("query.orderByValue && query.startAt == 1 && query.endAt == 5", {"orderByValue": True, "startAt": 1, "endAt": 5}),
    ("query.orderByPriority && query.equalTo == true", {"orderByPriority": True, "equalTo": True}),
    ("query.equalTo > 1", {"orderByValue": True, "equalTo": "a"}),
]  # fmt: skip

CASES = [
    *(Case({".read": text}, DATA, auth) for text, auth in itertools.product(EXPRESSIONS, (AUTH, None))),
    *(
        Case(RULES, BEFORE, auth, "write", path, value)
        for (path, value), auth in itertools.product(WRITES, (AUTH, None))
    ),
    *(
        Case(RULES, BEFORE, auth, "update", path, value)
        for (path, value), auth in itertools.product(UPDATES, (AUTH, None))
    ),
    *(Case(RULES, BEFORE, AUTH, path=path) for path in ("", "open", "open/closed/x", "own", "own/u1/x", "own/u2", "x")),
    *(Case(rules, DATA, AUTH) for rules in FILES),
    *(Case({".read": text}, DATA, AUTH, query=query) for text, query in QUERIES),
]
