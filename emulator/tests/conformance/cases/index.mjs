/** All cases for the firebase SDK, in Node and in browsers. */

import convergence from './convergence.mjs';
import events from './events.mjs';
import offline from './offline.mjs';
import priorities from './priorities.mjs';
import queries from './queries.mjs';
import restart from './restart.mjs';
import security from './security.mjs';
import serverValues from './server_values.mjs';
import transactions from './transactions.mjs';
import values from './values.mjs';
import windows from './windows.mjs';

const files = { values, events, priorities, transactions, server_values: serverValues, queries, windows, offline, security, convergence, restart };

export default Object.entries(files).flatMap(([file, list]) => list.map((each) => ({ ...each, name: `${file}: ${each.name}` })));
