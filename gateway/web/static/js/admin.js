// Operator pages: tables sort, what is live asks anew, what takes long says so. Each page works without this, too.

import { all, element, one, state, waiting } from "./dom.js";

const EVERY_MS = 10_000;
const sorted = new Map(); // by the table's place on the page: column and direction

function armTables() {
  for (const [place, table] of all("table[data-sortable]").entries()) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      if (one("button", head) || !head.textContent.trim() || table.tBodies[0].rows.length < 2) continue;
      if (one(".acts", table.tBodies[0].rows[0].cells[column])) continue;
      const press = () => sort(place, table, column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      head.replaceChildren(element("button", { type: "button", class: "sort", onclick: press }, head.textContent));
    }
    const before = sorted.get(place);
    if (before) sort(place, table, ...before);
  }
}

function sort(place, table, column, way) {
  sorted.set(place, [column, way]);
  const body = table.tBodies[0];
  const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const order = new Intl.Collator("en", { numeric: true });
  const rows = [...body.rows].sort((a, b) => way * order.compare(value(a), value(b)));
  body.append(...rows);
  for (const [at, head] of [...table.tHead.rows[0].cells].entries()) {
    if (at === column) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
}

// A page that nobody looks at asks for nothing; nothing is swapped under somebody's hands.
async function refresh() {
  const live = one("#live");
  if (document.hidden || live.contains(document.activeElement) || getSelection().toString()) return;
  try {
    const answer = await fetch(location, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) });
    if (answer.redirected) return location.reload(); // logged out
    if (!answer.ok) throw new Error(answer.status);
    const fresh = one("#live", new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (!fresh || live.contains(document.activeElement)) return;
    live.replaceChildren(...fresh.childNodes);
    armTables();
  } catch {
    if (one(".stale", live)) return;
    const told = " The node has not answered. What stands here is how it was before; it is asked again every ten seconds.";
    live.prepend(element("p", { class: "note stale", role: "status" }, state("warning", "Out of date"), told));
  }
}

for (const form of all("form[data-waits]")) {
  form.addEventListener("submit", () => {
    waiting(one(".told", form), form.dataset.waits);
    // After the browser has taken the form, which leaves out what is disabled.
    setTimeout(() => (one("button", form).disabled = true));
  });
}
armTables();
if (one("#live")) setInterval(refresh, EVERY_MS);
