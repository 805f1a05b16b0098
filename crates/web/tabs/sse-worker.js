// @ts-check
/**
 * The shared worker of a stream of Server-Sent Events. Its address says where the
 * server's routes lie; another address is another worker.
 */

import { createSse } from "../sse/sse-client.js";
import { serveTabs } from "./by-worker.js";

const { href, origin } = location;
const base = new URL(new URL(href).searchParams.get("base") ?? "", href);
// An address is anybody's to write; a stream is only of this origin.
if (base.origin === origin) serveTabs(createSse(base));
