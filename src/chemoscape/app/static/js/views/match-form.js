// What the clusters are compared with: library, standards, baseline, route; each an edit.
import { ask } from "../api.js";
import { attempt, button, check, choice, h } from "../dom.js";
import { edit, run, store, value } from "../store.js";

/** The left column above the energy shift. */
export class MatchForm {
  constructor() {
    this.library = choice("Library of standards", [], (name) => this.change({ "standards.library": name, "standards.select": null }), { test: "match-library" });
    this.list = h("div", { "data-test": "match-standards", role: "group", "aria-label": "standards" });
    this.matched = check("only matched ones in the maps", { test: "match-matched" }, (on) =>
      this.change({ "standards.select": on ? "matched" : null }));
    this.matched.style.flexWrap = "nowrap";
    this.matched.title = "[standards] select = \"matched\": all are compared with the clusters, those that they are made of are used for the maps";
    this.baseline = choice("Baseline under each spectrum", [["constant", "constant"], ["linear", "linear"], ["none", "none"]],
      (name) => this.change({ "deconvolution.baseline": name }), { test: "match-baseline" });
    this.route = choice("Maps from", [["direct", "the standards (direct)"], ["clustered", "the clusters (clustered)"], ["both", "both routes"]],
      (name) => this.change(this.ofRoute(name)), { test: "match-route" });
    this.run = button("Run to maps", () => attempt(() => run("maps")), { primary: true, test: "match-run", title: "Match, weights and composition by the recipe as it is" });
    this.note = h("p", { class: "warn", "data-test": "match-synthetic" });
    this.element = h("div", {}, h("div", { class: "row" }, this.run), this.library, this.list, this.matched, this.note, this.baseline, this.route);
  }

  change(changes) {
    return attempt(async () => {
      try { await edit(changes); } finally { await this.refresh(); }
    });
  }

  /** A route, and the composition of a route that is taken. */
  ofRoute(name) {
    const from = value("composition.from") ?? value("composition.source") ?? "direct";
    const changes = { "deconvolution.route": name };
    if (name !== "both" && from !== name) changes["composition.from"] = name;
    return changes;
  }

  /** Show the recipe as it is. */
  async refresh() {
    this.baseline.select.value = value("deconvolution.baseline") ?? "constant";
    this.route.select.value = value("deconvolution.route") ?? "direct";
    this.run.disabled = store.job?.state === "running";
    const asked = this.asked = {};
    let told;
    try {
      told = await ask("match/standards");
    } catch (error) {
      if (asked === this.asked) this.list.replaceChildren(h("p", { class: "bad" }, error.message));
      return;
    }
    if (asked !== this.asked) return;
    this.library.set(told.libraries.map((one) => [one.value, one.label]), told.library);
    this.note.textContent = told.standards.note;
    this.matched.input.checked = told.matched;
    const { standards } = told.standards;
    const rows = standards.map((one) => {
      const box = check(one.label, { value: one.selected, test: `match-standard-${one.name}` }, () => this.select(standards));
      box.title = `${one.name}: ${told.standards.variable} ${one.value ?? "not known"}, ${one.kind}`;
      box.style.margin = "1px 0";
      one.box = box.input;
      return box;
    });
    this.list.replaceChildren(...rows);
  }

  /** The ticked ones; all of them are an empty list. */
  select(standards) {
    const ticked = standards.filter((one) => one.box.checked).map((one) => one.name);
    if (!ticked.length) { this.refresh(); return; }
    this.change({ "standards.select": ticked.length === standards.length ? null : ticked });
  }
}
