/** Signing in and creating an account. */

import * as client from './client.js';
import { show } from './elements.js';
import { cover } from './reader-parts.js';
import { explain } from './reader-words.js';

/** Covers for decoration; not books in the catalogue. */
const FAN = [
  { isbn: '3', title: 'The Quiet Harbour', author: 'A novel' },
  { isbn: '13', title: 'Maps of Elsewhere', author: 'Essays' },
  { isbn: '6', title: 'A Winter of Letters', author: 'A novel' },
  { isbn: '7', title: 'Small Machines', author: 'Stories' },
  { isbn: '22', title: 'The Last Orchard', author: 'A novel' },
];

/** An account that the local stack creates. */
const TEST_ACCOUNT = { email: 'reader@example.com', password: 'reader-password' };

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/**
 * Set up the form.
 *
 * @param {client.Client} reader
 * @param {() => void} entered called after signing in
 */
export function setUpSignIn(reader, entered) {
  let isNew = false;

  function render() {
    const verb = isNew ? 'Create account' : 'Sign in';
    $('form-title').textContent = verb;
    $('sign-button').textContent = verb;
    $('switch-text').textContent = isNew ? 'Already have an account?' : 'New here?';
    $('switch').textContent = isNew ? 'Sign in' : 'Create an account';
    field('password').autocomplete = isNew ? 'new-password' : 'current-password';
    show($('name-fields'), isNew);
    say('');
  }

  /** @param {SubmitEvent} event */
  async function sign(event) {
    event.preventDefault();
    say('');
    const [email, password] = [field('email').value.trim(), field('password').value];
    const [firstname, lastname] = [field('firstname').value.trim(), field('lastname').value.trim()];
    const button = /** @type {HTMLButtonElement} */ ($('sign-button'));
    button.disabled = true;
    try {
      if (isNew) await client.signUp(reader, { email, password, firstname, lastname });
      else await client.signIn(reader, email, password);
      field('password').value = '';
      entered();
    } catch (error) {
      say(explain(error));
      field('password').focus();
    } finally {
      button.disabled = false;
    }
  }

  $('sign-form').addEventListener('submit', sign);
  $('switch').addEventListener('click', () => {
    isNew = !isNew;
    render();
    field(isNew ? 'firstname' : 'email').focus();
  });
  show($('emulator-hint'), Boolean(reader.config.emulators));
  $('fill').addEventListener('click', () => {
    field('email').value = TEST_ACCOUNT.email;
    field('password').value = TEST_ACCOUNT.password;
    $('sign-button').focus();
  });
  $('fan').append(...FAN.map((book) => cover(book)));
  render();
}

/**
 * Show what is wrong with the input; "" for nothing.
 *
 * @param {string} problem
 */
function say(problem) {
  $('sign-problem').textContent = problem;
  for (const id of ['email', 'password']) {
    if (problem) field(id).setAttribute('aria-invalid', 'true');
    else field(id).removeAttribute('aria-invalid');
  }
}
