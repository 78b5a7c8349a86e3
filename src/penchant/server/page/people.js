// People: find somebody, see what they like and why they are shown what they are shown, and watch an event change it.

import { ask, path } from './talk.js';
import { calmly, card, chart, empty, fill, filling, h, look, named, note, ruled, tell, typed } from './parts.js';
import { language, lasting, listed, moment, number, quoted, say, share } from './words.js';

const MOST_TOPICS = 8;

export function people(place, chosen) {
  const side = h('div', { class: 'side' });
  const rest = h('div', { class: 'rest' });
  fill(place, h('h1', {}, say('people')), h('div', { class: chosen ? 'split chosen' : 'split' }, side, rest));
  finder(side, chosen);
  if (chosen) return person(rest, chosen);
  fill(rest, h('section', { class: 'card hint' }, empty(say('choose_user'))));
  return undefined;
}

function finder(side, chosen) {
  const found = h('div');
  let trail = [''];
  let asking = new AbortController();
  const look = async () => {
    asking.abort();
    asking = new AbortController();
    const prefix = field.value;
    await filling(found, async () => {
      const words = new URLSearchParams({ prefix, n: 15, cursor: trail.at(-1) });
      const page = await ask(`/api/people?${words}`, { signal: asking.signal });
      if (!page.people.length) {
        if (!prefix) return empty(say('nobody_yet'));
        return h('div', {}, empty(say('nobody', prefix)), h('a', { class: 'button', href: `#/people/${encodeURIComponent(prefix)}` }, say('open_anyway', prefix)));
      }
      const entry = (one) => h('li', {}, h('a', { href: `#/people/${encodeURIComponent(one.user_id)}`, 'aria-current': one.user_id === chosen ? 'true' : null },
        h('span', { class: 'text' }, one.user_id), h('span', { class: 'id' }, say('n_events', number(one.events)))));
      const turn = (name, act) => h('button', { class: 'quiet', disabled: !act, onclick: act || null }, say(name));
      return h('div', {}, h('ul', { class: 'choices' }, page.people.map(entry)), h('div', { class: 'row' },
        turn('previous', trail.length > 1 && (() => { trail.pop(); look(); })),
        turn('next', page.cursor && (() => { trail.push(page.cursor); look(); }))));
    });
  };
  const field = h('input', { type: 'search', id: 'find-user', autocomplete: 'off', spellcheck: 'false', oninput: calmly(() => { trail = ['']; look(); }) });
  fill(side, h('a', { class: 'back', href: '#/people' }, `← ${say('back')}`), h('section', { class: 'card finder' }, h('label', { for: 'find-user' }, say('find_user')), field, found));
  look();
}

function person(place, id) {
  const told = h('div', { class: 'told' });
  const interests = h('div');
  const list = h('div');
  const known = profiles(id);
  const river = h('div');
  const flow = chart(async () => (await known()).pictures.interests, say('river'), { tall: true });
  const habits = h('div');
  const events = h('div');
  const form = h('div');
  fill(place,
    h('section', { class: 'card about' }, h('h2', { class: 'who' }, say('person', id)), told),
    h('div', { class: 'columns wide-left' },
      card(say('recommended'), form, list),
      h('div', { class: 'stacked' },
        card(say('interests'), interests),
        card(say('habits'), habits),
        card(say('history'), events))),
    card(say('river'), note(say('river_note')), river));
  const shown = { ranks: null, topics: null, list: '' };
  const again = () => Promise.all([
    filling(list, () => recommended(id, shown, add)),
    filling(interests, () => liked(known, shown, told)),
    filling(river, async () => ((await known()).known ? flow : empty(say('no_history')))),
    filling(habits, () => comes(known)),
    filling(events, () => history(id, '', (types) => fill(form, adding(types, add, shown)))),
  ]);
  const add = async (item) => {
    try {
      const event = { user_id: id, item_id: item, event_type: shown.type, recommendation_id: shown.list || undefined };
      const stored = await ask('/api/feedback', { method: 'POST', body: [event] });
      tell(say(stored.accepted ? 'stored' : 'stored_before'));
      known.renew();
      await again();
      flow.firstChild.redraw();
    } catch (error) {
      tell(error.message);
    }
  };
  again();
}

/** A person's profile with its pictures, asked for once for all places that show some of it, until it is to be renewed. */
function profiles(id) {
  let asked = null;
  let looks = '';
  const known = () => {
    if (!asked || looks !== look()) {
      looks = look();
      asked = ask(`${path('user', id, 'interests')}?picture=interests&picture=habits&${looks}`);
      asked.catch(() => { asked = null; });
    }
    return asked;
  };
  known.renew = () => { asked = null; };
  return known;
}

/** When a person comes. */
async function comes(known) {
  const { events, habits } = await known();
  if (!events) return empty(say('no_history'));
  if (!habits.sessions) return empty(say('no_times'));
  const facts = [
    ['sessions', number(habits.sessions)],
    ['session_events', number(Math.round(10 * habits.events_per_session) / 10)],
    ['session_length', habits.session_minutes < 1 ? say('under_a_minute') : lasting(60 * habits.session_minutes)],
    habits.completion === undefined ? null : ['completion', share(habits.completion)],
    habits.dwell_seconds === undefined ? null : ['dwell', lasting(habits.dwell_seconds)],
  ].filter(Boolean);
  return h('div', {}, h('dl', { class: 'inline' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, say(name)), h('dd', {}, value)))),
    h('p', { class: 'note below' }, say('habits_note')), chart(async () => (await known()).pictures.habits, say('habits')));
}

function adding(types, add, shown) {
  shown.type ??= types[0] ?? 'event';
  const offered = [...new Set([shown.type, ...types])];
  const item = h('input', { id: 'another', placeholder: say('another_item'), 'aria-label': say('another_item'), autocomplete: 'off', required: true });
  const kind = h('select', { 'aria-label': say('event_type'), onchange: () => { shown.type = kind.value; } }, offered.map((type) => h('option', { value: type, selected: type === shown.type }, type)));
  return h('form', { class: 'row adding', onsubmit: (event) => { event.preventDefault(); add(item.value); } },
    item, h('span', { class: 'id', 'aria-hidden': 'true' }, say('event_type')), kind, h('button', { class: 'quiet' }, say('add_event')));
}

async function recommended(id, shown, add) {
  const found = await ask(`${path('recommend', id)}?n=10&explain=true`);
  const texts = found.items.length ? await ask(`/api/catalogue/texts?${found.items.map((one) => `item_id=${encodeURIComponent(one.item_id)}`).join('&')}`) : {};
  const before = shown.ranks;
  shown.list = found.recommendation_id;
  shown.ranks = new Map(found.items.map((one) => [one.item_id, one.rank]));
  if (!found.items.length) return empty(say('seen_all'));
  const entry = (one) => {
    const item = { item_id: one.item_id, text: texts[one.item_id] };
    return h('li', {}, h('span', { class: 'rank' }, String(one.rank)),
      h('div', {}, h('div', {}, named(item), moved(before, one)), one.reason ? why(one.reason) : null, one.reason ? shares(one.reason.shares) : null),
      h('button', { class: 'add', 'aria-label': say('add_for', item.text || item.item_id), onclick: () => add(one.item_id) }, say('add_event')));
  };
  return h('ol', { class: 'list', 'data-list': found.recommendation_id }, found.items.map(entry));
}

/** The past items that weigh most; the parts of the score stand below, as a bar and in words. */
function why(reason) {
  const titles = reason.because.map((one) => quoted(one.title));
  return titles.length ? h('p', { class: 'why' }, say('because', listed(titles))) : null;
}

function moved(before, one) {
  if (!before) return null;
  const was = before.get(one.item_id);
  if (was === undefined) return h('span', { class: 'moved fresh' }, say('fresh'));
  if (was === one.rank) return null;
  const by = Math.abs(was - one.rank);
  return h('span', { class: was > one.rank ? 'moved rose' : 'moved fell', 'aria-label': say(was > one.rank ? 'rose' : 'fell', by), role: 'img' }, `${was > one.rank ? '▲' : '▼'}${by}`);
}

const PARTS = { bias: ['popular in training', '总体偏好'], recent_popularity: ['popular lately', '近期热门'], long_term: ['long-term', '长期'], short_term: ['right now', '当前'], transitions: ['what follows what', '前后关联'], memory: ['what follows what', '前后关联'], content: ['content', '内容'], neighbours: ['same people', '同好'], item_knn: ['same people', '同好'], popularity: ['popular', '热门'] };
const partName = (name) => PARTS[name]?.[language() === 'zh' ? 1 : 0] ?? name;

/** Of what a score is made, as one bar. */
function shares(parts) {
  const told = Object.entries(parts).filter(([, value]) => value > 0.005).sort((a, b) => b[1] - a[1]);
  const words = told.map(([name, value]) => `${partName(name)} ${share(value)}`).join(' · ');
  return h('div', { class: 'shares' }, h('div', { class: 'stack', 'aria-hidden': 'true' }, told.map(([name, value]) => h('i', { class: `part ${name}`, style: { width: `${100 * value}%` } }))), h('span', { class: 'id' }, words));
}

async function liked(known, shown, told) {
  let found;
  try {
    found = await known();
  } catch (error) {
    if (!told.childElementCount) fill(told, note(''));
    throw error;
  }
  const facts = [
    ['events', number(found.events)],
    ['drift', found.drift.toFixed(2)],
  ];
  const kind = found.segment ? h('div', {}, h('dt', {}, say('segment')), h('dd', {}, found.segment.name, ruled(found.segment))) : null;
  fill(told, found.known ? null : h('p', { class: 'newcomer' }, say('stranger')), h('p', { class: 'words' }, found.words[language()]),
    h('dl', { class: 'inline' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, say(name)), h('dd', {}, value))), kind));
  const before = shown.topics;
  shown.topics = new Map(found.topics.map((one) => [one.topic, one]));
  const largest = [...found.topics].sort((a, b) => Math.max(b.long_term, b.short_term) - Math.max(a.long_term, a.short_term)).slice(0, MOST_TOPICS);
  const most = Math.max(0.01, ...largest.flatMap((one) => [one.long_term, one.short_term]));
  const line = (one, name) => {
    const was = before?.get(one.topic)?.[name];
    const change = was === undefined || share(was) === share(one[name]) ? null : h('span', { class: 'was' }, say('was', share(was)));
    return h('div', { class: `memory ${name}` }, h('span', { class: 'track', 'aria-hidden': 'true' }, h('i', { style: { width: `${(100 * one[name]) / most}%` } })), h('span', { class: 'amount' }, share(one[name]), h('span', { class: 'hidden' }, ` ${say(name)}`), change));
  };
  const half = (one) => (one.half_life_days === null ? null : h('span', { class: 'id' }, say('half_life', lasting(86400 * one.half_life_days))));
  return h('div', {}, h('p', { class: 'legend', 'aria-hidden': 'true' }, h('span', { class: 'long_term' }, say('long_term')), h('span', { class: 'short_term' }, say('short_term'))),
    h('ul', { class: 'topics' }, largest.map((one) => h('li', {}, h('div', { class: 'head-line' }, h('span', { class: 'text' }, one.name), half(one)), line(one, 'long_term'), line(one, 'short_term')))));
}

async function history(id, cursor, types) {
  const page = await ask(`${path('user', id, 'history')}?n=10&cursor=${encodeURIComponent(cursor)}`);
  types?.([...new Set(page.events.map((one) => one.event_type))]);
  if (!page.events.length && !cursor) return empty(say('no_history'));
  const entry = (one) => h('li', {}, h('div', {}, typed(one), named(one)), h('time', { datetime: one.timestamp }, moment(one.timestamp)));
  const list = h('ol', { class: 'feed' }, page.events.map(entry));
  const more = h('button', { class: 'quiet', onclick: async () => more.replaceWith(await history(id, page.cursor)) }, say('more'));
  return h('div', {}, list, page.cursor ? more : null);
}
