"""The benchmark of a production run: a real one, by the steps that it records."""

import pytest

from benchmarks import production, stage


def test_a_production_run_is_measured_from_its_start_to_its_end(monkeypatch, capsys):
    monkeypatch.chdir(stage.ROOT)
    found = production.measure(seed=42, quick=True)
    assert found["entries"] == 1_011
    assert next(iter(found["steps"])) == production.STARTING
    assert {"judging", "exporting"} <= set(found["steps"])
    assert sum(found["steps"].values()) == pytest.approx(found["seconds"], abs=0.1)
    (target,) = found["targets"]
    production.show(found)
    assert ("MISSED" in capsys.readouterr().out) != target["met"]
