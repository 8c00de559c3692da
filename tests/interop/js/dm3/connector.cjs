// A messenger's connection to one delivery service: REST with a bearer token, renewed whenever it is told 401.
"use strict";

const axios = require("axios");
const { sign } = require("@dm3-org/dm3-lib-crypto");

// A JSON-RPC call as messengers make it, without an id; throws for any HTTP status that is no success.
exports.call = async function call(url, method, params) {
  const { data } = await axios.create({ baseURL: url }).post("/rpc", { jsonrpc: "2.0", method, params });
  return data.result;
};

// A messenger has no such bound: it asks again for as long as the answer is 401.
const ENDLESS = 500;

exports.Connector = class Connector {
  // `name` is the account, as nameprep spells it; `signed` its profile, `keys` the keys that belong to it.
  constructor({ url, name, keys, signed }) {
    Object.assign(this, { url, name, keys, signed });
    this.token = undefined;
    this.requests = [];
    this.plain = this.#client();
    this.rest = this.#client();
    this.rest.interceptors.response.use(
      (answer) => answer,
      (error) => this.#retried(error),
    );
  }

  // As a messenger starts: whoever is known to the service proves the key, everybody else registers first.
  async logIn() {
    this.useToken((await this.#known()) ? await this.authenticate() : await this.register());
  }

  async register() {
    return (await this.plain.post(`/profile/${this.name}`, this.signed)).data;
  }

  async challenge() {
    return (await this.plain.get(`/auth/${this.name}`)).data;
  }

  async authenticate() {
    try {
      const challenge = await this.challenge();
      const signature = await sign(this.keys.signingKeyPair.privateKey, challenge);
      return (await this.plain.post(`/auth/${this.name}`, { signature, challenge })).data;
    } catch (error) {
      // A messenger takes these very words for a service that has an old profile, and any other failure for no token.
      if (error.response?.data?.error !== "Signature invalid") return undefined;
      return this.register();
    }
  }

  useToken(token) {
    this.token = token;
    this.rest.defaults.headers.common.Authorization = `Bearer ${token}`;
  }

  async incoming() {
    return (await this.rest.get(`/delivery/messages/incoming/${this.name}/`)).data;
  }

  async fromContact(contact) {
    return (await this.rest.get(`/delivery/messages/${this.name}/contact/${contact}`)).data;
  }

  async acknowledge(acknowledgements) {
    const answer = await this.rest.post(`/delivery/messages/${this.name}/syncAcknowledgements/`, { acknowledgements });
    return answer.status;
  }

  // Settings of notifications, as messengers ask for them and change them; what the service answered.
  async notifications(method, path, body) {
    const { status, data } = await this.rest.request({ method, url: `/notifications/${path}${this.name}`, data: body });
    return { status, data };
  }

  async #known() {
    try {
      return (await this.plain.get(`/profile/${this.name}`)).status === 200;
    } catch {
      return false;
    }
  }

  async #retried(error) {
    if (error.response?.status !== 401) throw error;
    if (this.requests.length > ENDLESS) throw new Error("asks for ever");
    const token = await this.authenticate();
    this.useToken(token);
    const { config } = error;
    return this.rest.request({ ...config, headers: { ...config.headers, Authorization: `Bearer ${token}` } });
  }

  #client() {
    const client = axios.create({ baseURL: this.url });
    const noted = (answer) => {
      const { method, url } = answer.config;
      this.requests.push([method.toUpperCase(), url.replace(this.url, ""), answer.status]);
    };
    client.interceptors.response.use(
      (answer) => {
        noted(answer);
        return answer;
      },
      (error) => {
        if (error.response) noted(error.response);
        throw error;
      },
    );
    return client;
  }
};
