"""Fault injection over the wire: events lost, doubled, late and out of order; requests that fail or stall."""

import asyncio
import time
from collections import Counter

import pytest
import requests
from aiohttp import ClientSession, WSCloseCode

from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.faults.plan import parse_plan

from .database_server import ADMIN
from .test_delivery import ADMIN as CALLER
from .test_delivery import Receiver, run, until

# The same in every test: decisions depend on it.
TRIGGER = "projects/demo/locations/us-central1/triggers/us-central1-on_faulty_written-0"
EVENTS = 300


@pytest.fixture
def faults(server):
    """Set rules; cleared afterwards, since all namespaces share them."""

    def put(*rules, seed=7):
        answer = server.request("PUT", ".settings/faults", {"seed": seed, "rules": list(rules)})
        assert answer.ok, answer.text

    yield put
    assert server.request("DELETE", ".settings/faults").ok


@pytest.fixture
def events(server, deliveries):
    """Register the trigger; return a function that writes many entries and takes the events that come of them."""
    trigger = {"name": TRIGGER, "path": "n/{id}", "event": "google.firebase.database.ref.v1.written"}
    answer = server.request("POST", ".settings/functionTriggers", {**trigger, "namespacePattern": server.namespace})
    assert answer.ok
    turns = iter(range(100))

    def take(expected, entries=EVENTS):
        turn = next(turns)
        server.put("n", {f"k{i:03}": turn for i in range(entries)})
        found = [deliveries.get(timeout=10)[1] for _ in range(expected)]
        time.sleep(0.1)
        assert deliveries.empty()
        return found

    yield take
    while not deliveries.empty():  # a failed test leaves the next one none of its events
        deliveries.get()


def counts(server, kind="triggers"):
    return server.get(".settings/faults")["counts"][kind]


def displacement(found):
    """How far the event that moved the most came from its place."""
    return max(abs(place - int(event["ref"].removeprefix("n/k"))) for place, event in enumerate(found))


@pytest.mark.parametrize(("seed", "dropped", "duplicated"), [(7, 97, 94), (8, 92, 104)])
def test_a_third_is_lost_and_a_third_comes_twice_the_same_for_a_seed(server, faults, events, seed, dropped, duplicated):
    delivered, seen = EVENTS - dropped, []
    for _ in range(2):
        faults({"trigger": "on_faulty_written", "drop": 0.33, "duplicate": 0.33}, seed=seed)
        found = events(expected=delivered + duplicated)
        expected = {"delivered": delivered, "dropped": dropped, "duplicated": duplicated, "delayed": 0}
        assert counts(server) == {TRIGGER: expected}
        seen.append(Counter(event["ref"] for event in found))
    assert seen[0] == seen[1]
    assert Counter(seen[0].values()) == {1: delivered - duplicated, 2: duplicated}


def test_a_duplicate_is_the_same_event(faults, events):
    faults({"trigger": "n/*", "duplicate": 1})
    found = events(expected=20, entries=10)
    assert len({event["id"] for event in found}) == 10
    by_id = {event["id"]: event for event in found}
    assert all(by_id[event["id"]] == event for event in found)
    assert Counter(event["id"] for event in found).most_common(1)[0][1] == 2


def test_another_trigger_is_left_alone(server, faults, events):
    faults({"trigger": "on_other_written", "drop": 1}, {"trigger": "User_Book/*", "drop": 1})
    events(expected=EVENTS)
    assert counts(server) == {}


def test_the_first_rule_for_a_trigger_applies(server, faults, events):
    faults({"trigger": "*faulty*-0"}, {"trigger": "*", "drop": 1})
    events(expected=10, entries=10)
    assert counts(server)[TRIGGER]["delivered"] == 10


def test_delays_postpone_deliveries_and_change_their_order(server, faults, events):
    faults({"trigger": "on_faulty_written", "duplicate": 0.5, "delay_ms": [300, 900]})
    began = time.monotonic()
    found = events(expected=EVENTS + 158)
    assert time.monotonic() - began > 0.3
    assert counts(server)[TRIGGER] == {"delivered": 300, "dropped": 0, "duplicated": 158, "delayed": 458}
    first = list(dict.fromkeys(event["ref"] for event in found))
    assert first != sorted(first)


def test_delayed_deliveries_wait_together(faults, events):
    faults({"trigger": "on_faulty_written", "delay_ms": [200, 200]})
    began = time.monotonic()
    events(expected=EVENTS)
    assert time.monotonic() - began < 200 / 1000 * EVENTS / 8


def test_reordering_takes_any_of_the_waiting_deliveries(faults, events):
    faults({"trigger": "on_faulty_written", "reorder": True})
    found = events(expected=EVENTS)
    assert len({event["ref"] for event in found}) == EVENTS
    assert displacement(found) > EVENTS / 2


@pytest.mark.parametrize(("reorder", "order"), [(False, "012345"), (True, "402153")])
def test_the_order_of_deliveries_follows_the_seed(reorder, order):
    receiver, faults = Receiver(), Faults()
    faults.follow(parse_plan({"seed": 7, "rules": [{"trigger": "n/*", "reorder": reorder}]}))

    async def scenario(database, dispatcher, runner):
        database.write({("n",): {f"k{i}": i for i in range(6)}}, CALLER)
        await until(lambda: len(receiver.refs) == 6)

    run(receiver, scenario, in_flight=1, faults=faults)
    assert "".join(ref.removeprefix("n/k") for ref in receiver.refs) == order


def test_delayed_deliveries_are_dropped_on_exit():
    receiver, faults = Receiver(), Faults()
    faults.follow(parse_plan({"rules": [{"trigger": "*", "delay_ms": [60_000, 60_000]}]}))

    async def scenario(database, dispatcher, runner):
        database.write({("n",): {"k": 1}}, CALLER)

    run(receiver, scenario, faults=faults)
    assert receiver.refs == []


def test_a_request_fails_before_it_takes_effect(server, faults):
    faults({"path": "User_Book/*", "methods": ["PUT"], "fail": 1, "status": 500})
    answer = server.request("PUT", "User_Book/e1", 1)
    assert (answer.status_code, "before" in answer.json()["error"]) == (500, True)
    assert server.get("User_Book/e1") is None
    server.put("other", 1)
    assert counts(server, "requests") == {"User_Book/*": {"passed": 0, "failed": 1, "stalled": 0}}


def test_a_request_fails_after_it_took_effect(server, faults, events, deliveries):
    faults({"path": "/n/*", "fail": 1, "methods": ["PUT", "DELETE"], "after_effect": True})
    assert server.request("PUT", "n/k1", 1).status_code == 503
    assert server.get("n/k1") == 1
    assert deliveries.get(timeout=5)[1]["ref"] == "n/k1"
    assert server.request("PUT", "n/k1", data="{").status_code == 503
    assert server.get("n/k1") == 1


def test_an_update_of_several_places_fails_for_any_of_them(server, faults):
    faults({"path": "User_Book/*", "fail": 1})
    assert server.request("PATCH", "", {"a": 1, "User_Book/e1/rating": 5}).status_code == 503
    assert server.get("a") is None
    assert server.request("PATCH", "", {"a": 1, "b": 2}).ok
    assert server.request("PATCH", "", [1]).status_code == 400


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_request_stalls_and_is_carried_out(server, faults, after_effect):
    faults({"path": "*", "stall_ms": [200, 250], "methods": ["PUT"], "after_effect": after_effect})
    began = time.monotonic()
    server.put("a", 1)
    assert time.monotonic() - began >= 0.2
    assert server.get("a") == 1
    assert counts(server, "requests") == {"*": {"passed": 1, "failed": 0, "stalled": 1}}


def test_which_requests_fail_follows_the_seed(server, faults):
    seen = []
    for _ in range(2):
        faults({"path": "*", "fail": 0.3})
        seen.append("".join("." if server.request("GET", "a").ok else "x" for _ in range(20)))
    assert seen == [".......x.xx..xxx...x"] * 2


def test_settings_and_other_requests_never_fail(server, faults):
    faults({"path": "*", "fail": 1}, {"path": "*settings*", "fail": 1})
    assert server.request("GET", "a").status_code == 503
    assert server.request("GET", ".settings/rules").ok
    assert server.request("GET", ".inspect/databases").ok
    assert server.request("OPTIONS", "a").ok


def test_faults_can_be_cleared_and_set_again(server, faults, events):
    nothing = {"seed": 0, "rules": [], "counts": {"triggers": {}, "requests": {}, "connections": {}}}
    faults({"trigger": "on_faulty_written", "drop": 1}, {"path": "a", "fail": 1, "methods": ["GET"]})
    shown = server.get(".settings/faults")
    faults(*shown["rules"], seed=shown["seed"])
    assert server.get(".settings/faults") == shown
    events(expected=0)
    assert server.request("GET", "a").status_code == 503

    assert server.request("DELETE", ".settings/faults").ok
    assert server.get(".settings/faults") == nothing
    events(expected=EVENTS)
    assert server.get("a") is None
    assert server.get(".settings/faults") == nothing


def test_only_an_admin_sets_faults(server):
    for method in ("GET", "PUT", "DELETE"):
        assert server.request(method, ".settings/faults", {"rules": []}, headers={}).status_code == 403
    assert server.request("POST", ".settings/faults", {"rules": []}).status_code == 405


def test_an_invalid_body_is_rejected_and_changes_nothing(server, faults):
    faults({"path": "never"}, seed=3)
    answer = server.request("PUT", ".settings/faults", {"seed": 4, "rules": [{"path": "a", "fail": 2}]})
    assert answer.status_code == 400
    assert answer.json() == {"error": "rules[0].fail is 2: give a probability from 0 to 1"}
    assert server.get(".settings/faults")["seed"] == 3


CONNECTIONS = 40


@pytest.mark.parametrize("opened_first", [True, False])
def test_which_connections_are_cut_follows_the_seed_in_the_order_in_which_they_came(opened_first):
    def cut_of(seed):
        async def scenario():
            faults, cut = Faults(), []
            plan = parse_plan({"seed": seed, "rules": [{"connection": "app-*", "cut": 0.5, "cut_after_ms": [0, 1]}]})
            if not opened_first:
                faults.follow(plan)
            for number in range(CONNECTIONS):
                faults.watch_connection("app-1", lambda number=number: cut.append(number))
            faults.watch_connection("other", lambda: cut.append("other"))
            if opened_first:
                faults.follow(plan)
            counts = faults.report()["counts"]["connections"]["app-*"]
            await until(lambda: len(cut) == counts["cut"])
            assert counts["kept"] + counts["cut"] == CONNECTIONS
            return sorted(cut)

        return asyncio.run(scenario())

    assert cut_of(1) == cut_of(1) != cut_of(2)
    assert 10 < len(cut_of(1)) < 30


def test_a_connection_that_ended_or_a_plan_that_is_replaced_cuts_nothing():
    async def scenario():
        faults, cut = Faults(), []
        faults.follow(parse_plan({"rules": [{"connection": "*", "cut": 1, "cut_after_ms": [1, 1]}]}))
        release = faults.watch_connection("n", lambda: cut.append("ended"))
        faults.watch_connection("n", lambda: cut.append("replaced"))
        release()
        faults.follow(parse_plan({"rules": []}))
        faults.follow(parse_plan({"rules": [{"connection": "*", "cut": 1}]}))
        await until(lambda: cut)
        assert cut == ["replaced"]  # by the third plan alone
        assert faults.report()["counts"]["connections"] == {"*": {"kept": 0, "cut": 1}}

    asyncio.run(scenario())


def test_streams_and_websockets_are_cut(server, faults):
    stream = requests.get(
        f"http://{server.host}/n.json",
        params={"ns": server.namespace},
        headers={**ADMIN, "Accept": "text/event-stream"},
        stream=True,
        timeout=10,
    )
    faults({"connection": server.namespace, "cut": 1, "cut_after_ms": [0, 20]})
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = stream.content

    async def open_socket():
        async with (
            ClientSession() as session,
            session.ws_connect(f"ws://{server.host}/.ws?v=5&ns={server.namespace}") as socket,
        ):
            return [message.type async for message in socket][:-1], socket.close_code

    greetings, code = asyncio.run(open_socket())
    assert len(greetings) <= 1
    assert code == WSCloseCode.ABNORMAL_CLOSURE
    assert counts(server, "connections") == {server.namespace: {"kept": 0, "cut": 2}}
