"""A machine's clock is set back or forward: how long something took does not depend on it."""

import pytest

from backend import logs
from backend.adapters.system import SystemClock
from backend.catalogue_cache import CatalogueCache
from backend.handlers import operating, reconcile
from backend.models import TRY_AGAIN_AFTER_MS, LiveModel
from bookrec import paths
from bookrec.errors import StoreUnavailable
from tests.fakes import World, load_fake

DAY_MS = 86_400_000


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("by_ms", [-DAY_MS, DAY_MS])
def test_a_cached_catalogue_is_as_old_as_the_time_that_has_passed(world, by_ms):
    cache, reads = CatalogueCache(world.database, world.clock, 1_000), []
    read = world.database.catalogue
    world.database.catalogue = lambda etag: reads.append(1) or read(etag)
    cache.current()
    world.clock.set(by_ms)
    cache.current()
    assert len(reads) == 1  # no time has passed
    world.database.update({f"{paths.ARCHIVE}/a005": None})
    world.clock.now += 1_001
    assert "isbn005" not in cache.current()


@pytest.mark.parametrize("by_ms", [-DAY_MS, DAY_MS])
def test_a_model_that_could_not_be_loaded_is_tried_again_after_the_rest(world, by_ms):
    world.publish("v1", 1)
    model, tries = LiveModel(world.database, world.store, load_fake, world.clock), []
    download = world.store.download
    world.store.download = lambda *arguments: tries.append(1) or download(*arguments)
    world.store.is_away = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            model.load()
        world.clock.set(by_ms)
    assert len(tries) == 1
    world.store.is_away = False
    world.clock.now += TRY_AGAIN_AFTER_MS
    assert model.load().pointer.version == "v1"


@pytest.mark.parametrize("by_ms", [-DAY_MS, DAY_MS])
def test_an_alarm_is_due_an_hour_after_the_last_one(world, by_ms):
    is_due = logs.Hourly(world.clock.elapsed_ms)
    assert is_due("u")
    world.clock.set(by_ms)
    assert not is_due("u")
    world.clock.now += logs.HOUR_MS
    assert is_due("u")


@pytest.mark.parametrize("by_ms", [-DAY_MS, DAY_MS])
def test_the_reconciler_works_as_long_as_it_may_and_no_longer(world, monkeypatch, by_ms):
    world.publish("v1", 1)
    pages, page = [], reconcile.Sweep.page

    def timed(sweep, *arguments):
        if not pages:
            world.clock.set(by_ms)
        pages.append(arguments[0])
        world.clock.now += reconcile.BUDGET_MS // 2
        return page(sweep, *arguments)

    monkeypatch.setattr(reconcile.Sweep, "page", timed)
    world.backend.reconcile(rests=False)
    assert len(pages) == 2


@pytest.mark.parametrize("by_ms", [-DAY_MS, DAY_MS])
def test_a_rollbacks_lease_lasts_as_long_as_was_agreed(world, by_ms):
    world.publish("v1", 1)
    world.publish("v2", 2)
    given, seen = world.clock.now + operating.ROLLBACK_MS, []
    try_out = LiveModel.try_out

    def slow(model, *arguments):
        world.clock.set(by_ms)
        world.clock.now += 1_000
        seen.append(world.database.lease())
        return try_out(model, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveModel, "try_out", slow)
        assert world.backend.operating.rollback("v1") == {"version": "v1"}
    assert [lease.expires_at for lease in seen] == [given]
    assert world.database.get(f"{paths.MODEL}/publishedAt") == given - operating.ROLLBACK_MS + 1_000


def test_the_systems_clock_measures_what_has_passed_by_one_that_is_never_set(monkeypatch):
    clock = SystemClock()
    before = clock.elapsed_ms()
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert clock.now_ms() == 0
    assert clock.elapsed_ms() >= before
