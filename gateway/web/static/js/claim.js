// Claiming: a wallet, one signature, and the proof that the name resolves.

import { call, named } from "./api.js";
import { all, button, element, failed, mono, once, one, paragraph, state, waiting } from "./dom.js";
import { Failure, failure } from "./failure.js";
import { lookWhileTyping } from "./looking.js";
import { showResolution } from "./resolution.js";
import { isMine, keep } from "./session.js";
import { connect } from "./wallets.js";

const act = one("#act");
const main = one("#claim");
const steps = Object.fromEntries(all(".steps > li").map((each) => [each.dataset.step, each]));
const told = (step) => one(".told", steps[step]);
let busy = false;

const begin = once(claim);
const look = lookWhileTyping(one("#wanted"), shown);
if (act) {
  act.hidden = false;
  main.addEventListener("click", () => begin(one("#found").dataset.name));
  // Coming back with the browser's button shows a page of before, kept whole or as text: look again.
  addEventListener("pageshow", ({ persisted }) => persisted && look());
  if (performance.getEntriesByType("navigation")[0]?.type === "back_forward") look();
}
shown(one("#found"));

function shown(found) {
  if (!act || busy) return;
  one("#done").hidden = true;
  const { name, available, owner } = found.dataset;
  act.hidden = false;
  main.disabled = available !== "yes" || !name;
  main.textContent = main.disabled ? "Claim" : `Claim ${name}`;
  // A name that is taken by who signed in here is no bad news.
  if (name && isMine(owner)) finished(name, false);
}

async function claim(name) {
  busy = main.disabled = true;
  main.setAttribute("aria-busy", "true");
  one("#done").hidden = true;
  one("#progress").hidden = false;
  for (const step of Object.keys(steps)) mark(step, "");
  one("#progress-title").focus();
  let step = "wallet";
  let wallet = null;
  try {
    mark(step, "waiting");
    wallet = await connect(told(step));
    await connected(wallet);
    mark((step = "sign"), "waiting");
    const { message, signature } = await signed(wallet, name);
    mark((step = "claim"), "waiting");
    await claimed(wallet, name, message, signature);
    mark((step = "resolve"), "waiting");
    mark(step, await showResolution(name, told(step)));
    finished(name, true);
  } catch (thrown) {
    const told = failure(thrown);
    stopped(step, told, name);
    busy = false;
    if (told.status === 409) look(wallet?.account);
    else shown(one("#found"));
  } finally {
    wallet?.release();
    busy = false;
    main.removeAttribute("aria-busy");
  }
}

function mark(step, kind) {
  steps[step].dataset.state = kind;
  if (!kind) told(step).replaceChildren();
}

function stopped(step, failure, name) {
  mark(step, "failed");
  say(`${failure.word}. ${failure.sentence}`);
  if (failure.sentence) failed(told(step), failure, ...ways(failure, name));
  else told(step).append(element("p", { class: "buttons" }, ...ways(failure, name)));
}

function ways(failure, name) {
  if (failure.status === 409) return [button("Choose another name", () => one("#name").focus())];
  return [button("Try again", () => begin(name))];
}

async function connected(wallet) {
  const place = told("wallet");
  place.replaceChildren(paragraph(`${wallet.name}, `, mono(wallet.account)));
  const [ours, theirs] = [Number(act.dataset.chain), await wallet.chain()];
  if (theirs !== ours && !Number.isNaN(theirs)) {
    const switching = button("Switch the wallet to it", async () => {
      try {
        await wallet.switchTo(ours);
        note.replaceChildren(`The wallet is on chain ${ours} now.`);
      } catch (thrown) {
        note.append(` ${failure(thrown).sentence} You need not.`);
      }
    });
    const note = element("p", { class: "hint" }, `Your wallet is on chain ${theirs}, these names are on chain ${ours}. For a claim only a signature is needed, so you can go on as you are. `);
    place.append(note, element("p", { class: "buttons" }, switching));
  }
  mark("wallet", "ok");
}

async function signed(wallet, name) {
  const place = told("sign");
  const end = waiting(place, "for the text to sign.");
  let message, address;
  try {
    ({ message, address } = await call("POST", "/claims/message", { body: { name, address: wallet.account } }));
  } finally {
    end();
  }
  one("code", told("wallet")).textContent = address; // with its checksum, as the text has it
  const line = element("div");
  const text = element("details", { open: true }, element("summary", {}, "The text that you sign"), element("pre", {}, message));
  place.replaceChildren(line, text);
  const ended = waiting(line, `for you: ${wallet.name} shows the text and asks for your signature.`);
  say("Your wallet asks for a signature.");
  try {
    const signature = await wallet.sign(message);
    line.replaceChildren(paragraph("Signed."));
    text.open = false;
    mark("sign", "ok");
    return { message, signature };
  } finally {
    ended();
  }
}

// The answer to a claim can be lost on its way: before it counts as failed, look whose the name is.
async function claimed(wallet, name, message, signature) {
  const place = told("claim");
  const end = waiting(place, "for the gateway to give you the name.");
  try {
    const { session } = await call("POST", "/claims", { body: { name, message, signature } });
    keep(wallet.account, session);
  } catch (thrown) {
    if (!(await owns(wallet.account, name))) throw explained(thrown, wallet);
  } finally {
    end();
  }
  place.replaceChildren(paragraph(state("ok", "Yours"), " ", element("strong", {}, name)));
  mark("claim", "ok");
}

async function owns(account, name) {
  try {
    return (await call("GET", named(name))).owner?.toLowerCase() === account.toLowerCase();
  } catch {
    return false;
  }
}

function explained(thrown, wallet) {
  if (thrown.status === 409) {
    return new Failure("Somebody else took this name while you were signing.", { word: "Taken", status: 409, help: "Your signature is worth nothing to anybody. Choose another name." });
  }
  if (thrown.status !== 403) return thrown;
  if (thrown.detail === "expired") {
    return new Failure("The text was signed too late: it is good for ten minutes.", { word: "Too late", help: "Try again: you get a new text to sign." });
  }
  if (thrown.detail.startsWith("not signed by")) {
    return new Failure(`The signature is not that of ${wallet.account}.`, { word: "Other key", help: "The wallet signed with another account. Choose the right one in the wallet, then try again." });
  }
  return thrown;
}

function finished(name, news) {
  const done = one("#done");
  const title = one("#done-title");
  title.textContent = `${name} is yours`;
  for (const [way, path] of Object.entries({ name: `/names/${encodeURIComponent(name)}`, me: `/me#${encodeURIComponent(name)}`, link: `/me#${encodeURIComponent(name)}` })) {
    one(`[data-way=${way}]`, done)?.setAttribute("href", path);
  }
  done.hidden = false;
  act.hidden = true;
  one("#found .state")?.replaceWith(state("ok", "Yours"));
  one("#found .reason")?.remove();
  if (news) {
    say(title.textContent);
    title.focus();
  }
}

function say(text) {
  one("#claim-state").textContent = text;
}
