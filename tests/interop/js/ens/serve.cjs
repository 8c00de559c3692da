// One line of JSON {op, args} in, one line {ok} or {error} out; calls are answered one after another.
"use strict";

const readline = require("node:readline");

async function serve(operations) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, args } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: (await operations[op](args)) ?? null };
    } catch (error) {
      answer = { error: describe(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit(0);
}

// Libraries wrap what a contract said; the reason is somewhere down the chain of causes.
function describe(error) {
  const parts = [];
  for (let at = error; at && parts.length < 6; at = at.cause ?? at.error) parts.push(String(at.message ?? at));
  return parts.join(" <- ").slice(0, 4000);
}

module.exports = { serve };
