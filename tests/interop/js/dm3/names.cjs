// ENS as a DM3 messenger of the published generation reads it: ethers 5.7.2 with CCIP-read, records by the library.
"use strict";

const axios = require("axios");
const { ethers } = require("ethers");
const profile = require("@dm3-org/dm3-lib-profile");

exports.Names = class Names {
  constructor({ rpcUrl, chainId, registry }) {
    this.provider = new ethers.providers.StaticJsonRpcProvider(rpcUrl, {
      name: "local",
      chainId,
      ensAddress: registry,
    });
  }

  // The signed profile of a name; the library has checked it against the name's address.
  async user(name) {
    const found = await profile.getUserProfile(this.provider, name);
    if (!found) throw new Error(`${name} publishes no profile`);
    return found;
  }

  async service(name) {
    const found = await profile.getDeliveryServiceProfile(
      name,
      this.provider,
      async (url) => (await axios.get(url)).data,
    );
    if (!found) throw new Error(`${name} is no delivery service`);
    return found;
  }

  // All delivery services of somebody, in their order: a messenger writes to each.
  async servicesOf(name) {
    const { profile: user } = await this.user(name);
    return Promise.all(user.deliveryServices.map((service) => this.service(service)));
  }
};
