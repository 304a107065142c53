// Reads the functions' declarations (YAML on stdin) and runs firebase-tools' own checks on them, as a deployment would,
// with REGION set to europe-west1. Prints the endpoints as JSON, or fails with firebase-tools' message.
const { readFileSync } = require("fs");
const { yamlToBuild } = require("firebase-tools/lib/deploy/functions/runtimes/discovery/index.js");
const { toBackend } = require("firebase-tools/lib/deploy/functions/build.js");
const { endpointsAreValid } = require("firebase-tools/lib/deploy/functions/validate.js");
const { ParamValue } = require("firebase-tools/lib/deploy/functions/params.js");
const yaml = require("yaml");

const build = yamlToBuild(yaml.parse(readFileSync(0, "utf8")), "demo-bookrec", "us-central1", "python313");
const kinds = { string: true, number: true, boolean: true, list: false };
const values = Object.fromEntries(build.params.map((p) => [p.name, new ParamValue(String(p.default ?? ""), false, kinds)]));
values.REGION = new ParamValue("europe-west1", false, kinds);
const backend = toBackend(build, values);
endpointsAreValid(backend);
const endpoints = Object.values(backend.endpoints).flatMap((region) => Object.values(region));
console.log(JSON.stringify(endpoints.map(({ id, region, cpu, concurrency }) => ({ id, region, cpu, concurrency }))));
