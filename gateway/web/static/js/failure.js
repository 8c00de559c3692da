// What went wrong, in words: `sentence` says what happened, `help` what the visitor can do.

export class Failure extends Error {
  constructor(sentence, { help = "", word = "Failed", status = 0, detail = "", code = 0 } = {}) {
    super(sentence);
    Object.assign(this, { sentence, help, word, status, detail, code });
  }
}

// Anything thrown, as a Failure: a fault of this page must not look like silence.
export function failure(thrown) {
  if (thrown instanceof Failure) return thrown;
  console.error(thrown);
  return new Failure("This page has made a mistake.", { help: "Load it again. Nothing was changed by it." });
}
