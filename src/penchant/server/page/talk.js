// Talking with the server: JSON both ways, errors as sentences, one stream of what happens.

import { say } from './words.js';

export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Ask the server; what it refuses, or can't be asked, is thrown as a sentence. */
export async function ask(path, { method = 'GET', body, signal } = {}) {
  let answer;
  try {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, say('unreachable'));
  }
  const said = await answer.json().catch((error) => { if (error.name === 'AbortError') throw error; return {}; });
  if (!answer.ok) throw new Refused(answer.status, said.error ?? `${answer.status}`);
  return said;
}

export const path = (...words) => `/api/${words.map(encodeURIComponent).join('/')}`;

/** Hear what happens until the returned function is called. */
export function listen({ overview, news, state }) {
  const source = new EventSource('/api/stream');
  source.addEventListener('overview', (message) => overview?.(JSON.parse(message.data)));
  source.addEventListener('news', (message) => news?.(JSON.parse(message.data)));
  source.onopen = () => state?.(true);
  source.onerror = () => state?.(false);
  return () => source.close();
}
