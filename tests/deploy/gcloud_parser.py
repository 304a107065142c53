"""gcloud's own parser if gcloud is installed, and otherwise a table of what it accepts.

gcloud can check a command line without running it (``gcloud meta lint-gcloud-commands``). It is not
available as a Python, Node or Debian package, so a newcomer may not have it. The table ``gcloud_table.json`` has, for
each command in use, the options and the number of names that gcloud's parser reports; regenerate it with
``python -m tests.deploy.gcloud_parser``, which needs gcloud. Each command's page is
https://cloud.google.com/sdk/gcloud/reference/ with the command's words as its path.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TABLE = Path(__file__).parent / "gcloud_table.json"

MANY = ("gcloud services enable",)
"""Commands that take any number of names; the parser does not report this."""


def gcloud():
    """Return the path of gcloud, or None."""
    return shutil.which("gcloud")


def said_by_gcloud(lines):
    """Return what gcloud's own parser says about command lines, in order; nothing is run, without a login."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "commands.json"
        file.write_text(json.dumps([{"command_string": shlex.join(words)} for words in lines]))
        environment = {
            **os.environ,
            "CLOUDSDK_CONFIG": folder,
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        }
        command = [gcloud(), "meta", "lint-gcloud-commands", "--commands-file", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(lines)
    return results


def problems_by_gcloud(lines):
    """Return the problems that gcloud's own parser finds: (line, message)."""
    said = said_by_gcloud(lines)
    return [(one["command_string"], one["error_message"]) for one in said if not one["success"]]


def stated(said):
    """Return the table's row for a command: options with their kinds, and how many names it takes."""
    options, names = {}, []

    def walk(node):
        if "group" in node:
            node = node["group"]
        for one in node.get("arguments", []):
            if one.get("positional"):
                names.append(one["name"])
            elif "name" in one:
                kind = "bool" if one["type"] == "bool" else "value"
                options[f"--{one['name']}"] = one.get("choices") or kind
            walk(one)

    walk(said["args_structure"])
    return {"names": len(names), "options": dict(sorted(options.items()))}


def problems_by_table(lines):
    """Return the problems that the table shows: (line, message)."""
    told = json.loads(TABLE.read_text())
    table = told["commands"]
    for row in table.values():
        row["options"] |= told["everywhere"]
    return [(shlex.join(words), problem) for words in lines if (problem := _problem(table, words))]


def _problem(table, words):
    command = next(
        (one for one in sorted(table, key=len, reverse=True) if words[: len(one.split())] == one.split()), None
    )
    if command is None:
        return "no such command in the table"
    row, rest, names = table[command], list(words[len(command.split()) :]), 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            names += 1
            continue
        kind = row["options"].get(word) or row["options"].get(f"--{word.removeprefix('--no-')}")
        if kind is None:
            return f"no option {word}"
        if kind != "bool":
            if not rest or rest[0].startswith("--"):
                return f"{word} lacks its value"
            value = rest.pop(0)
            if isinstance(kind, list) and value not in kind:
                return f"{word} is one of {kind}"
    fewest = 0 if command.endswith(" list") else row["names"]
    if command not in MANY and not fewest <= names <= row["names"]:
        return f"{names} names where it takes {row['names']}"
    return None


def main():
    from tests.deploy import faults
    from tests.deploy.commands import all_commands
    from tests.deploy.conftest import TARGET, copy_checkout, make_project

    with tempfile.TemporaryDirectory() as folder:
        state = make_project(copy_checkout(Path(folder)), TARGET)
    lines = [words for words in all_commands(faults.examined(state)) if words[0] == "gcloud"]
    rows = {one["command_string_no_args"]: stated(one) for one in said_by_gcloud(lines)}
    version = subprocess.run([gcloud(), "version", "--format=json"], capture_output=True, text=True, timeout=60)
    common = set.intersection(
        *({(name, kind) for name, kind in row["options"].items() if isinstance(kind, str)} for row in rows.values())
    )
    for row in rows.values():
        row["options"] = {name: kind for name, kind in row["options"].items() if name not in dict(common)}
    head = {"source": "gcloud meta lint-gcloud-commands", "version": json.loads(version.stdout)["Google Cloud SDK"]}
    head["everywhere"] = dict(sorted(common))
    TABLE.write_text(json.dumps({**head, "commands": dict(sorted(rows.items()))}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
