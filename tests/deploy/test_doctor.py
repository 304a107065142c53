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
from deploy.target import Target
from tests.deploy.conftest import PROJECTS, TARGET
from tests.deploy.faults import FAULTS, found_in, runner, with_app_check

HEALTHY = {"quota"}
"""What is said of every project that works."""


@pytest.fixture
def well(made, monkeypatch):
    """A project that was deployed; the checkout is the one that it was deployed from."""
    monkeypatch.setattr(source, "ROOT", made[1])
    return with_app_check(made[0])


def test_a_project_that_was_deployed_is_well(well):
    findings = found_in(well)
    assert {one.code for one in findings} == HEALTHY, report(findings)
    assert exit_code(findings) == 0


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["fault"] for fault in FAULTS])
def test_a_fault_is_found_exactly(examined, fault):
    findings = examined[fault["fault"]]
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


def test_an_answer_in_another_form_is_said_and_the_rest_is_examined(well):
    run = runner(well)

    def strange(command):
        if command.argv[:4] == ("gcloud", "run", "jobs", "list"):
            return Answer(0, '{"jobs": "one"}')
        if command.argv[:3] == ("gcloud", "scheduler", "jobs"):
            return Answer(0, "Listed 1 job.")
        return run(command)

    findings = examine(TARGET, strange)
    assert {one.code for one in findings} == {"unanswered", *HEALTHY}, report(findings)
    assert exit_code(findings) == 1
    assert any("Listed 1 job." in one.evidence for one in findings)


def test_a_project_that_cannot_be_seen_is_one_finding(well):
    findings = found_in(well, Target("another-project", "europe-west1"))
    assert [one.code for one in findings] == ["project"]
    assert exit_code(findings) == 2


def test_a_task_function_with_an_underscore_is_found(well, monkeypatch):
    from deploy.doctor import workings
    from deploy.source import Function

    monkeypatch.setattr(workings, "functions", lambda: [Function("retrain_model", "task")])
    assert "queue-name" in {one.code for one in found_in(well)}


def test_the_command_prints_findings_as_json_and_ends_with_their_exit_code(made_desk):
    state = made_desk.state
    state["alerts"][0]["notificationChannels"] = []
    made_desk.open(state)
    done = made_desk.run("doctor", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert {"warning", "note"} == {one["severity"] for one in found}
    assert "alert-silent" in {one["code"] for one in found}
    assert set(found[0]) == {"severity", "code", "title", "evidence", "fix"}
    person = made_desk.run("doctor")
    assert "Fix: " in person.stdout
    assert "0 errors, 1 warnings, " in person.stdout


def test_every_fix_is_one_line(examined):
    assert not [one.fix for findings in examined.values() for one in findings if "\n" in one.fix]
