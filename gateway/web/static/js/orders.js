// Orders of an owner: prepared by the gateway, signed as typed data by the wallet, carried out by the gateway.

import { call, named } from "./api.js";
import { paragraph, state, waiting } from "./dom.js";
import { Failure } from "./failure.js";
import { session } from "./session.js";
import { connect } from "./wallets.js";

// The wallet, at the account that is signed in.
export async function ownWallet(place) {
  const wallet = await connect(place, { same: true });
  const { address } = session() ?? {};
  if (address && wallet.account.toLowerCase() !== address.toLowerCase()) {
    wallet.forget();
    wallet.release();
    throw new Failure(`The wallet is at ${wallet.account}.`, {
      word: "Other account",
      help: `You are signed in as ${address}. Switch the wallet to that account and try again, or sign out and in again.`,
    });
  }
  return wallet;
}

// Carries out one order and gives the name as it is then. What is waited for stands in `place`.
export async function order(name, wanted, place) {
  let end = waiting(place, "for the gateway to write down what you sign.");
  let wallet;
  try {
    const prepared = await call("POST", `${named(name)}/orders/prepare`, { body: wanted });
    end();
    wallet = await ownWallet(place);
    end = waiting(place, `for you: ${wallet.name} shows the order and asks for your signature.`);
    const signature = await wallet.signTyped(prepared.typedData);
    end();
    end = waiting(place, "for the gateway to carry it out.");
    const changed = await call("POST", `${named(name)}/orders`, { body: { order: prepared.order, signature } });
    place.replaceChildren(paragraph(state("ok", "Done")));
    return changed;
  } finally {
    end();
    wallet?.release();
  }
}
