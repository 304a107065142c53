/** The cases within a page: `start` is called by run_browser.mjs, which also provides `askWorld` and `say`. */

import { forceLongPolling, forceWebSockets } from 'firebase/database';
import cases from './cases/index.mjs';
import { run, strayError } from './harness.mjs';

/** The world as a page has it: the runner's, but for pages within this one. */
class PageWorld {
  constructor(port) {
    this.port = port;
    for (const what of ['rest', 'openGate', 'tellGate', 'restart']) this[what] = (...rest) => globalThis.askWorld(what, ...rest);
  }

  /** Another page with a client, to be taken away: see visitor.mjs. */
  async visitor(namespace, place, port = this.port) {
    const frame = document.createElement('iframe');
    frame.src = `visitor.html?${new URLSearchParams({ port, namespace, place })}`;
    document.body.append(frame);
    return {
      kill() {
        frame.remove();
        localStorage.clear(); // where the SDK keeps what it learnt about transports, for all pages
      },
    };
  }
}

export async function start({ port, names, polls }) {
  // One or the other: the SDK would poll in place of a WebSocket once one was refused. The visitor may do either.
  (polls ? forceLongPolling : forceWebSockets)();
  addEventListener('unhandledrejection', ({ reason }) => strayError(reason));
  addEventListener('error', ({ error }) => strayError(error));
  await run(cases, names, new PageWorld(port), globalThis.say);
}
