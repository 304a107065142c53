"""A fake of gcloud, firebase and curl: one state, printed in the tools' formats.

The formats come from the tools' documentation and source (gcloud 528, firebase-tools 15.34); none was recorded from a
project in the cloud. Run as a program it takes the tool's name and arguments, answers from the state in the file
CLOUD_STATE, saves changes there, and appends its arguments to CLOUD_LOG. A command that begins with the words in
CLOUD_FAIL fails. It imports nothing from the code under test.
"""

import json
import os
import re
import sys
from pathlib import Path

TASK = ("on_task_dispatched",)
NOT_FOUND = (1, "", "ERROR: NOT_FOUND: Requested entity was not found.")


class ToolError(Exception):
    """The tool ends with an error."""


class Cloud:
    def __init__(self, state, root):
        self.state, self.root = state, root

    def answer(self, words):
        """Return (exit code, standard output, standard error)."""
        tool, *rest = words
        handler = {"gcloud": self.gcloud, "firebase": self.firebase, "curl": self.curl}[tool]
        try:
            result = handler(rest)
        except ToolError as problem:
            if tool == "firebase" and "--json" in rest:
                return 1, json.dumps({"status": "error", "error": str(problem)}), ""
            return 1, "", f"ERROR: {problem}"
        if isinstance(result, str):
            return 0, result, ""
        if tool == "firebase":
            return 0, json.dumps({"status": "success", "result": result}), ""
        return 0, json.dumps(result), ""

    # gcloud

    def gcloud(self, words):
        plain, options = split(words)
        if plain[:2] == ["auth", "print-access-token"]:
            return "token-of-nobody\n"
        state, name = self.state, plain[-1]
        region = options.get("--region") or options.get("--location") or options.get("--regions")
        if plain[:2] == ["projects", "describe"]:
            if state["project"].get("projectId") != name:
                raise ToolError(f"[nobody] does not have permission to access projects instance [{name}]")
            return state["project"]
        if plain[:3] == ["billing", "projects", "describe"]:
            return state["billing"]
        if plain[:2] == ["services", "list"]:
            return state["services"]
        if plain[:2] == ["services", "enable"]:
            state["services"] += [{"config": {"name": one}, "state": "ENABLED"} for one in plain[2:]]
            return ""
        if plain[0] != "projects":
            self.api(plain)
        if plain[-2] in {"get-iam-policy", "add-iam-policy-binding"}:
            return self.policy(plain, options)
        return self.resources(plain, options, name, region)

    def resources(self, plain, options, name, region):
        state, project = self.state, options.get("--project")
        kind, verb = " ".join(plain[:2]), plain[2] if len(plain) > 2 else ""
        if plain == ["iam", "service-accounts", "list"]:
            return state["accounts"]
        if plain[:3] == ["iam", "service-accounts", "create"]:
            email = f"{name}@{project}.iam.gserviceaccount.com"
            state["accounts"].append({"email": email, "displayName": options["--display-name"]})
            return ""
        if kind == "storage buckets":
            return self.buckets(verb, options, name)
        if kind == "artifacts repositories":
            return self.repositories(verb, options, name)
        if plain[:4] == ["artifacts", "docker", "tags", "list"]:
            if not any(one["name"].endswith(f"/{name.split('/')[2]}") for one in state["repositories"]):
                raise ToolError("NOT_FOUND: Requested entity was not found.")
            return state["tags"]
        if plain[:2] == ["builds", "submit"]:
            image = options["--substitutions"].removeprefix("_IMAGE=")
            tag = f"projects/p/locations/l/repositories/r/packages/i/tags/{image.rpartition(':')[2]}"
            state["tags"].append({"tag": tag, "image": image.rpartition(":")[0]})
            return ""
        if kind == "run jobs":
            return self.jobs(verb, options, name, region)
        if plain[:2] == ["functions", "list"]:
            return [one for one in state["functions"] if region is None or one["name"].split("/")[3] == region]
        if kind == "tasks queues":
            return state["queues"]
        if kind == "scheduler jobs":
            if verb == "resume":
                for one in state["schedules"]:
                    one["state"] = "ENABLED" if one["name"].endswith(f"/{name}") else one["state"]
            return state["schedules"]
        if kind == "logging metrics":
            if verb == "create":
                state["metrics"].append({**self.read(options["--config-from-file"]), "name": name})
            return state["metrics"]
        if kind == "monitoring dashboards":
            if verb == "create":
                state["dashboards"].append(self.read(options["--config-from-file"]))
            return state["dashboards"]
        if plain[:3] == ["alpha", "monitoring", "policies"]:
            if plain[3] == "create":
                made = {**self.read(options["--policy-from-file"]), "name": f"projects/{project}/alertPolicies/1"}
                channel = options.get("--notification-channels")
                state["alerts"].append({**made, "enabled": True, "notificationChannels": [channel] if channel else []})
            return state["alerts"]
        raise ToolError(f"Invalid choice: {' '.join(plain)}")

    def api(self, plain):
        """Raise gcloud's error if the API that a command belongs to is off."""
        needed = {
            "iam": "iam", "storage": "storage", "artifacts": "artifactregistry", "builds": "cloudbuild", "run": "run",
            "functions": "cloudfunctions", "tasks": "cloudtasks", "scheduler": "cloudscheduler", "logging": "logging",
            "alpha": "monitoring", "monitoring": "monitoring",
        }[plain[0]]  # fmt: skip
        if f"{needed}.googleapis.com" not in [one["config"]["name"] for one in self.state["services"]]:
            raise ToolError(
                f"(gcloud.{plain[0]}) PERMISSION_DENIED: {needed}.googleapis.com has not been used in project 1 before "
                "or it is disabled. Enable it by visiting the console. reason: SERVICE_DISABLED"
            )

    def policy(self, plain, options):
        words, verb, name = plain[:-2], plain[-2], plain[-1].removeprefix("gs://")
        kind = " ".join(words)
        there = {
            "projects": lambda: True,
            "iam service-accounts": lambda: name in [one["email"] for one in self.state["accounts"]],
            "storage buckets": lambda: name in [one["name"] for one in self.state["buckets"]],
            "artifacts repositories": lambda: name in last(self.state["repositories"]),
            "run jobs": lambda: name in [one["metadata"]["name"] for one in self.state["jobs"]],
            "tasks queues": lambda: name in last(self.state["queues"]),
            "run services": lambda: name in [n.replace("_", "-") for n in last(self.state["functions"])],
        }[kind]
        if not there():
            raise ToolError(f"NOT_FOUND: Resource '{name}' of kind '{kind}' does not exist.")
        policy = self.state["policies"].get(f"{kind} {name}", {"version": 1, "etag": "BwY", "bindings": []})
        if verb == "add-iam-policy-binding":
            member = options["--member"]
            known = [one["email"] for one in self.state["accounts"]]
            known.append(f"{self.state['project']['projectNumber']}-compute@developer.gserviceaccount.com")
            if member.partition(":")[2] not in known:
                raise ToolError(f"INVALID_ARGUMENT: Service account {member} is not known.")
            policy["bindings"].append({"role": options["--role"], "members": [member]})
            self.state["policies"][f"{kind} {name}"] = policy
        return policy

    def buckets(self, verb, options, name):
        name, state = name.removeprefix("gs://"), self.state
        if verb == "create":
            made = {"name": name, "location": options["--location"].upper(), "storage_url": f"gs://{name}/"}
            made["uniform_bucket_level_access"] = "--uniform-bucket-level-access" in options
            made["public_access_prevention"] = "enforced" if "--public-access-prevention" in options else "inherited"
            state["buckets"].append(made)
        if verb == "update":
            bucket = next(one for one in state["buckets"] if one["name"] == name)
            if "--cors-file" in options:
                bucket["cors_config"] = self.read(options["--cors-file"])
            else:
                bucket["lifecycle_config"] = self.read(options["--lifecycle-file"])
                bucket |= {"uniform_bucket_level_access": True, "public_access_prevention": "enforced"}
        return state["buckets"] if verb == "list" else ""

    def repositories(self, verb, options, name):
        state = self.state
        if verb == "create":
            state["repositories"].append({"name": f"projects/p/locations/l/repositories/{name}", "format": "DOCKER"})
        if verb == "set-cleanup-policies":
            policies = {one["name"]: {**one, "id": one["name"]} for one in self.read(options["--policy"])}
            one = next(one for one in state["repositories"] if one["name"].endswith(f"/{name}"))
            one |= {"cleanupPolicies": policies, "cleanupPolicyDryRun": "--no-dry-run" not in options}
        return state["repositories"] if verb == "list" else ""

    def jobs(self, verb, options, name, region):
        state = self.state
        if verb == "deploy":
            state["jobs"] = [one for one in state["jobs"] if one["metadata"]["name"] != name]
            pairs = (pair.split("=", 1) for pair in options["--update-env-vars"].split(","))
            container = {"image": options["--image"], "env": [{"name": key, "value": value} for key, value in pairs]}
            container["resources"] = {"limits": {"cpu": f"{options['--cpu']}000m", "memory": options["--memory"]}}
            run = {"containers": [container], "maxRetries": int(options["--max-retries"])}
            run |= {"serviceAccountName": options["--service-account"]}
            run |= {"timeoutSeconds": options["--task-timeout"].removesuffix("s")}
            state["jobs"].append(a_job(name, region, run))
        labels = "cloud.googleapis.com/location"
        return [one for one in state["jobs"] if region is None or one["metadata"]["labels"][labels] == region]

    # firebase

    def firebase(self, words):
        plain, options = split(words)
        state, command, project = self.state, plain[0], options["--project"]
        if command == "projects:list":
            return state["firebase_projects"]
        if command == "projects:addfirebase":
            state["firebase_projects"].append({"projectId": plain[1], "resources": {}, "state": "ACTIVE"})
        elif project not in [one["projectId"] for one in state["firebase_projects"]]:
            raise ToolError(f"Failed to get Firebase project {project}: 404, Requested entity was not found.")
        elif command == "database:instances:list":
            return state["databases"]
        elif command == "database:get":
            if options["--instance"] not in [one["name"] for one in state["databases"]]:
                raise ToolError("Failed to get instance details: 404, not found")
            return state["database_rules"]
        elif command == "apps:list":
            return state["apps"]
        elif command == "apps:create":
            state["apps"].append({"appId": "1:1:web:1", "displayName": plain[2], "platform": plain[1]})
        elif command == "apps:sdkconfig":
            sdk = {"projectId": project, "appId": plain[2], "apiKey": "a-public-key", "messagingSenderId": "1"}
            sdk |= {"authDomain": f"{project}.firebaseapp.com", "storageBucket": f"{project}.firebasestorage.app"}
            return {"fileName": "firebase-js-config.json", "fileContents": json.dumps(sdk), "sdkConfig": sdk}
        elif command == "hosting:channel:list":
            return {"channels": state["channels"]}
        elif command == "functions:artifacts:setpolicy":
            one = next(one for one in state["repositories"] if one["name"].endswith("/gcf-artifacts"))
            one["cleanupPolicies"] = {"firebase-functions-cleanup": {"id": "firebase-functions-cleanup"}}
        elif command == "deploy":
            self.deploy(options, project)
        else:
            raise ToolError(f"{command} is not a Firebase command")
        return ""

    def deploy(self, options, project):
        state, config = self.state, self.read(options["--config"])
        if options["--only"] == "database":
            (rules,) = config["database"]
            assert rules["instance"] in [one["name"] for one in state["databases"]]
            state["database_rules"] = (self.root / rules["rules"]).read_text()
        elif options["--only"] == "storage":
            (rules,) = config["storage"]
            state["releases"] = {rules["bucket"]: (self.root / rules["rules"]).read_text()}
        elif options["--only"] == "hosting":
            release = {"type": "DEPLOY", "message": options["--message"]}
            state["channels"] = [{"name": f"projects/{project}/sites/{project}/channels/live", "release": release}]
        elif options["--only"] == "functions":
            lines = (self.root / "functions" / f".env.{project}").read_text().splitlines()
            environment = dict(line.split("=", 1) for line in lines if "=" in line)
            add_functions(state, (self.root / "functions" / "main.py").read_text(), project, environment)
            if not any(one["name"].endswith("/gcf-artifacts") for one in state["repositories"]):
                state["repositories"].append({"name": "projects/p/locations/l/repositories/gcf-artifacts"})
                raise ToolError(
                    f"Functions successfully deployed but could not set up cleanup policy in location "
                    f"{environment['REGION']}. Pass the --force option to automatically set up a cleanup policy"
                )

    # curl

    def curl(self, words):
        url, method = words[-1], words[words.index("--request") + 1]
        state, body = self.state, words[words.index("--data") + 1] if "--data" in words else ""
        if match := re.fullmatch(r"https://firebasedatabase\S+/locations/(\S+)/instances\?databaseId=(\S+)", url):
            region, name = match.groups()
            made = {"name": name, "location": region, "state": "ACTIVE", "type": json.loads(body)["type"].lower()}
            state["databases"].append(made)
            return made
        if match := re.fullmatch(r"https://firebasestorage\S+/projects/(\S+)/buckets(?:/(\S+):addFirebase)?", url):
            if method == "POST":
                state["firebase_buckets"].append({"name": f"projects/{match[1]}/buckets/{match[2]}"})
            return {"buckets": state["firebase_buckets"]} if state["firebase_buckets"] else {}
        if match := re.fullmatch(r"https://firebaserules\S+/releases/firebase.storage/(\S+)", url):
            if match[1] not in state["releases"]:
                raise ToolError("404 NOT_FOUND")
            return {"name": url, "rulesetName": f"projects/p/rulesets/{match[1]}"}
        if match := re.fullmatch(r"https://firebaserules\S+/rulesets/(\S+)", url):
            text = state["releases"][match[1]]
            return {"name": match[1], "source": {"files": [{"name": "storage.rules", "content": text}]}}
        if match := re.fullmatch(r"https://firebaseappcheck\S+/services/(\S+)", url):
            mode = state["app_check"].get(match[1])
            return {"name": match[1], **({"enforcementMode": mode} if mode else {})}
        raise ToolError(f"could not resolve {url}")

    def read(self, name):
        return json.loads((self.root / name).read_text())


def a_job(name, region, run):
    spec = {"template": {"spec": {"taskCount": 1, "template": {"spec": run}}}}
    labels = {"cloud.googleapis.com/location": region}
    return {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def add_functions(state, main, project, environment):
    """Make the functions that a main.py declares, with the queues and schedules that come with them."""
    region, account = environment["REGION"], f"recommender-functions@{project}.iam.gserviceaccount.com"
    place = f"projects/{project}/locations/{region}"
    state["functions"], state["queues"], state["schedules"] = [], [], []
    for kind, name in re.findall(r"^@\w+\.(on_\w+)\(?(?:.|\n)*?^def (\w+)\(", main, re.MULTILINE):
        service = {"environmentVariables": environment, "serviceAccountEmail": account}
        service |= {
            "maxInstanceCount": 20,
            "availableCpu": "1",
            "service": f"{place}/services/{name.replace('_', '-')}",
        }
        one = {"name": f"{place}/functions/{name}", "state": "ACTIVE", "environment": "GEN_2"}
        state["functions"].append({**one, "serviceConfig": service})
        if kind in TASK:
            state["queues"].append({"name": f"{place}/queues/{name}", "state": "RUNNING"})
        if kind == "on_schedule":
            state["schedules"].append({"name": f"{place}/jobs/firebase-schedule-{name}-{region}", "state": "ENABLED"})


def split(words):
    """Return the positional words, and the options with their values."""
    flags = {
        "--quiet", "--json", "--non-interactive", "--enabled", "--v2", "--force", "--no-dry-run",
        "--uniform-bucket-level-access", "--public-access-prevention",
    }  # fmt: skip
    plain, options, rest = [], {}, list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            plain.append(word)
        else:
            options[word] = "" if word in flags else rest.pop(0)
    return plain, options


def last(resources):
    return [one["name"].rpartition("/")[2] for one in resources]


def main():
    state_file, log = Path(os.environ["CLOUD_STATE"]), Path(os.environ["CLOUD_LOG"])
    words = sys.argv[1:]
    given = sys.stdin.read() if words[0] == "curl" else ""
    with log.open("a") as file:
        file.write(json.dumps({"argv": words, "stdin": given}) + "\n")
    if words[0] == "curl" and given != "Authorization: Bearer token-of-nobody\n":
        sys.stderr.write("401 UNAUTHENTICATED\n")
        return 22
    failing = os.environ.get("CLOUD_FAIL")
    if failing and " ".join(words).startswith(failing):
        sys.stderr.write("ERROR: the service is currently unavailable\n")
        return 1
    cloud = Cloud(json.loads(state_file.read_text()), Path.cwd())
    code, out, err = cloud.answer(words)
    state_file.write_text(json.dumps(cloud.state))
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
