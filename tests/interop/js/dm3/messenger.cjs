// A foreign DM3 messenger over the published libraries, for several people at once; told what to do line by line.
"use strict";

const axios = require("axios");
const crypto = require("@dm3-org/dm3-lib-crypto");
const messaging = require("@dm3-org/dm3-lib-messaging");
const profile = require("@dm3-org/dm3-lib-profile");
const { createJsonDataUri } = require("@dm3-org/dm3-lib-shared");
const { call } = require("./connector.cjs");
const letters = require("./letters.cjs");
const { Names } = require("./names.cjs");
const { Person } = require("./person.cjs");
const { serve } = require("./serve.cjs");

const PROPERTIES = "dm3_getDeliveryServiceProperties";

let names;
const people = new Map();

// A request's answer whatever its status: what the service said, and what a browser would check.
async function answerOf(request) {
  const { status, data, headers } = await axios.request({ ...request, validateStatus: () => true });
  return { status, data, headers };
}

// Whether the work was done, or what the service answered instead.
async function outcome(work) {
  try {
    return { done: true, value: await work };
  } catch (error) {
    if (!error.response) throw error;
    return { done: false, status: error.response.status, data: error.response.data };
  }
}

function told({ message, postmark, metadata }) {
  return { message, postmark, metadata };
}

async function verified(person, opened) {
  return Promise.all(opened.map(async (each) => ({ ...told(each), verified: await person.verify(each) })));
}

function on(operation) {
  return ({ person, ...args }) => operation(people.get(person), args);
}

// What a socket has become.
const CHECKS = {
  authorized: ({ events }) => events.includes("authorized"),
  refused: ({ events }) => events.some((event) => event.startsWith("refused")),
};

serve({
  open: (world) => {
    for (const person of people.values()) person.close();
    people.clear();
    names = new Names(world);
  },

  // --- profile and account ------------------------------------------------------------------------------------------

  create: async ({ person, name, walletKey, services, dialect, nonce }) => {
    const made = new Person({ names, name, walletKey, dialect });
    await made.makeProfile(services, nonce);
    people.set(person, made);
    return { name: made.name, address: made.wallet.address, signed: made.signed, uri: createJsonDataUri(made.signed) };
  },
  meet: on((person, { url, signed }) => person.meetService(url ?? undefined, signed)),
  profileOf: ({ name }) => names.user(name),
  serviceOf: ({ name }) => names.service(name),
  checkProfile: ({ signed, address }) => profile.checkUserProfileWithAddress(signed, address),
  register: on((person, { signed }) => {
    if (signed) person.connector.signed = signed;
    return outcome(person.connector.register());
  }),
  challenge: on((person) => person.connector.challenge()),
  sign: on((person, { text }) => crypto.sign(person.keys.signingKeyPair.privateKey, text)),
  logIn: on((person) => outcome(person.connector.logIn())),
  useToken: on((person, { token }) => person.connector.useToken(token)),
  token: on((person) => person.connector.token),
  requests: on((person) => person.connector.requests.splice(0)),

  // --- writing ------------------------------------------------------------------------------------------------------

  send: on((person, { to, type, ...fields }) => outcome(person.send(to, type, fields))),
  // Sealed, and not yet sent: the first service's envelope.
  seal: on(async (person, { to, type, dialect, ...fields }) => {
    const [{ envelope, url }] = await person.seal(to, type, fields, dialect);
    return { envelope, url, hash: letters.hashOf(envelope), size: messaging.getEnvelopSize(envelope) };
  }),
  properties: async ({ url }) => JSON.parse(await call(url, PROPERTIES, [])),
  // A messenger compares the size of its envelope with the text of the properties, or with 0 when there is no answer.
  tooLarge: async ({ url, size }) => size > (await call(url, PROPERTIES, []).catch(() => 0)),
  extensionOf: async ({ name }) => {
    const [{ url }] = await names.servicesOf(name);
    return JSON.parse(await call(url, "dm3_getProfileExtension", [name]));
  },
  request: answerOf,

  // --- reading ------------------------------------------------------------------------------------------------------

  fetch: on((person, { contact }) => outcome(person.fetch(contact).then((opened) => verified(person, opened)))),
  pickUp: on(async (person, options) => (await person.pickUp(options)).map(told)),
  confirm: on(async (person, { index, type }) => {
    const opened = await person.fetch();
    return person.confirm(opened[index], type);
  }),
  acknowledge: on((person, { acknowledgements }) => outcome(person.connector.acknowledge(acknowledgements))),

  notifications: on((person, { method, path, body }) =>
    outcome(person.connector.notifications(method, path, body)),
  ),

  // --- push ---------------------------------------------------------------------------------------------------------

  listen: on(async (person, { session, until, seconds, ...options }) => {
    const socket = person.listen(session, options);
    await socket.until(CHECKS[until], seconds);
    return socket.events;
  }),
  pushed: on(async (person, { session, count, seconds }) => {
    const socket = person.sockets.get(session);
    await socket.until(({ envelopes }) => envelopes.length >= count, seconds);
    return verified(person, await person.readable(socket.envelopes));
  }),
  emit: on(async (person, { session, to, type, envelope, seconds, ...fields }) => {
    const [sealed] = envelope ? [{ envelope }] : await person.seal(to, type, fields);
    const answer = await person.sockets.get(session).submit(sealed.envelope, seconds);
    return { answer, hash: envelope ? null : letters.hashOf(sealed.envelope) };
  }),
  hangUp: on((person, { session }) => person.sockets.get(session).close()),
}).then(() => process.exit()); // open sockets would keep the process
