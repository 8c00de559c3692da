// Logging in with a wallet that admin.owners lists: one signature, and then a cookie that no script can read.

import { failed, once, one, sentence, waiting } from "./dom.js";
import { Failure, failure } from "./failure.js";
import { connect } from "./wallets.js";

const section = one("#by-wallet");
const told = one(".told", section);
const press = one("button", section);

press.hidden = false;
press.addEventListener("click", once(logIn));

async function logIn() {
  let wallet = null;
  try {
    wallet = await connect(told);
    const { message } = await ask("/admin/login/message", { address: wallet.account });
    const end = waiting(told, `${wallet.name} asks you to sign.`);
    const signature = await wallet.sign(message).finally(end);
    await ask("/admin/login", { message, signature });
    location.assign(section.dataset.next);
  } catch (thrown) {
    const problem = failure(thrown);
    if (problem.sentence) failed(told, problem);
  } finally {
    wallet?.release();
  }
}

async function ask(path, body) {
  let answer;
  try {
    const headers = { "content-type": "application/json", accept: "application/json" };
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Failure("The gateway cannot be reached.", { word: "No connection", help: "Try again in a minute." });
  }
  if (answer.status === 204) return null;
  const given = await answer.json().catch(() => null);
  if (answer.ok) return given;
  throw new Failure(sentence(given?.detail || given?.error) || `The gateway answered with an error (${answer.status}).`, {
    word: "Not let in",
    status: answer.status,
    help: answer.status === 429 ? "Wait a minute, then try again." : "",
  });
}
