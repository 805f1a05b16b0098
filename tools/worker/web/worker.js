// @ts-check
import { Tap } from "./tap.js";

/**
 * The service worker: it answers what pages of the book ask below `in-browser/`, by the book's
 * servers in WebAssembly, and lets everything else through. The modules of the panels are files of
 * the site.
 *
 * `cargo xtask worker` writes `MODULE`, `bind` and tap.js above it. The worker of one build may meet the
 * pages of another. So what they say to each other may be added to, and not changed: the paths
 * below `in-browser/`, and these messages. `"claim"`: the page wants to be answered. `"ping"` with
 * a port: it is answered there with the name of the log, and keeps the worker alive. `{ socket }`
 * with a port: a WebSocket, see `serve`.
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const scope = new URL(worker.registration.scope);
const prefix = `${scope.pathname}in-browser/`;

// ---- The servers ----

/** @type {Promise<Server> | null} */
let starting = null;

function server() {
  starting ??= start().catch((error) => {
    // The next request tries again.
    starting = null;
    throw error;
  });
  return starting;
}

async function start() {
  const bound = bind();
  // Its name has a hash of its content, so that whatever a cache has under it is right.
  const module = fetch(new URL(MODULE, scope), { cache: "force-cache" });
  await bound({ module_or_path: module });
  return new bound.Server(scope.hostname);
}

/**
 * A panic leaves an instance that cannot go on. The next request gets another, with a new log, of
 * which its clients are told as after a restart.
 *
 * @param {unknown} error
 */
function giveUp(error) {
  if (error instanceof WebAssembly.RuntimeError) starting = null;
}

// In a task of its own nobody waits for it.
worker.addEventListener("error", ({ error }) => giveUp(error));
worker.addEventListener("unhandledrejection", ({ reason }) => giveUp(reason));

// ---- Life ----

worker.addEventListener("install", (event) => {
  // Not before the servers are there: a worker that cannot start takes no other's place.
  event.waitUntil(server().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

// ---- Requests ----

/** The modules and styles that pages of an earlier build import from the worker. */
const FILE = /^[a-z-]+\/[a-z-]+\.(css|js)$/;

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== scope.origin || !url.pathname.startsWith(prefix)) return;
  const path = url.pathname.slice(prefix.length);
  if (FILE.test(path)) event.respondWith(fetch(new URL(`assets/modules/${path}`, scope)));
  else if (path === "wire") event.respondWith(tap.answer(url));
  else event.respondWith(answer(event.request, url, event.clientId));
});

const tap = new Tap();

/**
 * @param {Request} request
 * @param {URL} url
 * @param {string} client
 */
async function answer(request, url, client) {
  const { method } = request;
  const headers = ["host", url.host, ...Array.from(request.headers).flat()];
  const source = `${client} ${url}`;
  const last = lastIds.get(source);
  if (last !== undefined && !request.headers.has("Last-Event-ID"))
    headers.push("last-event-id", last);
  const bodiless = method === "GET" || method === "HEAD";
  const body = bodiless ? new Uint8Array() : new Uint8Array(await request.arrayBuffer());
  const watch = tap.open(url);
  const target = url.pathname + url.search;
  const head = { method, target, headers: pairs(headers) };
  watch?.keep("up", body, { part: "request", head });
  try {
    const servers = await server();
    return respond(await servers.answer(method, below(url), headers, body), source, watch);
  } catch (error) {
    giveUp(error);
    watch?.close("server");
    // What a page sees of a server that is gone.
    return Response.error();
  }
}

/**
 * The path and the query that the servers know.
 *
 * @param {URL} url
 */
function below({ pathname, search }) {
  return pathname.slice(scope.pathname.length - 1) + search;
}

/**
 * @param {string[]} texts names and values in turn
 * @returns {[name: string, value: string][]}
 */
function pairs(texts) {
  return Array.from({ length: texts.length / 2 }, (_, at) => [texts[2 * at], texts[2 * at + 1]]);
}

const NO_BYTES = new Uint8Array();

/**
 * @param {Answer} answer
 * @param {string} source
 * @param {ReturnType<Tap["open"]>} watch
 */
function respond(answer, source, watch) {
  const { status } = answer;
  const headers = new Headers(pairs(answer.headers));
  const head = { status, headers: pairs(answer.headers) };
  watch?.keep("down", NO_BYTES, { part: "response", head });
  const end = () => {
    watch?.keep("down", NO_BYTES, { part: "end" });
    watch?.close("server");
  };
  if (status === 204 || status === 304) {
    answer.stop();
    end();
    return new Response(null, { status, headers });
  }
  let isLeft = false;
  const isStream = headers.get("Content-Type")?.startsWith("text/event-stream") ?? false;
  const body = new ReadableStream(
    {
      // Asked for when there is room, as hyper asks.
      async pull(controller) {
        try {
          const piece = await answer.next();
          if (isLeft) return;
          if (piece === undefined) {
            end();
            return controller.close();
          }
          watch?.keep("down", piece, { part: "body" });
          if (isStream) rememberId(source, piece);
          controller.enqueue(piece);
        } catch (error) {
          giveUp(error);
          watch?.close("server");
          // The connection breaks. An EventSource takes an error in a worker's stream for a
          // decision to stop; at the end of one it comes back, as from a broken connection.
          if (isStream) controller.close();
          else controller.error(error);
        }
      },
      cancel() {
        isLeft = true;
        watch?.close("client");
        answer.stop();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status, headers });
}

// ---- Last-Event-ID ----

/**
 * The last id of each stream of events. Chromium's EventSource sends it when it comes back, and
 * does not show it to a worker; so the worker adds what the client has.
 *
 * @type {Map<string, string>}
 */
const lastIds = new Map();
/** More than there are streams: what came first is forgotten first. */
const MOST_IDS = 100;

/**
 * @param {string} source
 * @param {Uint8Array} piece whole blocks
 */
function rememberId(source, piece) {
  const ids = new TextDecoder().decode(piece).match(/^id:.*$/gm);
  const id = ids?.at(-1)?.slice("id:".length).trim();
  if (id === undefined) return;
  lastIds.delete(source);
  lastIds.set(source, id);
  const [first] = lastIds.keys();
  if (lastIds.size > MOST_IDS) lastIds.delete(first);
}

// ---- Messages ----

worker.addEventListener("message", (event) => {
  const { data, ports, source } = event;
  const [port] = ports;
  if (data === "claim") {
    event.waitUntil(worker.clients.claim());
  } else if (data === "ping" && port) {
    const answered = server().then((servers) => port.postMessage(servers.epoch()));
    event.waitUntil(answered.catch(() => port.postMessage(null)));
  } else if (data?.socket && port && source instanceof Client) {
    serve(data.socket, port, source.id).catch(giveUp);
  }
});

/** How often it is looked whether the page of a socket is still there, in milliseconds. */
const LOOK = 10_000;

/**
 * Serves a WebSocket of a page, whose messages come and go by `port`.
 *
 * From the page: `{ data }`, `{ close: [code, reason] }`. To it: `{ open: protocol, log }`,
 * `{ data }`, `{ taken: length }` for what it sent and the connection has taken, `{ close: [code,
 * reason] }`.
 *
 * @param {{ url: string, protocol: string }} asked
 * @param {MessagePort} port
 * @param {string} client
 */
async function serve({ url, protocol }, port, client) {
  const at = new URL(url);
  const watch = tap.open(at);
  /** @type {Socket} */
  let socket;
  try {
    const servers = await server();
    socket = await servers.open(scope.host, below(at), scope.origin, protocol, watch?.keep);
    port.postMessage({ open: socket.protocol, log: servers.epoch() });
  } catch (error) {
    watch?.close("server");
    // As in a browser: nobody learns why.
    port.postMessage({ close: [1006, ""] });
    throw error;
  }
  // A port does not tell that its other end has gone.
  const looking = setInterval(async () => {
    if (await worker.clients.get(client)) return;
    clearInterval(looking);
    watch?.close("client");
    socket.close(1001, "");
  }, LOOK);
  // One after the other, in their order.
  let sent = Promise.resolve();
  let isClosing = false;
  port.onmessage = ({ data: { data, close } }) => {
    isClosing ||= Boolean(close);
    sent = sent
      .then(() => (close ? socket.close(close[0], close[1]) : socket.send(data)))
      .then(() => {
        if (!close) port.postMessage({ taken: sizeOf(data) });
      })
      // It is closed, or gone, and says so below.
      .catch(giveUp);
  };
  try {
    for (;;) {
      const message = await socket.next();
      if (Array.isArray(message)) return port.postMessage({ close: message });
      port.postMessage({ data: typeof message === "string" ? message : message.buffer });
    }
  } catch (error) {
    port.postMessage({ close: [1006, ""] });
    throw error;
  } finally {
    watch?.close(isClosing ? "client" : "server");
    clearInterval(looking);
    port.onmessage = null;
  }
}

/** @param {string | ArrayBuffer} data */
function sizeOf(data) {
  return typeof data === "string" ? data.length : data.byteLength;
}
