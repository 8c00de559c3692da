// Wallets of this browser: found by announcement (EIP-6963), or the one at window.ethereum (EIP-1193).

import { element, paragraph, state, template } from "./dom.js";
import { Failure } from "./failure.js";

const found = new Map();
addEventListener("eip6963:announceProvider", ({ detail }) => {
  if (detail?.info?.uuid && detail.provider?.request) found.set(detail.info.uuid, detail);
});
dispatchEvent(new Event("eip6963:requestProvider"));

export function wallets() {
  dispatchEvent(new Event("eip6963:requestProvider"));
  if (found.size) return [...found.values()];
  const provider = window.ethereum;
  return provider?.request ? [{ info: { name: "The wallet of this browser" }, provider }] : [];
}

let last = null;

// A wallet and the account that it lets us see. Offers a choice in `place` when there are several, but with `same` only
// when none was chosen on this page yet.
export async function connect(place, { same = false } = {}) {
  const known = wallets();
  if (!known.length) {
    place.replaceChildren(paragraph(state("warning", "No wallet")), template("no-wallet"));
    throw new Failure("", { word: "No wallet" });
  }
  const before = same && known.find((each) => each.provider === last);
  const chosen = known.length === 1 ? known[0] : before || (await choose(place, known));
  last = chosen.provider;
  place.replaceChildren(paragraph(state("waiting", "Waiting"), ` ${chosen.info.name} asks you whether this page may see your address.`));
  const accounts = await ask(chosen.provider, "eth_requestAccounts");
  if (!accounts?.length) throw new Failure("The wallet shows no account.", { help: "Unlock it or make an account in it, then try again." });
  return new Wallet(chosen, accounts[0]);
}

function choose(place, known) {
  return new Promise((resolve) => {
    const offered = template("choose-wallet");
    const list = offered.querySelector("ul");
    for (const each of known) {
      const icon = /^data:image\//.test(each.info.icon ?? "") ? element("img", { src: each.info.icon, alt: "" }) : "";
      list.append(element("li", {}, element("button", { type: "button", onclick: () => resolve(each) }, icon, each.info.name)));
    }
    place.replaceChildren(offered);
    place.querySelector(".wallets button").focus();
  });
}

export class Wallet {
  constructor({ info, provider }, account) {
    this.name = info.name;
    this.account = account;
    this.changed = null; // the account that the wallet went over to
    this.provider = provider;
    this.watch = (accounts) => {
      const now = accounts?.[0] ?? "";
      this.changed = now.toLowerCase() === this.account.toLowerCase() ? null : now;
    };
    provider.on?.("accountsChanged", this.watch);
  }

  // Offer the choice again next time.
  forget() {
    last = null;
  }

  release() {
    this.provider.removeListener?.("accountsChanged", this.watch);
  }

  // Raises Failure when the wallet is no longer at the account that began.
  check() {
    if (this.changed === null) return;
    const now = this.changed ? `to ${this.changed}` : "away";
    throw new Failure(`The wallet was switched ${now} while this was under way.`, {
      word: "Other account",
      help: `Nothing was done. Begin again, or switch back to ${this.account}.`,
    });
  }

  async chain() {
    try {
      return Number(await ask(this.provider, "eth_chainId"));
    } catch {
      return NaN;
    }
  }

  // A signature on a text (ERC-191).
  async sign(text) {
    this.check();
    const bytes = new TextEncoder().encode(text);
    const hex = `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    const signature = await ask(this.provider, "personal_sign", [hex, this.account]);
    this.check();
    return signature;
  }

  // A signature on typed data (EIP-712). Wallets refuse data for another chain than theirs, so they are switched first.
  async signTyped(typed) {
    this.check();
    await this.switchTo(typed.domain.chainId);
    const signature = await ask(this.provider, "eth_signTypedData_v4", [this.account, JSON.stringify(typed)]);
    this.check();
    return signature;
  }

  async switchTo(chain) {
    const now = await this.chain();
    if (now === chain || Number.isNaN(now)) return;
    const refused = {
      word: "Other network",
      help: `The wallet is on chain ${now}, and names here are signed for on chain ${chain}. Choose that network in the wallet, then try again. It stays a signature; nothing is sent to the chain.`,
    };
    try {
      await ask(this.provider, "wallet_switchEthereumChain", [{ chainId: `0x${chain.toString(16)}` }]);
    } catch {
      throw new Failure("The wallet did not change its network.", refused);
    }
    if ((await this.chain()) !== chain) throw new Failure("The wallet is still on another network.", refused);
  }
}

async function ask(provider, method, params = []) {
  try {
    return await provider.request({ method, params });
  } catch (thrown) {
    throw refusal(thrown?.code, thrown?.message);
  }
}

function refusal(code, message) {
  switch (code) {
    case 4001:
    case "ACTION_REJECTED":
      return new Failure("You said no in the wallet.", { code: 4001, word: "Not signed", help: "Nothing was done. You can try again whenever you like." });
    case 4100:
      return new Failure("The wallet does not let this page use this account.", { code, help: "Connect the account in the wallet, then try again." });
    case 4900:
    case 4901:
      return new Failure("The wallet has no connection to its network.", { code, help: "Look at the wallet, then try again." });
    case -32002:
      return new Failure("The wallet still has a question of this page open.", { code, help: "Open the wallet, answer it, then try again." });
  }
  const said = String(message ?? "").slice(0, 200);
  return new Failure(said ? `The wallet says: ${said}` : "The wallet did not do it and does not say why.", {
    code: Number(code) || -1,
    help: "Nothing was done. Look at the wallet, then try again.",
  });
}
