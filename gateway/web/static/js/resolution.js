// Shows whether a name resolves through the chain, by asking for it anew.

import { call, named } from "./api.js";
import { button, failed, mono, paragraph, sentence, state, waiting } from "./dom.js";
import { failure } from "./failure.js";

// Gives "ok", or "warning" when the chain does not lead to the name.
export async function showResolution(name, place) {
  const end = waiting(place, "for the registry, the resolver contract and this gateway to answer.");
  const again = button("Check again", () => showResolution(name, place));
  try {
    const found = await call("GET", `${named(name)}/resolution`);
    if (!found.resolves) {
      failed(place, { word: "Does not resolve", sentence: sentence(found.reason), help: found.advice }, again);
      return "warning";
    }
    const hint = paragraph("Contract ", mono(found.resolver), ` on chain ${found.chain_id}, answered in ${found.took_ms} ms.`);
    hint.className = "hint";
    place.replaceChildren(paragraph(state("ok", "Resolves"), " ", mono(found.address)), hint);
    return "ok";
  } catch (thrown) {
    failed(place, failure(thrown), again);
    return "warning";
  } finally {
    end();
  }
}
