// One client of Server-Sent Events: `node client.mjs PACKAGE MODULES URL`. Prints the data of each event that it hands out, as one line.
import { createRequire } from "node:module";

const [name, modules, url] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
/** @param {{ data: string, event?: string }} message */
const print = ({ data }) => console.log(data);

/** @param {any} constructor of the interface that browsers have */
function follow(constructor) {
  const source = new constructor(url);
  source.onmessage = print;
  // One of them throws where nobody listens for this.
  source.onerror = () => {};
}

// `eventsource` 5 does not keep a process running while it waits before it comes back.
setInterval(() => {}, 60_000);

switch (name) {
  case "eventsource-2":
    follow(require(name));
    break;
  case "eventsource-3":
  case "eventsource-4":
  case "eventsource-5":
  case "launchdarkly-eventsource":
    follow(require(name).EventSource);
    break;
  case "event-source-polyfill":
    follow(require(name).EventSourcePolyfill);
    break;
  case "eventsource-client":
    require(name).createEventSource({
      url,
      onMessage: (/** @type {any} */ message) => message.event ?? print(message),
    });
    break;
  case "@microsoft/fetch-event-source":
    // It is made for a page, and looks for these two.
    Object.assign(globalThis, { window: globalThis, document: {} });
    require(name).fetchEventSource(url, {
      openWhenHidden: true,
      onmessage: (/** @type {any} */ message) => message.event || print(message),
    });
    break;
  default:
    throw new Error(`no client of the name ${name}`);
}
