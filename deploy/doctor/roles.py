"""Whether an account has more than it needs; that one has less, the plan's own steps find."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.commands import gcloud
from deploy.doctor.findings import Finding, Look
from deploy.parts import access
from deploy.steps import Question

_BUILDS = "roles/cloudbuild.builds.builder"
_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}


def too_wide(look: Look) -> Iterator[Finding]:
    """Find roles of the three accounts that the plan does not give, on the project and on the bucket."""
    target = look.target
    accounts = {target.functions_account, target.trainer_account, target.builder_account}
    wanted = {(one.member, one.role, one.resource) for one in access.all_grants(target)}
    for kind, resource in (("project", target.project), ("bucket", target.bucket)):
        one = next(grant for grant in access.early_grants(target) if grant.kind == kind)
        for binding in (look.at(Question(access.policy_of(target, one))) or {}).get("bindings", []):
            for member in binding.get("members", []):
                role = binding.get("role", "")
                if member.partition(":")[2] in accounts and (member, role, resource) not in wanted:
                    yield _too_wide(look, kind, resource, member, role)


def _too_wide(look: Look, kind: str, resource: str, member: str, role: str) -> Finding:
    where = {"project": ("projects",), "bucket": ("storage", "buckets")}[kind]
    name = resource if kind == "project" else f"gs://{resource}"
    words = (*where, "remove-iam-policy-binding", name, "--member", member, "--role", role)
    all_conditions = ("--all",) if kind == "project" else ()
    return Finding(
        "error",
        "role-too-wide",
        "An account may do more than it needs",
        f"{member} has {role} on the {kind} {resource}",
        gcloud(*words, *all_conditions).shell(),
    )


def public(look: Look) -> Iterator[Finding]:
    """Find a bucket that everybody may read."""
    target = look.target
    grant = next(one for one in access.early_grants(target) if one.resource == target.bucket)
    for binding in (look.at(Question(access.policy_of(target, grant))) or {}).get("bindings", []):
        for member in sorted(_EVERYBODY & set(binding.get("members", []))):
            role = binding.get("role", "")
            words = ("storage", "buckets", "remove-iam-policy-binding", f"gs://{target.bucket}")
            yield Finding(
                "error",
                "bucket-public",
                "Everybody may read the models' bucket",
                f"{member} has {role} on {target.bucket}: snapshots and lists in it name readers",
                gcloud(*words, "--member", member, "--role", role).shell(),
            )


def build_account(look: Look) -> Iterator[Finding]:
    """Tell which account builds the functions, where it may not."""
    target = look.target
    grant = next(one for one in access.early_grants(target) if one.kind == "project")
    policy = look.at(Question(access.policy_of(target, grant)))
    account = f"serviceAccount:{target.number}-compute@developer.gserviceaccount.com"
    held = {one.get("role") for one in (policy or {}).get("bindings", []) if account in one.get("members", [])}
    words = ("projects", "add-iam-policy-binding", target.project, "--member", account)
    give = gcloud(*words, "--role", _BUILDS, "--condition", "None").shell()
    if policy is not None and not held & {_BUILDS, "roles/editor", "roles/owner"}:
        evidence = f"{account} has none of {_BUILDS}, roles/editor: new projects build functions as this account"
        yield Finding("note", "build-account", "Building functions may fail", evidence, give)
    elif held & {"roles/editor", "roles/owner"}:
        evidence = f"{account} has {', '.join(sorted(held & {'roles/editor', 'roles/owner'}))}, and builds functions"
        take = "projects", "remove-iam-policy-binding", target.project, "--member", account, "--role", "roles/editor"
        fix = f"{give}; then, if nothing else runs as it: {gcloud(*take, '--all').shell()}"
        yield Finding("note", "build-account", "The default account may do nearly everything", evidence, fix)


CHECKS = (too_wide, public, build_account)
