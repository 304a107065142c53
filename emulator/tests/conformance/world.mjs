/** What surrounds the clients: the server over REST, ways to it that can be cut, its restart. For Node. */

import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const HOST = '127.0.0.1';

/** A port that passes everything on to the server. */
class Gate {
  #sockets = new Set();
  #isOpen = true;

  constructor(port) {
    this.server = createServer((near) => {
      if (!this.#isOpen) return near.resetAndDestroy();
      const far = createConnection(port, HOST);
      for (const [one, other] of [[near, far], [far, near]]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  /** Break all connections; new ones may come. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Break all connections and let none in. */
  shut() {
    this.#isOpen = false;
    this.cut();
  }

  open() {
    this.#isOpen = true;
  }

  end() {
    this.server.close();
    this.shut();
  }
}

/** The world of a runner that `test_clients.py` started: it answers on standard input what is asked on standard output. */
export class World {
  #gates = new Map();
  #answers = [];

  constructor(port, lines) {
    this.port = port;
    lines.on('line', (line) => this.#answers.shift()?.(line));
  }

  async rest(method, namespace, path, value) {
    const answer = await fetch(`http://${HOST}:${this.port}/${path}.json?ns=${namespace}`, {
      method,
      headers: { Authorization: 'Bearer owner' },
      body: value === undefined ? undefined : JSON.stringify(value),
    });
    return { status: answer.status, body: await answer.json() };
  }

  async openGate() {
    const gate = new Gate(this.port);
    await new Promise((resolve) => gate.server.listen(0, HOST, resolve));
    const { port } = gate.server.address();
    this.#gates.set(port, gate);
    return port;
  }

  tellGate(port, what) {
    this.#gates.get(port)[what]();
  }

  /** End the server's process and start another on the same port; its data is lost. */
  restart() {
    return new Promise((resolve, reject) => {
      this.#answers.push((line) => (line === 'ok' ? resolve() : reject(new Error(`no restart: ${line}`))));
      say({ ask: 'restart' });
    });
  }
}

/** What this runner was told to do: the server's port, the names of cases, and the lines that will follow. */
export async function instructions() {
  const lines = createInterface({ input: process.stdin });
  const [first] = await once(lines, 'line');
  return { ...JSON.parse(first), lines };
}

/** Write one line to the process that started this. */
export function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
