// Oracles of canonical JSON: JavaScript's own printer with sorted keys, and safe-stable-stringify.
"use strict";

const stable = require("safe-stable-stringify");
const { sha256, stringify } = require("@dm3-org/dm3-lib-shared");
const { serve } = require("./serve.cjs");

// Keys that look like array indexes keep numeric order in a JavaScript object, whatever the order of insertion,
// so objects are printed here by hand and only their leaves by JSON.stringify.
function sorted(value) {
  if (Array.isArray(value)) return "[" + value.map(sorted).join(",") + "]";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => JSON.stringify(key) + ":" + sorted(value[key]));
  return "{" + members.join(",") + "}";
}

serve({
  texts: ({ texts }) =>
    texts.map((text) => {
      const value = JSON.parse(text);
      return [sorted(value), stable(value), stringify(value), sha256(stringify(value))];
    }),
  // Doubles travel as their bits, so that neither side's parser has a say.
  numbers: ({ bits }) =>
    bits.map((hex) => JSON.stringify(Buffer.from(hex, "hex").readDoubleBE(0))),
  expressions: ({ expressions }) => expressions.map((text) => stringify(eval(text))),
});
