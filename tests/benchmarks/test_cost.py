"""The benchmark of costs, in small: what it counts are the database's answers, and the sweeps are whole and quiet."""

import pytest
import requests

from benchmarks import cost, stage


def test_only_the_answers_of_the_database_count_with_their_headers(monkeypatch):
    answer = requests.Response()
    answer._content, answer.headers["A"] = b"12345", "bc"
    monkeypatch.setattr(requests.Session, "send", lambda session, request, **how: answer)

    def work():
        for host in ("db:1", "db:2", "db:1"):
            request = requests.Request("GET", f"http://{host}/x").prepare()
            answer.url = request.url
            requests.Session().send(request)

    assert {name: value for name, value in cost.cost_of("db:1", work).items() if name != "seconds"} == {
        "requests": 2,
        "bytes": 2 * (5 + len("A: bc\r\n") + len("HTTP/1.1 200 OK\r\n\r\n")),
        "sent": 0,
    }
    assert cost.cost_of("db:3", work)["requests"] == 0


def test_events_fan_outs_and_sweeps_are_measured_and_a_day_is_mostly_rest(monkeypatch):
    monkeypatch.chdir(stage.ROOT)
    monkeypatch.setattr(cost, "EVENTS", 4)
    monkeypatch.setattr(cost, "QUICK_FAN_OUTS", (10,))
    found = cost.measure(seed=1, quick=True, sizes=(500, 2_000))
    small, large = found["sweeps"]
    assert found["event"]["requests"] == 7
    assert small["runs"] == large["runs"] == 1
    assert large["readers"] == 20
    assert large["resting"]["requests"] < large["requests"] < 80
    assert large["resting"]["bytes"] < large["bytes"] / 10
    assert large["day_bytes"] == pytest.approx(24 * large["bytes"] + 264 * large["resting"]["bytes"])
    assert found["exponents"]["bytes"] < 1.1
    assert all(target["met"] for target in found["targets"])
    assert 0 < found["fan_outs"][0]["bytes_a_reader"] < 10_000
    similar = found["similar"]
    assert similar["tasks"] == 20
    assert similar["first"]["sent"] > 100 * similar["books"]
    assert similar["unchanged"]["sent"] < similar["books"] < similar["unchanged"]["bytes"]
