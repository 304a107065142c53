// Reads firebase command lines (lists of words, JSON on stdin) and parses each with firebase-tools' own commander program,
// as its binary would, with the action replaced. Prints for each what was understood, or the error of firebase-tools or
// commander. Nothing is run.
const { readFileSync } = require("fs");
const client = require("firebase-tools/lib/index.js");
const program = client.cli;

function understood(words) {
  const name = words.find((word) => !word.startsWith("-"));
  const command = client.getCommand(name);
  if (!command) return { error: `${name} is not a Firebase command` };
  const said = [];
  const keep = process.stderr.write;
  process.stderr.write = (text) => said.push(String(text)) > 0;
  let result = null;
  command.exitOverride();
  program.exitOverride();
  command._actionHandler = (args) => {
    result = { command: name, args: args.filter((one) => typeof one === "string") };
    if (args.length > command._args.length) result = { error: `${name}: too many arguments` };
  };
  try {
    program.parse(["node", "firebase", ...words]);
  } catch (problem) {
    result = { error: problem.message };
  } finally {
    process.stderr.write = keep;
  }
  return result || { error: said.join("").trim() || `${name} was not reached` };
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(understood)));
