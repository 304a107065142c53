"""The operator's page in a browser, against the real suite: what it shows, and what its buttons do.

In order: the live model, a run, a rollback, an experiment, a run that is stuck.
"""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.waiting import is_fanned_out, wait_until
from tests.web.axe import violations
from tests.web.operating import arm_of, manifest, open_operations, put, shoot

RUN_MS = 400_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def page(visit):
    return open_operations(visit)


@pytest.fixture(scope="module")
def isbns(stack):
    return sorted(book["isbn"] for book in stack.admin_get("archive").values())


def part(page, name):
    return page.locator(f"[data-part={name}]")


def notice(page):
    return page.locator("#notice")


def fact(page, name, term):
    """Return the value of a term in a part's list of facts."""
    return part(page, name).locator("dl > div", has=page.get_by_text(term, exact=True)).locator("dd")


def live_version(page):
    return part(page, "live").locator(".headline .version")


def made_by(version):
    return lambda reader_list: reader_list["modelVersion"] == version


def wait_until_quiet(stack):
    """Wait until no run is in progress, and all lists are from the live model."""

    def nothing_is_in_progress():
        return is_fanned_out(stack) and "holder" not in (stack.admin_get("Recommender/lease") or {})

    wait_until(nothing_is_in_progress, RUN_MS / 1000)


def test_the_live_model_is_shown_with_the_data_of_its_manifest(page, stack):
    version = stack.admin_get("Recommender/model/version")
    said = manifest(stack, version)
    data, metrics = said["data"], said["metrics"]
    expect(live_version(page)).to_have_text(version)
    expect(part(page, "live")).to_contain_text(f"{data['entries']:,} entries of {data['users']} readers")
    expect(part(page, "live")).to_contain_text(said["gate"]["reason"][1:])
    ours = part(page, "metrics").locator(".pair > :first-child .row.live .value")
    expect(ours).to_have_text(f"{metrics['model']['ndcg']['mean']:.3f}")
    part(page, "metrics").locator("summary").first.click()
    popularity = part(page, "metrics").get_by_role("row", name="popularity").first
    expect(popularity).to_contain_text(f"{metrics['baselines']['popularity']['ndcg']['mean']:.3f}")
    page.get_by_label("RMSE").check()
    expect(ours).to_have_text(f"{metrics['model']['rmse']:.3f} stars")
    shown = part(page, "live").locator("time").first
    assert shown.get_attribute("title")
    assert shown.get_attribute("datetime").endswith("Z")


def test_database_content_is_shown_as_text_and_kept_up_to_date(page, stack):
    at = int(time.time() * 1000)
    odd = {"reason": "<b>odd</b>", "message": "<img src=x onerror=alert(1)>", "at": at}
    put(stack, "Recommender/rejected/odd", odd)
    expect(part(page, "rejected")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#dashboard").locator("img, b")).to_have_count(0)
    put(stack, "Recommender/rejected/odd", None)
    expect(part(page, "rejected")).not_to_contain_text("odd")


def test_latencies_are_estimated_and_shares_have_wilson_intervals(page):
    # Reference: statsmodels 0.14, proportion_confint(count, nobs, method="wilson").
    computed = page.evaluate(
        """async () => {
          const {BUCKETS, quantile, wilson} = await import('/figures.js');
          const of = (counts) => BUCKETS.map((bound) => counts[bound] ?? 0).concat(counts.more ?? 0);
          return {
            empty: quantile(of({}), 0.5),
            even: quantile(of({25: 10, 50: 10}), 0.5),
            inside: quantile(of({25: 10, 50: 10}), 0.75),
            above: quantile(of({25: 1, more: 9}), 0.5),
            none: wilson(0, 10), some: wilson(3, 10), all: wilson(10, 10),
          };
        }"""
    )
    assert computed["empty"] is None
    assert computed["even"] == {"ms": 25, "isAbove": False}
    assert computed["inside"] == {"ms": 37.5, "isAbove": False}
    assert computed["above"] == {"ms": 5000, "isAbove": True}
    assert computed["none"] == pytest.approx({"low": 0, "high": 0.2775327}, abs=1e-6)
    assert computed["some"] == pytest.approx({"low": 0.1077913, "high": 0.6032219}, abs=1e-6)
    assert computed["all"] == pytest.approx({"low": 0.7224673, "high": 1}, abs=1e-6)


def test_readers_who_are_not_served_are_counted_until_their_time_is_over(page):
    texts = page.evaluate(
        """async () => {
          const {reconciler} = await import('/operator-upkeep.js');
          const reader = (minutes) => ({until: Date.now() + minutes * 60000});
          const text = (view) => reconciler({reconcile: {at: 1}, ...view}).map((part) => part.textContent).join(' ');
          const paused = {ann: reader(5), bob: reader(-5), cy: reader(9), di: 'damaged'};
          const dismissals = {at: 1, readers: 2, books: 31};
          return [text({paused, leftOut: {a1: reader(50)}, dismissals}), text({})];
        }"""
    )
    assert "write too fast2, the last until" in texts[0]
    assert "functions die1, the last until" in texts[0]
    assert "Books dismissed31, by 2 readers" in texts[0]
    assert "Books dismissed" not in texts[1]
    assert "write too fastnone" in texts[1]
    assert "functions dienone" in texts[1]
    assert not [text for text in texts if "ann" in text]


def test_a_run_is_started_and_its_outcome_appears_by_itself(page, stack):
    wait_until_quiet(stack)
    before, fence = stack.admin_get("Recommender/model/version"), stack.admin_get("Recommender/lease/fence")
    held_back = []
    page.route("**/operator_retrain", lambda route: held_back.append(route))
    button = page.get_by_role("button", name="Retrain now")
    button.click()
    expect(button).to_be_disabled()
    expect(notice(page)).to_contain_text("Starting a training run")
    held_back[0].continue_()
    expect(notice(page)).to_contain_text("Training run started")
    expect(button).to_be_enabled()
    expect(part(page, "retraining")).to_contain_text("A training run is in progress")
    expect(fact(page, "retraining", "Running for")).to_contain_text("min", timeout=RUN_MS)
    shoot(page, "running")
    run = page.locator(f"[data-run='{fence + 1}']")
    expect(run).to_contain_text("published", timeout=RUN_MS)
    expect(run).to_contain_text("popularity")
    version = stack.admin_get("Recommender/model/version")
    assert version != before
    expect(live_version(page)).to_have_text(version)
    expect(part(page, "retraining")).to_contain_text("No run is in progress")
    expect(part(page, "fanout")).to_contain_text("all lists are up to date", timeout=RUN_MS)


def test_a_rollback_by_keyboard_with_a_dialog_that_says_what_it_does(page, stack):
    wait_until_quiet(stack)
    live = stack.admin_get("Recommender/model")
    earlier = max(set(live["kept"]) - {live["version"]})
    asks = lambda: page.evaluate("document.activeElement.dataset.version") == earlier  # noqa: E731
    tabs = 0
    while not asks() and tabs < 100:
        page.keyboard.press("Tab")
        tabs += 1
    assert asks()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("All readers’ lists are computed again")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    shoot(page, "rollback", full_page=False)
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert asks()
    assert stack.admin_get("Recommender/model") == live
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(notice(page)).to_contain_text(f"Version {earlier} is live again")
    expect(live_version(page)).to_have_text(earlier)
    assert stack.admin_get("Recommender/model/version") == earlier
    expect(page.locator("#versions-title")).to_be_focused()


def test_a_rejected_call_says_why_and_what_to_do(page, stack):
    wait_until_quiet(stack)
    lease, soon = stack.admin_get("Recommender/lease"), int(time.time() * 1000) + 60_000
    put(stack, "Recommender/lease", {**lease, "holder": "run-elsewhere", "expiresAt": soon, "endsBy": soon})
    try:
        expect(part(page, "retraining")).to_contain_text("run-elsewhere")
        page.get_by_role("button", name="Retrain now").click()
        expect(notice(page)).to_contain_text("Another run is in progress")
        page.get_by_role("button", name="Roll back to").first.click()
        page.get_by_role("button", name="Roll back", exact=True).click()
        expect(notice(page)).to_contain_text("A run is live: ask again when it has ended")
    finally:
        put(stack, "Recommender/lease", lease)
    expect(part(page, "retraining")).to_contain_text("No run is in progress")


def test_an_experiment_gives_some_readers_the_other_version_and_compares_both(page, stack, new_reader, isbns):
    wait_until_quiet(stack)
    version = max(set(stack.admin_get("Recommender/model/kept")) - {stack.admin_get("Recommender/model/version")})
    page.get_by_label("Version of arm B").select_option(version)
    page.get_by_label("Share of readers").fill("40")
    page.get_by_role("button", name="Start experiment").click()
    expect(notice(page)).to_contain_text(f"40% of readers get lists from {version}")
    expect(part(page, "experiment")).to_contain_text("60% of readers get lists from A, 40% from B")
    model = stack.admin_get("Recommender/model")
    of_arm = {"a": model["version"], "b": version}
    readers = {}
    while set(readers) != {"a", "b"}:
        reader = new_reader()
        readers.setdefault(arm_of(model["experiment"], reader.uid), reader)
    for arm, reader in readers.items():
        reader.shelve(isbns[10], 5)
        reader_list, _ = reader.wait_for_list(made_by(of_arm[arm]))
        reader.shelve(reader_list["items"][0]["isbn"], 4)  # from the list: a hit
        reader.wait_for_list()
    page.get_by_role("button", name="Reconcile now").click()
    expect(notice(page)).to_contain_text("Reconciled")
    expect(part(page, "experiment")).to_contain_text("A: 1 of 1 reader, B: 1 of 1 reader")
    expect(part(page, "experiment")).to_contain_text("The intervals overlap: no significant difference")
    shoot(page, "experiment")
    page.get_by_role("button", name="End experiment").click()
    page.get_by_role("dialog").get_by_role("button", name="End experiment").click()
    expect(notice(page)).to_contain_text("The experiment has ended")
    expect(part(page, "experiment")).to_contain_text("No experiment is running")
    assert "experiment" not in stack.admin_get("Recommender/model")
    readers["b"].shelve(isbns[20], 5)
    readers["b"].wait_for_list(made_by(of_arm["a"]))


def test_the_hit_rate_follows_what_readers_take_from_their_lists(page, stack, new_reader, isbns):
    version = stack.admin_get("Recommender/model/version")

    def counted():
        page.get_by_role("button", name="Reconcile now").click()
        expect(notice(page)).to_contain_text("Reconciling")
        expect(notice(page)).to_contain_text("Reconciled")
        label = (stack.admin_get("Recommender/status/quality/labels") or {}).get(version, {})
        return label.get("readers", 0), label.get("hitReaders", 0)

    readers, hits = counted()
    reader = new_reader({isbns[30]: 5})
    reader_list, _ = reader.wait_for_list()
    reader.shelve(reader_list["items"][1]["isbn"], 5)
    reader.wait_for_list()
    assert counted() == (readers + 1, hits + 1)
    expect(part(page, "online").locator(".row.live .value")).to_contain_text(f"{hits + 1} of {readers + 1}")
    expect(part(page, "online")).to_contain_text("Books by position")
    expect(part(page, "traffic")).to_contain_text("Events per minute")


def test_parked_retraining_is_released(page, stack):
    wait_until_quiet(stack)
    lease = stack.admin_get("Recommender/lease")
    release = page.get_by_role("button", name="Release")
    expect(release).to_be_disabled()
    now = int(time.time() * 1000)
    put(stack, "Recommender/lease", {**lease, "outcome": "failed", "failures": 5, "failedAt": now})
    run = {"runId": f"run-{lease['fence']}", "fence": lease["fence"], "outcome": "failed", "reason": "odd", "at": now}
    put(stack, f"Recommender/status/training/runs/{lease['fence']}", run)
    page.get_by_role("button", name="Reconcile now").click()
    expect(part(page, "attention")).to_contain_text("retraining is parked")
    expect(part(page, "retraining")).to_contain_text("5 runs in a row failed")
    shoot(page, "parked")
    release.click()
    expect(notice(page)).to_contain_text("Released after 5 failed runs")
    expect(part(page, "retraining")).to_contain_text("No run is in progress")
    expect(part(page, "attention")).not_to_contain_text("parked")
    assert stack.admin_get("Recommender/lease/failures") == 0
    expect(fact(page, "retraining", "Last run")).to_contain_text(re.compile(r"failed.*(now|ago)"))
    expect(fact(page, "retraining", "Failures in a row")).to_have_text("0 (released)")
    shoot(page, "released")
    put(stack, "Recommender/lease", lease)
    put(stack, f"Recommender/status/training/runs/{lease['fence']}", None)
    expect(fact(page, "retraining", "Failures in a row")).to_have_text("0")


def test_events_of_lists_that_are_no_longer_collected_are_a_problem(page, stack):
    put(stack, "Recommender/status/events/isFull", True, silently=True)
    expect(part(page, "attention")).to_contain_text("no more events of lists are collected")
    put(stack, "Recommender/status/events/isFull", None, silently=True)
    expect(part(page, "attention")).not_to_contain_text("no more events")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(visit, scheme):
    page = open_operations(visit, color_scheme=scheme)
    expect(page.locator(".plot svg").first).to_be_visible()
    shoot(page, scheme)
    for summary in page.locator("#dashboard summary").all():
        summary.click()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_page_does_not_scroll_sideways(visit, scheme):
    page = open_operations(visit, color_scheme=scheme, **PHONE)
    expect(page.locator(".plot svg").first).to_be_visible()
    shoot(page, f"phone-{scheme}")
    for summary in page.locator("#dashboard summary").all():
        summary.click()
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    small = page.evaluate(
        """[...document.querySelectorAll('button, select, input:not([type=radio]), .tile, .choice label')]
            .filter((element) => element.checkVisibility())
            .map((element) => [element.textContent, element.getBoundingClientRect().height])
            .filter(([, height]) => height < 24)"""
    )
    assert small == []


def test_with_an_empty_database_each_section_says_what_will_appear(visit, stack):
    model, status = stack.admin_get("Recommender/model"), stack.admin_get("Recommender/status")
    page = open_operations(visit)
    put(stack, "Recommender/status", None, silently=True)
    put(stack, "Recommender/model", None, silently=True)
    try:
        expect(part(page, "live")).to_contain_text("No model is live yet")
        expect(part(page, "attention")).to_contain_text("no model is live")
        expect(part(page, "runs")).to_contain_text("The outcome of each run")
        expect(part(page, "traffic")).to_contain_text("No events in the last hour")
        expect(part(page, "online")).to_contain_text("the hit rate of each version appears here")
        expect(page.locator("#no-candidate")).to_be_visible()
        shoot(page, "empty")
        assert violations(page) == []
    finally:
        put(stack, "Recommender/status", status, silently=True)
        put(stack, "Recommender/model", model, silently=True)
    expect(live_version(page)).to_have_text(model["version"])
