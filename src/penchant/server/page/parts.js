// Pieces of which views are made. Whatever comes from the server becomes text, never markup.

import { ask } from './talk.js';
import { decimal, language, say, share } from './words.js';

/** An element: attributes, then children. `onclick` and its like are listeners, `style` an object. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style') for (const [property, one] of Object.entries(value)) element.style.setProperty(property, one);
    else if (key === 'value') element.value = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const fill = (element, ...children) => element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
export const card = (title, ...children) => h('section', { class: 'card' }, h('h2', {}, title), ...children);
export const note = (words) => h('p', { class: 'note' }, words);
export const empty = (words) => h('p', { class: 'empty' }, words);

/** How an item is called: its text, its id beside it. */
export const named = (item) => h('span', { class: 'named' }, h('span', { class: 'text' }, item.text || item.item_id), item.text ? h('span', { class: 'id' }, item.item_id) : null);

/** What kind of event it is; nothing where it is no more than that. */
export const typed = (event) => (event.event_type === 'event' ? null : h('span', { class: 'kind' }, event.event_type));

/** The rule that tells a kind of items or people, and how often it is right on what it wasn't learned from. */
export function ruled({ rule, fidelity }) {
  if (!rule) return null;
  return h('p', { class: 'why' }, rule, fidelity === null ? null : h('span', { class: 'fidelity', title: say('fidelity_note') }, say('fidelity', decimal(Math.round(100 * fidelity) / 100))));
}

/** Fill a place with what `load` gives; what goes wrong is a sentence there, and what isn't ready is asked for again. */
export async function filling(place, load) {
  if (!place.childElementCount) fill(place, h('p', { class: 'note' }, say('loading')));
  try {
    fill(place, await load());
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (error.status === 503) {
      fill(place, note(error.message.includes('topics') ? say('topics_being') : error.message));
      setTimeout(() => place.isConnected && filling(place, load), 2000);
      return;
    }
    const retry = error.status === 404 || error.status === 400 ? null : h('button', { class: 'quiet', onclick: () => filling(place, load) }, say('again'));
    fill(place, h('p', { class: 'problem', role: 'alert' }, error.message), retry);
    if (!('status' in error)) console.error(error);
  }
}

let saying;
/** Tell what was done, to eyes and to screen readers. */
export function tell(words) {
  const place = document.getElementById('said');
  place.textContent = words;
  place.classList.add('shown');
  clearTimeout(saying);
  saying = setTimeout(() => place.classList.remove('shown'), 4000);
}

/** Ask whether to go on; `check` says whether the dialog may be agreed to. */
export function confirm({ title, body, yes, danger, typed }) {
  return new Promise((resolve) => {
    const agree = h('button', { class: danger ? 'danger' : 'primary', value: 'yes' }, yes);
    const field = typed === undefined ? null : h('input', { 'aria-label': body, autocomplete: 'off', spellcheck: 'false', oninput: () => { agree.disabled = field.value !== typed; } });
    agree.disabled = field !== null;
    const heading = h('h2', { id: 'dialog-title' }, title);
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' },
      h('form', { method: 'dialog', onsubmit: (event) => { event.preventDefault(); dialog.close(event.submitter?.value ?? ''); } }, heading, h('p', {}, body), field,
        h('div', { class: 'row end' }, h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, say('cancel')), agree)));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); });
    document.body.append(dialog);
    dialog.returnValue = '';
    dialog.showModal();
  });
}

export const theme = () => document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');

let plotly;
/** Plotly's script, fetched when the first chart comes into view. */
function charting() {
  plotly ??= new Promise((resolve, reject) => {
    const script = h('script', { src: `/page/plotly.min.js?v=${document.documentElement.dataset.plotly}` });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(say('unreachable')));
    document.head.append(script);
  });
  return plotly;
}

/** What figures and their words depend on. */
export const look = () => `language=${language()}&theme=${theme()}`;

/**
 * A chart of a figure of the server, drawn once it comes into view, and the same in numbers below for who can't see it.
 * `source` is the figure's address, or a function that gets it.
 */
export function chart(source, label, { tall = false, onpick } = {}) {
  const place = h('div', { class: tall ? 'chart tall' : 'chart', role: 'img', 'aria-label': label });
  const below = h('div');
  const asked = typeof source === 'function' ? source : () => ask(`${source}?${look()}`);
  const draw = async () => {
    const [Plotly, figure] = await Promise.all([charting(), asked()]);
    if (!place.isConnected) return [];
    const narrow = place.clientWidth < 560;
    const sampled = /[(（].*[)）]\s*$/.exec(figure.layout.title?.text ?? '')?.[0];
    delete figure.layout.title;
    figure.layout.margin = { ...figure.layout.margin, t: 10, l: narrow ? 48 : 60, r: 10 };
    figure.layout.font = { ...figure.layout.font, family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12 };
    figure.layout.legend = { ...figure.layout.legend, orientation: 'h', y: -0.12, yanchor: 'top' };
    figure.layout.autosize = true;
    const canvas = h('div', { class: 'canvas' });
    // Where there is no room for names side by side, they stand below each other, and the picture grows by as many.
    const listed = figure.data.filter((line) => line.name && line.showlegend !== false).length;
    figure.layout.legend.maxheight = 1;
    place.style.height = '';
    if (narrow && figure.layout.showlegend !== false && listed > 3) place.style.height = `${place.clientHeight + 19 * (listed - 3)}px`;
    if (figure.layout.height > place.clientHeight) place.style.height = `${figure.layout.height}px`;
    delete figure.layout.height;
    canvas.style.height = `${place.clientHeight}px`;
    fill(place, canvas);
    await Plotly.newPlot(canvas, figure.data, figure.layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    canvas.querySelectorAll('[tabindex]').forEach((one) => one.removeAttribute('tabindex'));
    if (onpick) canvas.on('plotly_click', (event) => onpick(event.points[0].customdata));
    place.classList.add('drawn');
    fill(below, sampled ? note(sampled.replace(/^[(（]|[)）]\s*$/g, '')) : null, inNumbers(figure, label));
    return canvas;
  };
  const redraw = () => filling(place, draw);
  place.redraw = () => (place.classList.contains('drawn') ? redraw() : undefined);
  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      watcher.disconnect();
      requestAnimationFrame(() => setTimeout(redraw));
    }
  }, { rootMargin: '100px' });
  watcher.observe(place);
  return h('div', { class: 'picture' }, place, below);
}

/** A figure's numbers as a table that can be opened: a row for each place on the axis of names or times, a column for each line. */
function inNumbers({ data, layout }, label) {
  if (data.some((line) => line.customdata)) return null; // a map: its items and topics stand beside it as lists
  const across = data[0]?.orientation === 'h' || typeof data[0]?.y?.[0] === 'string';
  const axis = (line) => layout[(across ? 'xaxis' : 'yaxis') + (line.yaxis ?? 'y').slice(1)] ?? {};
  const axes = new Set(data.map((line) => line.yaxis ?? 'y'));
  const head = data.map((line) => [axes.size > 1 || !line.name ? axis(line).title?.text : null, line.name].filter(Boolean).join(': '));
  const places = data.map((line) => (across ? line.y : line.x));
  const rows = [...new Set(places.flat())];
  const value = (number, format) => (typeof number !== 'number' ? '' : format?.includes('%') ? share(number) : decimal(number));
  const cell = (row, line, column) => {
    const at = places[column].indexOf(row);
    return h('td', {}, at < 0 ? '' : value((across ? line.x : line.y)[at], axis(line).tickformat));
  };
  const table = h('table', {}, h('caption', { class: 'hidden' }, label),
    h('thead', {}, h('tr', {}, h('td'), head.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, h('th', { scope: 'row' }, String(row)), data.map((line, column) => cell(row, line, column))))));
  return h('details', { class: 'numbers' }, h('summary', {}, say('in_numbers')), h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label }, table));
}

/** A function that waits until it hasn't been called for a while. */
export function calmly(act, milliseconds = 150) {
  let waiting;
  return (...words) => { clearTimeout(waiting); waiting = setTimeout(() => act(...words), milliseconds); };
}
