// The published reference libraries as peer: what a DM3 client and a DM3 delivery service of that generation do.
"use strict";

const { ethers } = require("ethers");
const crypto = require("@dm3-org/dm3-lib-crypto");
const delivery = require("@dm3-org/dm3-lib-delivery");
const messaging = require("@dm3-org/dm3-lib-messaging");
const profile = require("@dm3-org/dm3-lib-profile");
const shared = require("@dm3-org/dm3-lib-shared");
const { serve } = require("./serve.cjs");

const factories = {
  NEW: ({ to, from, text, key, attachments }) => messaging.createMessage(to, from, text, key, attachments),
  DELETE_REQUEST: ({ to, from, key, reference }) => messaging.createDeleteRequestMessage(to, from, key, reference),
  EDIT: ({ to, from, text, key, reference, attachments }) =>
    messaging.createEditMessage(to, from, text, key, reference, attachments),
  REPLY: ({ to, from, text, key, reference, attachments }) =>
    messaging.createReplyMessage(to, from, text, key, reference, attachments),
  REACTION: ({ to, from, text, key, reference }) => messaging.createReactionMessage(to, from, text, key, reference),
  READ_OPENED: ({ to, from, text, key, reference }) => messaging.createReadOpenMessage(to, from, text, key, reference),
  READ_RECEIVED: ({ to, from, text, key, reference }) =>
    messaging.createReadReceiveMessage(to, from, text, key, reference),
};

function unsigned(value) {
  const copy = { ...value };
  delete copy.signature;
  return shared.stringify(copy);
}

serve({
  keyPairs: async ({ seed }) => ({
    encryption: await crypto.createKeyPair(seed),
    signing: await crypto.createSigningKeyPair(seed),
  }),

  // A wallet becomes a DM3 user, with the keys and the signed profile that clients derive.
  createProfile: async ({ walletKey, services }) => {
    const wallet = new ethers.Wallet(walletKey);
    const created = await profile.createProfile(wallet.address, services, undefined, {
      signer: (message) => wallet.signMessage(message),
    });
    return { address: wallet.address, keys: created.keys, signed: created.signedProfile };
  },

  checkProfile: ({ signed, address }) => profile.checkUserProfileWithAddress(signed, address),

  readProfileUri: async ({ uri }) => {
    const resolver = profile.JsonResolver(profile.validateSignedUserProfile);
    if (!resolver.isProfile(uri)) throw new Error("not recognised as a profile");
    return resolver.resolveProfile(uri);
  },

  createMessage: ({ type, ...fields }) => factories[type](fields),

  fitsSchema: ({ kind, value }) =>
    shared.validateSchema(
      {
        message: messaging.schema.MessageSchema,
        envelope: messaging.schema.EncryptionEnvelopeSchema,
        profile: profile.schema.SignedUserProfile,
        service: profile.schema.DeliveryServiceProfile,
      }[kind],
      value,
    ),

  checkMessage: ({ message, publicKey }) => messaging.checkMessageSignature(message, publicKey, message.metadata.from),

  checkSigned: ({ value, publicKey }) => crypto.checkSignature(publicKey, unsigned(value), value.signature),

  checkText: ({ text, publicKey, signature }) => crypto.checkSignature(publicKey, text, signature),

  hash: ({ value }) => shared.sha256(shared.stringify(value)),

  buildEnvelope: async ({ message, recipientKey, serviceProfile, keys }) => {
    const built = await messaging.buildEnvelop(message, crypto.encryptAsymmetric, {
      to: { ensName: message.metadata.to, profile: { publicEncryptionKey: recipientKey } },
      from: { ensName: message.metadata.from },
      deliverServiceProfile: serviceProfile,
      keys,
    });
    return built.encryptedEnvelop;
  },

  // What the delivery service does with a submitted envelope: open delivery information, add the postmark.
  serveEnvelope: ({ envelope, serviceKeys, recipientKey }) =>
    delivery.handleIncomingMessage(envelope, serviceKeys, { publicEncryptionKey: recipientKey }),

  openEnvelope: ({ envelope, keyPair }) => messaging.decryptEnvelop(envelope, keyPair),

  open: async ({ keyPair, sealed }) => crypto.decryptAsymmetric(keyPair, JSON.parse(sealed)),

  seal: async ({ publicKey, text }) => shared.stringify(await crypto.encryptAsymmetric(publicKey, text)),

  signText: ({ keyPair, text }) => crypto.sign(keyPair.privateKey, text),

  hashText: ({ text }) => ethers.utils.hashMessage(text),

  normalise: ({ name }) => profile.normalizeEnsName(name),

  conversation: ({ receiver, sender }) => delivery.getConversationId(receiver, sender),
});
