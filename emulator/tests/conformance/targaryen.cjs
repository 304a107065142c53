// Evaluates rules with targaryen: a case a line in, its answer a line out. See test_rules_targaryen.py.
'use strict';

const readline = require('node:readline');
const {database} = require('targaryen');

function answer({rules, data, auth, operation, path, value, query, now}) {
  let world;
  try {
    world = database(rules, data, now).as(auth);
  } catch (error) {
    return {answer: 'rejected', why: error.message};
  }
  const result =
    operation === 'read' ? world.read(path, {now, query: query || undefined}) :
    operation === 'write' ? world.write(path, value, undefined, now) :
    world.update(path, value, now);
  return {answer: result.allowed ? 'allowed' : 'denied', why: result.info};
}

readline.createInterface({input: process.stdin}).on('line', line => {
  let found;
  try {
    found = answer(JSON.parse(line));
  } catch (error) {
    found = {answer: 'failed', why: error.stack};
  }
  process.stdout.write(JSON.stringify(found) + '\n');
});
