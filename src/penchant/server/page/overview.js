// Overview: what happens now, and how the service is.

import { ask, listen } from './talk.js';
import { card, chart, fill, h, named, note, typed } from './parts.js';
import { compact, lasting, moment, number, say, share } from './words.js';

const MOST = 12;

export function overview(place) {
  const status = h('p', { class: 'status', role: 'status' });
  const tiles = h('div', { class: 'tiles' });
  const quality = h('div');
  const events = h('ol', { class: 'feed' });
  const lists = h('ol', { class: 'feed' });
  const skipped = h('p', { class: 'note', hidden: true });
  fill(place, h('div', { class: 'head' }, h('h1', {}, say('overview')), status), tiles,
    h('div', { class: 'columns' },
      card(say('events_live'), skipped, events),
      card(say('lists_live'), lists)),
    h('div', { class: 'columns' },
      card(say('activity'), note(say('activity_note')), chart('/api/figures/activity', say('activity'))),
      card(say('quality'), quality)));
  fill(events, h('li', { class: 'empty' }, say('no_events')));
  fill(lists, h('li', { class: 'empty' }, say('no_lists')));
  const onOverview = (found) => { fill(tiles, ...figures(found)); fill(quality, qualities(found)); };
  const onNews = (news) => {
    if (news.events.length) prepend(events, news.events.map(event));
    if (news.lists.length) prepend(lists, news.lists.map(list));
    skipped.hidden = news.left_out === 0;
    skipped.textContent = say('left_out', number(news.left_out));
  };
  let model = '';
  const state = (up) => {
    status.className = up ? 'status up' : 'status down';
    fill(status, h('span', { class: 'dot' }), up ? say('live') : say('lost'), model && up ? h('span', { class: 'id' }, model) : null);
  };
  ask('/api/overview').then(onOverview).catch((error) => fill(tiles, h('p', { class: 'problem', role: 'alert' }, error.message)));
  return listen({ overview: (found) => { if (model !== found.model.id) { model = found.model.id; state(true); } onOverview(found); }, news: onNews, state });
}

function figures(found) {
  const { counts, since_start: since, latency_ms: { recommend }, model } = found;
  const tile = (name, value, under) => h('div', { class: 'tile' }, h('div', { class: 'name' }, say(name)), h('div', { class: 'value' }, value), h('div', { class: 'under' }, under));
  return [
    tile('events', compact(counts.events), say('since_start', `+${number(since.events)}`)),
    tile('users', compact(counts.users), say('of_users', compact(counts.users), compact(counts.items))),
    tile('lists_made', compact(since.recommendations), say('since_start', '').trim()),
    tile('hit_rate', found.hit_rate === null ? '–' : share(found.hit_rate, 1), found.hit_rate === null ? say('no_hits') : say('hit_of', number(since.hits), number(since.attributed))),
    tile('latency', recommend.requests ? `${recommend.p50.toFixed(1)} ms` : '–', recommend.requests ? say('latency_of', recommend.p99.toFixed(1), number(recommend.requests)) : say('no_latency')),
    tile('model_age', lasting(model.age_seconds), model.kind),
    tile('coverage', share(found.coverage, 1), say('coverage_of', number(model.items))),
  ];
}

function qualities(found) {
  const { quality, counts } = found;
  const rows = [
    ['q_unknown', number(quality.unknown_items)],
    ['q_duplicates', number(quality.duplicates)],
    ['q_lag', number(found.memory_lag_events)],
    ['q_text', counts.items ? `${number(quality.with_text)} / ${number(counts.items)}` : '–'],
    ['q_hidden', number(quality.hidden)],
  ];
  return h('dl', { class: 'facts' }, rows.map(([name, value]) => h('div', {}, h('dt', {}, say(name)), h('dd', {}, value))));
}

const person = (id) => h('a', { href: `#/people/${encodeURIComponent(id)}` }, id);
const event = (one) => h('li', {}, h('div', {}, person(one.user_id), typed(one), named(one)), h('time', { datetime: one.timestamp }, moment(one.timestamp)));
const list = (one) => h('li', {}, h('div', {}, person(one.user_id), one.known ? null : h('span', { class: 'kind' }, say('newcomer')), h('span', { class: 'ranked' }, one.items.map((item) => h('span', {}, item.text || item.item_id)))));

function prepend(feed, entries) {
  feed.querySelector('.empty')?.remove();
  feed.prepend(...entries.reverse());
  while (feed.childElementCount > MOST) feed.lastElementChild.remove();
}
