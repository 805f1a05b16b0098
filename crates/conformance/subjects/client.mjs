// A client for SSE and both kinds of polling in one file of plain Node, written from
// the page "The wire contract" alone. It prints each update as one line of JSON.
//
//   node client.mjs sse http://127.0.0.1:4100/sse/
//   node client.mjs polling http://127.0.0.1:4100/polling/ k3f9x2.17
const [method, base, start = 'latest'] = process.argv.slice(2);
const TYPE = 'tag:waiting.example,2026:', HOUR = 3_600_000;
let cursor; // after what was seen so far
let opened; // when this connection gave its first cursor
let failures = 0, first = 1000, wasGap = false;

const report = (name, value) => console.log(JSON.stringify({ [name]: value }));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
class End { constructor(word, value) { Object.assign(this, { word, value }); } }

function retryAfter(headers) {
  const value = headers.get('retry-after') ?? '';
  const ms = /^\d+$/.test(value) ? Number(value) * 1000
    : Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return Math.min(Math.max(ms || 0, 0), HOUR);
}

// Whether the event `id` comes after `place`. Numbers of 64 bits are no `Number`s.
function isAfter(id, place) {
  const [[epoch, n], [other, m]] = [id.split('.'), place.split('.')];
  return epoch !== other || BigInt(n) > BigInt(m);
}

function moveTo(place) {
  cursor = place;
  if (opened === undefined) report('opened', place);
  opened ??= Date.now();
}

function takeEvent(event) {
  if (!isAfter(event.id, cursor)) return; // came twice
  report('event', event);
  cursor = event.id;
}

function takeGap(gap) {
  report('gap', gap);
  cursor = gap.resume;
}

// Asks, and throws what the answer stands for if it is no success of this contract.
async function ask(headers, signal) {
  const url = new URL('events', base);
  url.searchParams.set('after', method === 'sse' ? start : cursor ?? start);
  const response = await fetch(url, { headers, signal });
  if (response.status === 204 && method === 'sse') throw new End('finished', cursor);
  const type = response.headers.get('content-type')?.split(';')[0].trim().toLowerCase();
  if (response.status === 200 && type === headers.Accept) return response;
  const wait = retryAfter(response.headers);
  const problem = type === 'application/problem+json'
    ? await response.json().catch(() => undefined) : await response.body?.cancel();
  const name = `${problem?.type}`.startsWith(TYPE) && problem.type.slice(TYPE.length);
  if (!name || ['busy', 'ending', 'timed-out'].includes(name))
    throw Object.assign(new Error(name || `status ${response.status}`), { wait });
  const { asked, resume } = problem;
  if (response.status !== 410 || resume === undefined) throw new End('refused', name);
  takeGap({ reason: name, asked, resume });
  if (wasGap) throw new Error('one gap after the other');
  wasGap = true; // without an answer: asks again from there
}

async function page() {
  const from = cursor, began = Date.now();
  const headers = { Accept: 'application/json' };
  if (method === 'long-polling') headers.Prefer = 'wait=25';
  const response = await ask(headers, AbortSignal.timeout(31_000));
  if (response === undefined) return;
  const { after, events, next, more, finished } = await response.json();
  const leadsBack = after.split('.')[0] !== next.split('.')[0] || isAfter(after, next);
  if (leadsBack || (from ?? after) !== after || (more && next === after))
    throw new Error('a page of another question');
  moveTo(after);
  wasGap = false;
  events.forEach(takeEvent);
  if (events.length === 0) report('heartbeat', next);
  moveTo(next);
  if (finished) throw new End('finished', cursor);
  const applied = response.headers.get('preference-applied') ?? '';
  const granted = 1000 * (/(?:^|,)\s*wait\s*=\s*(\d+)/i.exec(applied)?.[1] ?? 0);
  const hasWaited = granted > 0 && Date.now() - began >= Math.min(granted / 2, 1000);
  if (events.length === 0 && !hasWaited) await pause(1000 + 1000 * Math.random());
}

async function stream() {
  const abort = new AbortController();
  let every = 15_000, timer;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), 2 * every + 1000);
  };
  try {
    watch();
    const headers = { Accept: 'text/event-stream' };
    if (cursor !== undefined) headers['Last-Event-ID'] = cursor;
    const response = await ask(headers, abort.signal);
    if (response === undefined) return;
    let fields = {}, isFinished = false;
    for await (const line of lines(response.body, watch)) {
      if (line !== '') {
        const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
        const hasMore = name === 'data' && fields.data !== undefined;
        fields[name] = hasMore ? `${fields.data}\n${value}` : value;
        continue;
      }
      const { id, event, data, retry } = fields;
      fields = {};
      if (/^\d+$/.test(retry)) first = Math.min(Math.max(Number(retry), 100), HOUR);
      if (data === undefined) continue;
      const message = JSON.parse(data);
      if (!event) takeEvent(message);
      else if (event === 'hello') moveTo(message.cursor);
      else if (event === 'gap') takeGap(message);
      else if (event === 'heartbeat') { moveTo(id); report('heartbeat', id); }
      else if (event === 'end') isFinished = message.reason === 'finished';
      if (event && message.every > 0) every = Math.min(message.every, HOUR);
      watch();
    }
    throw isFinished ? new End('finished', cursor) : new Error('the stream ended');
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

// The lines of a body, which end with LF, CR or both, wherever it is cut into pieces.
async function* lines(body, heard) {
  let text = '', isHalf = false; // a CR at the end of a piece may be half of a CR LF
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    heard();
    text += isHalf ? piece.replace(/^\n/, '') : piece;
    isHalf = piece.endsWith('\r');
    const parts = text.split(/\r\n|\r|\n/);
    text = parts.pop();
    yield* parts;
  }
}

for (;;) {
  try {
    await (method === 'sse' ? stream() : page());
  } catch (error) {
    if (error instanceof End) { report(error.word, error.value); break; }
    if (opened !== undefined && Date.now() - opened >= 5000) failures = 0;
    opened = undefined;
    const range = Math.min(first * 2 ** failures++, Math.max(30_000, first));
    const wait = (error.wait ?? 0) + Math.max(100, range * Math.random());
    report('reconnecting', Math.round(wait));
    await pause(wait);
  }
}
