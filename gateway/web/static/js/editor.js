// The editor of records: one row for each, changes gathered until they are signed.

import { element, mono, one, template } from "./dom.js";

const KINDS = [
  ["addr", "Ethereum address", "0x…"],
  ["text", "Text", ""],
  ["coin", "Other chain", "0x…"],
  ["contenthash", "Content", "0x…"],
  ["pubkey", "Public key", "0x…"],
  ["abi", "ABI", "0x…"],
  ["interface", "Interface", "0x…"],
  ["data", "Data", "0x…"],
];
const KEYS = { text: "url", coin: "0", abi: "1", interface: "0x12345678", data: "key" };

export class Editor {
  constructor(place) {
    this.place = place;
    this.before = {};
  }

  // Shows these records, as they are on the server.
  show(records) {
    this.before = records;
    this.place.replaceChildren();
    for (const [key, value] of Object.entries(records)) this.add(key, value);
  }

  add(key = "text:", value = "") {
    const row = template("record-row").firstElementChild;
    const kind = one("[name=kind]", row);
    for (const [each, word] of KINDS) kind.append(element("option", { value: each }, word));
    const [first, ...rest] = key.split(":");
    kind.value = first;
    one("[name=key]", row).value = rest.join(":");
    one("[name=value]", row).value = value;
    row.known = key in this.before;
    one("legend", row).textContent = row.known ? `Record ${key}` : "New record";
    if (row.known) {
      // What it is cannot change any more: it stands where the word "Value" would.
      kind.closest("label").hidden = true;
      one(".grow .cap", row).replaceChildren(mono(key));
    }
    kind.addEventListener("change", () => this.fit(row));
    one(".remove", row).addEventListener("click", () => this.remove(row));
    this.fit(row);
    this.place.append(row);
    return row;
  }

  fit(row) {
    const kind = one("[name=kind]", row).value;
    const key = one("[name=key]", row);
    const free = kind in KEYS && !row.known;
    key.closest("label").hidden = !free;
    key.required = free;
    key.placeholder = KEYS[kind] ?? "";
    one("[name=value]", row).placeholder = KINDS.find(([each]) => each === kind)[2];
  }

  // A record that is on the server is only marked: it goes when that is signed.
  remove(row) {
    if (!row.known) {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      (next ? one(".remove", next) : this.place.parentElement.querySelector("[data-add]")).focus();
      return;
    }
    const gone = row.classList.toggle("gone");
    one("[name=value]", row).readOnly = gone;
    one(".remove", row).textContent = gone ? "Keep" : "Remove";
  }

  // What is to be changed, as the interface takes it; an empty value removes.
  changes() {
    const found = {};
    for (const row of this.place.children) {
      const value = one("[name=value]", row).value;
      const key = keyOf(row);
      if (row.classList.contains("gone")) found[key] = "";
      else if (value !== (this.before[key] ?? "")) found[key] = value;
    }
    return found;
  }

  // Puts a fault beside the record that it names; false when it names none here.
  fault(detail) {
    this.clear();
    const named = /record '(.*?)': (.*)/s.exec(detail ?? "");
    const row = named && [...this.place.children].find((each) => keyOf(each) === named[1]);
    if (!row) return false;
    const place = one(".fault", row);
    const field = one("[name=value]", row);
    place.id = `fault-${[...this.place.children].indexOf(row)}`;
    place.textContent = named[2];
    place.hidden = false;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", place.id);
    field.focus();
    return true;
  }

  clear() {
    for (const row of this.place.children) {
      one(".fault", row).hidden = true;
      one("[name=value]", row).removeAttribute("aria-invalid");
    }
  }
}

function keyOf(row) {
  const kind = one("[name=kind]", row).value;
  return kind in KEYS ? `${kind}:${one("[name=key]", row).value.trim()}` : kind;
}
