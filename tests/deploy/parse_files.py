"""Parses the deployment's files into gcloud's own message classes; run by gcloud's Python: GCLOUD_FOLDER DEPLOY_FOLDER.

Prints gcloud's errors, and the fields and values that Google's APIs do not know.
"""

import json
import sys
from pathlib import Path

sdk, root = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(sdk / "lib"), str(sdk / "lib" / "third_party")]

from apitools.base.py import encoding  # noqa: E402
from googlecloudsdk.api_lib.util import apis  # noqa: E402
from googlecloudsdk.command_lib.artifacts import cleanup_policy_util  # noqa: E402
from googlecloudsdk.core import yaml  # noqa: E402


def faults_of(file, read, api, version, message):
    """Return the faults of a file, parsed as a message of one of Google's APIs."""
    try:
        kind = apis.GetMessagesModule(api, version)
        for part in message.split("."):
            kind = getattr(kind, part)
        made = encoding.PyValueToMessage(kind, read(str(file)))
        return [f"{file.name}: {name}" for _, names in encoding.UnrecognizedFieldIter(made) for name in names]
    except Exception as problem:  # any error from gcloud
        return [f"{file.name}: {problem}"]


def from_json(name):
    return json.loads(Path(name).read_text())


def cleanup(name):
    return {"cleanupPolicies": cleanup_policy_util.ParseCleanupPolicy(name)}


def cors(name):
    return {"cors": json.loads(Path(name).read_text())}


faults = []
for file in sorted((root / "policies").glob("alert-*.json")):
    faults += faults_of(file, from_json, "monitoring", "v3", "AlertPolicy")
for file in sorted((root / "policies").glob("metric-*.json")):
    faults += faults_of(file, from_json, "logging", "v2", "LogMetric")
faults += faults_of(root / "policies" / "dashboard.json", from_json, "monitoring", "v1", "Dashboard")
for file in sorted((root / "files").glob("lifecycle-*.json")):
    faults += faults_of(file, from_json, "storage", "v1", "Bucket.LifecycleValue")
for file in sorted((root / "files").glob("cors-*.json")):
    faults += faults_of(file, cors, "storage", "v1", "Bucket")
faults += faults_of(root / "files" / "cloudbuild.yaml", yaml.load_path, "cloudbuild", "v1", "Build")
faults += faults_of(root / "files" / "cleanup.json", cleanup, "artifactregistry", "v1", "Repository")
sys.stdout.write(json.dumps(faults))
