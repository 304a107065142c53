/** The button that gives readers their own copy of what is stored about them. */

import { ownCopy } from './client.js';
import { explain } from './reader-words.js';

/**
 * @param {import('./client.js').Client} reader
 * @param {(text: string) => void} say
 */
export function setUpCopy(reader, say) {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById('copy'));
  button.addEventListener('click', async () => {
    button.setAttribute('aria-busy', 'true');
    say('Your copy is being made…');
    try {
      const copy = await ownCopy(reader);
      save(`bookshelf-${copy.at.slice(0, 10)}.json`, JSON.stringify(copy, null, 1));
      say('Your copy was downloaded. It also names what you cannot read, and whom to ask.');
    } catch (error) {
      say(navigator.onLine ? explain(error) : 'You are offline. Try again when you are online.');
    } finally {
      button.removeAttribute('aria-busy');
    }
  });
}

/**
 * @param {string} name
 * @param {string} text
 */
function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
