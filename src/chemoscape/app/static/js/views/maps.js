// Maps: composition, phases, weights and their errors; profiles along lines, statistics of regions.
import { ask, picture } from "../api.js";
import { attempt, button, h, newest, panel, slider } from "../dom.js";
import { ImageView } from "../image.js";
import { cornersOf } from "../overlay.js";
import { hasNode, on, run, store } from "../store.js";
import { Companion, entriesOf, legendOf } from "./maps-composite.js";
import { MapsList } from "./maps-list.js";
import { phaseTable, Profile, Statistics } from "./maps-plots.js";

const LINE = "#D55E00";
const REGION = "#CC79A7";

class Maps {
  constructor(host) {
    this.host = host;
    this.pictures = new Map();
    this.line = this.region = null;
    const map = panel("Map", { test: "maps-map" });
    const sd = panel("Its uncertainty", { test: "maps-sd" });
    const beside = panel("", { test: "maps-rgb" });
    const counts = panel("Histogram", { test: "maps-histogram" });
    const along = panel("Line profile", { test: "maps-profile" });
    this.panels = { map, sd };
    this.view = new ImageView(map.body, {
      title: "map", tools: ["line", "rectangle", "polygon", "lasso"], contrast: true, test: "maps-map",
      toolsIn: map.header, onShape: (shape) => this.drawn(shape),
    });
    this.legend = h("div", { class: "row", style: { fontSize: "11.5px", gap: "2px 9px" } });
    map.body.append(this.legend);
    this.which = h("select", { "aria-label": "which uncertainty", "data-test": "maps-sd-which", onchange: () => attempt(() => this.showSd()) });
    sd.header.append(this.which);
    this.sd = new ImageView(sd.body, { title: "uncertainty", viewport: this.view.viewport, contrast: true, test: "maps-sd", toolsIn: sd.header });
    this.companion = new Companion(beside, this.view.viewport, (id) => this.fetch(id));
    this.statistics = new Statistics(counts);
    this.profile = new Profile(along);
    this.follow = newest(() => this.profile.show(this.id, this.line, Number(this.width.input.value)));
    this.list = new MapsList((id) => attempt(() => this.choose(id)));
    this.width = slider("Width of the line", { min: 0, max: 1, step: 0.01, value: 0, unit: "µm", test: "maps-width" }, () => this.showProfile());
    this.clearing = button("Whole map again", () => { this.region = null; this.shapes(); this.showStatistics(); }, { test: "maps-whole" });
    this.words = h("p", { "data-test": "maps-words" });
    this.note = h("p", { class: "warn", "data-test": "maps-synthetic" });
    this.phases = h("div", {});
    this.run = button("Run to maps", () => attempt(() => run("maps")), { primary: true, test: "maps-run" });
    host.append(h("div", { class: "controls" }, h("div", { class: "row" }, this.run), this.list.element, this.words, this.note, this.phases,
      h("h3", {}, "Line ╱ and regions ▭ ⬠ ✎: tools above the map"), this.width, h("div", { class: "row" }, this.clearing), this.companion.controls),
    h("div", { class: "panels", style: { gridTemplateColumns: "repeat(6, minmax(0, 1fr))", gridTemplateRows: "minmax(0, 1.35fr) minmax(0, 1fr)" } },
      map.element, sd.element, beside.element, counts.element, along.element));
    [map, sd].forEach((one) => { one.element.style.gridColumn = "span 3"; });
    [beside, counts, along].forEach((one) => { one.element.style.gridColumn = "span 2"; });
  }

  /** A picture, kept until the results change. */
  fetch(id) {
    if (!this.pictures.has(id)) {
      const asked = picture("maps/picture", { id });
      asked.catch(() => this.pictures.delete(id));
      this.pictures.set(id, asked);
    }
    return this.pictures.get(id);
  }

  async refresh() {
    this.stale = false;
    this.run.disabled = store.job?.state === "running";
    if (!store.results?.summary) { this.empty("Nothing to map yet: press Run to maps."); return; }
    if (store.results.stamp === this.stamp) return;
    const told = await ask("maps/list");
    this.stamp = store.results.stamp;
    this.pictures.clear();
    if (!told.groups.length) { this.empty("This run has made no maps: press Run to maps."); return; }
    this.list.set(told.groups, null);
    this.words.textContent = told.words;
    this.note.textContent = told.note;
    const id = this.list.find(this.id) ? this.id : told.first;
    await Promise.all([this.choose(id), this.companion.set(told, told.groups), this.showPhases()]);
  }

  empty(words) {
    this.stamp = this.id = this.entry = null;
    this.list.set([], null);
    for (const one of [this.view, this.sd, this.companion.view]) one.clear(words);
    for (const one of [this.view, this.sd]) one.histogram.element.hidden = true;
    this.which.hidden = true;
    this.legend.replaceChildren();
    this.companion.legend.replaceChildren();
    this.statistics.clear("");
    this.profile.clear("");
    this.words.textContent = this.note.textContent = "";
    this.phases.replaceChildren();
  }

  async showPhases() {
    if (!hasNode("/composition")) { this.phases.replaceChildren(); return; }
    this.phases.replaceChildren(phaseTable(await ask("maps/phase")));
  }

  /** Show one map with everything that belongs to it. */
  async choose(id) {
    const entry = this.list.find(id);
    const fresh = id !== this.id;
    this.id = id;
    this.entry = entry;
    this.list.mark(id);
    const map = await this.fetch(id);
    if (id !== this.id) return;
    if (fresh) this.view.limits = this.sd.limits = null;
    this.view.show(map, { label: entry.title, palette: entry.is_error ? "error" : undefined });
    this.view.histogram.element.hidden = this.labelled();
    this.view.legend = entriesOf(map);
    this.legend.replaceChildren(...legendOf(this.view.legend));
    this.panels.map.retitle(`${entry.title}${entry.unit && entry.unit !== "1" ? `, ${entry.unit}` : ""}`);
    this.host.dataset.map = id;
    this.fit(map);
    this.which.replaceChildren(...entry.uncertainties.map((one) => h("option", { value: one.id }, one.words.replace(/^sd, /, ""))));
    this.which.hidden = entry.uncertainties.length < 2;
    await Promise.all([this.showSd(), this.showProfile(), this.showStatistics()]);
  }

  /** A line across the sample to begin with, and a width that suits the map. */
  fit(map) {
    const { x, y } = map.header;
    const shorter = Math.min(x[1] - x[0], y[1] - y[0]);
    const digits = Math.max(0, 2 - Math.floor(Math.log10(shorter || 1)));
    Object.assign(this.width.input, { max: (shorter / 2).toPrecision(2), step: (shorter / 200).toPrecision(1) });
    if (!this.line) {
      const middle = Number((y[0] + fullest(map) * map.pitch[1]).toFixed(digits));
      this.line = [[x[0], middle], [x[1], middle]];
    }
    this.shapes();
  }

  async showSd() {
    const [first] = this.entry.uncertainties;
    this.panels.sd.retitle(first ? "Its uncertainty, 1 sd" : "Its uncertainty");
    this.sd.histogram.element.hidden = !first;
    if (!first) { this.sd.clear(this.entry.no_uncertainty); return; }
    const id = this.which.value || first.id;
    const map = await this.fetch(id);
    if (!this.entry.uncertainties.some((one) => one.id === id)) return;
    const words = this.entry.uncertainties.find((one) => one.id === id).words;
    this.panels.sd.element.title = words;
    this.sd.show(map, { palette: "error", limits: [0, map.header.robust[1] || 1], label: "sd" });
  }

  drawn(shape) {
    if (shape.kind === "line") { this.line = shape.line; this.showProfile(); }
    else { this.region = shape.region; this.showStatistics(); }
    this.shapes();
  }

  shapes() {
    const list = [];
    if (this.region) list.push({ kind: "polygon", points: cornersOf(this.region), colour: REGION });
    if (this.line) {
      const width = Number(this.width.input.value);
      list.push({ kind: "line", points: this.line, colour: LINE });
      if (width > 0) list.push({ kind: "polygon", points: band(this.line, width), colour: LINE });
    }
    for (const one of [this.view, this.sd, this.companion.view]) one.shapes(list);
  }

  /** Whether the map is of labels, which have no mean. */
  labelled() {
    return ["labels", "mask"].includes(this.entry?.kind);
  }

  showProfile() {
    this.shapes();
    const labels = this.labelled();
    if (!this.entry || labels) { this.profile.clear(labels ? "Labels have no profile." : ""); return null; }
    return this.follow();
  }

  showStatistics() {
    const labels = this.labelled();
    if (!this.entry || labels) { this.statistics.clear(labels ? "Labels have no mean; the table on the left has their shares." : ""); return null; }
    return attempt(() => this.statistics.show(this.id, this.region));
  }
}

/** The row with most values, near the middle where several have as many. */
function fullest({ nx, ny, data }) {
  let best = 0;
  let most = -Infinity;
  for (let iy = 0; iy < ny; iy++) {
    let score = (-0.2 * nx * Math.abs(iy - ny / 2)) / ny;
    for (let ix = 0; ix < nx; ix++) score += data[iy * nx + ix] ? 1 : 0;
    if (score > most) [best, most] = [iy, score];
  }
  return best;
}

/** Corners of a line with a width. */
function band([[x0, y0], [x1, y1]], width) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [ax, ay] = [(-(y1 - y0) / length) * (width / 2), ((x1 - x0) / length) * (width / 2)];
  return [[x0 + ax, y0 + ay], [x1 + ax, y1 + ay], [x1 - ax, y1 - ay], [x0 - ax, y0 - ay]];
}

function create(host) {
  const maps = new Maps(host);
  let visible = false;
  const update = () => {
    if (visible && store.stack) attempt(() => maps.refresh());
    else maps.stale = true;
  };
  on("stack", () => { maps.line = maps.region = null; });
  on("results", update);
  on("job", () => { maps.run.disabled = store.job?.state === "running"; });
  return {
    shown() { visible = true; if (maps.stale !== false) update(); },
    hidden() { visible = false; },
  };
}

export default { name: "maps", title: "Maps", create };
