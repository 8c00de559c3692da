// Small helpers: elements, states, waiting that says for how long.

export const one = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// element("p", { class: "hint", hidden: false, onclick }, "text", child)
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const paragraph = (...children) => element("p", {}, ...children);
export const mono = (text) => element("code", { class: "mono" }, text);

export function state(kind, word) {
  return element("span", { class: `state ${kind}` }, element("i", { "aria-hidden": "true" }), word);
}

export function button(text, onclick, kind = "quiet") {
  return element("button", { type: "button", class: kind, onclick }, text);
}

export function template(id) {
  return document.getElementById(id).content.cloneNode(true);
}

export function sentence(text) {
  if (!text) return "";
  const first = text.split(/\s/, 1)[0];
  const begun = first.includes(".") || first.startsWith("0x") ? text : text[0].toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

// Shows in `place` what is waited for, and from the second second on for how long. Returns what ends it.
export function waiting(place, what) {
  const since = performance.now();
  const seconds = element("span", { "aria-hidden": "true" });
  place.replaceChildren(paragraph(state("waiting", "Waiting"), " ", what, seconds));
  const timer = setInterval(() => {
    const spent = Math.round((performance.now() - since) / 1000);
    if (spent > 1) seconds.textContent = ` ${spent} s`;
  }, 1000);
  return () => clearInterval(timer);
}

// Shows a failure: what happened, what it means, and what the visitor can do about it.
export function failed(place, failure, ...ways) {
  const told = [paragraph(state("failed", failure.word ?? "Failed"), " ", failure.sentence)];
  if (failure.help) told.push(element("p", { class: "hint" }, failure.help));
  if (ways.length) told.push(element("p", { class: "buttons" }, ...ways));
  place.replaceChildren(...told);
}

// Runs `work` unless it still runs from the click before.
export function once(work) {
  let running = false;
  return async (...given) => {
    if (running) return;
    running = true;
    try {
      await work(...given);
    } finally {
      running = false;
    }
  };
}
