// @ts-check
// Brings a chapter's live parts to life: panels, and the reload of `serve --watch`.
//
// mdBook publishes additional scripts as classic scripts with hashed names. This one is small and
// stays so: what a page needs beyond it is imported from the live server or from assets/, and only
// by a page that has a use for it.
(() => {
    "use strict";

    /** The book's root: this script is published as `theme/loader-HASH.js` below it. */
    const root = new URL("../", /** @type {HTMLScriptElement} */ (document.currentScript).src);

    // A build that knows the repository links to it from the bar above the page.
    const source = document.querySelector("#mdbook-menu-bar a[href][title='Git repository']");
    /** Its address, without a slash at the end. */
    const repository =
        source instanceof HTMLAnchorElement ? source.href.replace(/\/+$/, "") : undefined;

    const { modules: path } = document.documentElement.dataset;
    /** Where this build has put the modules that need no server; stock mdBook has none of them. */
    const modules = path && new URL(path, root).href;

    // ---- Panels ----

    /**
     * @typedef {{ live: boolean, methods?: Record<string, string>, worker?: Worker }} Live what
     *   assets/live.json says: paths of the live servers, relative to the book's root
     * @typedef {{ start: string, script: string, methods: Record<string, string> }} Worker the same
     *   for servers in a service worker, the module that starts it, and its script
     * @typedef {{ offer: (elements: HTMLElement[], servers: object) => boolean }} Start
     * @typedef {{ mount: (element: HTMLElement, options: { base: string, modules?: string }) =>
     *   unknown }} Panel
     */

    /** @returns {Promise<Live | null>} `null` without an answer */
    async function live() {
        // A page opened as a file may not fetch, and has no server: do not even ask.
        if (root.protocol === "file:") return null;
        try {
            const answer = await fetch(new URL("assets/live.json", root), { cache: "no-cache" });
            return answer.ok ? await answer.json() : null;
        } catch {
            return null;
        }
    }

    /**
     * Puts a sentence below the panel's fallback text, which says what could be done here.
     * @param {HTMLElement} element
     * @param {"static" | "failed"} state
     * @param {string} text
     */
    function explain(element, state, text) {
        element.dataset.state = state;
        const note = document.createElement("p");
        note.className = "live-panel-note";
        note.textContent = text;
        // Not above it: that would move what somebody is reading.
        element.append(note);
    }

    /**
     * Says how to get a live server, below the panel's fallback text.
     * @param {HTMLElement} element
     */
    function offer(element) {
        const how = document.createElement("p");
        const needs = " You need Rust, and minutes for the first build.";
        element.append(how);
        if (!repository) {
            how.textContent = `Type it in a clone of the book's repository.${needs}`;
            return;
        }
        const link = document.createElement("a");
        link.href = repository;
        link.textContent = "its repository";
        how.append("The book is in ", link, `.${needs}`);
        const session = document.createElement("pre");
        session.className = "live-panel-how";
        const name = repository.slice(repository.lastIndexOf("/") + 1).replace(/\.git$/, "");
        session.textContent = `git clone ${repository}\ncd ${name}\ncargo run`;
        element.append(session);
        const onGitHub = /^https:\/\/github\.com\/([^/]+\/[^/]+?)(\.git)?$/.exec(repository);
        if (onGitHub) {
            // The page asks no other host for a picture of the badge.
            const badge = document.createElement("a");
            badge.className = "live-panel-badge";
            badge.href = `https://codespaces.new/${onGitHub[1]}`;
            badge.textContent = "Open the running book in GitHub Codespaces";
            element.append(badge);
        }
    }

    /**
     * Lets a service worker be the server of the panels that it has one for.
     * @param {HTMLElement[]} panels
     * @param {Worker} worker
     * @returns {Promise<HTMLElement[]>} those panels, if the browser can
     */
    async function offerWorker(panels, { start, script, methods }) {
        const offered = panels.filter(({ dataset }) =>
            Object.hasOwn(methods, dataset.method ?? ""),
        );
        if (offered.length === 0) return [];
        try {
            /** @type {Start} */
            const { offer } = await import(new URL(start, root).href);
            return offer(offered, { root, script, methods }) ? offered : [];
        } catch (error) {
            console.error("The servers in the page did not load:", error);
            return [];
        }
    }

    /**
     * Ends a service worker of this book that live.json does not name, or names no more.
     * @param {Promise<Live | null>} answer
     */
    async function endOtherWorkers(answer) {
        const live = await answer;
        // Without an answer, nobody says that it should end.
        if (!live) return;
        const script = live.worker && new URL(live.worker.script, root).href;
        const registration = await navigator.serviceWorker.getRegistration(root.href);
        if (registration?.scope !== root.href) return;
        const { installing, waiting, active } = registration;
        const workers = [installing, waiting, active].filter((it) => it !== null);
        if (!workers.some(({ scriptURL }) => scriptURL === script)) await registration.unregister();
    }

    /**
     * @param {NodeListOf<HTMLElement>} panels
     * @param {Promise<Live | null>} answer
     */
    async function mountPanels(panels, answer) {
        /** @type {Live} */
        const known = (await answer) ?? { live: false };
        const { live: isLive, methods = {}, worker } = known;
        const offered = !isLive && worker ? await offerWorker([...panels], worker) : [];
        await Promise.all(
            Array.from(panels, async (element) => {
                if (offered.includes(element)) return;
                const path = isLive ? methods[element.dataset.method ?? ""] : undefined;
                if (!path) {
                    explain(element, "static", "No live server is here.");
                    offer(element);
                    return;
                }
                const base = new URL(path, root).href;
                try {
                    /** @type {Panel} */
                    const panel = await import(new URL("panel.js", base).href);
                    element.replaceChildren();
                    panel.mount(element, { base, modules });
                    element.dataset.state = "live";
                } catch (error) {
                    console.error("The live panel did not load:", error);
                    explain(element, "failed", "The live panel did not load.");
                }
            }),
        );
    }

    /** @type {NodeListOf<HTMLElement>} */
    const panels = document.querySelectorAll(".live-panel");
    // A worker is asked about by each of its pages, since it could be on each that it does harm.
    const isControlled = navigator.serviceWorker?.controller;
    if (panels.length > 0 || isControlled) {
        const answer = live();
        mountPanels(panels, answer);
        // Where a browser allows no worker, there is none.
        if (navigator.serviceWorker) endOtherWorkers(answer).catch(() => {});
    }

    // ---- Diagrams ----

    // The book's own build has drawn them. Stock mdBook leaves their sources, with or without the
    // mermaid preprocessor.
    if (document.querySelector("pre.mermaid, pre > code.language-mermaid")) {
        const script = document.createElement("script");
        script.src = new URL("assets/mermaid/draw.js", root).href;
        document.head.append(script);
    }

    // ---- Folds ----

    /**
     * Opens the folds around what a fragment names, and the fold that belongs to a failure's
     * heading: browsers that do it by themselves do the first alone, and a result of the search
     * names headings.
     * @param {string} hash
     */
    function unfold(hash) {
        const target = document.getElementById(decode(hash.slice(1)));
        if (!target) return;
        let hidden = false;
        for (
            let fold = target.closest("details");
            fold;
            fold = fold.parentElement?.closest("details") ?? null
        ) {
            hidden ||= !fold.open;
            fold.open = true;
        }
        if (/^H[1-6]$/.test(target.tagName)) {
            let below = target.nextElementSibling;
            while (below && !below.matches("details.wrong, h1, h2, h3, h4, h5, h6"))
                below = below.nextElementSibling;
            if (below instanceof HTMLDetailsElement) below.open = true;
        }
        // There was no place to scroll to.
        if (hidden) target.scrollIntoView();
    }

    /** @param {string} text */
    function decode(text) {
        try {
            return decodeURIComponent(text);
        } catch {
            return text;
        }
    }

    const folds = () =>
        Array.from(
            /** @type {NodeListOf<HTMLDetailsElement>} */ (
                document.querySelectorAll("main details")
            ),
        );

    unfold(location.hash);
    addEventListener("hashchange", () => {
        unfold(location.hash);
        // A fold that closed in the same moment moves the page after the browser has scrolled it.
        requestAnimationFrame(() => {
            const target = document.getElementById(decode(location.hash.slice(1)));
            const { top, bottom } = target?.getBoundingClientRect() ?? { top: 0, bottom: 0 };
            if (bottom < 0 || top > innerHeight) target?.scrollIntoView();
        });
    });
    // A second click on the same link changes no hash.
    document.addEventListener("click", (event) => {
        const link = event.target instanceof Element ? event.target.closest("a") : null;
        if (link?.hash && link.href === location.href) unfold(link.hash);
    });

    const isPrintPage = /\/print(\.html)?$/.test(location.pathname);
    if (isPrintPage) for (const fold of folds()) fold.open = true;
    /** What a printer has opened. @type {HTMLDetailsElement[]} */
    let opened = [];
    addEventListener("beforeprint", () => {
        opened = opened.concat(folds().filter((fold) => !fold.open));
        for (const fold of opened) fold.open = true;
    });
    addEventListener("afterprint", () => {
        for (const fold of opened) fold.open = false;
        opened = [];
    });

    // ---- Machines and questions ----

    // A file may import no module, and on paper there is nothing to press. Then they stay what they
    // are without script: examples in words, and answers in folds.

    /**
     * @param {string} module its path among the modules
     * @param {HTMLElement[]} elements
     */
    async function mountModule(module, elements) {
        try {
            /** @type {{ mount: (elements: HTMLElement[]) => unknown }} */
            const { mount } = await import(new URL(module, modules).href);
            await mount(elements);
        } catch (error) {
            console.error(`${module} did not load:`, error);
            for (const element of elements) element.dataset.state = "failed";
        }
    }

    /**
     * A machine is loaded when its reader wants it.
     * @param {HTMLElement} machine
     */
    function offerMachine(machine) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "machine-start";
        button.textContent = "Try it";
        const start = () => mountModule(`book/${machine.dataset.machine}-view.js`, [machine]);
        button.addEventListener("click", start, { once: true });
        machine.prepend(button);
        machine.dataset.state = "offered";
    }

    const machines = /** @type {NodeListOf<HTMLElement>} */ (
        document.querySelectorAll("main .machine")
    );
    const questions = /** @type {NodeListOf<HTMLElement>} */ (
        document.querySelectorAll("main .question")
    );
    if (!modules || isPrintPage || root.protocol === "file:") {
        for (const element of [...machines, ...questions]) element.dataset.state = "static";
    } else {
        for (const machine of machines) offerMachine(machine);
        if (questions.length > 0) mountModule("book/questions.js", [...questions]);
    }

    // ---- Parts that are started ----

    /** @typedef {{ mount: (element: HTMLElement) => unknown }} Part */

    /**
     * Puts a part of the page to work when its reader presses its button: in place of the picture
     * or the table that stands there.
     * @param {HTMLElement} element
     */
    function offerPart(element) {
        const button = /** @type {HTMLButtonElement | null} */ (
            element.querySelector(".in-page-start button")
        );
        /** @param {boolean} isPressed */
        const run = async (isPressed) => {
            try {
                const module = new URL(element.dataset.module ?? "", modules);
                /** @type {Part} */
                const { mount } = await import(module.href);
                await mount(element);
                element.dataset.state = "live";
                if (!isPressed) return;
                // The button is gone, and the keyboard's place in the page would go with it.
                element.tabIndex = -1;
                element.focus({ preventScroll: true });
            } catch (error) {
                console.error("A part of the page did not load:", error);
                explain(element, "failed", "It did not load.");
            }
        };
        button?.addEventListener("click", () => run(true), { once: true });
        // One without a button shows itself, when its reader comes to it.
        if (!button) {
            const near = new IntersectionObserver(
                ([{ isIntersecting }]) => {
                    if (!isIntersecting) return;
                    near.disconnect();
                    run(false);
                },
                { rootMargin: "200px" },
            );
            near.observe(element);
        }
        // An address can hold what such a part is to show.
        const { opens } = element.dataset;
        if (opens && new URLSearchParams(location.search).has(opens)) run(true);
    }
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (
        document.querySelectorAll("main .in-page")
    )) {
        // Without modules the style sheet hides the button.
        if (modules) offerPart(element);
    }

    // ---- Facts and their links ----

    // All links to facts say "source". The name of the fact tells them apart in a screen reader's
    // list, and to a pointer.
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (
        document.querySelectorAll("main a[href*='#fact-']")
    )) {
        if (link.textContent !== "source") continue;
        const name = `source: ${link.hash.slice("#fact-".length).replaceAll("-", " ")}`;
        link.title = name;
        link.setAttribute("aria-label", name);
    }

    // An entry becomes a claim, and below it, smaller, where it comes from and who looked when; and
    // it gets a link to copy.
    for (const anchor of document.querySelectorAll("main p > a[id^='fact-']:first-child")) {
        const entry = /** @type {HTMLParagraphElement} */ (anchor.parentElement);
        const line = entry.querySelector("br");
        if (line) {
            const origin = document.createElement("small");
            while (line.nextSibling) origin.append(line.nextSibling);
            line.replaceWith(origin);
        }
        const link = document.createElement("a");
        link.href = `#${anchor.id}`;
        link.className = "fact-link";
        link.textContent = "#";
        link.setAttribute(
            "aria-label",
            `link to ${entry.querySelector("strong")?.textContent ?? anchor.id}`,
        );
        anchor.after(link);
    }

    // Whoever came by such a link gets a way back to where it stood.
    const landed = location.hash.startsWith("#fact-")
        ? document.getElementById(location.hash.slice(1))
        : null;
    const from = document.referrer;
    if (landed && from.startsWith(root.href) && new URL(from).pathname !== location.pathname) {
        const back = document.createElement("a");
        back.href = from;
        back.textContent = "Back to the page";
        back.addEventListener("click", (event) => {
            event.preventDefault();
            history.back();
        });
        landed.parentElement?.append(" ", back);
    }

    // ---- Listings ----

    /**
     * Marks the line of a listing that holds a text. What is hidden of its file may hold it, too.
     * @param {Element} code
     * @param {string} wanted
     */
    function markLine(code, wanted) {
        /** @type {{ node: Text, from: number, to: number }[]} */
        const pieces = [];
        let text = "";
        const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            if (!(node instanceof Text) || node.parentElement?.closest(".boring")) continue;
            pieces.push({ node, from: text.length, to: text.length + node.length });
            text += node.data;
        }
        const found = text.indexOf(wanted);
        if (found < 0) return;
        const start = text.lastIndexOf("\n", found) + 1;
        const end = `${text}\n`.indexOf("\n", found);
        const range = document.createRange();
        for (const { node, from, to } of pieces) {
            if (from <= start && start < to) range.setStart(node, start - from);
            if (from < end && end <= to) range.setEnd(node, end - from);
        }
        const line = document.createElement("span");
        line.className = "marked-line";
        // Colours that go on in the next line are split.
        line.append(range.extractContents());
        range.insertNode(line);
    }

    for (const name of /** @type {NodeListOf<HTMLElement>} */ (
        document.querySelectorAll("p.listing")
    )) {
        const path = name.firstChild;
        if (repository && path instanceof Text) {
            const link = document.createElement("a");
            link.textContent = path.data.trim();
            // Where GitHub and GitLab show a file.
            link.href = `${repository.replace(/\.git$/, "")}/blob/HEAD/${link.textContent}`;
            path.replaceWith(link, " ");
        }
        const code = name.nextElementSibling?.querySelector("code");
        for (const text of name.dataset.lines?.split(" ;; ") ?? [])
            if (code) markLine(code, text);
    }

    // ---- Tables on a phone ----

    // There is no room for many columns, so such a table is read row by row there (book.css). Each
    // cell gets the heading of its column, with the colour of a method if the heading has one.
    for (const table of /** @type {NodeListOf<HTMLTableElement>} */ (
        document.querySelectorAll("main .table-wrapper > table")
    )) {
        const heads = Array.from(table.tHead?.rows[0]?.cells ?? []);
        if (heads.length < 4) continue;
        // What is no table to the style sheet stays one to a screen reader.
        table.setAttribute("role", "table");
        for (const group of [table.tHead, ...table.tBodies])
            group?.setAttribute("role", "rowgroup");
        for (const row of table.rows) {
            row.setAttribute("role", "row");
            for (const [column, cell] of Array.from(row.cells).entries()) {
                const head = heads[column];
                cell.setAttribute("role", head === cell ? "columnheader" : "cell");
                if (head === cell || column === 0 || !head || !cell.hasChildNodes()) continue;
                const name = document.createElement("span");
                name.className = "column";
                // Read aloud it is the heading already.
                name.setAttribute("aria-hidden", "true");
                name.append(...head.cloneNode(true).childNodes);
                cell.prepend(name);
            }
        }
    }

    // ---- Wide tables and listings ----

    // They scroll inside their boxes; a box that scrolls must be reachable by keyboard. Whether one
    // does changes when the window does, or a fold around it opens.
    const wide = new ResizeObserver((entries) => {
        for (const { target } of entries) {
            if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
            else target.removeAttribute("tabindex");
        }
    });
    for (const element of document.querySelectorAll(".table-wrapper, .diagram, main pre > code"))
        wide.observe(element);

    const main = document.querySelector("main");

    // Such a box, and a panel, have the arrow keys while they have the focus: mdBook would turn the
    // page.
    main?.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        const boxes = "[tabindex='0'], .live-panel, .in-page";
        if (event.target instanceof Element && event.target.closest(boxes)) event.stopPropagation();
    });

    // ---- The table of contents ----

    // It follows the reader: the heading that mdBook marks as the current one is kept in its view.
    const contents = document.querySelector("#mdbook-sidebar .sidebar-scrollbox");
    if (contents) {
        const still = matchMedia("(prefers-reduced-motion: reduce)");
        let frame = 0;
        const keepInView = () => {
            frame = 0;
            const current =
                contents.querySelector(".current-header") ?? contents.querySelector(".active");
            if (!current || contents.clientHeight === 0) return;
            const box = contents.getBoundingClientRect();
            const { top, bottom } = current.getBoundingClientRect();
            // With some room around it, so that the headings before and after are seen as well.
            const room = box.height / 5;
            if (top >= box.top + room && bottom <= box.bottom - room) return;
            // Not by scrollIntoView(), which scrolls the page, too.
            contents.scrollBy({
                top: (top + bottom) / 2 - (box.top + box.bottom) / 2,
                behavior: still.matches ? "instant" : "smooth",
            });
        };
        new MutationObserver(() => (frame ||= requestAnimationFrame(keepInView))).observe(
            contents,
            { subtree: true, childList: true, attributeFilter: ["class"] },
        );
    }

    // The ways to the pages before and after say where they lead, as the table of contents has it.
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (
        document.querySelectorAll(".nav-wrapper a")
    )) {
        const entry = Array.from(
            /** @type {NodeListOf<HTMLAnchorElement>} */ (
                document.querySelectorAll("#mdbook-sidebar .chapter a")
            ),
        ).find(({ href }) => href === link.href);
        const title = entry?.lastChild?.textContent?.trim();
        if (!title) continue;
        const name = document.createElement("span");
        name.textContent = title;
        link.append(name);
        link.title = `${link.title}: ${title}`;
        link.setAttribute("aria-label", link.title);
    }

    // ---- Copying ----

    /**
     * The commands of a shell session: not its prompts, and not what they print.
     * @param {string} session
     */
    function commands(session) {
        /** @type {string[]} */
        const kept = [];
        let goesOn = false;
        for (const line of session.split("\n")) {
            if (!goesOn && !line.startsWith("$ ")) continue;
            kept.push(goesOn ? line : line.slice(2));
            goesOn = line.endsWith("\\");
        }
        return kept.length > 0 ? kept.join("\n") : session;
    }

    // mdBook's copy button takes its text from this function of its script.
    const book = /** @type {{ playground_text?: (box: Element, hidden?: boolean) => string }} */ (
        /** @type {unknown} */ (window)
    );
    const textOf = book.playground_text;
    if (textOf) {
        book.playground_text = (box, hidden) => {
            const text = textOf(box, hidden);
            return box.querySelector("code.language-console") ? commands(text) : text;
        };
    }

    // ---- The keyboard ----

    /**
     * A link before everything else, for who comes by the keyboard.
     * @param {string} text
     * @param {HTMLElement | null} target
     * @param {string} id for a target without one
     */
    function skip(text, target, id) {
        if (!target) return;
        target.id ||= id;
        target.tabIndex = -1;
        const link = document.createElement("a");
        link.className = "skip";
        link.href = `#${target.id}`;
        link.textContent = text;
        link.addEventListener("click", (event) => {
            // Not by the address, which the 404 page reads from another base.
            event.preventDefault();
            target.focus();
        });
        skips.append(link);
    }
    const skips = document.createDocumentFragment();
    skip("Skip to the text", main, "the-text");
    skip("Skip to the live panel", panels[0] ?? null, "the-panel");
    document.body.prepend(skips);

    // ---- Search ----

    // The book's own build holds back the scripts that search, until somebody does.
    const held = /** @type {NodeListOf<HTMLScriptElement>} */ (
        document.querySelectorAll("script[data-search]")
    );
    /** @type {Promise<void> | undefined} */
    let searching;
    const loadSearch = async () => {
        for (const { src } of held) {
            const script = document.createElement("script");
            script.src = src;
            const loaded = new Promise((resolve, reject) => {
                script.onload = resolve;
                script.onerror = reject;
            });
            document.head.append(script);
            await loaded;
        }
    };
    /**
     * Loads them, and then does again what asked for it.
     * @param {Event} event
     * @param {() => void} again
     */
    const loadSearchFor = async (event, again) => {
        event.preventDefault();
        if (searching) return;
        searching = loadSearch();
        try {
            await searching;
        } catch (error) {
            console.error("The search did not load:", error);
            // The next one tries again.
            searching = undefined;
            return;
        }
        document.removeEventListener("keydown", onSearchKey);
        again();
    };
    /** @param {KeyboardEvent} event */
    const onSearchKey = (event) => {
        const { key, altKey, ctrlKey, metaKey, shiftKey, target } = event;
        if ((key !== "s" && key !== "/") || altKey || ctrlKey || metaKey || shiftKey) return;
        if (target instanceof Element && target.closest("input, select, textarea")) return;
        const again = new KeyboardEvent("keydown", { key, bubbles: true });
        loadSearchFor(event, () => document.body.dispatchEvent(again));
    };
    if (held.length > 0) {
        const icon = document.getElementById("mdbook-search-toggle");
        icon?.addEventListener("click", (event) => {
            // mdBook's own listener is there, then.
            if (!searching) loadSearchFor(event, () => icon.click());
        });
        document.addEventListener("keydown", onSearchKey);
        // A result marks in the page what was searched for.
        const asked = new URLSearchParams(location.search);
        if (asked.has("search") || asked.has("highlight")) {
            document.removeEventListener("keydown", onSearchKey);
            searching = loadSearch();
            searching.catch((error) => console.error("The search did not load:", error));
        }
    }

    const field = /** @type {HTMLInputElement | null} */ (
        document.getElementById("mdbook-searchbar")
    );
    const results = document.getElementById("mdbook-searchresults");
    const found = document.getElementById("mdbook-searchresults-outer");
    if (field && results && found) {
        // mdBook looks when a key comes up: not after a paste by mouse, or a word that was spoken.
        field.addEventListener("input", () => field.dispatchEvent(new KeyboardEvent("keyup")));

        /**
         * Where the words of the contract are explained. mdBook's index has no `after` and no
         * `from`, which are words of every sentence, and splits a name at its hyphens.
         *
         * @type {Promise<Record<string, string>> | undefined}
         */
        let words;
        const lead = async () => {
            words ??= fetch(new URL("assets/words.json", root)).then(
                (answer) => (answer.ok ? answer.json() : {}),
                () => ({}),
            );
            const explained = await words;
            const word = field.value.toLowerCase().replace(/^\W+|\W+$/g, "");
            const old = /** @type {HTMLElement | null} */ (results.querySelector("[data-word]"));
            const place = Object.hasOwn(explained, word) ? explained[word] : undefined;
            // The result is there already, or there is none: this function hears of its own
            // changes, too.
            if (
                old?.dataset.word === (place && word) &&
                (!old || old === results.firstElementChild)
            )
                return;
            old?.remove();
            if (!place) return;
            const link = document.createElement("a");
            link.href = new URL(place, root).href;
            link.textContent = `Wire contract: ${word}`;
            const result = document.createElement("li");
            result.dataset.word = word;
            result.append(link);
            results.prepend(result);
            const count = document.getElementById("mdbook-searchresults-header");
            if (count && results.childElementCount === 1)
                count.textContent = `1 search result for '${word}':`;
        };
        new MutationObserver(lead).observe(found, { childList: true, subtree: true });
    }

    // ---- The bar above the page ----

    // mdBook's button for the table of contents is a label: it takes no focus, may not be called a
    // button, and may not say that something is expanded. A button stands for it, and mdBook goes
    // on telling the label.
    const toggle = document.getElementById("mdbook-sidebar-toggle");
    if (toggle?.tagName === "LABEL") {
        const button = document.createElement("button");
        button.type = "button";
        button.className = toggle.className;
        button.title = toggle.title;
        button.append(...toggle.childNodes);
        button.addEventListener("click", () => toggle.click());
        const copyLabels = () => {
            for (const name of ["aria-label", "aria-controls", "aria-expanded"]) {
                button.setAttribute(name, toggle.getAttribute(name) ?? "");
            }
        };
        copyLabels();
        new MutationObserver(copyLabels).observe(toggle, { attributeFilter: ["aria-expanded"] });
        toggle.style.display = "none";
        toggle.after(button);
    }
    document.getElementById("mdbook-menu-bar")?.setAttribute("role", "banner");

    // ---- serve --watch ----

    // Only the site under `serve --watch` sets this attribute.
    const reload = document.documentElement.dataset.reload;
    if (reload) {
        let seen = "";
        const listen = () => {
            const events = new EventSource(
                new URL(`${reload}events${seen && `?after=${seen}`}`, root),
            );
            const again = () => {
                events.close();
                location.reload();
            };
            // The stream opens with the place where it begins.
            events.addEventListener("hello", ({ lastEventId }) => (seen = lastEventId));
            events.addEventListener("message", again);
            // A gap means that another server answers now, with another book.
            events.addEventListener("gap", again);
            // A stream left open would keep the page out of the back/forward cache.
            addEventListener("pagehide", () => events.close(), { once: true });
        };
        listen();
        // Back from that cache: the book may be a newer one by now.
        addEventListener("pageshow", ({ persisted }) => {
            if (persisted) listen();
        });
    }
})();
