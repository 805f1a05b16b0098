// @ts-check
/**
 * WebSocket as a method of waiting: the browser's `WebSocket`, and what it lacks.
 *
 * A `WebSocket` carries messages both ways, and that is all. It does not reconnect, it
 * does not say why a handshake failed, it does not say whether what was sent has
 * arrived, and script sees no ping. The follower (`shared/reconnect.js`) does the
 * first, `GET status` the second, and the messages do the rest: `hello`, `event`,
 * `gap`, `heartbeat`, and an `ack` or an `error` for each `publish`.
 */

import { parseObject, readMessage, SUBPROTOCOL } from "../shared/contract.js";
import {
  askStatus,
  cut,
  describeProblem,
  publish,
  randomName,
  REQUEST_TIMEOUT,
  routeOf,
} from "../shared/http.js";
import { Credentials } from "../shared/credentials.js";
import { Queue } from "../shared/queue.js";
import { Failure } from "../shared/reconnect.js";
import { startTimer } from "../shared/timer.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */

// How much of what is published may wait in the browser, in bytes. `send()` never waits
// and never refuses: on a line that is too slow it fills the memory of the page. 64 KiB
// is the largest event, or some seconds of drawing.
const MAX_BUFFERED = 64 * 1024;

/** An error that will be the same when the same is sent again. It is fit to be read. */
export class Refused extends Error {}

/**
 * Makes the method for one log of one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at
 *   its end
 * @param {object} [options]
 * @param {"events" | "board"} [options.log] which of the server's logs
 * @param {typeof WebSocket} [options.Socket] what to connect with
 * @param {import("../shared/credentials.js").Renew} [options.renew] for a server that
 *   asks who is there: its `query` goes into the socket's address, and its `token` is
 *   the first message
 * @param {boolean} [options.withCredentials] see `Credentials`
 * @returns {Method} its `publish` rejects with `Refused` where it would be in vain to
 *   send the same again
 */
export function createWebSocket(base, options = {}) {
  const { log = "events", Socket = WebSocket } = options;
  // Names this page's sockets, so that the server can break these and no one else's.
  const connection = randomName();
  // `events` came first, and has the plain names.
  const isRoom = log === "events";
  /** The socket on which the server has said hello, if any. @type {Outgoing | null} */
  let open = null;
  const credentials = new Credentials(options);
  const send = credentials.request;

  return {
    follow(after, signal) {
      const url = routeOf(log, base);
      url.protocol = base.protocol === "https:" ? "wss:" : "ws:";
      // Script can set no header of a handshake, so the cursor goes into the URL.
      url.searchParams.set("after", after);
      url.searchParams.set("connection", connection);
      /** @param {string} [token] */
      const connect = (token) => {
        const socket = new Socket(url, SUBPROTOCOL);
        return follow(socket, token, signal, (outgoing) => (open = outgoing));
      };
      if (!credentials.renews) return connect();
      return (async function* () {
        const { token } = await credentials.forConnection(url, signal);
        yield* connect(token);
      })();
    },
    renews: credentials.renews,
    verdict: (after, signal) =>
      askStatus(isRoom ? base : routeOf(`${log}/`, base), after, signal, send),
    // ANCHOR: publish
    async publish(kind, data, key) {
      if (open) return open.publish(kind, data, key);
      // A `ref` and an `Idempotency-Key` are one thing to the server. So what broke off
      // with a socket may be sent again by a request, and is still one event.
      if (isRoom) return publish(base, kind, data, key, send);
      throw new Error("There is no connection.");
    },
    // ANCHOR_END: publish
    cut: () => cut(base, connection),
  };
}

/**
 * Follows what comes over one socket.
 *
 * @param {WebSocket} socket
 * @param {string | undefined} token the first message, if there is one to send
 * @param {AbortSignal} signal
 * @param {(outgoing: Outgoing | null) => void} setOutgoing called with where to publish
 *   from now on
 * @returns {AsyncIterable<Update>}
 */
function follow(socket, token, signal, setOutgoing) {
  const outgoing = new Outgoing(socket);
  /** @type {Queue<Update>} */
  const updates = new Queue(signal, close);

  // ANCHOR: messages
  socket.onmessage = ({ data }) => {
    const message = readMessage(typeof data === "string" ? parseObject(data) : null);
    switch (message?.type) {
      case "event":
      case "gap":
      case "heartbeat":
        return updates.push(message);
      case "hello":
        setOutgoing(outgoing);
        return updates.push({ ...message, type: "opened" });
      case "ack":
        outgoing.onAck(message);
        break;
      case "error":
        outgoing.onError(message);
        break;
      case undefined:
        // To go on might be to skip an event without a word.
        return updates.fail(new Failure("The server sent what is no message."));
    }
    // Whatever it is, the connection lives.
    updates.push({ type: "heartbeat" });
  };
  // ANCHOR_END: messages

  // ANCHOR: close
  let wasOpen = false;
  socket.onopen = () => {
    wasOpen = true;
    if (token !== undefined) socket.send(JSON.stringify({ auth: { token } }));
  };

  socket.onclose = ({ code, reason }) => {
    const given = reason || "no reason given";
    const why = `The server closed the connection: ${given} (${code}).`;
    const after = afterClose(code);
    if (after === "give-up") {
      // This page broke a rule, and would break it again.
      outgoing.end(new Refused(why));
      return updates.fail(new Failure(why, { kind: "refused", why }));
    }
    if (after === "denied") {
      outgoing.end(new Refused(why));
      updates.push({ type: "denied" });
      return updates.end();
    }
    if (after === "drop-largest") outgoing.refuseLargest(why);
    outgoing.end(new Error("The connection broke before the answer came."));
    // 1006 is never sent: there was no close. Lost, cut or refused are all the same to
    // script.
    if (code === 1006) {
      const lost = wasOpen
        ? "The connection broke."
        : "The connection could not be opened.";
      return updates.fail(new Failure(lost));
    }
    if (after === "stop") updates.push({ type: "finished" });
    else if (after === "renew") updates.push({ type: "renew" });
    else if (code === 1001) updates.push({ type: "ending" });
    else return updates.fail(new Failure(why));
    updates.end();
  };

  function close() {
    // What still comes is not read, least of all the server's answer to this close.
    socket.onopen = socket.onmessage = socket.onclose = null;
    setOutgoing(null);
    outgoing.end(new Error("The connection was closed before the answer came."));
    // A page may send 1000 or 3000 to 4999, and anything else throws.
    socket.close(1000);
  }
  // ANCHOR_END: close

  return updates;
}

/**
 * What to do after a close with this code (RFC 6455 §7.4.1).
 *
 * @param {number} code
 * @returns {"stop" | "give-up" | "drop-largest" | "renew" | "denied" | "again"}
 */
export function afterClose(code) {
  switch (code) {
    case 1000: // The log is finished.
      return "stop";
    case 1002: // Broken framing,
    case 1003: // binary where text is expected,
    case 1007: // or no UTF-8.
      return "give-up";
    case 1009: // Too large.
      return "drop-largest";
    case 3000: // The credential is over.
      return "renew";
    case 3003: // No right to listen any more.
      return "denied";
    default: // The server goes or has failed, a proxy has closed, or the code is new.
      return "again";
  }
}

/**
 * A publish that was sent and has no answer.
 *
 * @typedef {object} Unanswered
 * @property {() => Promise<string>} promise for whoever publishes the same meanwhile
 * @property {number} size how long its message was, in characters
 * @property {(cursor: string) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {ReturnType<typeof setTimeout>} timer
 */

// ANCHOR: outgoing
/** What is published over one socket, and the answers to it. */
class Outgoing {
  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    /**
     * By `ref`; each leaves with its answer, in its time, or with the socket.
     *
     * @type {Map<string, Unanswered>}
     */
    this.unanswered = new Map();
  }

  /**
   * @param {string} kind
   * @param {unknown} data
   * @param {string} ref
   * @returns {Promise<string>}
   */
  // ANCHOR: send
  publish(kind, data, ref) {
    const same = this.unanswered.get(ref);
    if (same) return same.promise();
    // What has gone to `send()` and not yet to the network. It is the only
    // back-pressure that there is.
    if (this.socket.bufferedAmount > MAX_BUFFERED) {
      return Promise.reject(new Error("The connection is too slow for so much."));
    }
    const text = JSON.stringify({ publish: { ref, kind, data } });
    /** @type {Promise<string>} */
    const promise = new Promise((resolve, reject) => {
      // A socket that lives may still not answer.
      const late = () =>
        this.settle(ref)?.reject(new Error("The server did not answer in time."));
      this.unanswered.set(ref, {
        promise: () => promise,
        size: text.length,
        resolve,
        reject,
        timer: startTimer(late, REQUEST_TIMEOUT),
      });
    });
    this.socket.send(text);
    return promise;
  }
  // ANCHOR_END: send

  /** @param {{ ref: string, id: string }} ack */
  onAck({ ref, id }) {
    this.settle(ref)?.resolve(id);
  }

  /** @param {{ ref?: string, problem: Record<string, unknown> }} error */
  onError({ ref, problem }) {
    // Without a `ref` it is about a message that the server could not read.
    if (ref === undefined) return;
    const status = typeof problem.status === "number" ? problem.status : 500;
    const why = describeProblem({ status }, problem);
    // As for a request: 4xx is about what was sent (RFC 9110 §15.5), and 429 about how
    // often.
    const final = status >= 400 && status < 500 && status !== 408 && status !== 429;
    this.settle(ref)?.reject(final ? new Refused(why) : new Error(why));
  }

  /**
   * The socket is gone. What has no answer may have arrived or not.
   *
   * @param {Error} error
   */
  end(error) {
    for (const ref of [...this.unanswered.keys()]) this.settle(ref)?.reject(error);
  }

  /**
   * One message was too large. Whichever it was, the largest is too large as well.
   *
   * @param {string} why
   */
  refuseLargest(why) {
    const bySize = [...this.unanswered].sort(([, a], [, b]) => b.size - a.size);
    if (bySize.length > 0) this.settle(bySize[0][0])?.reject(new Refused(why));
  }

  /** @param {string} ref */
  settle(ref) {
    const unanswered = this.unanswered.get(ref);
    clearTimeout(unanswered?.timer);
    this.unanswered.delete(ref);
    return unanswered;
  }
}
// ANCHOR_END: outgoing
