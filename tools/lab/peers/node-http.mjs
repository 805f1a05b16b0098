// Server-Sent Events by Node's own http module and nothing else, as MDN and Node's documentation have it: the head of the
// response at once, and one write of the event's text to each response.
import { createServer } from "node:http";
import { listen, body } from "./listen.mjs";

/** @type {Set<import("node:http").ServerResponse>} */
const responses = new Set();

listen("node-http", createServer(async (request, response) => {
  if (request.method === "POST") {
    const text = await body(request);
    const { id } = JSON.parse(text);
    // A buffer: a string would be encoded anew for each response.
    const block = Buffer.from(`id: ${id}\ndata: ${text}\n\n`);
    for (const each of responses) each.write(block);
    response.writeHead(204).end();
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.flushHeaders();
  responses.add(response);
  response.on("close", () => responses.delete(response));
}));
