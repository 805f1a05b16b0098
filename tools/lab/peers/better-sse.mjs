// better-sse with a channel, as its README has it. The id of an event is the log's own; without one it makes a UUID for each
// session.
import { createServer } from "node:http";
import { createChannel, createSession } from "better-sse";
import { listen, body } from "./listen.mjs";

const channel = createChannel();

listen("better-sse", createServer(async (request, response) => {
  if (request.method === "POST") {
    const event = JSON.parse(await body(request));
    channel.broadcast(event, "message", { eventId: event.id });
    response.writeHead(204).end();
    return;
  }
  channel.register(await createSession(request, response));
}));
