// Node's HTTP/2 client, which takes pushes unless it is told not to: `node node.mjs ADDRESS CERTIFICATE PATH`.
// Prints what came of the page at PATH as JSON.
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const [address, certificate, path] = process.argv.slice(2);
const session = connect(address, { ca: readFileSync(certificate) });
const pushed = [];
let hints = 0;

session.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
session.on("stream", (stream, headers) => {
  pushed.push(headers[":path"]);
  stream.resume();
});

const page = session.request({ ":path": path });
page.on("headers", (headers) => {
  if (headers[":status"] === 103) hints += 1;
});
page.on("end", () => session.close(() => console.log(JSON.stringify({ pushed, hints }))));
page.resume();
page.end();
