"""The pages: the web app that they use to sign in, their configuration, and hosting."""

from __future__ import annotations

import json
from typing import Any

from deploy.commands import Command, firebase
from deploy.parts.rules import deploy
from deploy.source import digest
from deploy.steps import Check, LocalFile, Question, Step
from deploy.target import ROOT, WEB_APP, Target

CONFIG = ROOT / "web" / "config.json"
SOURCE = ("web", "firebase.json")


def steps(target: Target) -> list[Step]:
    """Return the steps of the pages."""
    create = firebase("apps:create", "WEB", WEB_APP, project=target.project)
    return [
        Step(
            "web-app",
            f"Register the web app {WEB_APP}",
            "The pages use its configuration, which is public, to sign in.",
            (create,),
            Check(web_apps(target), lambda listed: _app_id(listed) is not None),
        ),
        Step(
            key="web-config",
            title="Write web/config.json",
            why="The pages read it. It names this project's database, bucket and region, and contains no secret.",
            file=LocalFile(CONFIG, lambda answer: _configuration(target, answer), (_sdk_configuration(target),)),
        ),
        Step(
            "hosting",
            "Deploy the pages",
            "The reader's and the operator's page, at the project's address. The message of the release identifies "
            "its source.",
            (deploy(target, "hosting", "--message", release_message()),),
            Check(_channels(target), _is_current),
            remedy="If there is no site yet: firebase hosting:sites:create. Turn on sign-in by e-mail in the console, "
            "under Authentication.",
        ),
    ]


def web_apps(target: Target) -> Question:
    """Return the question that lists the project's web apps."""
    return Question(firebase("apps:list", "WEB", project=target.project, json_answer=True))


def release_message() -> str:
    """Return the message of a release of this source."""
    return f"source {digest(*SOURCE)}"


def _app_id(listed: Any) -> str | None:
    return next((str(one["appId"]) for one in listed or [] if one.get("displayName") == WEB_APP), None)


def _sdk_configuration(target: Target) -> Question:
    def of_app(listed: Any) -> Command | None:
        app = _app_id(listed)
        return firebase("apps:sdkconfig", "WEB", app, project=target.project, json_answer=True) if app else None

    return Question(web_apps(target).command, of_app)


def _configuration(target: Target, answer: Any) -> str:
    sdk = answer["sdkConfig"]
    wanted = {
        "apiKey": sdk["apiKey"],
        "authDomain": sdk["authDomain"],
        "databaseURL": target.database_url,
        "projectId": target.project,
        "storageBucket": target.bucket,
        "region": target.region,
    }
    return json.dumps(wanted, indent=2) + "\n"


def _channels(target: Target) -> Question:
    words = ("hosting:channel:list", "--config", target.firebase_file.name)
    return Question(firebase(*words, project=target.project, json_answer=True))


def _is_current(answer: Any) -> bool:
    channels = (answer or {}).get("channels", [])
    live: dict[str, Any] = next((one for one in channels if str(one.get("name", "")).endswith("/live")), {})
    return bool((live.get("release") or {}).get("message") == release_message())
