"""A deployment against a cloud that is a file: every call is a real process, and every call is kept."""

import json

import pytest

from tests.deploy.conftest import PROJECTS

READING = (
    "list",
    "describe",
    "get-iam-policy",
    "projects:list",
    "database:instances:list",
    "database:get",
    "apps:list",
)
READING += ("apps:sdkconfig", "hosting:channel:list", "print-access-token")


def changes(calls):
    """Return the calls that are not only questions."""
    return [words for words in calls if not set(words) & set(READING) and "GET" not in words]


def of(calls, *words):
    return [one for one in calls if list(words) == one[: len(words)]]


def test_the_dry_run_says_everything_and_changes_nothing(desk):
    before = desk.state
    done = desk.run("plan")
    assert done.returncode == 0, done.stderr
    assert changes(desk.calls()) == []
    assert desk.state == before
    numbers = [line.split(".")[0] for line in done.stdout.splitlines() if line.endswith("[to do]")]
    assert len(numbers) > 40
    assert "1. The project has a billing account  [done, would be skipped]" in done.stdout
    for command in (
        "gcloud services enable",
        "firebase deploy --only functions",
        "gcloud run jobs deploy book-trainer",
    ):
        assert command in done.stdout
    assert not (desk.checkout / "functions" / ".env.book-club-1").exists()


def test_a_fresh_project_gets_everything_in_an_order_that_works(desk):
    done = desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    calls = changes(desk.calls())
    # The stand-in refuses what needs an API that is off, or a thing that is not there: each was made in time.
    assert of(calls, "gcloud", "services", "enable")[0] == calls[0]
    deploys = [one[one.index("--only") + 1] for one in of(calls, "firebase", "deploy")]
    assert deploys == ["database", "storage", "functions", "hosting"]
    state = desk.state
    assert [one["location"] for one in state["databases"]] == ["europe-west1"]
    assert {one["email"].partition("@")[0] for one in state["accounts"]} == {
        "recommender-functions",
        "recommender-trainer",
        "recommender-builder",
    }
    (job,) = state["jobs"]
    run = job["spec"]["template"]["spec"]["template"]["spec"]
    assert (run["maxRetries"], run["timeoutSeconds"]) == (0, "3600")
    assert run["serviceAccountName"].startswith("recommender-trainer@")
    config = json.loads((desk.checkout / "web" / "config.json").read_text())
    assert config == {
        "apiKey": "a-public-key",
        "authDomain": "book-club-1.firebaseapp.com",
        "databaseURL": "https://book-club-1-default-rtdb.europe-west1.firebasedatabase.app",
        "projectId": "book-club-1",
        "storageBucket": "book-club-1-book-models",
        "region": "europe-west1",
    }


def test_a_made_project_is_left_alone(desk):
    assert desk.run("apply").returncode == 0
    desk.calls()
    done = desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(desk.calls()) == []
    assert "\n0 of " in desk.run("plan").stdout


def test_a_half_made_project_gets_only_what_it_lacks(desk, made):
    half = json.loads((PROJECTS / "half.json").read_text())
    state = json.loads(json.dumps(made[0]))
    for key, names in half["lacks"].items():
        if key == "policies":
            for resource in names:
                del state["policies"][resource]
        else:
            state[key] = [one for one in state[key] if not any(name in json.dumps(one) for name in names)]
    desk.open(state)
    done = desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [" ".join(words) for words in changes(desk.calls())]
    assert len(ran) == len(half["runs"]), ran
    for line, wanted in zip(ran, half["runs"], strict=True):
        assert line.startswith(wanted), (line, wanted)


@pytest.mark.parametrize(
    "failing",
    [
        "gcloud services enable cloudresourcemanager",
        "gcloud iam service-accounts create recommender-trainer",
        "gcloud builds submit",
        "firebase deploy --only functions",
        "gcloud alpha monitoring policies create",
    ],
)
def test_a_failing_step_stops_the_rest_and_a_second_run_goes_on_from_there(desk, failing):
    done = desk.run("apply", failing=failing)
    assert done.returncode == 1
    calls = changes(desk.calls())
    assert " ".join(calls[-1]).startswith(failing)
    assert "Stopped at step" in done.stdout
    assert "the service is currently unavailable" in done.stdout
    assert "What to do: " in done.stdout
    done = desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    again = changes(desk.calls())
    assert " ".join(again[0]).startswith(failing)
    assert not [words for words in again[1:] if words in calls[:-1]]


def test_where_it_cannot_tell_whether_a_step_is_done_it_stops(desk):
    done = desk.run("apply", failing="gcloud iam service-accounts list")
    assert done.returncode == 1
    assert "cannot tell whether it is done" in done.stdout
    assert not of(desk.calls(), "gcloud", "iam", "service-accounts", "create")


def test_without_billing_it_stops_and_says_how_to_link_an_account(desk):
    desk.open({**desk.state, "billing": {"billingEnabled": False}})
    done = desk.run("apply")
    assert done.returncode == 1
    assert "gcloud billing projects link book-club-1" in done.stdout
    assert changes(desk.calls()) == []


def test_a_project_that_cannot_be_seen_is_said_before_anything(desk):
    done = desk.run("apply", project="another-project")
    assert done.returncode == 2
    assert "gcloud auth login" in done.stderr
    assert len(desk.calls()) == 1


def test_a_project_without_a_tool_is_said(desk):
    (desk.bin / "firebase").unlink()
    done = desk.run("plan")
    assert done.returncode == 2
    assert "firebase is not installed" in done.stderr


def test_a_changed_source_is_deployed_and_nothing_else(desk):
    assert desk.run("apply").returncode == 0
    desk.calls()
    main = desk.checkout / "functions" / "main.py"
    text = main.read_text()
    main.unlink()  # the copy is a link to the original
    main.write_text(text + "\n# changed\n")
    done = desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [words[:4] for words in changes(desk.calls())] == [["firebase", "deploy", "--only", "functions"]]


def test_what_was_changed_by_hand_in_the_parameters_stays(desk):
    assert desk.run("apply").returncode == 0
    file = desk.checkout / "functions" / ".env.book-club-1"
    file.write_text(file.read_text().replace("RETRAIN_MINIMUM_CHANGES=20", "RETRAIN_MINIMUM_CHANGES=500"))
    desk.calls()
    assert desk.run("apply", "--trainer-timeout", "7200").returncode == 0
    lines = file.read_text().splitlines()
    assert "RETRAIN_MINIMUM_CHANGES=500" in lines
    assert "TRAINER_TIMEOUT_SECONDS=7200" in lines
    commands = [words[:4] for words in changes(desk.calls())]
    assert commands == [["gcloud", "run", "jobs", "deploy"], ["firebase", "deploy", "--only", "functions"]]


def test_the_token_is_on_no_command_line_and_in_no_file(desk):
    done = desk.run("apply")
    calls = desk.calls()
    assert done.returncode == 0
    assert of(calls, "curl")
    assert not [words for words in calls if "token-of-nobody" in " ".join(words)]
    assert "token-of-nobody" not in done.stdout + done.stderr
    written = [path for path in desk.checkout.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert not [path for path in written if b"token-of-nobody" in path.read_bytes()]
