"""Attempts of clients to read other users' data. None of them gets any."""

import pytest

from tests.rules.world import as_user

ANA, BEN = '"ana"', '"ben"'


@pytest.fixture
def is_denied(database):
    """Sends a read and checks that the rules deny it, or that it is a bad request, without any data."""

    def attack(path, uid="ana", method="GET", more_headers=None, **query):
        headers = {**({} if uid is None else as_user(uid)), **(more_headers or {})}
        answer = database.request(method, path, headers=headers, **query)
        assert answer.status_code in (400, 401, 404), (path, query, answer.text)
        assert set(answer.json()) == {"error"}
        assert "-Nbook2" not in answer.text
        return answer.status_code

    return attack


@pytest.mark.parametrize(
    "query",
    [
        {"orderBy": '"userId"', "equalTo": BEN},
        {"orderBy": '"userId"', "equalTo": '"Ana"'},
        {"orderBy": '"userId"', "equalTo": "null"},
        {"orderBy": '"userId"', "equalTo": "true"},
        {"orderBy": '"userId"', "equalTo": '{"uid": "ana"}'},
        {"orderBy": '"userId"'},
        {"orderBy": '"userId"', "startAt": ANA},
        {"orderBy": '"userId"', "startAt": ANA, "endAt": BEN},
        {"orderBy": '"userId"', "startAt": BEN, "endAt": BEN},
        {"orderBy": '"userId"', "startAfter": ANA, "endBefore": '"c"'},
        {"orderBy": '"userId"', "endAt": BEN},
        {"orderBy": '"userId"', "limitToFirst": "100"},
        {"orderBy": '"userId"', "limitToLast": "1"},
        {"orderBy": '"bookId"'},
        {"orderBy": '"bookId"', "equalTo": "null"},
        {"orderBy": '"bookId"', "startAt": '"-N"'},
        {"orderBy": '"bookId"', "startAt": '"-Nbook2"', "endAt": '"-Nbook2"'},
        {"orderBy": '"bookId"', "startAt": "null", "limitToFirst": "1"},
        {"orderBy": '"bookId"', "endAt": '"~"'},
        {"orderBy": '"bookId"', "limitToLast": "100"},
        {"orderBy": '"isbn"', "equalTo": ANA},
        {"orderBy": '"userId/bookId"', "equalTo": ANA},
        {"orderBy": '"$key"'},
        {"orderBy": '"$key"', "equalTo": ANA},
        {"orderBy": '"$key"', "startAt": '"-Nben"', "endAt": '"-Nben"'},
        {"orderBy": '"$key"', "limitToFirst": "1"},
        {"orderBy": '"$value"', "equalTo": ANA},
        {"orderBy": '"$priority"'},
        {"orderBy": '"$priority"', "equalTo": ANA},
        {"equalTo": ANA},
        {"limitToFirst": "1"},
        {"shallow": "true"},
        {"shallow": "true", "equalTo": ANA},
        {"shallow": "true", "orderBy": '"userId"', "equalTo": ANA},
        {"format": "export"},
        {"print": "pretty"},
        {"download": "shelves.json"},
    ],
    ids=lambda query: "&".join(f"{name}={value}" for name, value in query.items()),
)
def test_no_query_but_the_apps_two_reads_shelves(is_denied, query):
    is_denied("User_Book", **query)
    is_denied("User_Book", uid=None, **query)


def test_the_apps_two_queries_need_a_signed_in_user(is_denied):
    assert is_denied("User_Book", uid=None, orderBy='"userId"', equalTo=ANA) == 401
    assert is_denied("User_Book", uid=None, orderBy='"userId"', equalTo="null") == 401
    assert is_denied("User_Book", uid=None, orderBy='"bookId"', equalTo='"-Nbook2"') == 401


@pytest.mark.parametrize("value", ['""', "true", "false", "0", '"-N"', '{"a": 1}'])
def test_a_guess_at_a_book_id_finds_nothing(database, value):
    answer = database.request("GET", "User_Book", headers=as_user("ana"), orderBy='"bookId"', equalTo=value)
    assert not answer.ok or answer.json() == {}


@pytest.mark.parametrize(
    "narrowed", [{"startAt": BEN}, {"endAt": '"~"'}, {"startAt": '"a"', "endAt": '"~"'}, {"limitToFirst": "100"}]
)
def test_more_filters_with_the_own_user_id_never_widen_the_answer(database, narrowed):
    query = {"orderBy": '"userId"', "equalTo": ANA, **narrowed}
    answer = database.request("GET", "User_Book", headers=as_user("ana"), **query)
    assert not answer.ok or set(answer.json()) <= {"-Nana"}


@pytest.mark.parametrize("path", ["User_Book/-Nben", "User_Book/-Nben/isbn", "Users", "Users/ben"])
@pytest.mark.parametrize("query", [{"orderBy": '"userId"', "equalTo": ANA}, {"orderBy": '"bookId"', "equalTo": ANA}])
def test_the_apps_queries_read_nothing_in_other_nodes(is_denied, path, query):
    is_denied(path, **query)


def test_readers_cannot_be_listed(is_denied):
    for path in ("", "Users"):
        assert is_denied(path) == 401
        assert is_denied(path, shallow="true") == 401
        assert is_denied(path, orderBy='"$key"') == 401
        assert is_denied(path, orderBy='"$key"', startAt=ANA, limitToFirst="1") == 401
        assert is_denied(path, orderBy='"$key"', equalTo=ANA) == 401
        assert is_denied(path, orderBy='"id"', equalTo=ANA) == 401


def test_the_copies_cannot_be_listed(is_denied):
    for query in (
        {},
        {"shallow": "true"},
        {"orderBy": '"$key"'},
        {"orderBy": '"$key"', "startAt": '"-N"'},
        {"orderBy": '"$key"', "startAt": '"-Nbook2"', "endAt": '"-Nbook2"'},
        {"orderBy": '"$key"', "limitToLast": "1"},
        {"orderBy": '"isbn"', "equalTo": '"09780000000001"'},
    ):
        assert is_denied("Books", **query) == 401


@pytest.mark.parametrize("path", ["rejected", "dirty", "changes", "lease", "status", "readers", ""])
def test_the_backends_records_cannot_be_read_at_any_depth(is_denied, path):
    for deeper in ("", "/ana", "/-Nana", "/-Nana/reason", "/ana/at", "/nothing/there"):
        assert is_denied(f"Recommender/{path}{deeper}".rstrip("/")) == 401
    assert is_denied(f"Recommender/{path}".rstrip("/"), shallow="true") == 401
    assert is_denied(f"Recommender/{path}".rstrip("/"), orderBy='"$key"', equalTo=ANA) == 401
    assert is_denied(f"Recommender/{path}".rstrip("/"), orderBy='"at"', limitToFirst="1") == 401


@pytest.mark.parametrize("path", ["User_Book/-Nben", "Users/ben", "Users/ben/recommendations", "Recommender/dirty"])
def test_no_header_or_parameter_opens_a_closed_node(is_denied, path):
    for query in (
        {"shallow": "true"},
        {"print": "silent"},
        {"format": "export"},
        {"callback": "f"},
        {"auth_variable_override": '{"uid": "ben"}'},
        {"auth_variable_override": "null"},
        {"auth_variable_override": '{"uid": "ben", "token": {"admin": true}}'},
    ):
        assert is_denied(path, **query) == 401
        assert is_denied(path, uid=None, **query) == 401
    assert is_denied(path, more_headers={"X-Firebase-ETag": "true"}) == 401
    assert is_denied(path, more_headers={"if-none-match": "null_etag"}) == 401
    assert is_denied(path, more_headers={"X-HTTP-Method-Override": "GET"}, method="POST") == 401


def test_an_expired_or_broken_token_is_nobody(database):
    for headers in (as_user("ben", exp=1), {"Authorization": "Bearer ben"}, {"Authorization": "Basic b3duZXI6"}):
        assert database.request("GET", "Users/ben", headers=headers).status_code == 401


def test_an_unused_key_reveals_only_that_it_is_unused(database, allowed):
    assert allowed("GET", "User_Book/-Nfree")
    assert not allowed("GET", "User_Book/-Nfree", uid=None)
    assert not allowed("GET", "User_Book/-Nben")
