// @ts-check
/**
 * What a page proves its right with, and how it gets another: for servers that ask who
 * is there.
 *
 * Script can set no header of an `EventSource` or a `WebSocket`. So a credential has
 * three parts: headers, for whatever goes by `fetch`; a ticket in the query of the next
 * stream or socket, good for one use; and the first message of a socket. Cookies need
 * none of them.
 */

import { messageOf, request } from "./http.js";
import { Failure, unreachable } from "./reconnect.js";

/**
 * What a request proves its right with. All parts are optional.
 *
 * @typedef {object} Credential
 * @property {Record<string, string>} [headers] with each request by `fetch`
 * @property {Record<string, string>} [query] in the address of the next stream or
 *   socket, and of no other
 * @property {string} [token] as the first message of the next socket
 */

/**
 * Gets a credential. It is called before each stream and each socket; and where there
 * are requests, before the first one and after each 401. It may give the same one
 * again. A `Failure` that it throws is judged like the server's own, and any other
 * error means: try again later.
 *
 * @typedef {(signal?: AbortSignal) => Promise<Credential>} Renew
 */

/** The credentials of one client. */
export class Credentials {
  /** The newest. @type {Credential | null} */
  #kept = null;
  #renew;
  #init;

  /**
   * @param {object} [options]
   * @param {Renew} [options.renew]
   * @param {boolean} [options.withCredentials] whether cookies go to another origin,
   *   too; its server has to allow it
   */
  constructor({ renew, withCredentials = false } = {}) {
    this.#renew = renew;
    this.withCredentials = withCredentials;
    /** @type {{ credentials?: RequestCredentials }} */
    this.#init = withCredentials ? { credentials: "include" } : {};
  }

  /** Whether there is a way to get another. */
  get renews() {
    return this.#renew !== undefined;
  }

  /**
   * A credential for one stream or socket.
   *
   * @param {URL} url gets the credential's part of the query
   * @param {AbortSignal} signal
   * @returns {Promise<Credential>}
   * @throws {Failure}
   */
  async forConnection(url, signal) {
    const credential = await this.#renewed(signal);
    for (const [name, value] of Object.entries(credential.query ?? {})) {
      url.searchParams.set(name, value);
    }
    return credential;
  }

  /**
   * As `request` of `http.js`, with the credential that there is.
   *
   * @type {typeof request}
   */
  request = (url, init) =>
    this.renews
      ? this.#requestWith(url, init)
      : request(url, { ...this.#init, ...init });

  /** @type {typeof request} */
  async #requestWith(url, init = {}) {
    const { headers } = this.#kept ?? (await this.#renewed(init.signal));
    const own = /** @type {Record<string, string>} */ (init.headers ?? {});
    const all = { ...own, ...headers };
    const response = await request(url, { ...this.#init, ...init, headers: all });
    // The next one gets another.
    if (response.status === 401) this.#kept = null;
    return response;
  }

  /** @param {AbortSignal} [signal] */
  async #renewed(signal) {
    try {
      return (this.#kept = (await this.#renew?.(signal)) ?? {});
    } catch (error) {
      if (signal?.aborted || error instanceof Failure) throw error;
      throw unreachable(messageOf(error));
    }
  }
}
