/**
 * Run the SDK's cases in a headless Chromium, told and telling the same as run_node.mjs; the program is in CHROMIUM.
 * `node run_browser.mjs polling`: with long polling in place of WebSockets.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { launch } from 'puppeteer-core';
import { instructions, say, World } from './world.mjs';

const HERE = new URL('.', import.meta.url);
const MODULES = '/node_modules';
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript' };

/** Where a browser finds the packages: their builds for browsers. */
const IMPORTS = {
  'firebase/app': 'firebase/app/dist/esm/index.esm.js',
  'firebase/database': 'firebase/database/dist/esm/index.esm.js',
  '@firebase/app': '@firebase/app/dist/esm/index.esm.js',
  '@firebase/component': '@firebase/component/dist/esm/index.esm.js',
  '@firebase/database': '@firebase/database/dist/index.esm.js',
  '@firebase/logger': '@firebase/logger/dist/esm/index.esm.js',
  '@firebase/util': '@firebase/util/dist/index.esm.js',
  idb: 'idb/build/index.js',
};

function page(module) {
  const imports = Object.fromEntries(Object.entries(IMPORTS).map(([name, file]) => [name, `${MODULES}/${file}`]));
  return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script>
    ${module ? `<script type="module" src="${module}"></script>` : ''}`;
}

/** Serve this folder, and pages with the import map, on a free loopback port; return the address. */
async function serve() {
  const server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    try {
      const pages = { '/page.html': page(''), '/visitor.html': page('visitor.mjs') };
      const body = pages[pathname] ?? (await readFile(new URL(`.${pathname}`, HERE)));
      response.writeHead(200, { 'Content-Type': `${TYPES[extname(pathname)] ?? 'text/plain'}; charset=utf-8` }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

const { port, names, lines } = await instructions();
const world = new World(port, lines);
const browser = await launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
  protocolTimeout: 0, // one call runs all cases
});
try {
  const tab = await browser.newPage();
  tab.on('console', (message) => console.error(message.text()));
  tab.on('pageerror', (error) => console.error(error));
  await tab.exposeFunction('askWorld', (what, ...rest) => world[what](...rest));
  await tab.exposeFunction('say', say);
  await tab.goto(`${await serve()}/page.html`);
  await tab.evaluate(async (told) => (await import('/page.mjs')).start(told), {
    port,
    names,
    polls: process.argv[2] === 'polling',
  });
} finally {
  await browser.close();
}
process.exit();
