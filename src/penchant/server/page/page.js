// The page: which view is shown, in which language and colours.

import { fill, h } from './parts.js';
import { language, say } from './words.js';
import { overview } from './overview.js';
import { people } from './people.js';
import { items } from './items.js';
import { models } from './models.js';
import { privacy } from './privacy.js';

const VIEWS = { overview, people, items, models, privacy };
const ICONS = {
  overview: 'M4 13h4l3-8 4 14 3-6h2',
  people: 'M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-8 10a8 8 0 0 1 16 0',
  items: 'M5 5h5v5H5zM14 5h5v5h-5zM5 14h5v5H5zM14 14h5v5h-5z',
  models: 'M12 3l9 5-9 5-9-5zM3 13l9 5 9-5',
  privacy: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z',
};
const main = document.getElementById('main');
const keep = (name, value) => { try { localStorage.setItem(`penchant.${name}`, value); } catch { /* a browser that keeps nothing */ } };
let leave = () => {};

function where() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const safe = (word) => { try { return decodeURIComponent(word); } catch { return word; } };
  return { name: name in VIEWS ? name : 'overview', rest: safe(rest.join('/')) };
}

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  line.setAttribute('d', ICONS[name]);
  svg.append(line);
  return svg;
}

function bar(current) {
  document.getElementById('skip').textContent = say('skip');
  const nav = document.getElementById('nav');
  nav.setAttribute('aria-label', say('views'));
  fill(nav, Object.keys(VIEWS).map((name) => h('a', { href: `#/${name}`, 'aria-current': name === current ? 'page' : null }, icon(name), h('span', {}, say(name)))));
  const chosen = document.documentElement.dataset.theme ?? 'auto';
  const following = { auto: 'light', light: 'dark', dark: 'auto' }[chosen];
  const signs = { auto: '◐', light: '☀', dark: '☾' };
  fill(document.getElementById('switches'),
    h('button', { class: 'switch', lang: language() === 'zh' ? 'en' : 'zh-CN', id: 'language', onclick: () => speak(language() === 'zh' ? 'en' : 'zh') }, say('to_language')),
    h('button', { class: 'switch', id: 'theme', 'aria-label': say(`theme_${chosen}`), title: say(`theme_${chosen}`), onclick: () => colour(following) }, signs[chosen]));
}

function speak(chosen) {
  document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en';
  keep('language', chosen);
  const address = new URL(location);
  if (address.searchParams.has('lang')) {
    address.searchParams.set('lang', chosen);
    history.replaceState(null, '', address);
  }
  show();
  document.getElementById('language').focus();
}

function colour(chosen) {
  if (chosen === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  keep('theme', chosen);
  redraw();
  bar(where().name);
  document.getElementById('theme').focus();
}

const redraw = () => document.querySelectorAll('.chart.drawn').forEach((one) => one.redraw());

function show() {
  const { name, rest } = where();
  leave();
  bar(name);
  document.title = `${say(name)} · Penchant`;
  const place = h('div', { class: `view ${name}` });
  fill(main, place);
  leave = VIEWS[name](place, rest) ?? (() => {});
  performance.mark('shown');
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
document.getElementById('skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
window.addEventListener('hashchange', () => { show(); scrollTo(0, 0); main.focus({ preventScroll: true }); });
show();
