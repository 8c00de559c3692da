// A messenger's socket: websocket only, at the host's root, with the log-in in the handshake.
"use strict";

const { io } = require("socket.io-client");

exports.Push = class Push {
  constructor(url, name, token) {
    this.events = [];
    this.envelopes = [];
    this.waiting = [];
    this.token = token;
    this.socket = io(url.replace("/ds", ""), { autoConnect: true, transports: ["websocket"] });
    this.socket.auth = { account: { ensName: name }, token };
    for (const event of ["connect", "disconnect", "authorized", "unauthorized"]) {
      this.socket.on(event, () => this.#note(event));
    }
    this.socket.on("connect_error", (error) => this.#note(`refused: ${error.message}`));
    this.socket.on("message", (envelope) => {
      this.envelopes.push(envelope);
      this.#look();
    });
    this.socket.connect();
  }

  // Whether `look` becomes true within the time.
  until(look, seconds) {
    return new Promise((resolve) => {
      const waiting = { look, resolve };
      waiting.timer = setTimeout(() => this.#end(waiting, false), seconds * 1000);
      this.waiting.push(waiting);
      this.#look();
    });
  }

  // The service's acknowledgement of an envelope.
  submit(envelop, seconds) {
    return this.socket.timeout(seconds * 1000).emitWithAck("submitMessage", { envelop, token: this.token });
  }

  close() {
    this.socket.close();
  }

  #note(event) {
    this.events.push(event);
    this.#look();
  }

  #look() {
    for (const waiting of this.waiting.filter(({ look }) => look(this))) this.#end(waiting, true);
  }

  #end(waiting, found) {
    clearTimeout(waiting.timer);
    this.waiting = this.waiting.filter((other) => other !== waiting);
    waiting.resolve(found);
  }
};
