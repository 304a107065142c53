"""The plan: its targets, the order of its steps, and the roles that it gives."""

import ast
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

from deploy import operators, source
from deploy.commands import Answer, Command, rest
from deploy.parts import access, backend, project, rules, trainer
from deploy.plan import plan
from deploy.steps import state_of
from deploy.target import ROOT, BadTarget, Target, email
from tests.deploy.conftest import TARGET


@pytest.mark.parametrize(
    ("name", "region", "says"),
    [
        ("book-club-1", "europe-west3", "us-central1, europe-west1, asia-southeast1"),
        ("book-club-1", "us-central1; rm", "no Realtime Database"),
        ("demo-bookrec", "us-central1", "emulators only"),
        ("Book-club", "us-central1", "not a project ID"),
        ("short", "us-central1", "not a project ID"),
        ("--project-x", "us-central1", "not a project ID"),
        ("book-club-", "us-central1", "not a project ID"),
        ("example.com:book", "us-central1", "not a project ID"),
    ],
)
def test_an_impossible_target_is_rejected_with_the_reason(name, region, says):
    with pytest.raises(BadTarget, match=re.escape(says)):
        Target(name, region)


@pytest.mark.parametrize(
    "changes",
    [
        {"bucket": "Models"},
        {"bucket": "a b"},
        {"instance": "x/y"},
        {"memory": "8GB"},
        {"cpu": 3},
        {"timeout_s": 5},
        {"timeout_s": 700_000},
        {"notify": "someone@example.com"},
    ],
)
def test_a_name_or_size_that_the_platform_does_not_accept_is_rejected(changes):
    with pytest.raises(BadTarget):
        replace(TARGET, **changes)


def test_the_database_url_depends_on_the_region():
    assert Target("book-club-1", "us-central1").database_url == "https://book-club-1-default-rtdb.firebaseio.com"
    address = "https://book-club-1-default-rtdb.europe-west1.firebasedatabase.app"
    assert Target("book-club-1", "europe-west1").database_url == address


def test_each_step_has_a_unique_key_a_reason_and_something_to_do():
    steps = plan(TARGET)
    assert len({step.key for step in steps}) == len(steps)
    for step in steps:
        assert step.title
        assert step.why.endswith("."), step.key
        assert (step.file is None) != (step.check is None), step.key
        assert step.commands or step.file or step.key == "billing"
        assert {command for command, _ in step.unless} <= set(step.commands)


def test_no_role_is_given_on_the_project_that_can_be_given_on_one_resource():
    on_the_project = {
        (one.account.partition("@")[0], one.role) for one in access.all_grants(TARGET) if one.kind == "project"
    }
    assert on_the_project == {
        ("recommender-functions", "roles/firebasedatabase.admin"),
        ("recommender-functions", "roles/eventarc.eventReceiver"),
        ("recommender-trainer", "roles/firebasedatabase.admin"),
        ("recommender-builder", "roles/logging.logWriter"),
    }
    assert all(one.why for one in access.all_grants(TARGET))


def test_the_roles_of_functions_and_trainer_match_the_access_page():
    page = (ROOT / "docs" / "access.md").read_text()
    for name in ("Functions", "Trainer"):
        table = page.split(f"**{name}** (")[1].split("\n\n")[1]
        documented = set(re.findall(r"^\| `(roles/[\w.]+)`", table, re.MULTILINE))
        account = {"Functions": TARGET.functions_account, "Trainer": TARGET.trainer_account}[name]
        assert {one.role for one in access.all_grants(TARGET) if one.account == account} == documented


def test_every_function_in_main_is_found_with_its_kind():
    tree = ast.parse((ROOT / "functions" / "main.py").read_text())
    decorated = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    functions = source.functions()
    assert [one.name for one in functions] == decorated
    kinds = {one.name: one.kind for one in functions}
    assert kinds["on_user_book_written"] == "database"
    assert kinds["retrain"] == kinds["fanout"] == kinds["similar"] == "task"
    assert kinds["reconcile"] == "schedule"
    assert not [one.name for one in functions if one.kind == "task" and "_" in one.name]


def test_the_parameters_file_has_every_parameter_and_no_secret(tmp_path):
    declared = set(re.findall(r'"([A-Z_]+)"', (ROOT / "functions" / "backend" / "parameters.py").read_text()))
    values = backend.parameter_values(TARGET)
    assert set(source.parameters()) <= set(values)
    assert set(source.parameters()) <= declared
    assert {"REGION", "MODEL_BUCKET", "TRAINER_JOB", "TRAINER_TIMEOUT_SECONDS"} <= set(source.parameters())
    assert not [name for name in values if re.search("SECRET|TOKEN|PASSWORD|_KEY", name)]


def test_the_firebase_configuration_names_this_projects_bucket_and_instance():
    configuration = json.loads(rules.firebase_configuration(TARGET))
    original = json.loads((ROOT / "firebase.json").read_text())
    assert configuration["database"] == [{"instance": TARGET.instance, "rules": "database.rules.json"}]
    assert configuration["storage"] == [{"bucket": TARGET.bucket, "rules": "storage.rules"}]
    original["functions"][0]["runtime"] = source.runtime() or original["functions"][0]["runtime"]
    assert configuration["functions"] == original["functions"]
    assert "emulators" not in configuration


def test_the_runtime_is_that_of_the_functions_environment(tmp_path):
    assert source.runtime(tmp_path) is None
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.1\n")
    assert source.runtime(tmp_path) == "python312"
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert source.runtime(tmp_path) is None


def test_the_job_and_the_functions_have_the_same_timeout():
    target = replace(TARGET, timeout_s=7200)
    (command,) = trainer.job_step(target).commands
    assert command.argv[command.argv.index("--task-timeout") + 1] == "7200s"
    assert backend.parameter_values(target)["TRAINER_TIMEOUT_SECONDS"] == "7200"


def test_the_image_tag_changes_only_with_what_the_dockerfile_copies(original, monkeypatch):
    monkeypatch.setattr(source, "ROOT", original)
    lines = (ROOT / "trainer" / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    assert all(any(path.startswith(part) for part in trainer.IMAGE_SOURCE) for path in copied)
    before = trainer.tag()
    added = original / "trainer" / "new.py"
    added.write_text("")
    try:
        assert trainer.tag() != before
    finally:
        added.unlink()
    (original / "functions" / "backend" / "new.py").write_text("")
    assert trainer.tag() == before
    (original / "functions" / "backend" / "new.py").unlink()


def test_a_printed_command_line_parses_to_the_same_words():
    for step in plan(TARGET):
        for command in step.commands:
            line = command.shell()
            plain = line.rpartition("/' | ")[2] if command.signed else line
            assert shlex.split(plain) == list(command.argv)


def test_a_signed_command_gets_the_token_through_a_pipe():
    line = rest("GET", "https://firebasedatabase.googleapis.com/v1beta/x", "book-club-1").shell()
    assert line.startswith("gcloud auth print-access-token | sed 's/^/Authorization: Bearer /' | curl ")


@pytest.mark.parametrize(
    ("said", "absent", "off"),
    [
        ("ERROR: (gcloud.run.jobs.get-iam-policy) NOT_FOUND: Resource 'x' was not found", True, False),
        ("PERMISSION_DENIED: Cloud Tasks API has not been used in project 1 before or it is disabled", True, True),
        ("PERMISSION_DENIED: Permission 'run.jobs.list' denied on resource", False, False),
        ("ERROR: gcloud crashed (ConnectionError): HTTPSConnectionPool", False, False),
    ],
)
def test_a_missing_resource_is_distinguished_from_denied_access(said, absent, off):
    answer = Answer(1, "", said)
    assert (answer.absent, answer.off) == (absent, off)


def test_an_answer_in_an_unexpected_form_makes_the_state_unknown_not_missing():
    for step in plan(TARGET):
        if step.check is not None and not step.check.is_text:
            assert state_of(step, lambda command: Answer(0, "Listed 0 items.")).name == "unknown", step.key


class Users:
    """Implements ``operators.Accounts``."""

    def __init__(self, **users):
        self.users, self.ended = {f"{name}@example.com": (name, claims) for name, claims in users.items()}, []

    def find(self, email):
        return self.users.get(email)

    def set_claims(self, user_id, claims):
        self.users[f"{user_id}@example.com"] = (user_id, claims)

    def end_sessions(self, user_id):
        self.ended.append(user_id)


def test_the_claim_is_given_and_removed_and_other_claims_stay():
    users = Users(ana={"admin": True})
    assert "is an operator" in operators.change(users, "ana@example.com", is_operator=True)
    assert users.users["ana@example.com"][1] == {"admin": True, "operator": True}
    assert "already so" in operators.change(users, "ana@example.com", is_operator=True)
    said = operators.change(users, "ana@example.com", is_operator=False)
    assert users.users["ana@example.com"][1] == {"admin": True}
    assert users.ended == ["ana"]
    assert "ana" not in said


def test_somebody_who_has_not_signed_up_cannot_become_an_operator():
    with pytest.raises(LookupError, match="sign up first"):
        operators.change(Users(), "ana@example.com", is_operator=True)


def test_an_invalid_email_address_is_rejected():
    with pytest.raises(BadTarget):
        email("ana")
    assert Command(("gcloud",)).shell() == "gcloud"


def test_every_shell_block_of_the_deploying_page_is_marked_as_needing_a_cloud():
    fences = re.findall(r"^```(.*)$", (ROOT / "docs" / "deploying.md").read_text(), re.MULTILINE)
    assert set(fences[::2]) == {"sh cloud"}
    assert set(fences[1::2]) == {""}


def test_the_deploying_page_names_what_the_plan_creates():
    page = (ROOT / "docs" / "deploying.md").read_text()
    target = Target("book-club-1", "us-central1")
    for name in (target.instance, target.bucket, target.source_bucket):
        assert f"`{name.replace(target.project, 'PROJECT')}`" in page
    for account in (target.functions_account, target.trainer_account, target.builder_account):
        assert f"`{account.partition('@')[0]}`" in page
    apis = len({**project.CLOUD_APIS, **project.FIREBASE_APIS})
    assert f"| APIs | {apis} |" in page
    assert max(len(project.CLOUD_APIS), len(project.FIREBASE_APIS)) <= 20  # at most so many in one call


def test_the_instructions_for_removal_name_every_function():
    page = (ROOT / "docs" / "deploying.md").read_text().split("## Undo")[1]
    for one in source.functions():
        assert one.name in page or (one.name.startswith("operator_") and "`operator_…`" in page)


def test_the_whole_plan_is_printed_if_the_project_cannot_be_checked(tmp_path):
    command = [sys.executable, "-m", "deploy", "plan", "--project", TARGET.project, "--region", TARGET.region]
    nothing = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT / "functions")}
    done = subprocess.run(command, cwd=ROOT, env=nothing, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "gcloud" in done.stderr
    titles = re.findall(r"^\d+\. (.*)  \[.*\]$", done.stdout, re.MULTILINE)
    assert titles == [step.title for step in plan(replace(TARGET, number="PROJECT_NUMBER"))]
    assert done.stdout.count("[cannot tell: the project was not checked]") > len(titles) / 2
