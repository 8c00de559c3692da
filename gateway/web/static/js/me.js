// One's own names: sign in with the wallet, see them, change them.

import { call } from "./api.js";
import { element, failed, one, once, paragraph, state, waiting } from "./dom.js";
import { failure } from "./failure.js";
import { day, manage } from "./manage.js";
import { forget, keep, session } from "./session.js";
import { connect } from "./wallets.js";

const [door, mine, managed] = ["#sign-in", "#mine", "#manage"].map((each) => one(each));
let known = { names: [], networks: [] };

one("button", door).addEventListener("click", once(signIn));
one("[data-sign-out]").addEventListener("click", once(signOut));
managed.addEventListener("click", (event) => {
  if (!event.target.closest("[data-back]")) return;
  event.preventDefault();
  location.hash = "";
});
addEventListener("hashchange", () => session() && show());
start();

async function start() {
  door.hidden = Boolean(session());
  mine.hidden = !session();
  if (session()) await load();
}

async function signIn() {
  const place = one(".told", door);
  let wallet, end;
  try {
    wallet = await connect(place);
    end = waiting(place, "for the text to sign.");
    const { message } = await call("POST", "/wallet/message", { body: { address: wallet.account } });
    end();
    end = waiting(place, `for you: ${wallet.name} shows a text and asks for your signature.`);
    const signature = await wallet.sign(message);
    end();
    end = waiting(place, "for the gateway to let you in.");
    const begun = await call("POST", "/wallet/session", { body: { message, signature } });
    keep(begun.address, begun);
    place.replaceChildren();
    await start();
  } catch (thrown) {
    const told = failure(thrown);
    if (told.sentence) failed(place, told);
  } finally {
    end?.();
    wallet?.release();
  }
}

async function signOut() {
  const { token } = session() ?? {};
  forget();
  left();
  try {
    await call("DELETE", "/wallet/session", { token });
  } catch {
    // The token is forgotten here, and ends by itself.
  }
}

function left(words = "") {
  managed.replaceChildren();
  managed.hidden = mine.hidden = true;
  door.hidden = false;
  one(".told", door).replaceChildren(...(words ? [paragraph(state("warning", "Signed out"), ` ${words}`)] : []));
  one("button", door).focus();
}

async function load() {
  const place = one(":scope > .told", mine);
  const end = waiting(place, "for your names.");
  try {
    known = await call("GET", "/wallet/names", { token: session()?.token });
    place.replaceChildren();
    show();
    return true;
  } catch (thrown) {
    const told = failure(thrown);
    if (told.status === 401) {
      forget();
      left("Your session has ended; sign in again.");
    } else failed(place, told, element("button", { type: "button", class: "quiet", onclick: load }, "Try again"));
    return false;
  } finally {
    end();
  }
}

function show() {
  one("[data-account]").textContent = known.address ?? session().address;
  one("[data-names]").replaceChildren(...known.names.map(card));
  one("[data-none]").hidden = known.names.length > 0;
  const wanted = decodeURIComponent(location.hash.slice(1));
  const chosen = known.names.find((each) => each.name === wanted);
  mine.hidden = Boolean(chosen);
  managed.hidden = !chosen;
  managed.replaceChildren();
  if (!chosen) return;
  manage(managed, chosen, known.networks, changed, gone);
  one("h2", managed).focus();
}

function card(name) {
  const facts = [state("level", name.level)];
  if (name.person) facts.push(` ${name.person}`);
  if (name.expires_at) facts.push(` until ${day(name.expires_at)}`);
  const line = element("span", { class: "over" }, ...facts);
  const shown = element("span", { class: "name" }, name.name);
  return element("li", {}, element("a", { href: `#${encodeURIComponent(name.name)}` }, shown, line));
}

async function changed(part, words) {
  if (!(await load())) return;
  one(`[data-part=${part}] .told`, managed)?.replaceChildren(paragraph(state("ok", "Done"), ` ${words}`));
}

async function gone(words) {
  history.replaceState(null, "", location.pathname);
  await load();
  one(":scope > .told", mine).replaceChildren(paragraph(state("ok", "Done"), ` ${words}`));
}
