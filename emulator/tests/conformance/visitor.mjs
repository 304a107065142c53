/**
 * A client with default settings, in a program of its own. It queues "gone" for when it is lost, says that it is here,
 * answers what is asked at PLACE-ask by the same at PLACE-answer, and waits to be killed. In Node it is started as
 * `visitor.mjs PORT NAMESPACE PLACE`, in a browser as visitor.html with the same in its query.
 */

import { initializeApp } from 'firebase/app';
import { connectDatabaseEmulator, getDatabase, onDisconnect, onValue, ref, set } from 'firebase/database';

const [port, namespace, place] = globalThis.process
  ? process.argv.slice(2)
  : ['port', 'namespace', 'place'].map((name) => new URLSearchParams(location.search).get(name));
const app = initializeApp({ projectId: 'demo-conformance', databaseURL: `https://${namespace}.firebaseio.com` });
const db = getDatabase(app);
connectDatabaseEmulator(db, '127.0.0.1', Number(port));
await onDisconnect(ref(db, place)).set('gone');
await set(ref(db, place), 'here');
onValue(ref(db, `${place}-ask`), (snapshot) => set(ref(db, `${place}-answer`), snapshot.val()));
globalThis.process?.on('disconnect', () => process.exit()); // the process that started it has ended
