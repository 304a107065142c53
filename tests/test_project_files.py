"""Files for the machines and tools around the project: they can be read, and agree with what they repeat."""

import ast
import configparser
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
CI = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
RUN = (ROOT / ".ci/run").read_text()
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
DOCKERFILE = (ROOT / ".devcontainer/Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NODE = json.loads((ROOT / "package.json").read_text())["engines"]["node"].removeprefix(">=")
FORWARDED = ("auth", "database", "functions", "hosting", "hub", "logging", "storage", "ui")
"""What a browser outside the development container talks to."""


def locked(package):
    return re.search(rf"^{package}==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)[1]


def test_the_workflow_runs_what_the_projects_own_ci_runs_in_the_development_container():
    [job] = CI["jobs"].values()
    checkout, run = job["steps"][:2]
    assert checkout["uses"].startswith("actions/checkout@")
    assert run["uses"].startswith("devcontainers/ci@")
    assert run["with"]["runCmd"] == "bash .ci/run"
    assert CI["permissions"] == {"contents": "read"}


def test_the_development_container_has_every_python_that_the_project_supports():
    versions = re.findall(r"^FROM python:(\d+\.\d+)-bookworm", DOCKERFILE, re.MULTILINE)
    assert versions == ["3.11", "3.12", "3.13"]
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(9, 20) if supported.contains(f"3.{minor}.1")] == versions


def test_a_python_in_a_folder_with_a_space_makes_the_environments():
    python, stamps = "/a b/python3.13", [f".setup/{name}" for name in ("dev", "functions", "tflite", "node")]
    words = ["make", "--dry-run", "--always-make", *stamps, f"PYTHON={python}"]
    recipes = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout
    assert f'"{python}" -m venv' in recipes
    assert recipes.count(f'"{python}"') == recipes.count(python)


def test_the_development_container_has_the_node_and_the_packages_that_ci_asks_for():
    assert f"FROM node:{NODE}-bookworm" in DOCKERFILE
    needed = set(re.findall(r"apt-get install [^;]*?([\w.-]+);", RUN))
    assert needed == {"chromium", "libgomp1"}
    installed = re.search(r"apt-get install ([^&]*)", DOCKERFILE.replace("\\\n", " "))[1].split()
    assert needed <= set(installed)
    assert (ROOT / ".devcontainer" / CONTAINER["build"]["dockerfile"]).exists()
    assert CONTAINER["postCreateCommand"] == "make setup"


def test_the_development_container_forwards_the_ports_of_the_emulators():
    emulators = json.loads((ROOT / "firebase.json").read_text())["emulators"]
    labels = {int(port): attributes["label"] for port, attributes in CONTAINER["portsAttributes"].items()}
    assert labels == {emulators[name]["port"]: name for name in FORWARDED}
    assert CONTAINER["forwardPorts"] == sorted(labels)


def test_the_hooks_check_with_the_ruff_that_the_requirements_lock():
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert sorted(hooks) == ["ruff-check", "ruff-format"]
    for hook in hooks.values():
        program, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        done = subprocess.run([ROOT / program, "--version"], capture_output=True, text=True, check=True, timeout=300)
        assert done.stdout.split() == ["ruff", locked("ruff")]
        checked = [ROOT / program, *(word for word in arguments if word != "--fix"), __file__]
        assert subprocess.run(checked, cwd=ROOT, capture_output=True, timeout=300).returncode == 0


@pytest.mark.parametrize(
    ("section", "name", "expected"), [("*.{kt,py}", "indent_size", "4"), ("Makefile", "indent_style", "tab")]
)
def test_editors_indent_as_the_files_do(section, name, expected):
    assert editors()[section][name] == expected


def test_editors_and_ruff_have_the_same_longest_line():
    assert int(editors()["*.py"]["max_line_length"]) == PROJECT["tool"]["ruff"]["line-length"]


def editors():
    found = configparser.ConfigParser()
    found.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert found["top"]["root"] == "true"
    return found


def test_the_security_policy_names_a_way_that_every_repository_has_and_no_address():
    policy = (ROOT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in policy
    assert "docs/security.md" in policy
    assert "@" not in policy


def test_no_file_holds_a_merge_that_nobody_has_finished():
    command = ["git", "grep", "-lE", "^(<<<<<<<|>>>>>>>) "]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")


def test_no_test_waits_for_ever_for_a_program_that_it_runs():
    without = []
    for path in sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("emulator/tests/**/*.py")]):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        runs = [call for call in calls if ast.unparse(call.func) == "subprocess.run"]
        without += [f"{path}:{run.lineno}" for run in runs if "timeout" not in {word.arg for word in run.keywords}]
    assert without == []
