"""The accounts of functions, trainer and builder, and what each may do: docs/access.md as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deploy.commands import Command, gcloud
from deploy.source import Function, functions
from deploy.steps import Check, Question, Step, has_role
from deploy.target import JOB, REPOSITORY, Target

Kind = Literal["project", "account", "bucket", "repository", "job", "queue", "service"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of an account on one resource, and the reason for it."""

    account: str
    role: str
    kind: Kind
    resource: str
    why: str

    @property
    def member(self) -> str:
        """Return the account in the form that policies use."""
        return f"serviceAccount:{self.account}"


def account_steps(target: Target) -> list[Step]:
    """Return the steps that create the accounts."""
    whose = {
        target.functions_account: (
            "functions",
            "The functions run as this account, not as the default account with its role Editor.",
        ),
        target.trainer_account: (
            "trainer",
            "The training job runs as this account, the only one that may write models.",
        ),
        target.builder_account: (
            "builder",
            "The image is built as this account: it sees the source and none of the data.",
        ),
    }
    asked = Question(gcloud("iam", "service-accounts", "list", project=target.project, json_answer=True))
    steps = []
    for account, (name, why) in whose.items():
        create = gcloud(
            *("iam", "service-accounts", "create", account.partition("@")[0]),
            *("--display-name", f"Book recommender: {name}"),
            project=target.project,
        )
        title = f"Create the account of the {name}"
        steps.append(Step(f"account-{name}", title, why, (create,), Check(asked, _has_account(account))))
    return steps


def _has_account(account: str) -> Callable[[Any], bool]:
    return lambda accounts: account in [one.get("email") for one in accounts or []]


BUILDS = "roles/cloudbuild.builds.builder"
_WIDER = {BUILDS, "roles/editor", "roles/owner"}


def default_account(target: Target) -> str:
    """Return the project's default account: firebase-tools cannot build functions as any other."""
    return f"{target.number}-compute@developer.gserviceaccount.com"


def build_step(target: Target) -> Step:
    """Return the step that lets functions be built: in new projects the default account has no roles."""
    member = f"serviceAccount:{default_account(target)}"
    give = gcloud(
        *("projects", "add-iam-policy-binding", target.project),
        *("--member", member, "--role", BUILDS, "--condition", "None"),
        json_answer=True,
    )
    asked = Question(gcloud("projects", "get-iam-policy", target.project, json_answer=True))
    return Step(
        key="build-account",
        title=f"Let the default account build functions: {BUILDS}",
        why="Google builds functions as this account. In older projects it has the wider role Editor, which is left "
        "alone; doctor reports it.",
        commands=(give,),
        check=Check(asked, lambda policy: any(has_role(policy, member, role) for role in _WIDER)),
        remedy="The account is created when the Compute Engine API is turned on: wait a minute, and run this again.",
    )


def early_grants(target: Target) -> list[Grant]:
    """Return the roles that are given before anything is deployed."""
    functions_, trainer, builder = target.functions_account, target.trainer_account, target.builder_account
    return [
        Grant(
            functions_,
            "roles/firebasedatabase.admin",
            "project",
            target.project,
            "entries, lists, marks and the pointer",
        ),
        Grant(functions_, "roles/eventarc.eventReceiver", "project", target.project, "receiving database events"),
        Grant(functions_, "roles/storage.objectViewer", "bucket", target.bucket, "reading the models' files"),
        Grant(
            functions_,
            "roles/iam.serviceAccountUser",
            "account",
            functions_,
            "tasks, which carry a token of this account to call the functions",
        ),
        Grant(trainer, "roles/firebasedatabase.admin", "project", target.project, "entries, lease, pointer and status"),
        Grant(trainer, "roles/storage.objectUser", "bucket", target.bucket, "uploading versions and removing old ones"),
        Grant(builder, "roles/logging.logWriter", "project", target.project, "the logs of builds"),
        Grant(builder, "roles/storage.objectViewer", "bucket", target.source_bucket, "reading the uploaded source"),
        Grant(builder, "roles/artifactregistry.writer", "repository", REPOSITORY, "pushing the image"),
    ]


def job_grants(target: Target) -> list[Grant]:
    """Return the roles on the training job."""
    why = "starting a run with its own arguments and timeout"
    return [Grant(target.functions_account, "roles/run.jobsExecutorWithOverrides", "job", JOB, why)]


def late_grants(target: Target, deployed: Sequence[Function] | None = None) -> list[Grant]:
    """Return the roles on what deploying the functions creates: queues and services."""
    all_functions = functions() if deployed is None else deployed
    account = target.functions_account
    queues = [
        Grant(account, "roles/cloudtasks.enqueuer", "queue", one.name, "queueing tasks")
        for one in all_functions
        if one.kind == "task"
    ]
    services = [
        Grant(account, "roles/run.invoker", "service", one.service, f"invocations by the {one.kind} trigger")
        for one in all_functions
        if one.kind != "callable"
    ]
    return queues + services


def all_grants(target: Target) -> list[Grant]:
    """Return every role that the accounts have."""
    return [*early_grants(target), *job_grants(target), *late_grants(target)]


def grant_step(target: Target, grant: Grant) -> Step:
    """Return the step that gives a role."""
    words = policy_words(target, grant)
    condition = ("--condition", "None") if grant.kind in {"project", "account", "bucket"} else ()
    give = gcloud(
        *_verb(words, "add-iam-policy-binding"),
        *("--member", grant.member, "--role", grant.role, *condition),
        project=_project(target, grant),
        json_answer=True,
    )
    short = grant.account.partition("@")[0]
    return Step(
        key=f"role-{short}-{grant.role.removeprefix('roles/')}-{grant.kind}-{grant.resource}",
        title=f"Give {short} {grant.role} on the {grant.kind} {grant.resource}",
        why=f"For {grant.why}.",
        commands=(give,),
        check=Check(Question(policy_of(target, grant)), lambda policy: has_role(policy, grant.member, grant.role)),
        remedy="It can take a minute until a new account is known everywhere: run the same command again. Giving roles "
        "on the project needs roles/resourcemanager.projectIamAdmin.",
    )


def policy_of(target: Target, grant: Grant) -> Command:
    """Return the command that reads the policy of the resource that a role is on."""
    words = _verb(policy_words(target, grant), "get-iam-policy")
    return gcloud(*words, project=_project(target, grant), json_answer=True)


def policy_words(target: Target, grant: Grant) -> tuple[str, ...]:
    """Return gcloud's words for a resource with a policy; ``VERB`` stands where the verb does."""
    region, name = target.region, grant.resource
    words: dict[Kind, tuple[str, ...]] = {
        "project": ("projects", "VERB", name),
        "account": ("iam", "service-accounts", "VERB", name),
        "bucket": ("storage", "buckets", "VERB", f"gs://{name}"),
        "repository": ("artifacts", "repositories", "VERB", name, "--location", region),
        "job": ("run", "jobs", "VERB", name, "--region", region),
        "queue": ("tasks", "queues", "VERB", name, "--location", region),
        "service": ("run", "services", "VERB", name, "--region", region),
    }
    return words[grant.kind]


def _verb(words: Sequence[str], verb: str) -> list[str]:
    return [verb if word == "VERB" else word for word in words]


def _project(target: Target, grant: Grant) -> str:
    # For a grant on the project, the project is the resource itself.
    return "" if grant.kind == "project" else target.project
