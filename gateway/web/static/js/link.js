// Linking a name to a person of another network: a code goes to them, one signature makes the link.

import { call, named } from "./api.js";
import { element, failed, one, once, paragraph, state, waiting } from "./dom.js";
import { failure } from "./failure.js";
import { order, ownWallet } from "./orders.js";
import { session } from "./session.js";

const WORDS = { email: "E-mail", matrix: "Matrix", xmpp: "XMPP" };
const word = (network) => WORDS[network] ?? network;

// Arms the part; `changed` is given the name whenever it is new.
export function armLink(part, name, networks, changed) {
  const place = one(".told", part);
  const [asking, confirming, ending] = ["ask", "confirm", "unlink"].map((each) => one(`[data-${each}]`, part));
  const linked = name.level === "owned" || name.level === "moved";
  one("[data-linked]", part).textContent = linked
    ? `Linked to ${name.person ?? "somebody"} on ${word(name.network)}.`
    : networks.length
      ? "Link the name to yourself on another network: people write to the name, and it reaches you there."
      : "This gateway has no other networks at the moment.";
  asking.hidden = linked || !networks.length;
  ending.hidden = !linked;
  for (const each of networks) asking.elements.network.append(element("option", { value: each }, word(each)));
  let message;

  const ask = once(async () => {
    const end = waiting(place, "for the gateway to send a code.");
    try {
      const body = { network: asking.elements.network.value, person: asking.elements.person.value.trim() };
      const sent = await call("POST", `${named(name.name)}/link`, { body, token: session()?.token });
      message = sent.message;
      const until = new Date(sent.expires_at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
      one("[data-sent]", confirming).replaceChildren(`A code is on its way to ${sent.person}. It is good until ${until}, and its arrival shows that this is you. `);
      confirming.hidden = false;
      place.replaceChildren(paragraph(state("waiting", "Waiting"), " for you to enter the code."));
      confirming.elements.code.focus();
    } catch (thrown) {
      failed(place, failure(thrown));
    } finally {
      end();
    }
  });

  const confirm = once(async () => {
    let wallet, end;
    try {
      wallet = await ownWallet(place);
      end = waiting(place, `for you: ${wallet.name} asks for one signature on the profile.`);
      const signature = await wallet.sign(message);
      end();
      end = waiting(place, "for the gateway to make the link.");
      const body = { code: confirming.elements.code.value, signature };
      await call("POST", `${named(name.name)}/link/confirm`, { body, token: session()?.token });
      await changed("link", "Linked. Who writes to this name reaches you there: bridged, not end-to-end.");
    } catch (thrown) {
      failed(place, failure(thrown));
    } finally {
      end?.();
      wallet?.release();
    }
  });

  const unlink = once(async () => {
    try {
      await order(name.name, { action: "unlink" }, place);
      await changed("link", "The link has ended.");
    } catch (thrown) {
      failed(place, failure(thrown));
    }
  });

  for (const [form, work] of [[asking, ask], [confirming, confirm], [ending, unlink]]) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      work();
    });
  }
}
