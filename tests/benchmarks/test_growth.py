"""The benchmark of growth: its exponents are those of what it is given, and its stages are the trainer's own."""

import pytest

from benchmarks import growth


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_an_exponent_is_that_of_the_largest_sizes(power):
    rows = [{"entries": 10**n, "seconds": 3 * (10**n) ** power if n > 3 else 7.0} for n in range(2, 7)]
    assert growth.exponent(rows, "seconds") == pytest.approx(power)


def test_every_stage_is_measured_on_real_work(tmp_path):
    row = growth.lists_of(1_000, seed=1)
    assert (row["readers"], row["books"]) == (10, 700)
    assert min(row["seconds"], row["peak_mb"], row["written_mb"]) > 0
    rows = [{"entries": size, **row} for size in (1_000, 10_000)]
    found = {"stages": {growth.LISTS: rows}}
    growth.draw(found, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1_000
