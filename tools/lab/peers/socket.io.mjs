// Socket.IO with its defaults, and clients that begin with a WebSocket. The request of the handshake is let go, as its page
// "Performance tuning" advises for memory (https://socket.io/docs/v4/performance-tuning). An event is emitted as an object, which
// it writes as JSON once for all.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen, body } from "./listen.mjs";

const server = createServer(async (request, response) => {
  io.emit("event", JSON.parse(await body(request)));
  response.writeHead(204).end();
});
const io = new Server(server, { serveClient: false });
io.engine.on("connection", (socket) => {
  socket.request = null;
});

listen("socket.io", server);
