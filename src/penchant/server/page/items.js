// Items: a map of them, a search, and what goes with one.

import { ask, path } from './talk.js';
import { calmly, card, chart, empty, fill, filling, h, named, note, ruled } from './parts.js';
import { number, language, say } from './words.js';

export function items(place, chosen) {
  const found = h('div');
  const near = h('div', { class: 'near' });
  const kinds = h('div');
  let trail = [''];
  let asking = new AbortController();
  const go = (item) => { location.hash = `#/items/${encodeURIComponent(item)}`; };
  const look = () => filling(found, async () => {
    asking.abort();
    asking = new AbortController();
    const page = await ask(`/api/catalogue?${new URLSearchParams({ q: field.value, n: 12, cursor: trail.at(-1) })}`, { signal: asking.signal });
    if (!page.items.length) return empty(say('no_items', field.value));
    const turn = (name, act) => h('button', { class: 'quiet', disabled: !act, onclick: act || null }, say(name));
    const entry = (one) => h('li', {}, h('a', { href: `#/items/${encodeURIComponent(one.item_id)}`, 'aria-current': one.item_id === chosen ? 'true' : null }, named(one)));
    return h('div', {}, h('ul', { class: 'choices' }, page.items.map(entry)), h('div', { class: 'row' },
      turn('previous', trail.length > 1 && (() => { trail.pop(); look(); })),
      turn('next', page.cursor && (() => { trail.push(page.cursor); look(); }))));
  });
  const field = h('input', { type: 'search', id: 'find-item', autocomplete: 'off', oninput: calmly(() => { trail = ['']; look(); }) });
  fill(place, h('h1', {}, say('items')),
    h('div', { class: chosen ? 'split chosen' : 'split' },
      h('div', { class: 'side' }, h('a', { class: 'back', href: '#/items' }, `← ${say('all_items')}`), h('section', { class: 'card finder' }, h('label', { for: 'find-item' }, say('find_item')), field, found)),
      h('div', { class: 'rest' }, near,
        card(say('item_map'), note(say('map_note')), chart('/api/figures/map', say('item_map'), { tall: true, onpick: go })),
        card(say('topics'), kinds))));
  look();
  if (chosen) neighbours(near, chosen);
  filling(kinds, topics);
}

function neighbours(place, id) {
  const list = h('div');
  const title = h('h2', {}, say('neighbours', id));
  fill(place, h('section', { class: 'card' }, title, note(say('neighbours_note')), list));
  filling(list, async () => {
    const found = await ask(`${path('item-to-item', id)}?n=10`);
    const ids = [id, ...found.items.map((one) => one.item_id)];
    const texts = await ask(`/api/catalogue/texts?${ids.map((one) => `item_id=${encodeURIComponent(one)}`).join('&')}`);
    title.textContent = say('neighbours', texts[id] || id);
    return h('ol', { class: 'list' }, found.items.map((one) => h('li', {}, h('span', { class: 'rank' }, String(one.rank)), h('a', { href: `#/items/${encodeURIComponent(one.item_id)}` }, named({ item_id: one.item_id, text: texts[one.item_id] })))));
  });
}

async function topics() {
  const found = await ask(`/api/topics?language=${language()}`);
  const entry = (one) => h('li', {}, h('h3', {}, one.name), h('p', { class: 'id' }, say('n_items', number(one.items))), h('p', {}, one.typical.slice(0, 4).map((item) => item.title || item.item_id).join(' · ')), ruled(one));
  return h('ul', { class: 'kinds' }, found.map(entry));
}
