"""Projects with a fault, and the doctor's findings."""

import copy
import json
from pathlib import Path

from deploy.commands import Answer
from deploy.doctor import examine
from deploy.target import ROOT, Target
from tests.deploy.cloud import Cloud

FAULTS = json.loads((Path(__file__).parent / "projects" / "faults.json").read_text())


def runner(state, asked=None):
    """Return a function that runs commands in this process. The tests of apply use real processes."""
    cloud = Cloud(state, ROOT)

    def run(command):
        if asked is not None:
            asked.append(command)
        return Answer(*cloud.answer(list(command.argv)))

    return run


def with_app_check(state):
    """Return a copy of a state, with App Check on."""
    services = ["firebasedatabase.googleapis.com", "firebasestorage.googleapis.com"]
    return {**copy.deepcopy(state), "app_check": dict.fromkeys(services, "ENFORCED")}


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


TARGET = Target("book-club-1", "europe-west1")


def findings_in(state, target=TARGET):
    """Return the doctor's findings."""
    return examine(target, runner(state))


def examined(state):
    """Return the findings for each fault in a deployed project, by the fault's name."""
    return {fault["fault"]: findings_in(damage(with_app_check(state), fault)) for fault in FAULTS}
