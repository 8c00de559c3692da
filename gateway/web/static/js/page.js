// On every page: buttons that copy what stands beside them.

import { all, element, one, paragraph, state } from "./dom.js";

export function armCopies(within = document) {
  for (const each of all("button[data-copy]", within)) {
    if (!navigator.clipboard) continue;
    each.hidden = false;
    if (each.dataset.armed) continue;
    each.dataset.armed = "yes";
    const before = [...each.childNodes];
    each.addEventListener("click", async () => {
      let word = "Copied";
      try {
        await navigator.clipboard.writeText(each.dataset.copy);
      } catch {
        word = "Not allowed";
      }
      each.replaceChildren(word);
      status().textContent = word;
      setTimeout(() => each.replaceChildren(...before), 2000);
    });
  }
}

function status() {
  let place = one("#copied");
  if (!place) {
    place = document.createElement("p");
    Object.assign(place, { id: "copied", className: "away" });
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  return place;
}

// Wallets sign for one address of this gateway only; at another one nothing can be claimed or changed.
function tellWhereItBelongs() {
  const home = one("[data-home]")?.dataset.home;
  if (!home || home === location.origin) return;
  const link = element("a", { href: home + location.pathname + location.search }, home);
  const note = element("div", { class: "note warning" }, state("warning", "Other address"));
  note.append(paragraph("What is signed here would be refused: this gateway’s own address is ", link, ". Open the page there."));
  one("h1").after(note);
}

armCopies();
tellWhereItBelongs();
