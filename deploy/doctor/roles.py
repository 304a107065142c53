"""Checks that no account has more roles than it needs. Missing roles show as steps that are not done."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.commands import gcloud
from deploy.doctor.findings import Finding, Probe
from deploy.parts import access
from deploy.steps import Question

_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}


def too_wide(probe: Probe) -> Iterator[Finding]:
    """Find roles on the project and the bucket that the three accounts have and the plan does not give."""
    target = probe.target
    accounts = {target.functions_account, target.trainer_account, target.builder_account}
    wanted = {(one.member, one.role, one.resource) for one in access.all_grants(target)}
    for kind, resource in (("project", target.project), ("bucket", target.bucket)):
        one = next(grant for grant in access.early_grants(target) if grant.kind == kind)
        for binding in (probe.json(Question(access.policy_of(target, one))) or {}).get("bindings", []):
            for member in binding.get("members", []):
                role = binding.get("role", "")
                if member.partition(":")[2] in accounts and (member, role, resource) not in wanted:
                    yield _too_wide(probe, kind, resource, member, role)


def _too_wide(probe: Probe, kind: str, resource: str, member: str, role: str) -> Finding:
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


def public(probe: Probe) -> Iterator[Finding]:
    """Find a bucket that everybody can read."""
    target = probe.target
    grant = next(one for one in access.early_grants(target) if one.resource == target.bucket)
    for binding in (probe.json(Question(access.policy_of(target, grant))) or {}).get("bindings", []):
        for member in sorted(_EVERYBODY & set(binding.get("members", []))):
            role = binding.get("role", "")
            words = ("storage", "buckets", "remove-iam-policy-binding", f"gs://{target.bucket}")
            yield Finding(
                "error",
                "bucket-public",
                "Everybody can read the models' bucket",
                f"{member} has {role} on {target.bucket}: snapshots and lists in it name readers",
                gcloud(*words, "--member", member, "--role", role).shell(),
            )


def build_account(probe: Probe) -> Iterator[Finding]:
    """Report it if the account that builds functions may do nearly everything."""
    target = probe.target
    member = f"serviceAccount:{access.default_account(target)}"
    policy = probe.json(Question(gcloud("projects", "get-iam-policy", target.project, json_answer=True))) or {}
    held = {one.get("role") for one in policy.get("bindings", []) if member in one.get("members", [])}
    for role in sorted(held & {"roles/editor", "roles/owner"}):
        words = ("projects", "add-iam-policy-binding", target.project, "--member", member)
        give = gcloud(*words, "--role", access.BUILDS, "--condition", "None").shell()
        words = ("projects", "remove-iam-policy-binding", target.project, "--member", member)
        take = gcloud(*words, "--role", role, "--all").shell()
        fix = f"If nothing else uses it: {give} && {take}"
        title = "The default account may do nearly everything"
        yield Finding("note", "default-account", title, f"{member} has {role}, and builds functions", fix)


CHECKS = (too_wide, public, build_account)
