// @ts-check
// Draws the diagrams of a page from their sources, with the library beside this script.
//
// Stock mdBook alone publishes it: in the book's own build the diagrams are drawn already. A classic
// script, because a page that is opened as a file may not import a module.
(() => {
    "use strict";

    const here = /** @type {HTMLScriptElement} */ (document.currentScript).src;

    /**
     * The two functions used here of the vendored library.
     * @typedef {{
     *     initialize: (config: Record<string, unknown>) => void,
     *     render: (id: string, source: string) => Promise<{ svg: string }>,
     * }} Mermaid
     */

    // Stock mdBook without the mermaid preprocessor leaves a plain code block.
    for (const code of document.querySelectorAll("pre > code.language-mermaid")) {
        const diagram = document.createElement("pre");
        diagram.className = "mermaid";
        diagram.textContent = code.textContent;
        code.parentElement?.replaceWith(diagram);
    }

    /** Every diagram's source, because drawing replaces it. @type {Map<HTMLElement, string>} */
    const sources = new Map();
    for (const element of document.querySelectorAll("pre.mermaid")) {
        sources.set(/** @type {HTMLElement} */ (element), element.textContent ?? "");
    }

    /**
     * The library, once it is asked for. It is large: most readers of a page never need it.
     *
     * @type {Promise<Mermaid> | undefined}
     */
    let loading;

    /** @returns {Promise<Mermaid>} */
    function library() {
        loading ??= new Promise((resolve, reject) => {
            const script = document.createElement("script");
            script.src = new URL("vendor/mermaid.min.js", here).href;
            script.onload = () => {
                const mermaid = /** @type {any} */ (globalThis).mermaid;
                // Now, not later: at the page's load event it would draw every diagram at once.
                mermaid.initialize({ startOnLoad: false });
                resolve(mermaid);
            };
            script.onerror = () => reject(new Error(`${script.src} did not load`));
            document.head.append(script);
        });
        return loading;
    }

    const isDark = () =>
        ["navy", "coal", "ayu"].some((name) => document.documentElement.classList.contains(name));

    /**
     * Mermaid computes further colours from these, so they cannot be css variables.
     * @param {boolean} dark
     */
    const palette = (dark) => ({
        darkMode: dark,
        background: dark ? "#161923" : "#ffffff",
        primaryColor: dark ? "#243349" : "#e6eff9",
        primaryTextColor: dark ? "#d3d8e3" : "#1f2328",
        primaryBorderColor: dark ? "#6f8fb5" : "#7d9cbf",
        secondaryColor: dark ? "#2c2f3d" : "#f1f3f5",
        tertiaryColor: dark ? "#1f2430" : "#f7f8fa",
        lineColor: dark ? "#a3aec2" : "#4b5560",
        textColor: dark ? "#d3d8e3" : "#1f2328",
        edgeLabelBackground: dark ? "#161923" : "#ffffff",
        noteBkgColor: dark ? "#3a3222" : "#fdf3dc",
        noteTextColor: dark ? "#ecdcb8" : "#3d2f0c",
        noteBorderColor: dark ? "#a2864a" : "#d0ab5c",
    });

    /**
     * What each drawn diagram was drawn for, so that a change of theme redraws just what it must.
     *
     * @type {Map<HTMLElement, boolean>}
     */
    const drawnDark = new Map();
    // Mermaid names elements inside an SVG after this id; it must be new for every drawing.
    let drawings = 0;
    /** One drawing at a time: mermaid's configuration is global. @type {Promise<unknown>} */
    let queue = Promise.resolve();

    /** @param {HTMLElement} element */
    async function drawNow(element) {
        const dark = isDark();
        if (drawnDark.get(element) === dark) return;
        try {
            const mermaid = await library();
            mermaid.initialize({
                startOnLoad: false,
                securityLevel: "strict",
                theme: "base",
                fontFamily: getComputedStyle(document.body).fontFamily,
                themeVariables: palette(dark),
            });
            drawings += 1;
            const { svg } = await mermaid.render(`diagram-${drawings}`, sources.get(element) ?? "");
            element.innerHTML = svg;
            element.dataset.state = "drawn";
            drawnDark.set(element, dark);
            keepReadable(element);
        } catch (error) {
            console.error("A diagram was not drawn:", error);
            element.textContent = sources.get(element) ?? "";
            element.dataset.state = "failed";
        }
    }

    /** @param {HTMLElement} element */
    function draw(element) {
        const done = queue.then(() => drawNow(element));
        queue = done;
        return done;
    }

    /**
     * On a narrow screen a wide diagram shrinks no further than text stays readable; then its box
     * scrolls.
     * @param {HTMLElement} element
     */
    function keepReadable(element) {
        const svg = element.querySelector("svg");
        const width = svg?.viewBox.baseVal?.width;
        if (!svg || !width) return;
        // 0.75 of mermaid's 16 px letters is 12 px.
        svg.style.minWidth = `${Math.round(width * 0.75)}px`;
        // A box that scrolls must be reachable by keyboard.
        if (element.scrollWidth > element.clientWidth) {
            element.tabIndex = 0;
            element.setAttribute("role", "region");
            element.setAttribute(
                "aria-label",
                svg.querySelector("title")?.textContent || "Diagram",
            );
        }
    }

    const drawAll = () => Promise.all(Array.from(sources.keys(), draw));

    /**
     * Reserves about the height that a sequence diagram will take, so that text below it hardly
     * moves when it is drawn: mermaid gives each message and note some 48 px, and actors at both
     * ends 150 px. Other kinds keep the style sheet's.
     * @param {HTMLElement} element
     * @param {string} source
     */
    function reserve(element, source) {
        if (!/^\s*sequenceDiagram\b/m.test(source)) return;
        const rows =
            source.match(/^\s*(note\b|alt\b|loop\b|opt\b|par\b|\S+?\s*(<<)?--?(>>?|x|\)))/gim)
                ?.length ?? 0;
        element.style.setProperty("--reserved", `${150 + 48 * rows}px`);
    }

    for (const [element, source] of sources) reserve(element, source);

    if (sources.size > 0) {
        // A screen ahead of the view: the library comes, and the box takes its height, before it is
        // seen.
        const near = new IntersectionObserver(
            (entries) => {
                for (const { isIntersecting, target } of entries) {
                    if (!isIntersecting) continue;
                    near.unobserve(target);
                    draw(/** @type {HTMLElement} */ (target));
                }
            },
            { rootMargin: "100% 0px" },
        );
        for (const element of sources.keys()) near.observe(element);

        new MutationObserver(() => {
            for (const element of drawnDark.keys()) draw(element);
        }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });

        addEventListener("beforeprint", drawAll);

        // The print page asks for the printer as soon as it has loaded, too early for diagrams.
        if (/\/print(\.html)?$/.test(location.pathname)) {
            const print = window.print.bind(window);
            const all = drawAll();
            window.print = () => void all.then(print, print);
        }
    }
})();
