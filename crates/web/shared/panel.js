// @ts-check
/**
 * The live panel: one view for every method, so that what a reader compares is the
 * method alone.
 *
 * It connects only when Start is pressed. A browser opens six connections to a server
 * over HTTP/1.1 and makes the seventh wait; a reader with seven chapters open must not
 * meet that limit by accident.
 */

import { Breaks } from "./breaks.js";
import { describeEvent, directionOf } from "./describe.js";
import { randomName, messageOf } from "./http.js";
import { Follower } from "./reconnect.js";
import { createStatusLine } from "./status-line.js";
import { startTimer } from "./timer.js";

/** @typedef {import("./breaks.js").Break} Break */
/** @typedef {import("./contract.js").LogEvent} LogEvent */
/** @typedef {import("./reconnect.js").FollowerUpdate} FollowerUpdate */
/** @typedef {import("./reconnect.js").Method} Method */

/**
 * @typedef {object} Wire
 * @property {URL} base where the method's routes lie. Its query goes with each request
 * @property {string} [modules] where the page has the wire view; without it none is
 *   offered
 */

// More than fits a screen, and little enough that a fast ticker does not slow the page
// down.
const MAX_ITEMS = 200;
// A glance at another tab should not cost a reconnection; a forgotten tab should not
// hold a connection.
const HIDDEN_TOO_LONG = 30_000;
// How far from its end the list may be scrolled and still count as "at the end", in CSS
// pixels. Scroll positions are fractions of a pixel, and a finger is not exact.
const NEAR_END = 24;

/** The buttons of every panel that follows a log. */
export const BUTTONS = `
<div class="lp-bar">
  <button type="button" data-role="start">Start</button>
  <button type="button" data-role="stop">Stop</button>
  <button type="button" data-role="cut" class="lp-star">Cut my connection</button>
</div>
`;

const MARKUP = `
${BUTTONS}
<div class="lp-frame">
  <div class="lp-log" data-role="log" role="log" aria-live="off" aria-label="Events" tabindex="0">
    <p class="lp-empty" data-role="empty">Events appear here as they come.</p>
    <ol></ol>
  </div>
  <button type="button" class="lp-newest" data-role="newest" hidden>Newest ↓</button>
</div>
<form class="lp-form">
  <label>Your name <input data-role="name" name="name" autocomplete="nickname" maxlength="40" required></label>
  <label class="lp-grow">Message <input data-role="message" name="message" autocomplete="off" maxlength="500" required></label>
  <button type="submit" data-role="send">Send</button>
</form>
<p class="lp-note" data-role="answer" role="status"></p>
<label class="lp-check"><input type="checkbox" data-role="announce"> Let a screen reader read each event aloud</label>
`;

/**
 * Puts a panel into an element, in place of what is there.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {Method} options.method
 * @param {string} options.label what the panel is, for example `Live events over
 *   Server-Sent Events`
 * @param {HTMLElement} [options.controls] the method's own controls
 * @param {HTMLElement} [options.counts] what the method itself counts
 * @param {Wire} [options.wire] what can show the method's connections
 * @param {boolean} [options.restsWhenHidden] whether the panel gives its connection
 *   back while nobody looks. `false` for a method that holds none, and takes care
 *   itself to ask less often
 * @returns {{ follower: Follower, destroy: () => void }}
 */
export function createPanel(
  element,
  { method, label, controls, counts, wire, restsWhenHidden = true },
) {
  const root = createSection(label, MARKUP);
  const status = createStatusLine("Not connected. Press Start.");
  if (controls) root.querySelector(".lp-bar")?.append(controls);
  root.querySelector(".lp-bar")?.append(status.element);
  const last = document.createElement("p");
  last.className = "lp-last";
  last.dataset.role = "last-break";
  last.hidden = true;
  root.querySelector(".lp-bar")?.after(last);
  const followed = createFollowerCounts();
  root.querySelector(".lp-form")?.before(followed.element, ...(counts ? [counts] : []));

  const log = find(root, "log");
  const list = /** @type {HTMLOListElement} */ (log.querySelector("ol"));
  const newest = find(root, "newest");
  const announce = findInput(root, "announce");
  const name = findInput(root, "name");
  const message = findInput(root, "message");
  const answer = find(root, "answer");
  const buttons = {
    start: find(root, "start"),
    stop: find(root, "stop"),
    send: find(root, "send"),
    cut: find(root, "cut"),
  };

  /**
   * What has come since the last frame. Drawing once a frame keeps a fast log from
   * drawing more often than a screen can show. A hidden page draws no frames, so what
   * waits here is bounded as well.
   *
   * @type {HTMLLIElement[]}
   */
  let pending = [];
  let frame = 0;
  /** How many items came below the part of the list that the reader looks at. */
  let unseen = 0;

  const follower = new Follower(method);

  const breaks = new Breaks();
  /** How many events were lost before the connection ended, if it does. */
  let lostWhenLeft = 0;
  /** @type {{ note: string, item: HTMLElement, ended: Break, lost: number } | null} */
  let lastBreak = null;

  // ANCHOR: follow
  async function follow() {
    for await (const update of follower.updates()) {
      if (update.type === "event") showEvent(update.event);
      else if (update.type === "gap") showGap(update.gap);
      else if (update.type === "state") showState(update);
      draw();
    }
  }
  // ANCHOR_END: follow

  /** @param {Extract<FollowerUpdate, { type: "state" }>} update */
  function showState({ state, text, note }) {
    status.set(state, text);
    setEnabled(buttons.start, !follower.active);
    setEnabled(buttons.stop, follower.active);
    setEnabled(buttons.send, follower.active);
    setEnabled(buttons.cut, state === "open");
    const ended = breaks.enter(state, Date.now());
    if (ended) {
      const item = noteItem("note", note ?? "");
      item.dataset.break = "true";
      lastBreak = { note: note ?? "", item, ended, lost: lostWhenLeft };
      describeLastBreak();
      add(item);
    } else if (note) add(noteItem("note", note));
    if (state === "open") lostWhenLeft = follower.counts.lost;
  }

  /** @param {LogEvent} event */
  function showEvent(event) {
    const isLate = breaks.current !== null;
    breaks.take(event.at, Date.now());
    if (isLate) describeLastBreak();
    else lostWhenLeft = follower.counts.lost;
    add(eventItem(event));
  }

  /** @param {import("./contract.js").Gap} gap */
  function showGap(gap) {
    if (breaks.current) describeLastBreak();
    add(noteItem("gap", describeGap(gap)));
  }

  /** In the list, and beside the status, where it stays. */
  function describeLastBreak() {
    if (!lastBreak) return;
    const { note, item, ended, lost } = lastBreak;
    const text = ended.describe(follower.counts.lost - lost);
    item.textContent = `${note} ${text}`;
    last.textContent = `Last break: ${text}`;
    last.hidden = false;
  }

  setEnabled(buttons.stop, false);
  setEnabled(buttons.send, false);
  setEnabled(buttons.cut, false);
  buttons.cut.hidden = !method.cut;

  /** @param {HTMLLIElement} item */
  function add(item) {
    pending.push(item);
    if (pending.length > MAX_ITEMS) pending = pending.slice(-MAX_ITEMS);
  }

  function draw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      drawItems();
      followed.draw(follower);
    });
  }

  function drawItems() {
    if (pending.length === 0) return;
    // Asked before anything is added: afterwards the end has moved away.
    const follow = isAtEnd();
    find(root, "empty").hidden = true;
    unseen = follow ? 0 : unseen + pending.length;
    list.append(...pending);
    pending = [];
    const before = list.getBoundingClientRect().bottom;
    while (list.childElementCount > MAX_ITEMS) list.firstElementChild?.remove();
    if (follow) {
      // At once, without an animation: a smooth scroll would still be under way when
      // the next event comes, and some readers ask for no motion at all.
      log.scrollTop = log.scrollHeight;
    } else {
      // The reader is reading something further up. Keep it where it is while older
      // items go.
      log.scrollTop -= before - list.getBoundingClientRect().bottom;
    }
    drawNewest();
  }

  function isAtEnd() {
    return log.scrollHeight - log.scrollTop - log.clientHeight <= NEAR_END;
  }

  function drawNewest() {
    newest.hidden = unseen === 0;
    newest.textContent = unseen === 1 ? "1 new ↓" : `${unseen} new ↓`;
  }

  /**
   * The key of a message that may or may not have arrived.
   *
   * @type {{ text: string, key: string } | null}
   */
  let unanswered = null;

  /** @param {SubmitEvent} event */
  async function send(event) {
    event.preventDefault();
    if (!isEnabled(buttons.send)) {
      answer.textContent = follower.active
        ? ""
        : "Press Start first, so that you see your message come back.";
      return;
    }
    const data = { from: name.value.trim(), text: message.value.trim() };
    if (!data.from || !data.text) {
      answer.textContent = "A name and a message, please.";
      return;
    }
    // The same message with the same key is one event. So a reader who sees an error
    // may press Send again, whether or not the first request had arrived.
    const text = JSON.stringify(data);
    if (unanswered?.text !== text) unanswered = { text, key: randomName() };
    setEnabled(buttons.send, false);
    answer.textContent = "Sending…";
    try {
      const cursor = await method.publish("message", data, unanswered.key);
      unanswered = null;
      clearSent(message, data.text);
      answer.textContent = `Published as ${cursor}.`;
    } catch (error) {
      answer.textContent = `Not sent. ${messageOf(error)} Press Send to try again.`;
    }
    setEnabled(buttons.send, follower.active);
  }

  async function cut() {
    if (!isEnabled(buttons.cut)) return;
    setEnabled(buttons.cut, false);
    answer.textContent = "";
    add(noteItem("note", "Asking the server to cut this connection…"));
    draw();
    try {
      await method.cut?.();
    } catch (error) {
      answer.textContent = `Not cut. ${messageOf(error)}`;
      setEnabled(buttons.cut, follower.state === "open");
    }
  }

  buttons.start.addEventListener("click", () => {
    if (isEnabled(buttons.start)) follow();
  });
  buttons.stop.addEventListener("click", () => follower.stop());
  buttons.cut.addEventListener("click", cut);
  root.querySelector("form")?.addEventListener("submit", send);
  announce.addEventListener("change", () => {
    // Off by default: a ticker that speaks twice a second leaves room for nothing else.
    log.setAttribute("aria-live", announce.checked ? "polite" : "off");
  });
  newest.addEventListener("click", () => {
    log.scrollTop = log.scrollHeight;
    // The button is about to vanish. Without this the keyboard's place in the page
    // would vanish too.
    log.focus();
  });
  log.addEventListener("scroll", () => {
    if (isAtEnd()) unseen = 0;
    drawNewest();
  });
  for (const field of root.querySelectorAll("input, select")) keepKeys(field);
  const stopWatching = watchPage(follower, restsWhenHidden);
  if (wire?.modules) root.append(createWireButton(root, wire, follower));

  element.replaceChildren(root);
  return {
    follower,
    destroy() {
      stopWatching();
      cancelAnimationFrame(frame);
      follower.stop();
      root.remove();
    },
  };
}

/**
 * A button that shows what goes over the wire. What it needs is loaded when it is
 * pressed.
 *
 * @param {HTMLElement} root of the panel
 * @param {Wire} wire
 * @param {Follower} follower
 */
function createWireButton(root, { base, modules }, follower) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.role = "wire";
  button.textContent = "Show the wire";
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async () => {
    try {
      const { toggleWire } = await import(new URL("wire/live.js", modules).href);
      toggleWire(root, { button, base, follower });
    } catch (error) {
      console.error("The wire view did not load:", error);
      button.textContent = "The wire view did not load";
    }
  });
  return button;
}

/**
 * Empties a field whose text was sent, unless its reader has written something else
 * meanwhile.
 *
 * @param {{ value: string }} field
 * @param {string} sent
 */
export function clearSent(field, sent) {
  if (field.value.trim() === sent) field.value = "";
}

/**
 * Lets a follower follow what its page goes through: hidden and shown, frozen and
 * thawed, offline and online.
 *
 * @param {Follower} follower
 * @param {boolean} restsWhenHidden as for `createPanel`
 * @returns {() => void} ends this; nothing of it is left behind
 */
export function watchPage(follower, restsWhenHidden) {
  const watching = new AbortController();
  const { signal } = watching;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiddenTimer;
  function onVisibility() {
    clearTimeout(hiddenTimer);
    if (restsWhenHidden && document.visibilityState === "hidden") {
      hiddenTimer = startTimer(() => follower.pause(), HIDDEN_TOO_LONG);
    } else {
      follower.resume();
    }
  }
  document.addEventListener("visibilitychange", onVisibility, { signal });
  // A page in the back/forward cache is frozen and could not tell a live connection
  // from a dead one; and an open connection can keep a page out of that cache.
  addEventListener("pagehide", () => follower.pause(), { signal });
  addEventListener("pageshow", () => follower.resume(), { signal });
  // A frozen tab could not either; Chromium tells of it.
  document.addEventListener("freeze", () => follower.pause(), { signal });
  document.addEventListener("resume", onVisibility, { signal });
  addEventListener("online", () => follower.retryNow(), { signal });
  return () => {
    watching.abort();
    clearTimeout(hiddenTimer);
  };
}

/**
 * @param {import("./contract.js").Gap} gap
 * @returns {string}
 */
export function describeGap(gap) {
  const asked = gap.asked ?? "the last event";
  const what = {
    expired: `Gap: the server no longer keeps what came after ${asked}.`,
    "new-log": `Gap: this is a new log, which does not know ${asked}.`,
    unknown: "Gap: the server cannot tell where this page stood.",
  };
  return `${what[gap.reason]} Going on from ${gap.resume}.`;
}

/**
 * Counts what comes, for the eye.
 *
 * @param {Record<string, string>} labels what each count is called, by its role
 * @returns {{ element: HTMLElement, add: (role: string, number: number) => void, set:
 *   (role: string, text: string) => void }}
 */
export function createCounts(labels) {
  const element = document.createElement("dl");
  element.className = "lp-facts";
  /** @type {Record<string, number>} */
  const counts = {};
  for (const [role, label] of Object.entries(labels)) {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = label;
    const value = document.createElement("dd");
    value.dataset.role = role;
    value.textContent = "0";
    group.append(term, value);
    element.append(group);
    counts[role] = 0;
  }
  /** @param {string} role @param {string} text */
  const set = (role, text) => void (find(element, role).textContent = text);
  return {
    element,
    set,
    add: (role, number) => set(role, String((counts[role] += number))),
  };
}

/**
 * Shows where a follower stands, and what it has counted.
 *
 * @param {Record<string, string>} [more] further counts, as for `createCounts`
 * @returns {ReturnType<typeof createCounts> & { draw: (follower: Pick<Follower,
 *   "cursor" | "counts">) => void }}
 */
export function createFollowerCounts(more = {}) {
  const counts = createCounts({
    cursor: "Cursor",
    received: "Received",
    lost: "Lost",
    doubled: "Doubled",
    gaps: "Gaps",
    reconnects: "Reconnects",
    ...more,
  });
  counts.set("cursor", "none yet");
  return {
    ...counts,
    draw(follower) {
      counts.set("cursor", follower.cursor ?? "none yet");
      for (const [role, count] of Object.entries(follower.counts))
        counts.set(role, String(count));
    },
  };
}

/**
 * Counts the answers of a method that answers with pages, and those that held nothing:
 * its cost.
 *
 * @returns {{ element: HTMLElement, onPage: (page: { events: unknown[] }) => void }}
 */
export function createPageCounts() {
  const counts = createCounts({ pages: "Answers", vain: "Empty answers" });
  return {
    element: counts.element,
    onPage({ events }) {
      counts.add("pages", 1);
      if (events.length === 0) counts.add("vain", 1);
    },
  };
}

/**
 * Makes the section that a panel is, shown once it is styled.
 *
 * @param {string} label
 * @param {string} markup
 * @returns {HTMLElement}
 */
export function createSection(label, markup) {
  const root = document.createElement("section");
  root.className = "lp";
  root.setAttribute("aria-label", label);
  root.innerHTML = markup;
  const title = document.createElement("p");
  title.className = "lp-title";
  // The section's own name already.
  title.setAttribute("aria-hidden", "true");
  title.textContent = label;
  root.prepend(title);
  hideUntilStyled(root);
  return root;
}

/**
 * A choice among texts, and its label.
 *
 * @param {string} label
 * @param {object} options
 * @param {string} options.role by which the choice is found
 * @param {string} [options.name]
 * @param {readonly (readonly [value: string, text: string])[]} options.choices the
 *   first is chosen
 * @param {(value: string) => void} options.onChange
 * @returns {{ element: HTMLLabelElement, select: HTMLSelectElement }}
 */
export function createChoice(label, { role, name = role, choices, onChange }) {
  const element = document.createElement("label");
  element.className = "lp-choice";
  const select = document.createElement("select");
  select.dataset.role = role;
  select.name = name;
  for (const [value, text] of choices) select.add(new Option(text, value));
  keepKeys(select);
  select.addEventListener("change", () => onChange(select.value));
  element.append(`${label} `, select);
  return { element, select };
}

/**
 * Keeps a field's keys to itself.
 *
 * The book turns pages on the arrow keys and opens its search on a letter. Not while
 * one types or chooses.
 *
 * @param {Element} field
 */
export function keepKeys(field) {
  field.addEventListener("keydown", (event) => event.stopPropagation());
}

/** @param {LogEvent} event */
function eventItem(event) {
  const item = document.createElement("li");
  item.dataset.role = "event";
  item.dataset.cursor = event.id;
  item.dataset.kind = event.kind;
  const cursor = document.createElement("code");
  // The number that counts. The epoch before it is the same for all, and the counts
  // below have it.
  cursor.textContent = event.id.slice(event.id.lastIndexOf(".") + 1);
  cursor.title = event.id;
  const time = document.createElement("time");
  time.dateTime = event.at;
  time.textContent = clockTime(event.at);
  const text = document.createElement("span");
  // Always as text. What others sent must never become markup in this page.
  text.textContent = describeEvent(event);
  const { change } = /** @type {{ change?: unknown }} */ (event.data ?? {});
  if (event.kind === "tick") text.dataset.change = directionOf(change);
  // Spaces between them: this is also what is read aloud, and what is copied.
  item.append(cursor, " ", time, " ", text);
  return item;
}

/**
 * @param {"note" | "gap"} role
 * @param {string} text
 */
function noteItem(role, text) {
  const item = document.createElement("li");
  item.dataset.role = role;
  item.textContent = text;
  return item;
}

/** @param {string} at */
function clockTime(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? ""
    : date.toLocaleTimeString([], { hour12: false });
}

/**
 * @param {ParentNode} root
 * @param {string} role
 * @returns {HTMLElement}
 */
export function find(root, role) {
  const element = root.querySelector(`[data-role="${role}"]`);
  if (!(element instanceof HTMLElement))
    throw new Error(`The panel has no part "${role}".`);
  return element;
}

/**
 * @param {ParentNode} root
 * @param {string} role
 * @returns {HTMLInputElement}
 */
function findInput(root, role) {
  return /** @type {HTMLInputElement} */ (find(root, role));
}

/**
 * Marks a button as usable or not, and leaves it reachable.
 *
 * A button that gets `disabled` while it has the focus loses it, and a reader with a
 * keyboard is thrown back to the top of the page. Start does exactly that to itself.
 *
 * @param {HTMLElement} button
 * @param {boolean} enabled
 */
export function setEnabled(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/**
 * @param {HTMLElement} button
 * @returns {boolean}
 */
export function isEnabled(button) {
  return button.getAttribute("aria-disabled") !== "true";
}

/**
 * Loads a style sheet, once.
 *
 * @param {URL} url
 * @returns {HTMLLinkElement}
 */
export function addStyles({ href }) {
  const links = /** @type {NodeListOf<HTMLLinkElement>} */ (
    document.querySelectorAll("link[rel=stylesheet]")
  );
  // By the property, which is absolute: a page of its own names the same sheet by a
  // relative URL.
  let link = Array.from(links).find((link) => link.href === href);
  if (!link) {
    link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    document.head.append(link);
  }
  return link;
}

/**
 * Loads the style sheet beside this module, and shows `root` when it is there.
 *
 * @param {HTMLElement} root
 */
function hideUntilStyled(root) {
  const link = addStyles(new URL("panel.css", import.meta.url));
  if (link.sheet) return;
  root.hidden = true;
  const show = () => (root.hidden = false);
  link.addEventListener("load", show, { once: true });
  // A bare panel is better than none.
  link.addEventListener("error", show, { once: true });
}
