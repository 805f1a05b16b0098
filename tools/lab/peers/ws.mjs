// ws as its README broadcasts, with its defaults: no permessage-deflate. A buffer and not a string, which would be encoded anew
// for each socket.
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { listen, body } from "./listen.mjs";

const server = createServer(async (request, response) => {
  const event = Buffer.from(await body(request));
  for (const socket of sockets.clients) {
    if (socket.readyState === WebSocket.OPEN) socket.send(event, { binary: false });
  }
  response.writeHead(204).end();
});
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => socket.on("error", () => socket.terminate()));

listen("ws", server);
