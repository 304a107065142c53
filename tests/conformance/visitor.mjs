/**
 * A client that queues "gone" for when it is lost, says that it is here, and waits to be killed:
 * in Node `visitor.mjs PORT NAMESPACE PLACE`, in a browser visitor.html with the same as its query.
 */

import { initializeApp } from 'firebase/app';
import { connectDatabaseEmulator, getDatabase, onDisconnect, ref, set } from 'firebase/database';

const [port, namespace, place] = globalThis.process
  ? process.argv.slice(2)
  : ['port', 'namespace', 'place'].map((name) => new URLSearchParams(location.search).get(name));
const app = initializeApp({ projectId: 'demo-conformance', databaseURL: `https://${namespace}.firebaseio.com` });
const db = getDatabase(app);
connectDatabaseEmulator(db, '127.0.0.1', Number(port));
await onDisconnect(ref(db, place)).set('gone');
await set(ref(db, place), 'here');
