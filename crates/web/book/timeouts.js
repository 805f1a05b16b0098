// @ts-check
/**
 * Who gives up first on a path of boxes, each with a time-out of its own, and what each
 * of them sees of it.
 *
 * It is a model: a message takes no time from box to box. Where two times are nearly
 * the same, the way decides on a real path, and the model says that it is a race.
 */

/** @typedef {"answer" | "stream" | "kept"} Situation */
/** @typedef {"client" | "cdn" | "proxy" | "server"} Party */

/**
 * All times are in seconds.
 *
 * @typedef {object} Chain
 * @property {Situation} situation `answer`: a long poll waits for news. `stream`: a
 *   stream of Server-Sent Events on which nothing happens. `kept`: the proxy keeps a
 *   connection to the server, and has nothing to ask
 * @property {number} client how long the client waits: for the answer, or for a sign of
 *   life on a stream
 * @property {number} cdn how much silence of what is behind it the CDN bears
 * @property {number} proxy the same of the proxy; or how long it keeps a connection
 * @property {boolean} [isWholeAnswer] whether the proxy's time is for the whole answer,
 *   however lively it is
 * @property {number} server how long the server parks a request, or keeps a connection
 * @property {number | null} heartbeat after how much silence the server writes one, on
 *   a stream
 */

/**
 * @typedef {object} Verdict
 * @property {Party[]} first who gives up first. Several if they race, none if nobody
 *   ever does
 * @property {number | null} at when, in seconds
 * @property {"good" | "narrow" | "bad"} how `narrow`: the right one, or nobody, but
 *   only just
 * @property {string} says the verdict in a sentence
 * @property {Record<Party, string>} sees what each box sees. A box that has no part in
 *   the situation has an empty text
 */

/** Closer than this, the way decides who is first. */
const RACE = 1;

/** What exercise 2 of the chapter on long polling leaves between two time-outs. */
const SPARE = 5;

/**
 * @param {Chain} chain
 * @returns {Verdict}
 */
export function judge(chain) {
  if (chain.situation === "answer") return judgeAnswer(chain);
  if (chain.situation === "stream") return judgeStream(chain);
  return judgeKept(chain);
}

/** @type {Record<Party, string>} */
const NAMES = {
  client: "the client",
  cdn: "the CDN",
  proxy: "the proxy",
  server: "the server",
};

/** @param {readonly string[]} names */
function listed(names) {
  const last = names.at(-1) ?? "nobody";
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${last}` : last;
}

/** @param {readonly Party[]} parties */
function namesOf(parties) {
  return parties.map((party) => NAMES[party]);
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {number} seconds */
function inSeconds(seconds) {
  return `${Math.round(seconds * 10) / 10} s`;
}

/**
 * The smallest of some times, who has it, and how long after it the next one comes.
 *
 * @param {[Party, number][]} times
 */
function earliest(times) {
  const at = Math.min(...times.map(([, time]) => time));
  const first = times.filter(([, time]) => time - at < RACE).map(([party]) => party);
  const others = times.filter(([party]) => !first.includes(party));
  const spare = Math.min(...others.map(([, time]) => time)) - at;
  return { at, first, spare };
}

/**
 * @param {Chain} chain
 * @returns {Verdict}
 */
function judgeAnswer({ client, cdn, proxy, server }) {
  const { at, first, spare } = earliest([
    ["server", server],
    ["proxy", proxy],
    ["cdn", cdn],
    ["client", client],
  ]);
  const [who] = first;
  const after = `after ${inSeconds(at)}`;
  if (first.length > 1) {
    const names = listed(namesOf(first));
    const says = `A race, ${after}, of ${names}: now one is first and now another.`;
    const error = "now and then an error, in a system in which nothing is broken";
    const sees = { client: error, cdn: error, proxy: error, server: ENDS_UNDER_IT };
    return { first, at, how: "bad", says, sees };
  }
  const sees = seesOfAnswer(who);
  if (who !== "server") {
    const says =
      `${capital(NAMES[who])} gives up first, ${after}. ` +
      "Only the server could have said that nothing has happened.";
    return { first, at, how: "bad", says, sees };
  }
  if (spare < SPARE) {
    const says =
      `The server gives up first, ${after}, as it should, and only ` +
      `${inSeconds(spare)} before the next. Leave ${inSeconds(SPARE)}.`;
    return { first, at, how: "narrow", says, sees };
  }
  const says = `The server gives up first, ${after}, as it should.`;
  return { first, at, how: "good", says, sees };
}

const ENDS_UNDER_IT =
  "the connection ends under a parked request, if the end is passed on; " +
  "no error in its log";

/**
 * @param {Party} who
 * @returns {Record<Party, string>}
 */
function seesOfAnswer(who) {
  const left = "its client has left; it may end its own request, or wait on";
  switch (who) {
    case "server":
      return {
        client: "200 and an empty page: the server lives, nothing has happened",
        cdn: "a whole answer, which it passes on",
        proxy: "a whole answer, which it passes on",
        server: "a wait that is over",
      };
    case "proxy":
      return {
        client: "504 and a page of HTML, which the server never sent",
        cdn: "504 of the proxy, which it passes on",
        proxy: "a server that did not answer: an error in its log",
        server: ENDS_UNDER_IT,
      };
    case "cdn":
      return {
        client: "504 (Cloudflare: 524) and a page of HTML",
        cdn: "a proxy that did not answer: an error in its log",
        proxy: left,
        server: ENDS_UNDER_IT,
      };
    default:
      return {
        client: "no answer: a quiet log looks like a dead server",
        cdn: left,
        proxy: left,
        server: ENDS_UNDER_IT,
      };
  }
}

/**
 * @param {Chain} chain
 * @returns {Verdict}
 */
function judgeStream({ client, cdn, proxy, isWholeAnswer = false, heartbeat }) {
  const beat = heartbeat ?? Infinity;
  /** @type {[Party, number][]} */
  const limits = [
    ["client", client],
    ["cdn", cdn],
    ["proxy", proxy],
  ];
  /** @param {Party} party */
  const isWhole = (party) => isWholeAnswer && party === "proxy";
  // A heartbeat starts each limit of silence anew, and no limit of the whole answer.
  const reached = limits.filter(
    ([party, limit]) => isWhole(party) || limit < beat + RACE,
  );
  if (reached.length === 0) return judgeKeptAlive(limits, beat);
  const { at, first } = earliest(reached);
  const [who] = first;
  const sees = seesOfStream(who);
  const racing = namesOf(first);
  if (!isWhole(who) && Math.abs(at - beat) < RACE) racing.push("the heartbeat");
  if (racing.length > 1) {
    const says =
      `A race, after ${inSeconds(at)}, of ${listed(racing)}: ` +
      "the stream breaks now and then, and nothing is as hard to find.";
    return { first, at, how: "bad", says, sees };
  }
  let why = `The heartbeat, every ${inSeconds(beat)}, comes too late for that.`;
  if (heartbeat === null) why = "Nothing is sent in a silence: send heartbeats.";
  if (isWhole(who)) {
    why =
      "That time is for the whole answer, and no heartbeat helps: " +
      "switch it off for streams.";
  }
  const says = `${capital(NAMES[who])} gives up first, after ${inSeconds(at)}. ${why}`;
  return { first, at, how: "bad", says, sees };
}

/**
 * @param {[Party, number][]} limits
 * @param {number} beat
 * @returns {Verdict}
 */
function judgeKeptAlive(limits, beat) {
  const [least, limit] = limits.reduce((a, b) => (b[1] < a[1] ? b : a));
  const sees = {
    client: "a heartbeat now and then: the stream lives",
    cdn: "bytes now and then: a connection in use",
    proxy: "bytes now and then: a connection in use",
    server: "a stream that stays open",
  };
  const comes = `Nobody gives up: a heartbeat comes every ${inSeconds(beat)}`;
  if (limit < 2 * beat) {
    const says =
      `${comes}. But one that is lost or late is enough for ${NAMES[least]}, which ` +
      `bears ${inSeconds(limit)}. Send something every half of that.`;
    return { first: [], at: null, how: "narrow", says, sees };
  }
  const says = `${comes}, and each box bears at least twice that.`;
  return { first: [], at: null, how: "good", says, sees };
}

/**
 * @param {Party} who
 * @returns {Record<Party, string>}
 */
function seesOfStream(who) {
  const server = "a connection that ends under its stream";
  const client =
    "a stream that breaks off, without a status, since the answer has begun; " +
    "it comes back with its cursor";
  switch (who) {
    case "client":
      return {
        client: "silence: it takes the connection for dead, and comes back for nothing",
        cdn: "a client that has left",
        proxy: "a client that has left",
        server,
      };
    case "cdn":
      return {
        client,
        cdn: "a silent answer, which it cuts",
        proxy: "a client that has left",
        server,
      };
    default:
      return {
        client,
        cdn: "an answer that breaks off, and so does its own",
        proxy: "an answer that is over its time, which it cuts",
        server,
      };
  }
}

/**
 * @param {Chain} chain
 * @returns {Verdict}
 */
function judgeKept({ proxy, server }) {
  const { at, first, spare } = earliest([
    ["proxy", proxy],
    ["server", server],
  ]);
  const after = `after ${inSeconds(at)}`;
  if (first.length === 1 && first[0] === "proxy") {
    const isNarrow = spare < SPARE;
    const says =
      `The proxy closes first, ${after}, as it should: no request of its own can ` +
      "meet a connection that the server is closing." +
      (isNarrow ? ` But the server follows ${inSeconds(spare)} later.` : "");
    const sees = {
      client: "nothing",
      cdn: "",
      proxy: "a connection that it needs no more; its next request opens another",
      server: "an end between two requests",
    };
    return { first, at, how: isNarrow ? "narrow" : "good", says, sees };
  }
  const says =
    first.length > 1
      ? `A race, ${after}, of ${listed(namesOf(first))}.`
      : `The server closes first, ${after}.`;
  return {
    first,
    at,
    how: "bad",
    says: `${says} A request that is on its way in that moment has no answer.`,
    sees: {
      client: "502 now and then; whether its POST was carried out, nobody knows",
      cdn: "",
      proxy: "a connection that closes under its request",
      server: "nothing: to it the connection was idle",
    },
  };
}
