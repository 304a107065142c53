"""The project itself: billing, APIs, Firebase, the database."""

from __future__ import annotations

from deploy.commands import firebase, gcloud, rest
from deploy.steps import Check, Question, Step, names
from deploy.target import Target

CLOUD_APIS = {
    "cloudresourcemanager.googleapis.com": "reading the project and its IAM policy",
    "serviceusage.googleapis.com": "turning the other APIs on",
    "iam.googleapis.com": "the service accounts",
    "iamcredentials.googleapis.com": "tokens of tasks and events",
    "cloudfunctions.googleapis.com": "the functions",
    "run.googleapis.com": "the functions' services, and the training job",
    "eventarc.googleapis.com": "database events",
    "pubsub.googleapis.com": "delivery of those events",
    "cloudtasks.googleapis.com": "the queues retrain, fanout and similar",
    "cloudscheduler.googleapis.com": "the reconciler every five minutes",
    "compute.googleapis.com": "the project's default account, which builds the functions",
    "cloudbuild.googleapis.com": "building functions and the trainer's image",
    "artifactregistry.googleapis.com": "the images",
    "storage.googleapis.com": "the models",
    "logging.googleapis.com": "logs, and the metrics counted from them",
    "monitoring.googleapis.com": "the alerts",
}
FIREBASE_APIS = {
    "firebase.googleapis.com": "the project as a Firebase project, the web app",
    "firebasedatabase.googleapis.com": "the Realtime Database",
    "firebasestorage.googleapis.com": "access to model files",
    "firebaserules.googleapis.com": "the rules for that access",
    "firebasehosting.googleapis.com": "the pages",
    "identitytoolkit.googleapis.com": "sign-in",
    "firebaseappcheck.googleapis.com": "checking that requests come from the app",
}


def steps(target: Target) -> list[Step]:
    """Return the steps that lead to a project with a database."""
    return [
        _billing(target),
        _apis(target, "apis-cloud", "Turn on the APIs of Google Cloud", CLOUD_APIS),
        _apis(target, "apis-firebase", "Turn on the APIs of Firebase", FIREBASE_APIS),
        _firebase(target),
        _database(target),
    ]


def enabled_apis(target: Target) -> Question:
    """Return the question that lists the APIs that are on."""
    return Question(gcloud("services", "list", "--enabled", project=target.project, json_answer=True))


def databases(target: Target) -> Question:
    """Return the question that lists the database instances of all regions."""
    return Question(firebase("database:instances:list", project=target.project, json_answer=True))


def _billing(target: Target) -> Step:
    return Step(
        key="billing",
        title="The project has a billing account",
        why="Functions, jobs and databases outside the default region need the Blaze plan.",
        check=Check(
            Question(gcloud("billing", "projects", "describe", target.project, json_answer=True)),
            lambda billing: bool((billing or {}).get("billingEnabled")),
        ),
        remedy="Link one: gcloud billing accounts list; then "
        f"gcloud billing projects link {target.project} --billing-account ACCOUNT",
    )


def _apis(target: Target, key: str, title: str, apis: dict[str, str]) -> Step:
    return Step(
        key=key,
        title=title,
        why="; ".join(f"{name.partition('.')[0]}: {why}" for name, why in apis.items()) + ".",
        commands=(gcloud("services", "enable", *apis, project=target.project),),
        check=Check(
            enabled_apis(target),
            lambda enabled: set(apis) <= {one.get("config", {}).get("name") for one in enabled or []},
        ),
        remedy="Needs roles/serviceusage.serviceUsageAdmin. If it says that billing is off, wait a few minutes.",
    )


def _firebase(target: Target) -> Step:
    return Step(
        key="firebase",
        title="Make it a Firebase project",
        why="Database, rules, hosting and sign-in are parts of Firebase.",
        commands=(firebase("projects:addfirebase", target.project, project=target.project),),
        check=Check(
            Question(firebase("projects:list", project=target.project, json_answer=True)),
            lambda projects: target.project in [one.get("projectId") for one in projects or []],
        ),
        remedy="The first time, Firebase's terms have to be accepted in its console. Add the project there.",
    )


def _database(target: Target) -> Step:
    # firebase database:instances:create fails if there is no default instance yet.
    url = f"https://firebasedatabase.googleapis.com/v1beta/projects/{target.number or target.project}"
    url += f"/locations/{target.region}/instances?databaseId={target.instance}"
    return Step(
        key="database",
        title=f"Create the database {target.instance} in {target.region}",
        why="It holds entries, lists and the backend's state. Its region is permanent; the functions must be in it.",
        commands=(rest("POST", url, target.project, {"type": "DEFAULT_DATABASE"}),),
        check=Check(
            databases(target),
            lambda listed: (
                target.instance
                in names([one for one in listed or [] if one.get("location") == target.region and is_active(one)])
            ),
        ),
        remedy="A project has one default instance. If it is in another region, deploy there (REGION=…); if it has "
        "another name, give it with --instance; firebase database:instances:list shows both.",
    )


def is_active(instance: dict[str, object]) -> bool:
    """Return whether a database instance is neither disabled nor deleted."""
    return str(instance.get("state", "ACTIVE")).upper() == "ACTIVE"
