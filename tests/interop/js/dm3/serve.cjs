// Answers lines of JSON on standard output: {op, args} in, {ok} or {error} out, in order.
"use strict";

const readline = require("node:readline");

// Libraries print to the console as they please; standard output belongs to the answers.
console.log = console.info = console.debug = console.warn = console.error;

exports.serve = async function serve(operations) {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    let answer;
    try {
      const { op, args } = JSON.parse(line);
      const value = await operations[op](args);
      answer = { ok: value === undefined ? null : value };
    } catch (error) {
      answer = { error: String((error && error.message) || error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
};
