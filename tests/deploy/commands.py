"""Every command of the plan, its checks, the doctor and the doctor's advice."""

import json
import re
import shlex

from deploy.commands import Answer
from deploy.doctor import examine
from deploy.plan import plan
from deploy.steps import state_of
from deploy.target import Target

TARGETS = [
    Target("book-club-1", "europe-west1", number="123456789012", notify="projects/book-club-1/notificationChannels/7"),
    Target("book-club-2", "us-central1", number="123456789012", snapshots=True, cpu=4, memory="16Gi"),
]


def planned():
    """Return the commands of all plans that change something."""
    return [list(one.argv) for target in TARGETS for step in plan(target) for one in step.commands]


def asked():
    """Return the commands that plan and doctor query with, if few queries get an answer."""
    asked_with = []

    def run(command):
        asked_with.append(list(command.argv))
        if command.argv[:3] == ("gcloud", "projects", "describe"):
            return Answer(0, json.dumps({"projectNumber": "123456789012"}))
        if command.argv[:2] == ("firebase", "apps:list"):
            return Answer(0, json.dumps([{"displayName": "book-recommender", "appId": "1:1:web:1"}]))
        if "firebase.storage" in command.argv[-1]:
            return Answer(0, json.dumps({"rulesetName": "projects/book-club-1/rulesets/1"}))
        return Answer(1, "", "404")

    for target in TARGETS:
        examine(target, run)
        for step in plan(target):
            state_of(step, run)
    return asked_with


def advised(examined):
    """Return the command lines in the doctor's advice; ``examined`` has its findings in several projects."""
    return [line for findings in examined.values() for one in findings for line in lines_in(one.fix)]


def lines_in(text):
    """Return the gcloud and firebase command lines in a text, with values for placeholders."""
    lines = []
    for part in re.split(r" && |; then,? |, then |: (?=gcloud|firebase)", text):
        if part.startswith(("gcloud ", "firebase ")):
            lines.append([word.replace("NUMBER", "7") for word in shlex.split(part)])
    return lines


def all_commands(examined):
    """Return all of them, each once; ``examined`` has the doctor's findings in several projects."""
    unique = {tuple(words): list(words) for words in [*planned(), *asked(), *advised(examined)]}
    return list(unique.values())
