// One person with a wallet and a DM3 messenger of one generation.
"use strict";

const { ethers } = require("ethers");
const crypto = require("@dm3-org/dm3-lib-crypto");
const profile = require("@dm3-org/dm3-lib-profile");
const { Connector, call } = require("./connector.cjs");
const letters = require("./letters.cjs");
const { Push } = require("./push.cjs");

// What a messenger sends a receipt about.
const CONFIRMED = ["NEW", "EDIT", "REPLY"];

exports.Person = class Person {
  constructor({ names, name, walletKey, dialect }) {
    this.names = names;
    this.name = profile.normalizeEnsName(name);
    this.wallet = new ethers.Wallet(walletKey);
    this.dialect = dialect;
    this.sockets = new Map();
  }

  // Keys and signed profile by the library; another nonce gives other keys.
  async makeProfile(services, nonce) {
    const signer = (text) => this.wallet.signMessage(text);
    const seed = nonce && (await signer(crypto.getStorageKeyCreationMessage(nonce, this.wallet.address)));
    const made = await profile.createProfile(this.wallet.address, services, this.names.provider, {
      signer,
      storageKey: seed && (await crypto.createStorageKey(seed)),
    });
    this.keys = made.keys;
    this.signed = made.signedProfile;
  }

  // Finds the delivery service that the profile names. `url` is another door to it, or to one that ENS does not know.
  async meetService(url, signed = this.signed) {
    const [service] = signed.profile.deliveryServices;
    this.service = await this.names.service(service).catch((error) => {
      if (!url) throw error;
    });
    const { name, keys } = this;
    this.connector = new Connector({ url: url ?? this.service.url, name, keys, signed });
  }

  // One envelope for each delivery service of the recipient. `fields` may say `from` or `messageTo` otherwise than the
  // envelope, or take keys and services of somebody else (`readBy`).
  async seal(to, type, fields, dialect = this.dialect) {
    const message = await letters.write(type, fields.messageTo ?? to, fields.from ?? this.name, this.keys, fields);
    const reader = fields.readBy ?? to;
    const recipient = { ensName: to, profile: (await this.names.user(reader)).profile };
    const services = await this.names.servicesOf(reader);
    return Promise.all(services.map((service) => letters.seal(message, recipient, service, this.keys, dialect)));
  }

  // To every delivery service of the recipient, each by JSON-RPC. Throws when one of them refuses, as messengers do.
  async send(to, type, fields) {
    const sealed = await this.seal(to, type, fields);
    await Promise.all(sealed.map(({ envelope, url }) => call(url, "dm3_submitMessage", [JSON.stringify(envelope)])));
    return letters.hashOf(sealed[0].envelope);
  }

  // What of the mailbox can be read, as it was handed out.
  async fetch(contact) {
    const envelopes = contact ? await this.connector.fromContact(contact) : await this.connector.incoming();
    return this.readable(envelopes);
  }

  async readable(envelopes) {
    const opened = await Promise.all(envelopes.map((envelope) => this.read(envelope).catch(() => null)));
    return opened.filter((each) => each !== null);
  }

  async read(envelope) {
    const opened = await letters.open(envelope, this.keys);
    return { ...opened, envelope };
  }

  verify(opened) {
    return letters.verify(opened, opened.envelope, this.names, this.service);
  }

  // By what a messenger of this generation acknowledges and refers to a message that it received.
  hashOf({ metadata }) {
    return this.dialect === "npm" ? metadata.encryptedMessageHash : metadata.messageHash;
  }

  // A messenger opened: fetch, and for each sender acknowledge ALL that was fetched, with this sender as the contact.
  // Receipts go the same way: each sender gets one about everybody's messages. `senders` ends it after so many.
  async pickUp({ receipts = false, senders = Infinity } = {}) {
    const opened = await this.fetch();
    const oldestFirst = [...opened].sort((a, b) => a.postmark.incommingTimestamp - b.postmark.incommingTimestamp);
    const contacts = [...new Set(oldestFirst.map(({ message }) => profile.normalizeEnsName(message.metadata.from)))];
    for (const contact of contacts.slice(0, senders)) {
      const acknowledgements = oldestFirst.map((each) => ({ contactAddress: contact, messageHash: this.hashOf(each) }));
      await this.connector.acknowledge(acknowledgements);
      if (!receipts) continue;
      for (const each of oldestFirst.filter(({ message }) => CONFIRMED.includes(message.metadata.type))) {
        await this.confirm(each, "READ_RECEIVED", contact);
      }
    }
    return oldestFirst;
  }

  // A receipt to the writer; `contact` is whom the envelope goes to when that is somebody else.
  confirm(opened, type, contact) {
    const { from } = opened.message.metadata;
    return this.send(contact ?? from, type, { text: type, reference: this.hashOf(opened), messageTo: from });
  }

  listen(session, { token, url }) {
    const socket = new Push(url ?? this.connector.url, this.name, token ?? this.connector.token);
    this.sockets.set(session, socket);
    return socket;
  }

  close() {
    for (const socket of this.sockets.values()) socket.close();
  }
};
