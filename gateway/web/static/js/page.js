// On every page: buttons that copy what stands beside them.

import { all, one } from "./dom.js";

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

armCopies();
