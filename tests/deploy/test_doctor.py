"""Each kind of fault is found, and nothing else is.

`projects/faults.json` lists the faults, as changes to a deployed project. The answers have the form that the tools'
documentation states (see ``cloud.py``); none was recorded from a project in the cloud.
"""

import copy
import json

import pytest

from deploy import source
from deploy.commands import Answer
from deploy.doctor import examine, exit_code, report
from deploy.target import Target
from tests.deploy.conftest import PROJECTS, TARGET
from tests.deploy.faults import FAULTS, findings_in, runner, with_app_check

HEALTHY = {"quota"}
"""Findings that every healthy project has."""


@pytest.fixture
def well(made, monkeypatch):
    """A deployed project; the checkout is the one that it was deployed from."""
    monkeypatch.setattr(source, "ROOT", made[1])
    return with_app_check(made[0])


def test_a_deployed_project_has_no_faults(well):
    findings = findings_in(well)
    assert {one.code for one in findings} == HEALTHY, report(findings)
    assert exit_code(findings) == 0


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["fault"] for fault in FAULTS])
def test_each_fault_gives_exactly_its_findings(examined, fault):
    findings = examined[fault["fault"]]
    codes = {one.code: one.severity for one in findings if one.code not in HEALTHY}
    wanted = fault["finds"]
    assert codes == wanted, report(findings)
    assert exit_code(findings) == (2 if "error" in wanted.values() else 1 if "warning" in wanted.values() else 0)
    assert all(one.evidence and one.fix and one.title for one in findings)


def test_a_fresh_project_gets_a_finding_about_apis_and_none_about_what_follows():
    findings = findings_in(json.loads((PROJECTS / "fresh.json").read_text()))
    codes = {one.code for one in findings}
    assert {"api-off", "firebase", "database"} <= codes
    assert not {"job", "bucket", "alert-alarm", "schedule-missing"} & codes
    assert exit_code(findings) == 2


def test_the_doctor_changes_nothing(well):
    before = copy.deepcopy(well)
    asked = []
    examine(TARGET, runner(well, asked))
    assert well == before
    for command in asked:
        words = set(command.argv)
        reads = {"list", "describe", "get-iam-policy", "GET", "projects:list", "database:instances:list", "apps:list"}
        assert words & {*reads, "database:get", "hosting:channel:list"}, command.shell()


def test_denied_access_is_reported_and_not_taken_for_missing(well):
    run = runner(well)

    def denying(command):
        if "monitoring" in command.argv:
            return Answer(1, "", "ERROR: PERMISSION_DENIED: Permission monitoring.alertPolicies.list denied")
        return run(command)

    findings = examine(TARGET, denying)
    assert {one.code for one in findings} == {"unanswered", *HEALTHY}
    unanswered = [one for one in findings if one.code == "unanswered"]
    assert len(unanswered) == 2
    assert all("PERMISSION_DENIED" in one.evidence for one in unanswered)
    for command in ("gcloud alpha monitoring policies list", "gcloud monitoring dashboards list"):
        assert any(command in one.fix for one in unanswered)


def test_an_answer_in_an_unexpected_form_is_reported_and_the_rest_is_examined(well):
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
    findings = findings_in(well, Target("another-project", "europe-west1"))
    assert [one.code for one in findings] == ["project"]
    assert exit_code(findings) == 2


def test_a_task_function_with_an_underscore_is_found(well, monkeypatch):
    from deploy.doctor import runtime
    from deploy.source import Function

    monkeypatch.setattr(runtime, "functions", lambda: [Function("retrain_model", "task")])
    assert "queue-name" in {one.code for one in findings_in(well)}


def test_the_command_prints_findings_as_json_and_returns_their_exit_code(made_desk):
    state = made_desk.state
    state["alerts"][0]["notificationChannels"] = []
    made_desk.open(state)
    done = made_desk.run("doctor", "--json")
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)
    assert {"warning", "note"} == {one["severity"] for one in findings}
    assert "alert-silent" in {one["code"] for one in findings}
    assert set(findings[0]) == {"severity", "code", "title", "evidence", "fix"}
    person = made_desk.run("doctor")
    assert "Fix: " in person.stdout
    assert "0 errors, 1 warnings, " in person.stdout


def test_every_fix_is_one_line(examined):
    assert not [one.fix for findings in examined.values() for one in findings if "\n" in one.fix]
