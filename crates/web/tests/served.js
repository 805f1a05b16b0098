// @ts-check
// Lets Node load a page's modules as a browser does. A server puts the shared modules under `web/` beside its page; on
// disk they lie in `crates/web/modules`.
//
// A test imports this file first, and the page's modules after it with `await import()`.
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

// Node asks its hooks in a thread of their own, where it loads this file a second time.
if (isMainThread) register(import.meta.url);

/**
 * @param {string} specifier
 * @param {{ parentURL?: string }} context
 * @param {Function} next
 */
export function resolve(specifier, context, next) {
  const shared = specifier.startsWith("./web/") && /\/examples\/[^/]+\/web\/[^/]+$/.test(context.parentURL ?? "");
  if (!shared) return next(specifier, context);
  return next(new URL(`../../../crates/web/modules/${specifier.slice("./web/".length)}`, context.parentURL).href, context);
}
