// What theme/highlight.js is made from: the core and the languages that the book uses. To make it anew:
//
//     npm install highlight.js@10.6.0 esbuild@0.28.2
//     npx esbuild theme/vendor/highlight/entry.js --bundle --minify --format=iife --global-name=hljs \
//         --target=es2020 --legal-comments=none --outfile=theme/highlight.js
//
// and put the first line back. mdBook 0.5 ships highlight.js 10.1.1 with 40 languages, 45 KB compressed; this is 17 KB.
// Not 10.7, which logs that the function mdBook calls is deprecated; not 11, which drops the elements that mdBook puts
// into listings to hide lines.
"use strict";
const hljs = require("highlight.js/lib/core");
hljs.registerLanguage("bash", require("highlight.js/lib/languages/bash"));
hljs.registerLanguage("css", require("highlight.js/lib/languages/css"));
hljs.registerLanguage("diff", require("highlight.js/lib/languages/diff"));
hljs.registerLanguage("http", require("highlight.js/lib/languages/http"));
hljs.registerLanguage("ini", require("highlight.js/lib/languages/ini"));
hljs.registerLanguage("javascript", require("highlight.js/lib/languages/javascript"));
hljs.registerLanguage("json", require("highlight.js/lib/languages/json"));
hljs.registerLanguage("nginx", require("highlight.js/lib/languages/nginx"));
hljs.registerLanguage("plaintext", require("highlight.js/lib/languages/plaintext"));
hljs.registerLanguage("rust", require("highlight.js/lib/languages/rust"));
hljs.registerLanguage("shell", require("highlight.js/lib/languages/shell"));
hljs.registerLanguage("xml", require("highlight.js/lib/languages/xml"));
hljs.registerLanguage("yaml", require("highlight.js/lib/languages/yaml"));
module.exports = hljs;
