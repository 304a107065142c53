"""The REST interface, parameter by parameter, as "Firebase Database REST API" and its guides have it.

What they don't say is assumed, and so named.
"""

import contextlib
import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.query import parse_query
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.wire.responses import json_response

from .database_server import ADMIN

ORDER = ["null", "false", "true", "n1", "n2", "s1", "s2", "object"]
TYPES = dict(zip(reversed(ORDER), [{"x": 1}, "b", "a", 10, 9.5, True, False], strict=False))


def error(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


@pytest.fixture
def people(server):
    server.put(".settings/rules", {"rules": {"n": {".indexOn": ["v", ".value"]}, "t": {".indexOn": ".value"}}})
    server.put("n", {name: {"v": value, "k": 1} for name, value in TYPES.items()})
    server.put("n/null", {"k": 1})
    return lambda **query: list(server.get("n", orderBy='"v"', **query))


def test_values_are_ordered_by_type_then_value(people):
    # The order of a JSON object is not the query's: what comes first is told by how many are kept.
    for count in range(1, len(ORDER) + 1):
        assert set(people(limitToFirst=str(count))) == set(ORDER[:count])
        assert set(people(limitToLast=str(count))) == set(ORDER[-count:])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"equalTo": "null"}, ["null"]),
        ({"equalTo": "false"}, ["false"]),
        ({"equalTo": "10.0"}, ["n2"]),
        ({"startAt": "10", "endAt": '"a"'}, ["n2", "s1"]),
        ({"startAfter": "10", "endBefore": '"b"'}, ["s1"]),
        ({"startAfter": "9.5", "endAt": "10"}, ["n2"]),
        ({"startAt": '"b"'}, ["s2", "object"]),
        ({"endBefore": "false"}, ["null"]),
        ({"startAt": "true", "limitToFirst": "2"}, ["true", "n1"]),
        ({"endAt": "true", "limitToLast": "2"}, ["false", "true"]),
        ({"equalTo": "true", "limitToFirst": "5"}, ["true"]),
        ({"startAt": '"z"', "endAt": '"a"'}, []),
    ],
)
def test_ranges(people, query, names):
    assert sorted(people(**query)) == sorted(names)


def test_other_orders(server, people):
    server.put("t", {"10": "b", "2": "a", "x": 1, "-": 2})
    assert set(server.get("t", orderBy='"$key"', limitToFirst="2")) == {"2", "10"}
    assert set(server.get("t", orderBy='"$key"', startAt='"10"')) == {"10", "-", "x"}
    assert set(server.get("t", orderBy='"$key"', equalTo='"x"')) == {"x"}
    assert set(server.get("t", orderBy='"$value"', endBefore='"b"')) == {"x", "-", "2"}
    server.put("t/x/.priority", 1)
    assert set(server.get("t", orderBy='"$priority"', limitToLast="1")) == {"x"}
    assert set(server.get("t", orderBy='"$priority"', startAt="0")) == {"x"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"orderBy": "v"}, "orderBy must be a valid JSON encoded path"),
        ({"orderBy": "3"}, "orderBy must be a valid JSON encoded path"),
        ({"orderBy": '"$nonsense"'}, "orderBy must be a valid JSON encoded path"),
        ({"limitToFirst": "1"}, "orderBy must be defined when other query parameters are defined"),
        ({"orderBy": '"$key"', "limitToFirst": "x"}, "limitToFirst must be an integer"),
        ({"orderBy": '"$key"', "limitToLast": "1.5"}, "limitToLast must be an integer"),
        ({"orderBy": '"$key"', "limitToLast": "0"}, "limitToLast must be positive"),
        (
            {"orderBy": '"$key"', "limitToFirst": "1", "limitToLast": "1"},
            "Only one of limitToFirst and limitToLast may be specified",
        ),
        ({"orderBy": '"v"', "equalTo": "[1]"}, "Constraint index field must be a JSON primitive"),
        ({"orderBy": '"v"', "equalTo": "x"}, "Constraint index field must be a JSON primitive"),
        ({"orderBy": '"v"', "equalTo": "NaN"}, "Constraint index field must be a JSON primitive"),
        ({"orderBy": '"$key"', "equalTo": "1"}, "Provided key index type is invalid, must be string"),
        (
            {"orderBy": '"v"', "equalTo": "1", "endAt": "2"},
            "equalTo cannot be specified in addition to startAfter, startAt, endAt, or endBefore",
        ),
        ({"orderBy": '"other"'}, 'Index not defined, add ".indexOn": "other", for path "/n", to the rules'),
        (
            {"shallow": "true", "orderBy": '"$key"'},
            "Mixing 'shallow' and querying parameters is not supported",
        ),
    ],
)
def test_queries_that_are_rejected_in_the_services_words(server, people, query, message):
    assert error(server.request("GET", "n", **query)) == message


def test_a_query_is_for_reads(server):
    for method in ("PUT", "PATCH", "DELETE"):
        text = error(server.request(method, "n", {"a": 1}, orderBy='"$key"'))
        assert text == "Querying related parameters not supported on this request type"


def test_shallow_returns_keys_and_scalars(server):
    server.put("n", {"a": {"b": 1}, "c": 2, "10": 1, "9": 1})
    assert server.get("n", shallow="true") == {"a": True, "c": True, "10": True, "9": True}
    assert server.get("n/c", shallow="true") == 2
    assert server.get("n/none", shallow="true") is None
    # So firebase-tools pages through the keys of a large node.
    assert list(server.get("n", shallow="true", limitToFirst="2")) == ["9", "10"]
    assert list(server.get("n", shallow="true", limitToFirst="5", startAfter="10")) == ["a", "c"]


def test_print(server):
    value = {"a": [1, 2], "b": "é"}
    server.put("n", value)
    for method in ("GET", "PUT", "PATCH", "POST"):
        body = value if method != "GET" else None
        pretty = server.request(method, "n", body, print="pretty")
        assert "\n" in pretty.text
        pretty.json()
        silent = server.request(method, "n", body, print="silent")
        assert (silent.status_code, silent.content) == (204, b"")
    assert error(server.request("GET", "n", print="silent", orderBy="x"))


def test_priorities_are_exported_and_imported(server):
    value = {".priority": 1, "a": {".value": 1, ".priority": "p"}, "b": {"c": 2}}
    server.put("n", value)
    assert server.get("n") == {"a": 1, "b": {"c": 2}}
    assert server.get("n", format="export") == value
    assert server.get("n/.priority") == 1
    server.put("n/b/.priority", 5)
    assert server.get("n/b", format="export") == {".priority": 5, "c": 2}
    assert server.request("PUT", "n/a/.priority", data="null").ok
    assert server.get("n/a", format="export") == 1
    assert error(server.request("PUT", "n/a/.priority", True))
    assert error(server.request("PUT", "n/a/.priority/x", 1))


def test_download_and_callback_are_for_browsers(server):
    server.put("n", {"a": 1})
    answer = server.request("GET", "n", download="my data.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my data.json"'
    assert answer.json() == {"a": 1}
    forged = server.request("GET", "n", download='x"\r\nSet-Cookie: y')
    assert "Set-Cookie" not in forged.headers
    answer = server.request("GET", "n", callback="got.data")
    assert answer.text == 'got.data({"a":1});'
    assert answer.headers["Content-Type"].startswith("application/javascript")
    assert error(server.request("GET", "n", callback="alert(1);x"))
    assert server.request("PUT", "n", 1, callback="f", download="f").json() == 1


@pytest.mark.parametrize("timeout", ["1000ms", "10s", "15min", "1s"])
def test_a_timeout_within_the_maximum(server, timeout):
    assert server.request("GET", "n", timeout=timeout).ok


@pytest.mark.parametrize("timeout", ["0ms", "-1s", "16min", "901s", "10", "s", "1.5s", "1h", "1 s", ""])
def test_a_timeout_that_is_not_positive_too_long_or_invalid(server, timeout):
    assert "timeout" in error(server.request("GET", "n", timeout=timeout))


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_read_that_takes_longer_than_its_timeout(server, after_effect):
    rule = {"path": "n", "methods": ["GET"], "stall_ms": [60000, 60000], "after_effect": after_effect}
    server.put(".settings/faults", {"rules": [rule]})
    try:
        assert "timeout" in error(server.request("GET", "n", timeout="20ms"))
    finally:
        server.request("DELETE", ".settings/faults")


def test_write_size_limits(server):
    for size in ("tiny", "small", "medium", "large", "unlimited"):
        assert server.request("PUT", "n", 1, writeSizeLimit=size).ok
    assert "writeSizeLimit" in error(server.request("PUT", "n", 1, writeSizeLimit="huge"))


def test_arrays_are_rendered_if_more_than_half_of_the_keys_exist(server):
    server.put("n", ["a", None, "c"])
    assert server.get("n") == ["a", None, "c"]
    server.put("n", {"0": "a", "1": "b", "x": 1})
    assert server.get("n") == {"0": "a", "1": "b", "x": 1}
    server.put("n", {"5": "a", "6": "b"})
    assert server.get("n") == {"5": "a", "6": "b"}


def test_conditional_requests(server):
    tagged = {**ADMIN, "X-Firebase-ETag": "true"}
    assert "ETag" not in server.request("GET", "n").headers
    tag = server.request("PUT", "n", {"a": 1}, headers=tagged).headers["ETag"]
    assert server.request("GET", "n", headers=tagged).headers["ETag"] == tag
    rejected = server.request("DELETE", "n", headers={**ADMIN, "if-match": "null_etag"})
    assert (rejected.status_code, rejected.json(), rejected.headers["ETag"]) == (412, {"a": 1}, tag)
    for method in ("PATCH", "POST"):
        assert error(server.request(method, "n", {"a": 2}, headers={**ADMIN, "if-match": tag}))
    gone = server.request("DELETE", "n", headers={**tagged, "if-match": tag})
    assert (gone.json(), gone.headers["ETag"]) == (None, "null_etag")
    rejected = server.request("PUT", "n", 1, headers={**ADMIN, "if-match": tag})
    assert (rejected.status_code, rejected.json(), rejected.headers["ETag"]) == (412, None, "null_etag")
    # Assumed: of the tags that HTTP knows, only one that the service gave is compared.
    assert server.request("PUT", "n", 1, headers={**ADMIN, "if-match": "*"}).status_code == 412
    unchanged = server.request("GET", "n", headers={**ADMIN, "if-none-match": "null_etag"})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_only_a_post_can_name_another_method(server):
    server.put("n", {"a": 1})
    named = {**ADMIN, "X-HTTP-Method-Override": "DELETE"}
    assert server.request("GET", "n", headers=named).json() == {"a": 1}
    assert server.request("POST", "n", {}, headers={**ADMIN, "X-HTTP-Method-Override": "NONSENSE"}).status_code == 405
    assert server.request("POST", "n", {}, headers=named).json() is None
    assert server.get("n") is None


def test_head_is_a_read_without_a_body_as_assumed(server):
    server.put("n", {"a": 1})
    answer = server.request("HEAD", "n", headers={**ADMIN, "X-Firebase-ETag": "true"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"] != "null_etag"


def test_a_preflight_allows_the_headers_that_it_asks_for(server):
    asked = {"Access-Control-Request-Headers": "authorization,x-other", "Access-Control-Request-Method": "PATCH"}
    answer = server.request("OPTIONS", "n", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-other"
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert server.request("GET", "n", headers={"Authorization": "Bearer x"}).headers["Access-Control-Allow-Origin"]


RAW = ["%0A", "a%00b", "%7F", "a.b", "a%23b", "a%5Bb", "%24", "%80", "%ED%A0%80", "x" * 769, "/".join("a" * 33)]


@pytest.mark.parametrize("path", RAW)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_path_that_no_node_can_have(server, method, path):
    url = f"http://{server.host}/{path}.json?ns={server.namespace}"
    answer = requests.request(method, url, data="1" if method == "PUT" else None, headers=ADMIN, timeout=5)
    assert error(answer)


def test_a_path_is_decoded_once(server):
    url = f"http://{server.host}/a%20b/%2525/%C3%A9%2Fx/a+b.json?ns={server.namespace}"
    assert requests.put(url, data="1", headers=ADMIN, timeout=5).ok
    assert server.get("") == {"a b": {"%25": {"é": {"x": {"a+b": 1}}}}}


BODIES = [
    b"",
    b"{",
    b"nonsense",
    b'{"a.b": 1}',
    b'{"a/b": 1}',
    b'{"\\u0000": 1}',
    b"1e999",
    b"NaN",
    b"\xff",
    b'{"": 1}',
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_not_data(server, body):
    for method in ("PUT", "POST"):
        assert error(server.request(method, "n", data=body))
    assert error(server.request("PATCH", "n", data=body)) if body != b'{"a/b": 1}' else True
    assert error(server.request("PATCH", "n", data=b"[]")) if body == b"" else True


def test_limits_of_keys_and_depth(server):
    key = "é" * 384
    server.put(f"n/{key}", 1)
    assert server.get("n") == {key: 1}
    assert error(server.request("PUT", f"n/{key}x", 1))
    assert error(server.request("PUT", "n", {f"{key}x": 1}))
    server.put("/".join("a" * 32), 1)
    assert error(server.request("PUT", "/".join("a" * 32), {"b": 1}))


def test_a_text_of_10_megabytes_is_the_longest(server):
    text = "x" * (10 << 20)
    assert server.request("PUT", "n", text, print="silent").status_code == 204
    assert error(server.request("PUT", "n", text + "x"))


def test_increments(server):
    def increase(step, present=None):
        assert server.request("PUT", "n", data=json.dumps(present)).ok
        return server.request("PUT", "n", {".sv": {"increment": step}})

    assert increase(1).json() == 1
    assert increase(1.5, 2).json() == 3.5
    assert increase(-3, 2).json() == -1
    assert increase(5, "text").json() == 5
    assert increase(5, {"a": 1}).json() == 5
    assert increase(1, 2**63 - 1).json() == 2.0**63  # what no integer of 64 bits holds is a double
    for step in ("1", True, None, {}):
        assert error(increase(step))
    assert error(server.request("PUT", "n", {".sv": "nonsense"}))
    assert error(server.request("PUT", "n", {".sv": {"increment": 1, "other": 2}}))


def test_all_timestamps_of_a_write_are_equal(server):
    now = {".sv": "timestamp"}
    written = server.request("PATCH", "", {"a": now, "b/c": now, "d": [now]}).json()
    assert written["a"] == written["b/c"] == written["d"][0]
    assert isinstance(written["a"], int)


def test_other_methods_and_other_addresses(server):
    assert error(server.request("PROPFIND", "n"), 405)
    url = f"http://{server.host}/n?ns={server.namespace}"
    assert error(requests.get(url, headers=ADMIN, timeout=5), 404)
    named = requests.get(
        f"http://{server.host}/n.json", headers={**ADMIN, "Host": f"{server.namespace}.localhost"}, timeout=5
    )
    assert named.ok


TEXTS = st.one_of(
    st.none(), st.sampled_from(['"$key"', '"$value"', '"$priority"', '"a"', "1", "null", "true", "x", "[]", ""])
)


@given(st.fixed_dictionaries(dict.fromkeys(("orderBy", "startAt", "endBefore", "equalTo", "limitToFirst"), TEXTS)))
def test_any_parameters_give_a_query_or_a_rejection(parameters):
    given_ = {name: text for name, text in parameters.items() if text is not None}
    with contextlib.suppress(ServiceError):
        assert (parse_query(given_) is None) == (not given_)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_printed_values_are_json(value):
    assert json.loads(json_response(value).text) == value
