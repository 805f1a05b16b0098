// A server for all four methods in one file of plain Node, written from the page "The
// wire contract" alone. It shares no code with the crates: what a client gets from both
// alike is what the contract says. Each method lies at a path of its own, over one log:
// polling/, long-polling/, sse/ and websocket/.
//
//   node server.mjs --port 0 --retention 100 --heartbeat-ms 200
//
// SIGTERM ends it gracefully. SIGUSR2 completes the log.
import http from 'node:http';
import { isIP } from 'node:net';
import { createHash, randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({ options: {
  port: { type: 'string', default: '4100' },
  retention: { type: 'string', default: '10000' },
  'heartbeat-ms': { type: 'string', default: '15000' },
} });
const every = Number(flags['heartbeat-ms']);
const KIB = 1024, MIB = 1024 * KIB;
const KEEP_EVENTS = Number(flags.retention), KEEP_BYTES = 16 * MIB;
const MAX_DATA = 64 * KIB, MAX_BODY = 66 * KIB, MAX_FIELDS = 64;
const MAX_PLACES = 900, MAX_POLLS = 1000, MAX_SYMBOLS = 256;

const PROBLEMS = {
  expired: [410, 'Events after this cursor are gone'],
  'new-log': [410, 'The cursor is of another log'],
  'future-cursor': [400, 'The cursor is past the end of the log'],
  busy: [503, 'No place is free'],
  ending: [503, 'The server is shutting down'],
  'timed-out': [408, 'The body did not arrive in time'],
  'bad-event': [400, 'This is no event to publish'],
  'too-large': [413, 'The body or the event is too large'],
  'not-json': [415, 'The body is not JSON, or has a content coding'],
  'unknown-coding': [501, 'The transfer coding is not known here'],
  'key-reused': [422, 'The key was used for another event'],
  finished: [409, 'The log is complete'],
  'bad-cursor': [400, 'This is no position'],
  'upgrade-required': [426, 'Only a WebSocket is opened here'],
  'bad-handshake': [400, 'The handshake is malformed'],
  'bad-subprotocol': [400, 'The subprotocol waiting.v1 was not offered'],
  'not-found': [404, 'There is no such resource'],
  'method-not-allowed': [405, 'The resource is not there for this method'],
  'wrong-host': [421, 'This server does not answer for that host'],
  'foreign-origin': [403, 'A page of another origin asked'],
};

class Problem extends Error {
  constructor(name, more = {}, headers = {}) {
    super(name);
    const [status, title] = PROBLEMS[name];
    this.body = { type: `tag:waiting.example,2026:${name}`, title, status, ...more };
    this.headers = {
      'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store',
      ...headers,
      ...(status === 503 && { 'Retry-After': randomInt(1, 11) }),
    };
  }
}
const badEvent = (detail) => new Problem('bad-event', { detail });

// ---- JSON, as it was spelled

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function decode(bytes) {
  try { return utf8.decode(bytes); } catch { return undefined; }
}

// The text of each member of an object, or nothing where `text` is no object or names a
// member twice. JSON.parse alone would lose how `data` was written.
function members(text) {
  try {
    if (!/^\s*\{/.test(text)) return;
    JSON.parse(text);
  } catch { return; }
  const found = new Map();
  let depth = 0, name, start, last, end;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (depth === 1 && token === ':' && name === undefined) {
      name = JSON.parse(last);
      start = index + 1;
    } else if (depth === 1 && (token === ',' || token === '}') && name !== undefined) {
      if (found.has(name)) return;
      found.set(name, text.slice(start, end).trim());
      name = undefined;
    }
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    last = token;
    end = index + token.length;
  }
  return found;
}

// At most 32 levels, numbers of 100 digits that a double can hold, whole characters.
function isWithinLimits(text) {
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    const isNumber = /^[-\d]/.test(token), digits = token.replace(/\D/g, '').length;
    if (isNumber && (digits > 100 || !Number.isFinite(Number(token)))) return false;
    if (token[0] === '"' && !JSON.parse(token).isWellFormed()) return false;
    if (depth > 32) return false;
  }
  return true;
}

// ---- the log

const log = {
  epoch: Array.from({ length: 6 }, () => randomInt(36).toString(36)).join(''),
  earliest: 0, // the place before the oldest event that is kept
  latest: 0,
  kept: new Map(), // id -> event
  bytes: 0,
  keys: new Map(), // idempotency key -> event
  followers: new Set(), // called when something happens
  prices: new Map(),
  priced: 0, // the event that changed the prices last
  isFinished: false,
  isEnding: false,

  cursor(id) { return `${log.epoch}.${id}`; },
  wake() { for (const follower of [...log.followers]) follower(); },

  append(kind, data, key) {
    const same = key === undefined ? undefined : log.keys.get(key);
    if (same) {
      if (same.kind !== kind || same.data !== data) throw new Problem('key-reused');
      return { cursor: same.cursor, isNew: false };
    }
    if (log.isFinished) throw new Problem('finished');
    const id = ++log.latest, cursor = log.cursor(id), at = new Date().toISOString();
    const json = `{"id":"${cursor}","at":"${at}","kind":"${kind}","data":${data}}`;
    const event = { cursor, kind, data, key, json, size: Buffer.byteLength(json) };
    log.kept.set(id, event);
    log.bytes += event.size;
    if (key !== undefined) log.keys.set(key, event);
    if (kind === 'tick') log.fold(id, JSON.parse(data) ?? {});
    while (log.kept.size > KEEP_EVENTS || log.bytes > KEEP_BYTES) {
      const oldest = log.kept.get(++log.earliest);
      log.kept.delete(log.earliest);
      log.bytes -= oldest.size;
      log.keys.delete(oldest.key);
    }
    log.wake();
    return { cursor, isNew: true };
  },

  fold(id, { symbol, price, change }) {
    if (typeof symbol !== 'string' || ![price, change].every(Number.isFinite)) return;
    if (!log.prices.has(symbol) && log.prices.size === MAX_SYMBOLS) return;
    log.prices.set(symbol, { price, change });
    log.priced = id;
  },

  // Where reading begins that was asked for with `after`, and the gap that comes first.
  position(after) {
    if (after === 'latest') return { at: log.latest };
    if (after === 'earliest') return { at: log.earliest };
    return log.fromCursor(after);
  },

  fromCursor(asked) {
    const [, epoch, digits] = /^([a-z0-9]{6})\.(0|[1-9]\d{0,19})$/.exec(asked) ?? [];
    if (!epoch || BigInt(digits) >= 2n ** 64n) throw new Problem('bad-cursor');
    if (epoch !== log.epoch) return log.gap('new-log', asked);
    if (BigInt(digits) > log.latest) throw new Problem('future-cursor', { asked });
    const at = Number(digits);
    return at < log.earliest ? log.gap('expired', asked) : { at, isCursor: true };
  },

  gap(reason, asked) {
    const resume = log.cursor(log.earliest);
    return { at: log.earliest, gap: { reason, ...(asked && { asked }), resume } };
  },

  // A page's worth of the events after `at`.
  due(at) {
    const events = [];
    for (let id = at + 1, size = 0; id <= log.latest && events.length < 256; id++) {
      const event = log.kept.get(id);
      if ((size += event.size) > 64 * KIB && events.length > 0) break;
      events.push(event);
    }
    return events;
  },

  page({ at, gap }) {
    if (gap) throw new Problem(gap.reason, { asked: gap.asked, resume: gap.resume });
    const events = log.due(at), next = at + events.length;
    const more = next < log.latest ? ',"more":true' : '';
    const finished = !more && log.isFinished ? ',"finished":true' : '';
    return `{"after":"${log.cursor(at)}","events":[${events.map(({ json }) => json)}],`
      + `"next":"${log.cursor(next)}"${more}${finished}}`;
  },
};

// Sends what comes after a place to `out`, no faster than that is read, until the log
// or the server ends. A reader whose place is no longer kept is told of the gap.
function follow({ at, gap }, out) {
  const stop = () => log.followers.delete(wake);
  const wake = () => {
    while (out.isReady() && log.followers.has(wake)) {
      if (at < log.earliest) ({ at, gap } = log.gap('expired', log.cursor(at)));
      if (gap) out.gap(gap);
      gap = undefined;
      const events = log.due(at);
      if (events.length === 0) break;
      at += events.length;
      out.events(events);
    }
    const isDone = log.isFinished && at === log.latest;
    if ((isDone || log.isEnding) && stop()) out.end(isDone ? 'finished' : 'shutdown');
  };
  log.followers.add(wake);
  out.hello(gap?.asked ?? log.cursor(at)); // who is cut here meets the gap again
  wake();
  return { wake, stop, cursor: () => log.cursor(at) };
}

const METHODS = ['polling', 'long-polling', 'sse', 'websocket'];
const places = Object.fromEntries(METHODS.map((method) => [method, new Set()]));
function takePlace(method) {
  if (places[method].size >= MAX_PLACES) throw new Problem('busy');
  const place = {};
  places[method].add(place);
  return () => places[method].delete(place);
}

// ---- requests and answers

const NO_STORE = { 'Cache-Control': 'no-store' };
const JSON_HEADERS = { 'Content-Type': 'application/json', ...NO_STORE };
const hasBody = (req) => req.headers['transfer-encoding'] !== undefined
  || Number(req.headers['content-length'] ?? 0) > 0;
const tokens = (field) => (field ?? '').split(',').map((token) => token.trim());
const count = (req, name) => req.headersDistinct[name]?.length ?? 0;

// While a body is still on its way, the connection stays open for up to 5 s after the
// answer, so that a client that sends first and reads then finds the answer.
function send(req, res, status, headers, body = '') {
  if (res.headersSent || res.destroyed) return;
  const isUnread = hasBody(req) && !req.complete;
  if (isUnread || log.isEnding) res.shouldKeepAlive = false;
  const hasLength = status !== 204 && status !== 304;
  const length = hasLength && { 'Content-Length': Buffer.byteLength(body) };
  res.writeHead(status, { ...headers, ...length });
  res.write(body);
  if (!isUnread) return res.end();
  const timer = setTimeout(() => res.end(), 5000);
  req.resume().once('close', () => { clearTimeout(timer); res.end(); });
}

function refuse(req, res, error) {
  if (!(error instanceof Problem)) throw error;
  send(req, res, error.body.status, error.headers, JSON.stringify(error.body));
}

// The whole body, or what is wrong with it. What is wrong with the head counts first.
function readBody(req) {
  if (!hasBody(req)) return Buffer.alloc(0);
  if (Number(req.headers['content-length']) > MAX_BODY) return new Problem('too-large');
  return new Promise((resolve) => {
    const chunks = [];
    let size = 0;
    const done = (result) => {
      clearTimeout(timer);
      req.off('data', read);
      resolve(result);
    };
    const read = (chunk) => {
      chunks.push(chunk);
      if ((size += chunk.length) > MAX_BODY) done(new Problem('too-large'));
    };
    const timer = setTimeout(() => done(new Problem('timed-out')), 20_000);
    req.on('data', read).once('end', () => done(Buffer.concat(chunks)));
    req.once('error', () => done(new Problem('timed-out'))); // and nobody to answer
  });
}

function checkHost(req) {
  const host = /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/i;
  const name = host.exec(req.headers.host ?? '')?.[1];
  if (count(req, 'host') !== 1 || !name)
    throw new Problem('wrong-host', { status: 400 });
  if (!isIP(name.replace(/^\[|\]$/g, '')) && !/^localhost$/i.test(name))
    throw new Problem('wrong-host');
}

function checkOrigin({ headers: { origin, host } }) {
  if (origin && origin.toLowerCase() !== `http://${host}`.toLowerCase())
    throw new Problem('foreign-origin');
}

let polls = 0;
setInterval(() => { polls = 0; }, 1000).unref();
const countPoll = () => { if (++polls > MAX_POLLS) throw new Problem('busy'); };

// The path and the query, of the absolute form as well.
function target(req) {
  const [path, query] = req.url.replace(/^http:\/\/[^/?]*/i, '').split(/\?(.*)/s);
  return { path, query: new URLSearchParams(query) };
}

async function handle(req, res) {
  if (req.rawHeaders.length > 2 * MAX_FIELDS)
    return send(req, res, 431, { Connection: 'close' });
  res.on('timeout', () => { if (req.socket.writableLength > 0) req.socket.destroy(); });
  const body = await readBody(req);
  try {
    checkHost(req);
    const { path, query } = target(req);
    const route = routes.get(path);
    if (!route) throw new Problem('not-found');
    const answer = route[req.method === 'HEAD' ? 'GET' : req.method];
    const Allow = Object.keys(route).join(', ').replace('GET', 'GET, HEAD');
    if (!answer) throw new Problem('method-not-allowed', {}, { Allow });
    if (log.isEnding) throw new Problem('ending');
    answer(req, res, query, body);
  } catch (error) {
    refuse(req, res, error);
  }
}

// ---- the methods over HTTP

// Where the query asks to start.
function startOf(query) {
  const [after = 'latest', ...others] = query.getAll('after');
  if (others.length > 0) throw new Problem('bad-cursor');
  return log.position(after);
}

function poll(req, res, query) {
  countPoll();
  send(req, res, 200, JSON_HEADERS, log.page(startOf(query)));
}

function state(req, res) {
  countPoll();
  const cursor = log.cursor(Math.max(log.priced, log.earliest)), ETag = `"${cursor}"`;
  const headers = { ...JSON_HEADERS, 'Cache-Control': 'no-cache', ETag };
  const known = tokens(req.headers['if-none-match']);
  if (known.some((tag) => tag === '*' || tag.replace(/^W\//, '') === ETag))
    return send(req, res, 304, headers);
  const prices = Object.fromEntries(log.prices);
  send(req, res, 200, headers, JSON.stringify({ cursor, prices }));
}

function longPoll(req, res, query) {
  const place = startOf(query);
  const headers = { ...JSON_HEADERS, Vary: 'Prefer' };
  const prefer = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[;,]|$)/i;
  const most = Math.min(25, Number(prefer.exec(req.headers.prefer ?? '')?.[1] ?? 0));
  const wait = randomInt(Math.ceil(0.8 * most), most + 1);
  if (wait > 0 && place.isCursor) headers['Preference-Applied'] = `wait=${wait}`;
  if (wait === 0 || !place.isCursor || place.at < log.latest || log.isFinished)
    return send(req, res, 200, headers, log.page(place));
  const release = takePlace('long-polling');
  let lingering;
  const leave = () => {
    release();
    log.followers.delete(wake);
    clearTimeout(timer);
    clearTimeout(lingering);
  };
  const answer = () => {
    leave();
    try {
      send(req, res, 200, headers, log.page(log.fromCursor(log.cursor(place.at))));
    } catch (error) {
      refuse(req, res, error); // what was due is gone while the request was lingering
    }
  };
  const wake = () => {
    if (log.isEnding) answer();
    else lingering ??= setTimeout(answer, 20);
  };
  const timer = setTimeout(answer, wait * 1000);
  log.followers.add(wake);
  res.once('close', leave);
}

function stream(req, res, query) {
  const id = req.headers['last-event-id'] || query.get('lastEventId');
  let place;
  try {
    place = id ? log.fromCursor(id) : startOf(query);
  } catch (error) {
    if (!id) throw error;
    place = log.gap('unknown');
  }
  if (log.isFinished && !place.gap && place.at === log.latest)
    return send(req, res, 204, NO_STORE);
  const release = takePlace('sse');
  res.once('close', release);
  res.writeHead(200, {
    'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no', Incremental: '?1',
  });
  if (req.method === 'HEAD') return res.end();
  const write = (text) => { res.write(text); timer.refresh(); };
  const control = (id, event, data, more = '') =>
    write(`id: ${id}\nevent: ${event}\n${more}data: ${JSON.stringify(data)}\n\n`);
  const timer = setInterval(() => {
    if (!res.writableNeedDrain) control(follower.cursor(), 'heartbeat', { every });
  }, every);
  const follower = follow(place, {
    isReady: () => !res.writableNeedDrain && !res.destroyed,
    hello: (cursor) =>
      control(cursor, 'hello', { cursor, every }, `retry: ${randomInt(1000, 2001)}\n`),
    gap: (gap) => control(gap.resume, 'gap', gap),
    events: (events) => write(
      events.map(({ cursor, json }) => `id: ${cursor}\ndata: ${json}\n\n`).join('')),
    end: (reason) => {
      clearInterval(timer);
      res.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`);
    },
  });
  res.on('drain', follower.wake);
  res.once('close', () => { clearInterval(timer); follower.stop(); });
}

const status = (method) => (req, res, query) => {
  if (query.has('after')) {
    log.page(startOf(query)); // throws what a wait would meet
    takePlace(method)();
  }
  const earliest = log.cursor(log.earliest), latest = log.cursor(log.latest);
  const body = JSON.stringify({ earliest, latest, finished: log.isFinished });
  send(req, res, 200, JSON_HEADERS, body);
};

// ---- publishing, over HTTP and over a WebSocket

function publish(fields, names, key) {
  if (fields?.size !== names.length || !names.every((name) => fields.has(name)))
    throw badEvent(`its members are ${names.join(', ')}`);
  const kind = JSON.parse(fields.get('kind'));
  const data = fields.get('data').replace(/[\r\n]/g, ' '); // all between its tokens
  if (typeof kind !== 'string' || !/^[a-z][a-z0-9-]{0,31}$/.test(kind))
    throw badEvent('the kind is malformed');
  if (Buffer.byteLength(data) > MAX_DATA) throw new Problem('too-large');
  if (!isWithinLimits(data)) throw badEvent('data is beyond a limit');
  return log.append(kind, data, key);
}

function post(req, res, query, body) {
  checkOrigin(req);
  const { 'content-type': type = '', 'idempotency-key': header } = req.headers;
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Problem('not-json');
  if (req.headers['content-encoding'] !== undefined) throw new Problem('not-json');
  if (!/^(chunked)?$/i.test(req.headers['transfer-encoding'] ?? ''))
    throw new Problem('unknown-coding');
  if (body instanceof Problem) throw body;
  const found = /^(?:"([!#-[\]-~]{1,64})"|([!#-~][!-~]{0,63}))$/.exec(header ?? '');
  if (header !== undefined && !found)
    throw badEvent('the idempotency key is malformed');
  const key = found?.[1] ?? found?.[2];
  const { cursor, isNew } = publish(members(decode(body)), ['kind', 'data'], key);
  send(req, res, isNew ? 201 : 200, JSON_HEADERS, JSON.stringify({ id: cursor }));
}

// ---- the WebSocket

function requireUpgrade() {
  throw new Problem('upgrade-required', {}, {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
  });
}

function handshake(req, query) {
  checkHost(req);
  checkOrigin(req);
  const field = (name) => req.headers[`sec-websocket-${name}`];
  if (['key', 'version'].some((name) => count(req, `sec-websocket-${name}`) !== 1))
    throw new Problem('bad-handshake');
  if (field('version') !== '13') requireUpgrade();
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(field('key')))
    throw new Problem('bad-handshake');
  if (!tokens(field('protocol')).includes('waiting.v1'))
    throw new Problem('bad-subprotocol');
  if (log.isEnding) throw new Problem('ending');
  return startOf(query);
}

function upgrade(req, socket, head) {
  const { path, query } = target(req);
  const offer = tokens(req.headers.upgrade.toLowerCase());
  const isOurs = req.method === 'GET' && path === '/websocket/events';
  if (!isOurs || !offer.includes('websocket'))
    return ignoreUpgrade(req, socket, head);
  socket.on('error', () => socket.destroy());
  let place, release;
  try {
    place = handshake(req, query);
    release = takePlace('websocket');
  } catch (error) {
    const res = new http.ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once('finish', () => socket.end());
    return refuse(req, res, error);
  }
  const accept = createHash('sha1').update(req.headers['sec-websocket-key'])
    .update('258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\n'
    + 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    + `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: waiting.v1\r\n\r\n`);
  talk(socket, head, place, release);
}

// A request that offers another upgrade, as curl's do to h2c, is one like any other:
// Node's parser gets it once more, without the offer.
function ignoreUpgrade(req, socket, head) {
  let text = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`;
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const [name, value] = req.rawHeaders.slice(i, i + 2);
    if (name.toLowerCase() !== 'upgrade') text += `${name}: ${value}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

function frame(opcode, payload) {
  const bytes = Buffer.from(payload), { length } = bytes;
  const head = Buffer.alloc(length < 126 ? 2 : length < 2 ** 16 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 126 ? length : length < 2 ** 16 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, bytes]);
}

// Passes each frame that a client sends to `take`, and the code of a broken rule to
// `fail`.
function frameReader(take, fail) {
  let chunks = [], size = 0, need = 2, message = 0;
  const stop = (code) => { need = Infinity; fail(code); };
  const step = (bytes) => {
    const opcode = bytes[0] & 15, isLast = bytes[0] > 127, isControl = opcode >= CLOSE;
    const short = bytes[1] & 127, start = short < 126 ? 2 : short === 126 ? 4 : 10;
    const isKnown = [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode);
    const isMasked = bytes[1] > 127, hasReserved = (bytes[0] & 0x70) !== 0;
    if (!isKnown || !isMasked || hasReserved) return stop(1002);
    if (isControl && (!isLast || short > 125)) return stop(1002);
    if (bytes.length < start) return void (need = start);
    const length = start === 2 ? short
      : start === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (!isControl && message + length > MAX_BODY) return stop(1009);
    const end = start + 4 + length;
    if (bytes.length < end) return void (need = end);
    const payload = Buffer.from(bytes.subarray(start + 4, end));
    for (let i = 0; i < length; i++) payload[i] ^= bytes[start + (i % 4)];
    need = 2;
    if (!isControl) message = isLast ? 0 : message + length;
    take(opcode, payload, isLast);
    return bytes.subarray(end);
  };
  return {
    stop: () => { need = Infinity; },
    read(chunk) {
      if (need === Infinity) return;
      chunks.push(chunk);
      if ((size += chunk.length) < need) return;
      let rest = Buffer.concat(chunks);
      while (rest.length >= need) rest = step(rest) ?? rest;
      chunks = [rest];
      size = rest.length;
    },
  };
}

function talk(socket, head, place, release) {
  let follower, isClosing = false, silences = 0, discarded = 0;
  let parts; // of a message that is not complete
  const say = (message) => socket.write(frame(TEXT, JSON.stringify(message)));
  const leave = () => { clearInterval(timer); follower?.stop(); release(); };
  const close = (code) => {
    if (isClosing) return;
    isClosing = true;
    leave();
    socket.write(frame(CLOSE, code ? [code >> 8, code & 255] : []));
    setTimeout(() => socket.destroy(), 2000).unref();
  };
  // For the frame after which nothing that the client sends is read.
  const closeNow = (code) => { close(code); reader.stop(); socket.end(); };

  const takeMessage = (text) => {
    let ref;
    try {
      const message = members(text);
      const fields = message?.size === 1 ? members(message.get('publish')) : undefined;
      const key = fields?.has('ref') && JSON.parse(fields.get('ref'));
      if (typeof key !== 'string' || !/^[!-~]{1,64}$/.test(key))
        throw badEvent('the message is no publish with a ref');
      ref = key;
      const { cursor } = publish(fields, ['ref', 'kind', 'data'], ref);
      say({ ack: { ref, id: cursor } });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say({ error: { ref, problem: error.body } });
    }
  };

  const takeClose = (payload) => {
    const code = payload.length > 1 ? payload.readUInt16BE(0) : undefined;
    const isUsable = payload.length === 0 || (code >= 3000 && code < 5000)
      || (code >= 1000 && code < 1015 && ![1004, 1005, 1006].includes(code));
    const isText = decode(payload.subarray(2)) !== undefined;
    closeNow(!isUsable ? 1002 : isText ? code : 1007);
  };

  const takeFrame = (opcode, payload, isLast) => {
    if (opcode === CLOSE) return takeClose(payload);
    if (isClosing || opcode === PONG) return;
    if (opcode === PING) return void socket.write(frame(PONG, payload));
    if ((opcode === CONTINUATION) !== (parts !== undefined)) return closeNow(1002);
    if (opcode === BINARY) return closeNow(1003);
    parts ??= [];
    if (payload.length > 0) parts.push(payload);
    if (!isLast) return;
    const text = decode(Buffer.concat(parts));
    parts = undefined;
    if (text === undefined) closeNow(1007);
    else takeMessage(text);
  };

  const reader = frameReader(takeFrame, closeNow);
  const read = (chunk) => {
    silences = 0;
    if (isClosing && (discarded += chunk.length) > 16 * MIB) return socket.destroy();
    reader.read(chunk);
    if (socket.writableNeedDrain) socket.pause(); // or its answers would pile up
  };
  // At fixed times: one who only reads events sends nothing but the answers to pings.
  const timer = setInterval(() => {
    if (socket.writableNeedDrain) return;
    if (silences++ === 2) return socket.destroy();
    say({ heartbeat: { every } });
    socket.write(frame(PING, ''));
  }, every);
  socket.removeAllListeners('timeout').setTimeout(30_000, () => {
    if (socket.writableLength > 0) socket.destroy();
  });
  socket.on('data', read).on('drain', () => { socket.resume(); follower.wake(); });
  socket.once('end', () => { leave(); socket.end(); }).once('close', leave);
  follower = follow(place, {
    isReady: () => !socket.writableNeedDrain && !socket.destroyed,
    hello: (cursor) => say({ hello: { cursor, every } }),
    gap: (gap) => say({ gap }),
    events: (events) => socket.write(
      Buffer.concat(events.map(({ json }) => frame(TEXT, `{"event":${json}}`)))),
    end: (reason) => close(reason === 'finished' ? 1000 : 1001),
  });
  if (head.length > 0) read(head);
}

// ---- the server

const routes = new Map([
  ['/polling/events', { GET: poll, POST: post }],
  ['/polling/state', { GET: state }],
  ['/long-polling/events', { GET: longPoll, POST: post }],
  ['/sse/events', { GET: stream, POST: post }],
  ['/websocket/events', { GET: requireUpgrade, POST: post }],
]);
for (const method of METHODS) routes.set(`/${method}/status`, { GET: status(method) });

const server = http.createServer({
  maxHeaderSize: 16 * KIB, headersTimeout: 10_000, requestTimeout: 0,
  keepAliveTimeout: 10_000, connectionsCheckingInterval: 1000, requireHostHeader: false,
  keepAlive: true, keepAliveInitialDelay: 20_000,
}, handle);
server.maxConnections = 1000;
server.maxHeadersCount = MAX_FIELDS + 1;
server.timeout = 30_000; // without one byte moved
server.on('upgrade', upgrade);
// Node refuses by itself what is no HTTP, and a transfer coding, but that with 400.
server.on('clientError', ({ code }, socket) => {
  if (!socket.writable || socket._httpMessage?.headersSent) return socket.destroy();
  const isCoding = /INVALID_TRANSFER_ENCODING$/.test(code);
  const problem = isCoding ? new Problem('unknown-coding') : undefined;
  const status = problem ? 501 : /HEADER_OVERFLOW$/.test(code) ? 431 : 400;
  const fields = Object.entries({ Connection: 'close', ...problem?.headers });
  socket.end([
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    ...fields.map((field) => field.join(': ')),
    '', problem ? JSON.stringify(problem.body) : '',
  ].join('\r\n'));
});

const unused = new Set(); // without a request so far: Node does not count these as idle
server.on('connection', (socket) => {
  unused.add(socket);
  socket.once('close', () => unused.delete(socket));
});

process.once('SIGTERM', () => {
  log.isEnding = true;
  log.wake();
  server.close();
  for (const socket of unused) if (socket.bytesRead === 0) socket.destroy();
  setInterval(() => server.closeIdleConnections(), 50).unref();
  setTimeout(() => process.exit(), 5000).unref();
});
process.on('SIGUSR2', () => {
  log.isFinished = true;
  log.wake();
});

server.listen(Number(flags.port), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
