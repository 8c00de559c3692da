// The page of a name: check it through the chain.

import { once, one } from "./dom.js";
import { showResolution } from "./resolution.js";

const place = one("#resolution");
if (place) {
  place.hidden = false;
  one("button", place).addEventListener("click", once(() => showResolution(place.dataset.name, one(".told", place))));
}
