// Models: the one that answers, the one before, where they come from, and what they are worth.

import { ask } from './talk.js';
import { card, chart, confirm, empty, fill, filling, h, note, tell } from './parts.js';
import { moment, number, say } from './words.js';

const TOLD = ['split', 'trained_on', 'seconds', 'promoted_because', 'parent', 'learned_to', 'dataset'];

export function models(place) {
  const body = h('div');
  let waiting;
  fill(place, h('h1', {}, say('models')), body);
  const load = async () => {
    const found = await ask('/api/models');
    return h('div', {},
      h('div', { class: 'columns' },
        one(found.serving, 'serving'),
        found.before ? one(found.before, 'before', h('button', { class: 'primary', id: 'roll-back', onclick: () => back(found) }, say('roll_back'))) : card(say('before'), empty(say('no_before')))),
      card(say('challenge'), found.serving.lineage.compared ? h('div', {}, note(say('challenge_note')), chart('/api/figures/models/update', say('challenge'))) : empty(say('no_challenge'))),
      card(say('report'), found.report ? h('div', {}, chart('/api/figures/models/report', say('report')), h('p', {}, h('a', { href: '/report', target: '_blank', rel: 'noopener' }, say('report_open')))) : empty(say('no_report'))));
  };
  const back = async (found) => {
    const to = found.before.id;
    if (!(await confirm({ title: say('roll_back_sure'), body: say('roll_back_what', to, found.serving.id), yes: say('roll_back') }))) return;
    try {
      await ask('/api/models/roll-back', { method: 'POST', body: { to } });
      tell(say('rolled_back', to));
      let looks = 0;
      waiting = setInterval(async () => {
        const now = await ask('/api/models').catch(() => null);
        if ((now && now.answering !== found.answering) || ++looks > 30) { clearInterval(waiting); filling(body, load); }
      }, 500);
    } catch (error) {
      tell(error.message);
    }
  };
  filling(body, load);
  return () => clearInterval(waiting);
}

function one(model, name, action) {
  const { lineage } = model;
  const rows = [
    ['id', model.id],
    ['kind', model.kind],
    model.items === null ? null : ['catalogue', number(model.items)],
    lineage.created ? ['created', moment(new Date(1000 * lineage.created).toISOString())] : null,
    ...TOLD.filter((key) => lineage[key] !== undefined && lineage[key] !== null).map((key) => [key, key === 'dataset' ? [lineage.dataset_folder, String(lineage[key]).slice(0, 12)].filter(Boolean).join(' · ') : typeof lineage[key] === 'number' ? number(Math.round(lineage[key])) : String(lineage[key])]),
  ].filter(Boolean);
  const settings = Object.entries(model.settings);
  const fact = ([key, value]) => h('div', {}, h('dt', {}, say(key)), h('dd', {}, value));
  return h('section', { class: `card model ${name}` }, h('h2', {}, say(name), h('span', { class: 'badge' }, say(`${name}_note`))),
    h('dl', { class: 'facts' }, rows.map(fact)),
    settings.length ? h('details', {}, h('summary', {}, say('settings')), h('dl', { class: 'facts' }, settings.map(([key, value]) => fact([key, JSON.stringify(value)])))) : null,
    action);
}
