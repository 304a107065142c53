/**
 * Run cases in Node: `node run_node.mjs SUITE`, told {"port": …, "names": […]} in the first line of its input.
 * Each line of its output says how one case went. `node run_node.mjs --list` names the cases of all suites.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import adminCases from './admin_cases.mjs';
import sdkCases from './cases/index.mjs';
import { run, strayError } from './harness.mjs';
import rulesCases from './rules_unit_testing_cases.mjs';
import { instructions, say, World } from './world.mjs';

/**
 * What is tried with long polling as well: what clients ask and are told. A browser makes six connections to a server at a
 * time, too few for the cases with many clients, and polling tells a broken connection late.
 */
const POLLED = ['priorities', 'transactions', 'server_values', 'queries', 'security', 'convergence', 'restart'];

const SUITES = { sdk: sdkCases, admin: adminCases, rules: rulesCases };

class NodeWorld extends World {
  /** Another program with a client, to be killed: see visitor.mjs. */
  async visitor(namespace, place, port = this.port) {
    const visitor = fork(fileURLToPath(new URL('visitor.mjs', import.meta.url)), [port, namespace, place]);
    return { kill: () => visitor.kill('SIGKILL') };
  }
}

if (process.argv[2] === '--list') {
  const names = (suite) => SUITES[suite].map(({ name }) => name);
  const polling = names('sdk').filter((name) => POLLED.includes(name.split(':')[0]));
  say({ sdk: names('sdk'), browser: names('sdk'), polling, admin: names('admin'), rules: names('rules') });
  process.exit();
}
process.on('unhandledRejection', strayError);
process.on('uncaughtException', strayError);
const { port, names, lines } = await instructions();
await run(SUITES[process.argv[2]], names, new NodeWorld(port, lines), say);
process.exit();
