"""The files for gcloud: their fields and values, and that alerts watch what the code logs."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.parts import monitoring, trainer
from tests.deploy.conftest import ROOT
from tests.deploy.gcloud_parser import gcloud

DEPLOY = ROOT / "deploy"
FUNCTIONS = "\n".join(path.read_text() for path in (ROOT / "functions" / "backend").rglob("*.py"))

# By field, what may be in it: None for a value, else the fields below it. Written by hand from
# https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies,
# https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards,
# https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.metrics,
# https://cloud.google.com/storage/docs/json_api/v1/buckets (lifecycle, cors) and
# https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy.
AGGREGATION = {"alignmentPeriod": None, "perSeriesAligner": None, "crossSeriesReducer": None, "groupByFields": None}
LOG_MATCH = {"filter": None, "labelExtractors": {"alarm": None}}
ABSENT = {"filter": None, "aggregations": AGGREGATION, "duration": None, "trigger": {"count": None, "percent": None}}
ALERT = {
    "displayName": None,
    "documentation": {"content": None, "mimeType": None, "subject": None},
    "userLabels": {"system": None},
    "combiner": None,
    "conditions": {"displayName": None, "conditionMatchedLog": LOG_MATCH, "conditionAbsent": ABSENT},
    "alertStrategy": {"notificationRateLimit": {"period": None}, "autoClose": None},
}
LABEL = {"key": None, "valueType": None, "description": None}
METRIC = {
    "name": None,
    "description": None,
    "filter": None,
    "metricDescriptor": {"metricKind": None, "valueType": None, "unit": None, "labels": LABEL},
    "labelExtractors": {"alarm": None},
    "valueExtractor": None,
}
SERIES = {"timeSeriesFilter": {"filter": None, "aggregation": AGGREGATION}}
CHART = {
    "dataSets": {"timeSeriesQuery": SERIES, "plotType": None, "targetAxis": None},
    "yAxis": {"label": None, "scale": None},
}
TILE = {"xPos": None, "yPos": None, "width": None, "height": None, "widget": {"title": None, "xyChart": CHART}}
DASHBOARD = {"displayName": None, "mosaicLayout": {"columns": None, "tiles": TILE}}
LIFECYCLE = {"rule": {"action": {"type": None}, "condition": {"age": None, "matchesPrefix": None}}}
CORS = {"origin": None, "method": None, "responseHeader": None, "maxAgeSeconds": None}
CLEANUP = {
    "name": None,
    "action": {"type": None},
    "condition": {"tagState": None, "olderThan": None},
    "mostRecentVersions": {"keepCount": None},
}
SHAPES = {"policies/alert-*.json": ALERT, "policies/metric-*.json": METRIC, "files/lifecycle-*.json": LIFECYCLE}
SHAPES |= {"policies/dashboard.json": DASHBOARD}
SHAPES |= {"files/cors-*.json": CORS, "files/cleanup.json": CLEANUP}


def strangers(value, shape, path=""):
    """Return the fields that are not in the documentation."""
    if isinstance(value, list):
        return [one for part in value for one in strangers(part, shape, path)]
    if not isinstance(value, dict):
        return [] if shape is None else [path]
    if shape is None:
        return [path]
    unknown = [f"{path}/{name}" for name in value if name not in shape]
    return unknown + [
        one for name in value if name in shape for one in strangers(value[name], shape[name], f"{path}/{name}")
    ]


@pytest.mark.parametrize("pattern", SHAPES)
def test_files_have_only_documented_fields(pattern):
    files = sorted(DEPLOY.glob(pattern))
    assert files
    for file in files:
        assert strangers(json.loads(file.read_text()), SHAPES[pattern], file.name) == []


def by_gcloud(folder):
    """Return the problems that gcloud's own message classes find in the files of a folder."""
    sdk = Path(gcloud()).resolve().parent.parent
    bundled = sdk / "platform" / "bundledpythonunix" / "bin" / "python3"
    python = str(bundled) if bundled.exists() else shutil.which("python3")
    script = str(Path(__file__).parent / "parse_files.py")
    done = subprocess.run([python, script, str(sdk), str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("reader", [by_gcloud] if gcloud() else [lambda folder: []])
def test_gcloud_if_installed_accepts_the_files(reader):
    assert reader(DEPLOY) == []


MISTAKES = {
    "policies/alert-reconciled-absent.json": ("conditionAbsent", "conditionMissing"),
    "policies/metric-recommender_alarms.json": ("INT64", "INTEGER"),
    "files/lifecycle-models.json": ("matchesPrefix", "prefix"),
    "files/cors-models.json": ("maxAgeSeconds", "maxAge"),
    "files/cleanup.json": ("DELETE", "Remove"),
    "files/cloudbuild.yaml": ("CLOUD_LOGGING_ONLY", "NOWHERE"),
}


def test_mistakes_are_found(tmp_path):
    mistaken = {"displayName": "x", "conditions": [{"conditionMissing": {}}]}
    assert strangers(mistaken, ALERT) == ["/conditions/conditionMissing"]
    for file, (old, new) in MISTAKES.items() if gcloud() else ():
        folder = tmp_path / Path(file).name
        shutil.copytree(DEPLOY, folder)
        changed = (DEPLOY / file).read_text().replace(old, new)
        assert changed != (DEPLOY / file).read_text()
        (folder / file).write_text(changed)
        assert {one.partition(":")[0] for one in by_gcloud(folder)} == {Path(file).name}


def test_the_build_uses_the_trainers_dockerfile_from_the_root():
    text = (DEPLOY / "files" / "cloudbuild.yaml").read_text()
    assert "trainer/Dockerfile" in text
    assert re.search(r"args: \[.*, \.\]", text)
    assert (ROOT / "trainer" / "Dockerfile").exists()
    context = (ROOT / ".dockerignore").read_text().splitlines()
    assert all(f"!{part}" in context for part in trainer.IMAGE_SOURCE if part != ".dockerignore")


def test_the_alerts_watch_what_the_functions_log():
    sign = re.search(r'message=\\"(\w+)\\"', (DEPLOY / "policies" / "metric-recommender_reconciled.json").read_text())[
        1
    ]
    assert f'logs.info("{sign}"' in FUNCTIONS
    alarms = json.loads((DEPLOY / "policies" / "metric-recommender_alarms.json").read_text())["filter"]
    (condition,) = monitoring.wanted_alert("alarm")["conditions"]
    assert condition["conditionMatchedLog"]["filter"] == alarms
    assert "jsonPayload.alarm" in alarms
    assert "logger.warn(message, alarm=name" in FUNCTIONS
    (condition,) = monitoring.wanted_alert("reconciled-absent")["conditions"]
    assert "user/recommender_reconciled" in condition["conditionAbsent"]["filter"]


def test_the_dashboard_shows_metrics_that_exist_and_are_logged():
    text = (DEPLOY / "policies" / "dashboard.json").read_text()
    filters = re.findall(r'"filter": "(.*)"', text)
    shown = [re.search(r'metric\.type=\\"logging\.googleapis\.com/user/(\w+)\\"', one)[1] for one in filters]
    assert set(shown) == set(monitoring.METRICS)
    for name in monitoring.METRICS:
        metric = json.loads((DEPLOY / "policies" / f"metric-{name}.json").read_text())
        assert metric["name"] == name
        message = re.search(r'jsonPayload\.message="([^"]+)"', metric["filter"])
        assert (
            message is None
            or f'logs.info(\n            "{message[1]}"' in FUNCTIONS
            or f'logs.info("{message[1]}"' in FUNCTIONS
        )
        value = re.fullmatch(r"EXTRACT\(jsonPayload\.(\w+)\)", metric.get("valueExtractor", ""))
        assert value is None or f"{value[1]}=" in FUNCTIONS
        assert (value is not None) == (metric["metricDescriptor"]["valueType"] == "DISTRIBUTION")


def test_the_tiles_of_the_dashboard_do_not_overlap_and_fit():
    layout = json.loads((DEPLOY / "policies" / "dashboard.json").read_text())["mosaicLayout"]
    cells = [
        (tile["xPos"] + x, tile["yPos"] + y)
        for tile in layout["tiles"]
        for x in range(tile["width"])
        for y in range(tile["height"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < layout["columns"]


def test_every_file_of_the_folder_is_used():
    code = "\n".join(path.read_text() for path in DEPLOY.rglob("*.py"))
    for file in (DEPLOY / "files").iterdir():
        assert file.name in code
    assert {path.stem for path in (DEPLOY / "policies").iterdir()} == {
        *(f"metric-{name}" for name in monitoring.METRICS),
        *(f"alert-{name}" for name in monitoring.ALERTS),
        Path(monitoring.DASHBOARD).stem,
    }
