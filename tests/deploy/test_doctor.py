"""Each kind of fault is found, and nothing else is.

The projects are `projects/faults.json`: what differs from a project that was deployed. Their shapes are those of the
tools' documentation (see ``cloud.py``); none was recorded from a project in the cloud.
"""

import copy
import json

import pytest

from deploy import source
from deploy.commands import Answer
from deploy.doctor import examine, exit_code, report
from deploy.target import ROOT, Target
from tests.deploy.cloud import Cloud
from tests.deploy.conftest import PROJECTS

FAULTS = json.loads((PROJECTS / "faults.json").read_text())
HEALTHY = {"quota"}
"""What is said of every project that works."""

TARGET = Target("book-club-1", "europe-west1")


def runner(state, asked=None):
    """Return what runs commands, in this process: apply's tests have shown the same over real ones."""
    cloud = Cloud(state, ROOT)

    def run(command):
        if asked is not None:
            asked.append(command)
        return Answer(*cloud.answer(list(command.argv)))

    return run


@pytest.fixture
def well(made, monkeypatch):
    """A project that was deployed, with App Check on; the checkout is the one that it was deployed from."""
    state, checkout = copy.deepcopy(made[0]), made[1]
    monkeypatch.setattr(source, "ROOT", checkout)
    state["app_check"] = dict.fromkeys(
        ["firebasedatabase.googleapis.com", "firebasestorage.googleapis.com"], "ENFORCED"
    )
    return state


def damage(state, fault):
    """Return the state of a project with a fault."""
    for path, value in fault.get("set", {}).items():
        node, last = walk(state, path)
        node[last] = value
    if path := fault.get("unset"):
        node, last = walk(state, path)
        del node[last]
    for key, text in fault.get("drop", {}).items():
        kept = [one for one in state[key] if text not in json.dumps(one)]
        assert len(kept) < len(state[key])
        state[key] = kept
    for key, text in fault.get("cut", {}).items():
        assert text in state[key]
        state[key] = state[key].replace(text, "", 1)
    for key, (old, new) in fault.get("replace", {}).items():
        assert old in state[key]
        state[key] = state[key].replace(old, new, 1)
    for resource, change in fault.get("bindings", {}).items():
        bindings = state["policies"][resource]["bindings"]
        if "with" in change:
            bindings.append({"role": change["with"][0], "members": [change["with"][1]]})
        else:
            state["policies"][resource]["bindings"] = [one for one in bindings if one["role"] != change["without"]]
            assert len(state["policies"][resource]["bindings"]) == len(bindings) - 1
    if "drop policy" in fault:
        del state["policies"][fault["drop policy"]]
    if "older image" in fault:
        run = state["jobs"][0]["spec"]["template"]["spec"]["template"]["spec"]
        run["containers"][0]["image"] = run["containers"][0]["image"].rpartition(":")[0] + ":000000000000"
        state["tags"] = [{"tag": "projects/p/tags/000000000000"}]
    return state


def walk(state, path):
    *parts, last = path.split(".")
    for part in parts:
        state = state[int(part)] if isinstance(state, list) else state[part]
    return state, int(last) if isinstance(state, list) else last


def found_in(state, target=TARGET):
    return examine(target, runner(state))


def test_a_project_that_was_deployed_is_well(well):
    findings = found_in(well)
    assert {one.code for one in findings} == HEALTHY, report(findings)
    assert exit_code(findings) == 0


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["fault"] for fault in FAULTS])
def test_a_fault_is_found_exactly(well, fault):
    findings = found_in(damage(well, fault))
    found = {one.code: one.severity for one in findings if one.code not in HEALTHY}
    wanted = fault["finds"]
    assert found == wanted, report(findings)
    assert exit_code(findings) == (2 if "error" in wanted.values() else 1 if "warning" in wanted.values() else 0)
    assert all(one.evidence and one.fix and one.title for one in findings)


def test_of_a_fresh_project_the_apis_are_said_and_not_all_that_follows():
    findings = found_in(json.loads((PROJECTS / "fresh.json").read_text()))
    codes = {one.code for one in findings}
    assert {"api-off", "firebase", "database"} <= codes
    assert not {"job", "bucket", "alert-alarm", "schedule-missing"} & codes
    assert exit_code(findings) == 2


def test_nothing_is_changed(well):
    before = copy.deepcopy(well)
    asked = []
    examine(TARGET, runner(well, asked))
    assert well == before
    for command in asked:
        words = set(command.argv)
        reads = {"list", "describe", "get-iam-policy", "GET", "projects:list", "database:instances:list", "apps:list"}
        assert words & {*reads, "database:get", "hosting:channel:list"}, command.shell()


def test_what_nobody_may_look_at_is_said_and_is_not_taken_for_missing(well):
    run = runner(well)

    def refusing(command):
        if "monitoring" in command.argv:
            return Answer(1, "", "ERROR: PERMISSION_DENIED: Permission monitoring.alertPolicies.list denied")
        return run(command)

    findings = examine(TARGET, refusing)
    assert {one.code for one in findings} == {"unanswered", *HEALTHY}
    (one,) = [one for one in findings if one.code == "unanswered"]
    assert "PERMISSION_DENIED" in one.evidence
    assert "gcloud alpha monitoring policies list" in one.fix


def test_a_project_that_cannot_be_seen_is_one_finding(well):
    findings = found_in(well, Target("another-project", "europe-west1"))
    assert [one.code for one in findings] == ["project"]
    assert exit_code(findings) == 2


def test_a_task_function_with_an_underscore_is_found(well, monkeypatch):
    from deploy.doctor import workings
    from deploy.source import Function

    monkeypatch.setattr(workings, "functions", lambda: [Function("retrain_model", "task")])
    assert "queue-name" in {one.code for one in found_in(well)}


def test_the_command_prints_findings_as_json_and_ends_with_their_exit_code(desk, made):
    state = copy.deepcopy(made[0])
    state["alerts"][0]["notificationChannels"] = []
    desk.open(state)
    assert desk.run("apply").returncode == 0  # the files of this checkout
    done = desk.run("doctor", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert {"warning", "note"} == {one["severity"] for one in found}
    assert "alert-silent" in {one["code"] for one in found}
    assert set(found[0]) == {"severity", "code", "title", "evidence", "fix"}
    person = desk.run("doctor")
    assert "Fix: " in person.stdout
    assert "0 errors, 1 warnings, " in person.stdout


def test_every_fix_that_is_a_command_is_one_line(well):
    for fault in FAULTS:
        for one in found_in(damage(copy.deepcopy(well), fault)):
            assert "\n" not in one.fix
