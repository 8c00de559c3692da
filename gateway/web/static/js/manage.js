// One name of one's own: everything its owner can order.

import { call, named } from "./api.js";
import { failed, one, once, paragraph, state, template } from "./dom.js";
import { Editor } from "./editor.js";
import { Failure, failure } from "./failure.js";
import { armLink } from "./link.js";
import { order } from "./orders.js";

// Shows the name in `place`. `changed(part, words)` loads it anew, `gone(words)` is for when it is nobody's or another's.
export function manage(place, name, networks, changed, gone) {
  place.replaceChildren(template("manage-name"));
  const part = (which) => one(`[data-part=${which}]`, place);
  head(place, name);
  records(part("records"), name, changed);
  armLink(part("link"), name, networks, changed);

  one("[data-listed]", place).textContent = name.listed ? "The name is in the public directory." : "The name is not in the public directory. Its page can be seen by who knows the name.";
  one("button", part("list")).textContent = name.listed ? "Sign to take it out" : "Sign to list it";
  arm(part("list"), async (told) => {
    await order(name.name, { action: "list", listed: !name.listed }, told);
    await changed("list", name.listed ? "No longer listed." : "Listed.");
  });

  if (name.expires_at) {
    part("renew").hidden = false;
    one("[data-until]", place).textContent = `It is yours until ${day(name.expires_at)}. After that it works, and can be renewed, until ${day(name.grace_until)}.`;
    arm(part("renew"), async (told) => {
      const renewed = await order(name.name, { action: "renew" }, told);
      await changed("renew", `Renewed until ${day(renewed.expires_at)}.`);
    });
  }

  arm(part("export"), async (told) => {
    await download(name.name);
    told.replaceChildren(paragraph(state("ok", "Done"), ` ${name.name}.json is where your browser keeps downloads.`));
  });

  arm(part("transfer"), async (told, form) => {
    confirmed(form, name);
    const to = form.elements.to.value.trim();
    await order(name.name, { action: "transfer", to }, told);
    gone(`${name.name} belongs to ${to} now.`);
  });
  arm(part("release"), async (told, form) => {
    confirmed(form, name);
    await order(name.name, { action: "release" }, told);
    gone(`${name.name} was given up. For a while only this wallet can claim it again.`);
  });
}

function head(place, name) {
  one("h2", place).textContent = name.name;
  one("[data-level]", place).append(state("level", name.level));
  one("[data-page]", place).href = named(name.name);
  one("[data-term]", place).hidden = !name.expires_at;
  if (name.expires_at) one("[data-term]", place).textContent = `Until ${day(name.expires_at)}.`;
  for (const each of place.querySelectorAll("[data-typed]")) each.textContent = name.name;
}

function records(part, name, changed) {
  const editor = new Editor(one(".rows", part));
  editor.show(name.records);
  one("[data-add]", part).addEventListener("click", () => one("[name=key]", editor.add()).focus());
  arm(part, async (told) => {
    editor.clear();
    const wanted = editor.changes();
    const number = Object.keys(wanted).length;
    if (!number) throw new Failure("Nothing is changed.", { word: "Nothing to sign", help: "Change, add or remove a record first." });
    try {
      await order(name.name, { action: "records", records: wanted }, told);
    } catch (thrown) {
      if (thrown.status === 400) editor.fault(thrown.detail);
      throw thrown;
    }
    await changed("records", number > 1 ? `${number} records changed.` : "One record changed.");
  });
}

function arm(part, work) {
  const told = one(".told", part);
  const form = one("form", part);
  const run = once(async () => {
    try {
      await work(told, form);
    } catch (thrown) {
      failed(told, failure(thrown));
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
}

function confirmed(form, name) {
  const { typed } = form.elements;
  if (typed.value.trim() === name.name) return;
  typed.focus();
  throw new Failure("The name that you typed is another one.", { word: "Not confirmed", help: `Type ${name.name} to show that you mean it.` });
}

async function download(name) {
  const [known, history] = await Promise.all([call("GET", named(name)), call("GET", `${named(name)}/history`)]);
  const text = JSON.stringify({ ...known, history: history.entries }, null, 2);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: `${name}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const day = (at) => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
