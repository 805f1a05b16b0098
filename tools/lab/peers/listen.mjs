// What the servers share: a free port, whose address is printed, and the text of what was posted.

/**
 * @param {string} name
 * @param {import("node:http").Server} server
 */
export function listen(name, server) {
  // The lab's publisher keeps one connection, and may rest for longer than the 5 s of the default.
  server.keepAliveTimeout = 120_000;
  server.listen(0, "127.0.0.1", () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    console.log(`${name}: http://127.0.0.1:${port}/`);
  });
}

/**
 * @param {import("node:http").IncomingMessage} request
 * @returns {Promise<string>}
 */
export async function body(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}
