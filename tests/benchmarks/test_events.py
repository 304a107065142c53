"""The benchmarks of events and of cold starts, in small: they measure what runs, and see what is wrong."""

from types import SimpleNamespace

import pytest

from backend.adapters.tflite_model import load_recommender
from backend.list_writes import make_list
from benchmarks import cold_start, events, random_model, stage
from bookrec.catalogue import parse_catalogue
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.shelf import build_shelf, sort_out


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.chdir(stage.ROOT)  # the model is made once for all who measure with it
    for name, size in {"QUICK_EVENTS": 12, "WARM_UP": 4, "READERS": 4, "WRITES_EACH": 5}.items():
        monkeypatch.setattr(events, name, size)
    monkeypatch.setattr(cold_start, "QUICK_RUNS", 1)


def test_time_that_threads_wait_together_counts_once():
    assert events.united([(0, 2), (1, 3), (5, 6), (5.5, 5.75)]) == 4
    assert events.united([]) == 0


def test_events_of_many_readers_end_in_right_lists_and_none_is_lost():
    found = events.measure(seed=1, quick=True)
    assert (found["events"], found["events_at_once"], found["events_handled"]) == (12, 20, 20)
    assert found["right"] == found["readers"] == 4
    assert 0 < found["own_code_ms"]["p50"] < found["event_to_list_ms"]["p50"] < found["write_to_list_ms"]["p50"]
    assert [target["name"] for target in found["targets"] if target["bound"] == 0 and target["met"]]


def test_a_list_that_is_not_what_the_model_gives_is_seen():
    files, catalogue = random_model.files(1), stage.catalogue_of(1)
    entries = {"k1": {"userId": "u", "bookId": "b", "isbn": random_model.isbns()[7], "myRate": 4.5}}
    model = load_recommender("v", files[RECOMMEND_MODEL], files[ITEMS])
    made = make_list(build_shelf("u", sort_out(entries)[0]), model, parse_catalogue(catalogue)[0])
    node = made.to_node(parse_catalogue(catalogue)[0], 0)
    services = SimpleNamespace(files=files, catalogue=catalogue, request=lambda *_: node)
    reader = SimpleNamespace(uid="u", entries=entries)
    assert events.is_right(services, reader)
    node["items"][0], node["items"][1] = node["items"][1], node["items"][0]
    assert not events.is_right(services, reader)


def test_a_cold_start_is_measured_beside_the_same_one_with_tensorflow():
    found = cold_start.measure(seed=1, quick=True)["medians"]
    assert found[cold_start.WITH_TENSORFLOW]["peak_mb"] > 2 * found[cold_start.OURS]["peak_mb"]
    assert found[cold_start.WITH_TENSORFLOW]["seconds"] > found[cold_start.OURS]["seconds"] > 0
