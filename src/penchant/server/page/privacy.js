// Privacy: erase somebody, and see the receipts.

import { ask, path } from './talk.js';
import { card, confirm, empty, fill, filling, h, note, tell } from './parts.js';
import { moment, number, say } from './words.js';

const COLUMNS = ['at', 'fingerprint', 'events', 'memory', 'training', 'model'];

export function privacy(place) {
  const list = h('div');
  const result = h('div', { role: 'status' });
  const field = h('input', { id: 'erase-id', autocomplete: 'off', spellcheck: 'false', required: true });
  const look = () => filling(list, () => receipts(''));
  const erase = async (event) => {
    event.preventDefault();
    const id = field.value;
    if (!(await confirm({ title: say('erase_sure', id), body: say('erase_type'), yes: say('erase_yes'), danger: true, typed: id }))) return;
    try {
      const receipt = await ask(path('user', id), { method: 'DELETE' });
      field.value = '';
      fill(result, h('p', { class: 'done' }, say('erased', number(receipt.events)), ' ', h('code', {}, receipt.fingerprint)));
      tell(say('erased', number(receipt.events)));
      look();
    } catch (error) {
      fill(result, h('p', { class: 'problem', role: 'alert' }, error.message));
    }
  };
  fill(place, h('h1', {}, say('privacy')),
    card(say('erase'), note(say('erase_note')), h('form', { class: 'row', onsubmit: erase }, h('label', { for: 'erase-id' }, say('erase_id')), field, h('button', { class: 'danger' }, say('erase_go'))), result),
    card(say('receipts'), note(say('receipts_note')), list));
  look();
}

async function receipts(cursor) {
  const page = await ask(`/api/erasures?n=20${cursor ? `&cursor=${cursor}` : ''}`);
  if (!page.erasures.length) return empty(say('no_receipts'));
  const cells = (one) => [moment(one.at), h('code', {}, one.fingerprint), number(one.events), number(one.taken_from_memory), number(one.in_training_data), h('code', {}, one.model)];
  const row = (one) => h('tr', {}, cells(one).map((cell, place) => h('td', { 'data-name': say(`r_${COLUMNS[place]}`) }, cell)));
  const table = h('table', {}, h('thead', {}, h('tr', {}, COLUMNS.map((name) => h('th', { scope: 'col' }, say(`r_${name}`))))), h('tbody', {}, page.erasures.map(row)));
  const more = h('button', { class: 'quiet', onclick: async () => more.replaceWith(await receipts(page.cursor)) }, say('more'));
  return h('div', {}, table, page.cursor ? more : null);
}
