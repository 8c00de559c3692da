// Availability while somebody types: the server renders what was found, this swaps it in.

import { unreachable } from "./api.js";
import { button, failed, one } from "./dom.js";
import { armCopies } from "./page.js";

const PAUSE_MS = 200;
const SLOW_MS = 700;

// Calls `shown` with the part that says what was found, whenever it is new.
export function lookWhileTyping(form, shown) {
  const field = one("input[name=name]", form);
  let timer, asked;

  async function look(address) {
    clearTimeout(timer);
    asked?.abort();
    const mine = (asked = new AbortController());
    const place = one("#found");
    const query = new URLSearchParams(field.value.trim() ? { name: field.value } : {});
    history.replaceState(history.state, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
    if (address) query.set("address", address);
    const slow = setTimeout(() => place.setAttribute("aria-busy", "true"), SLOW_MS);
    try {
      const answer = await fetch(`/claim?${query}`, { signal: mine.signal, headers: { accept: "text/html" }, credentials: "omit", cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = one("#found", page);
      if (!answer.ok || !found) throw answer;
      place.replaceChildren(...found.childNodes);
      for (const key of ["name", "typed", "available", "owner"]) {
        if (found.dataset[key] === undefined) delete place.dataset[key];
        else place.dataset[key] = found.dataset[key];
      }
      armCopies(place);
    } catch (thrown) {
      if (mine.signal.aborted) return;
      delete place.dataset.name;
      const failure = unreachable(false);
      if (thrown instanceof Response) failure.sentence = thrown.status === 429 ? "Too many questions at once; wait a minute." : `The gateway answered with an error (${thrown.status}).`;
      failed(place, failure, button("Check again", () => look(address)));
    } finally {
      clearTimeout(slow);
      if (asked === mine) place.removeAttribute("aria-busy");
    }
    shown(place);
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    asked?.abort();
    // What stands there is about another name by now.
    delete one("#found").dataset.name;
    shown(one("#found"));
    timer = setTimeout(look, PAUSE_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  return look;
}
