"""A deployment to a cloud that is a file: every call is a real process and is recorded."""

import json
import shutil

import pytest

from tests.deploy.conftest import PROJECTS, Desk

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
    """Return the calls that change something."""
    return [words for words in calls if not set(words) & set(READING) and "GET" not in words]


def of(calls, *words):
    return [one for one in calls if list(words) == one[: len(words)]]


def test_the_dry_run_prints_everything_and_changes_nothing(desk):
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


def test_apply_stops_if_it_cannot_tell_whether_a_step_is_done(desk):
    done = desk.run("apply", failing="gcloud iam service-accounts list")
    assert done.returncode == 1
    assert "cannot tell whether it is done" in done.stdout
    assert not of(desk.calls(), "gcloud", "iam", "service-accounts", "create")


def test_without_billing_apply_stops_and_says_how_to_link_an_account(desk):
    desk.open({**desk.state, "billing": {"billingEnabled": False}})
    done = desk.run("apply")
    assert done.returncode == 1
    assert "gcloud billing projects link book-club-1" in done.stdout
    assert changes(desk.calls()) == []


def test_a_project_that_cannot_be_seen_is_reported_first(desk):
    done = desk.run("apply", project="another-project")
    assert done.returncode == 2
    assert "gcloud auth login" in done.stderr
    assert len(desk.calls()) == 1


def test_a_missing_tool_is_reported(desk):
    (desk.bin / "firebase").unlink()
    done = desk.run("plan")
    assert done.returncode == 2
    assert "firebase is not installed" in done.stderr


@pytest.fixture(scope="module")
def first(tmp_path_factory, original):
    """A fresh project's first deployment: the desk, the output, and all calls."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(original, folder / "checkout")
    desk = Desk(folder, folder / "checkout")
    desk.open(json.loads((PROJECTS / "fresh.json").read_text()))
    done = desk.run("apply")
    return desk, done, desk.calls()


def test_a_fresh_project_gets_everything_in_an_order_that_works(first):
    desk, done, calls = first
    assert done.returncode == 0, done.stdout + done.stderr
    calls = changes(calls)
    # The fake fails if an API is off or a resource is missing: each was created in time.
    assert calls[0][:3] == ["gcloud", "services", "enable"]
    deploys = [one[one.index("--only") + 1] for one in of(calls, "firebase", "deploy")]
    assert deploys == ["database", "storage", "functions", "hosting"]
    assert (
        "A command reported a problem, but the step is done" in done.stdout
    )  # firebase-tools, of the cleanup of images
    state = desk.state
    assert [one["location"] for one in state["databases"]] == ["europe-west1"]
    names = {"recommender-functions", "recommender-trainer", "recommender-builder"}
    assert {one["email"].partition("@")[0] for one in state["accounts"]} == names
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


def test_the_token_is_on_no_command_line_and_in_no_file(first):
    desk, done, calls = first
    assert of(calls, "curl")
    assert not [words for words in calls if "token-of-nobody" in " ".join(words)]
    assert "token-of-nobody" not in done.stdout + done.stderr
    written = [path for path in desk.checkout.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert not [path for path in written if b"token-of-nobody" in path.read_bytes()]


def test_a_deployed_project_is_left_alone(made_desk):
    done = made_desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(made_desk.calls()) == []
    assert "\n0 of " in made_desk.run("plan").stdout


def without(state, lacks):
    """Return a project that lacks some of what was deployed."""
    state = json.loads(json.dumps(state))
    for key, names in lacks.items():
        if key == "policies":
            for resource in names:
                del state["policies"][resource]
        else:
            state[key] = [one for one in state[key] if not any(name in json.dumps(one) for name in names)]
    return state


def test_a_half_deployed_project_gets_only_what_it_lacks(made_desk):
    half = json.loads((PROJECTS / "half.json").read_text())
    made_desk.open(without(made_desk.state, half["lacks"]))
    done = made_desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [" ".join(words) for words in changes(made_desk.calls())]
    assert len(ran) == len(half["runs"]), "\n".join(ran)
    for line, wanted in zip(ran, half["runs"], strict=True):
        assert line.startswith(wanted), (line, wanted)


@pytest.mark.parametrize(
    ("failing", "lacks"),
    [
        ("gcloud services enable cloudresourcemanager", {"services": ["googleapis"]}),
        ("gcloud builds submit", {"tags": ["tags"], "alerts": ["silent"]}),
        ("firebase deploy --only functions", {"functions": ["functions/"], "alerts": ["silent"]}),
        ("gcloud alpha monitoring policies create", {"alerts": ["reconciler", "alarm"]}),
    ],
)
def test_a_failing_step_stops_the_rest_and_a_second_run_continues_there(made_desk, failing, lacks):
    made_desk.open(without(made_desk.state, lacks))
    done = made_desk.run("apply", failing=failing)
    assert done.returncode == 1
    (failed,) = changes(made_desk.calls())
    assert " ".join(failed).startswith(failing)
    for words in ("Stopped at step", "the service is currently unavailable", "What to do: "):
        assert words in done.stdout
    done = made_desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    again = changes(made_desk.calls())
    assert again[0] == failed
    assert len(again) == 2


def test_a_changed_source_is_deployed_and_nothing_else(made_desk):
    main = made_desk.checkout / "functions" / "main.py"
    text = main.read_text()
    main.unlink()  # the copy is a link to the original
    main.write_text(text + "\n# changed\n")
    done = made_desk.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [words[:4] for words in changes(made_desk.calls())] == [["firebase", "deploy", "--only", "functions"]]


def test_parameters_changed_by_hand_stay(made_desk):
    file = made_desk.checkout / "functions" / ".env.book-club-1"
    text = file.read_text()
    file.unlink()
    file.write_text(text.replace("RETRAIN_MINIMUM_CHANGES=20", "RETRAIN_MINIMUM_CHANGES=500"))
    assert made_desk.run("apply", "--trainer-timeout", "7200").returncode == 0
    lines = file.read_text().splitlines()
    assert "RETRAIN_MINIMUM_CHANGES=500" in lines
    assert "TRAINER_TIMEOUT_SECONDS=7200" in lines
    commands = [words[:4] for words in changes(made_desk.calls())]
    assert commands == [["gcloud", "run", "jobs", "deploy"], ["firebase", "deploy", "--only", "functions"]]
