/** Runs cases one after the other and says how each went; for Node and for browsers. */

const CASE_SECONDS = 10;
const PATIENCE_MS = 4000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A value as text, the same for equal values: keys sorted, holes of arrays as null. */
export function show(value) {
  if (Array.isArray(value)) return `[${Array.from(value, (item) => show(item ?? null)).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const pairs = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}: ${show(value[key])}`);
    return `{${pairs.join(', ')}}`;
  }
  return value === undefined ? 'undefined' : JSON.stringify(value);
}

const brief = (text) => (text.length > 1500 ? `${text.slice(0, 1500)}… (${text.length} characters)` : text);

export function equal(actual, expected, what = 'value') {
  if (show(actual) !== show(expected)) {
    throw new Error(`${what}\n  expected: ${brief(show(expected))}\n  seen:     ${brief(show(actual))}`);
  }
}

export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

/** Wait until `condition()` holds. */
export async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${typeof what === 'function' ? what() : what}`);
    await pause(5);
  }
}

/** Wait until `read()` gives the expected value. */
export async function eventually(read, expected, what = 'value') {
  const deadline = Date.now() + PATIENCE_MS;
  while (show(await read()) !== show(expected) && Date.now() < deadline) await pause(5);
  equal(await read(), expected, what);
}

/** The error with which `promise` is rejected; fails where it is not. */
export async function rejected(promise, what = 'the promise') {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was not rejected`);
}

/** The error that `call` throws at once; fails where it throws none. */
export function thrown(call, what = 'the call') {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error(`${what} did not throw`);
}

/** What a case gets: a namespace of its own, and the world around the clients. */
export class Case {
  #cleanups = [];

  constructor(world) {
    this.world = world;
    this.namespace = `case-${Math.random().toString(36).slice(2, 12)}`;
  }

  /** Have `cleanup` called after the case, the last one first. */
  defer(cleanup) {
    this.#cleanups.push(cleanup);
  }

  async end() {
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup();
      } catch (error) {
        console.warn('cleanup:', error);
      }
    }
  }

  /** Read a place as an admin over REST. */
  async stored(path) {
    const { status, body } = await this.world.rest('GET', this.namespace, path);
    ok(status === 200, `GET /${path} answered ${status}: ${show(body)}`);
    return body;
  }

  /** Write a place as an admin over REST. */
  async store(path, value) {
    const { status, body } = await this.world.rest('PUT', this.namespace, path, value);
    ok(status === 200, `PUT /${path} answered ${status}: ${show(body)}`);
  }

  /** Set the security rules: what stands under "rules". */
  async rules(rules) {
    await this.store('.settings/rules', { rules });
  }

  /** A port that leads to the server until it is cut or shut: see Gate in world.mjs. */
  async gate() {
    const port = await this.world.openGate();
    const say = (what) => () => this.world.tellGate(port, what);
    this.defer(say('end'));
    return { port, cut: say('cut'), shut: say('shut'), open: say('open') };
  }
}

/** Make cases of an object of functions by name; options hold for all of them. */
export function cases(functions, options = {}) {
  return Object.entries(functions).map(([name, body]) => ({ name, body, ...options }));
}

let stray = () => {};

/** An error that nobody awaited belongs to the case that runs. */
export function strayError(error) {
  stray(error);
}

async function outcome(test, { body, seconds = CASE_SECONDS }) {
  let timer;
  const late = new Promise((_, reject) => {
    stray = reject;
    timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000);
  });
  try {
    await Promise.race([body(test), late]);
    return null;
  } catch (error) {
    return describe(error);
  } finally {
    stray = () => {};
    clearTimeout(timer);
  }
}

function describe(error) {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? '';
  return stack.includes(error.message) ? stack : `${error.message}\n${stack}`;
}

/** Run those of `list` that `names` holds; `report` gets {case, ms, error} after each. */
export async function run(list, names, world, report) {
  for (const each of list.filter(({ name }) => names.includes(name))) {
    const test = new Case(world);
    const began = Date.now();
    const error = await outcome(test, each);
    await Promise.race([test.end(), pause(3000)]);
    await report({ case: each.name, ms: Date.now() - began, error });
  }
}
