// The list of maps: groups of buttons; arrow keys go from one to the next.
import { check, h } from "../dom.js";

/** All maps of the results. Errors of maps are shown beside them, and here when asked for. */
export class MapsList {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.box = h("div", { "data-test": "maps-list", role: "group", "aria-label": "maps", style: { overflowY: "auto", maxHeight: "266px", border: "1px solid #d6dae0", borderRadius: "4px", padding: "2px 5px" } });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.errors = check("list errors as maps too", { test: "maps-errors" }, () => this.draw());
    this.element = h("div", {}, this.box, this.errors);
    this.groups = [];
  }

  /** Take a new list. */
  set(groups, chosen) {
    this.groups = groups;
    this.chosen = chosen;
    this.draw();
  }

  /** The entry of an id. */
  find(id) {
    return this.groups.flatMap((group) => group.maps).find((one) => one.id === id);
  }

  draw() {
    const rows = [];
    for (const group of this.groups) {
      const members = group.maps.filter((one) => this.errors.input.checked || !one.is_error);
      if (!members.length) continue;
      rows.push(h("h3", { style: { margin: "5px 0 1px" } }, group.title));
      for (const one of members) rows.push(this.row(one));
    }
    this.box.replaceChildren(...rows);
    this.mark();
  }

  row(one) {
    const unit = one.unit && one.unit !== "1" ? ` (${one.unit})` : "";
    const row = h("button", {
      type: "button", "data-id": one.id, "data-test": `maps-item-${one.id}`, title: one.no_uncertainty || "with its uncertainty",
      style: { display: "block", width: "100%", textAlign: "left", border: "0", minHeight: "21px", padding: "0 5px" },
      onclick: () => this.onChoose(one.id),
    }, `${one.title}${unit}`);
    return row;
  }

  /** Mark the chosen one. */
  mark(id = this.chosen) {
    this.chosen = id;
    for (const row of this.box.querySelectorAll("button")) {
      const on = row.dataset.id === id;
      row.setAttribute("aria-pressed", String(on));
      row.style.fontWeight = on ? "600" : "";
    }
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...this.box.querySelectorAll("button")];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!next) return;
    next.focus();
    next.click();
  }
}
