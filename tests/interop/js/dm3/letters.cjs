// Messages and envelopes: built by the published library, re-shaped for the other generation, opened and verified.
"use strict";

const { ethers } = require("ethers");
const crypto = require("@dm3-org/dm3-lib-crypto");
const messaging = require("@dm3-org/dm3-lib-messaging");
const { sha256, stringify } = require("@dm3-org/dm3-lib-shared");

const FACTORIES = {
  NEW: (to, from, key, { text, attachments }) => messaging.createMessage(to, from, text, key, attachments),
  REPLY: (to, from, key, { text, reference, attachments }) =>
    messaging.createReplyMessage(to, from, text, key, reference, attachments),
  EDIT: (to, from, key, { text, reference, attachments }) =>
    messaging.createEditMessage(to, from, text, key, reference, attachments),
  DELETE_REQUEST: (to, from, key, { reference }) => messaging.createDeleteRequestMessage(to, from, key, reference),
  REACTION: (to, from, key, { text, reference }) => messaging.createReactionMessage(to, from, text, key, reference),
  READ_OPENED: (to, from, key, { text, reference }) =>
    messaging.createReadOpenMessage(to, from, text, key, reference),
  READ_RECEIVED: (to, from, key, { text, reference }) =>
    messaging.createReadReceiveMessage(to, from, text, key, reference),
  // The library knows the type and has no factory for it.
  RESEND_REQUEST: (to, from, key, { reference }) =>
    signed(
      { metadata: { type: "RESEND_REQUEST", to, from, timestamp: Date.now(), referenceMessageHash: reference } },
      key,
    ),
};

async function signed(value, key) {
  return { ...value, signature: await crypto.sign(key, stringify(value)) };
}

function unsigned(value) {
  const { signature, ...rest } = value;
  return rest;
}

exports.write = function write(type, to, from, keys, fields) {
  return FACTORIES[type](to, from, keys.signingKeyPair.privateKey, fields);
};

// The published generation hashes the encrypted message, the newer one the plain one; the specification has neither.
function reshaped({ encryptedMessageHash, ...metadata }, message, dialect) {
  return dialect === "develop" ? { ...metadata, messageHash: sha256(stringify(message)) } : metadata;
}

// One envelope for one delivery service, in the form of `dialect` (npm, develop, spec): what is sent, and where.
exports.seal = async function seal(message, to, service, keys, dialect) {
  const { encryptedEnvelop, deliveryServiceUrl } = await messaging.buildEnvelop(message, crypto.encryptAsymmetric, {
    to,
    from: { ensName: message.metadata.from },
    deliverServiceProfile: service,
    keys,
  });
  if (dialect === "npm") return { envelope: encryptedEnvelop, url: deliveryServiceUrl };
  const metadata = reshaped(unsigned(encryptedEnvelop.metadata), message, dialect);
  const resigned = await signed(metadata, keys.signingKeyPair.privateKey);
  return { envelope: { message: encryptedEnvelop.message, metadata: resigned }, url: deliveryServiceUrl };
};

// What the sender remembers an envelope by.
exports.hashOf = function hashOf({ metadata }) {
  return metadata.messageHash ?? metadata.encryptedMessageHash ?? null;
};

exports.open = function open(envelope, keys) {
  return messaging.decryptEnvelop(envelope, keys.encryptionKeyPair);
};

// Who signed the message, and whether the postmark is the service's and of this envelope.
exports.verify = async function verify(opened, envelope, names, service) {
  const { message, postmark } = opened;
  const { profile } = await names.user(message.metadata.from);
  const postmarkText = sha256(stringify(unsigned(postmark)));
  return {
    message: await messaging.checkMessageSignature(message, profile.publicSigningKey, message.metadata.from),
    postmark: await crypto.checkSignature(service.publicSigningKey, postmarkText, postmark.signature),
    postmarkOfThis: postmark.messageHash === ethers.utils.hashMessage(stringify(envelope.message)),
  };
};
