// @ts-check
// Shows what the server recorded of this connection, and what the browser says about the page's two parts.
(() => {
    "use strict";

    const verdict = /** @type {HTMLElement} */ (document.getElementById("verdict"));
    const frames = /** @type {HTMLElement} */ (document.getElementById("frames"));

    /**
     * @param {string} name
     * @param {string | number} text
     */
    function show(name, text) {
        const place = verdict.querySelector(`[data-value="${name}"]`);
        if (place) place.textContent = String(text);
    }

    // ANCHOR: initiator
    /**
     * Who asked for a part of the page: a link or a script in it, or an early hint.
     * @param {string} file
     */
    function initiator(file) {
        const address = new URL(file, document.baseURI).href;
        const [entry] = performance.getEntriesByName(address, "resource");
        return entry instanceof PerformanceResourceTiming ? entry.initiatorType : "not told";
    }
    // ANCHOR_END: initiator

    async function report() {
        show("style", initiator("style.css"));
        show("script", initiator("script.js"));
        const answer = await fetch(verdict.dataset.connection ?? "connection", { cache: "no-store" });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const told = await answer.json();
        show("enable_push", told.enable_push ?? "left out, which means 1");
        show("promises", told.promises);
        show("refused", told.refused);
        show("hints", told.hints);
        frames.textContent = told.frames;
        verdict.dataset.state = "told";
    }

    report().catch((error) => {
        verdict.dataset.state = "failed";
        frames.textContent = `The server did not say: ${error}`;
    });
})();
