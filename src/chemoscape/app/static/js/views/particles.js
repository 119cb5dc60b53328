// Particles: outlines, histogram, size against composition, table, spectra; click from one to all.
import { ask, picture } from "../api.js";
import { Curves } from "../curves.js";
import { attempt, button, check, choice, h, notice, number, panel, withError } from "../dom.js";
import { cornersOf } from "../overlay.js";
import { ParticleMap } from "../outlines.js";
import { edit, hasNode, on, store, value } from "../store.js";
import { particlesForm } from "./particles-form.js";
import { CHOSEN, showAgainst, showHistogram } from "./particles-plots.js";
import { rowsOf } from "./particles-table.js";

const NAMES = {
  area_raw: "projected area", area_psf: "area less blur", diameter: "equivalent diameter",
  length: "length", width: "width", composition_mean: "composition",
};

class ParticlesView {
  constructor(host) {
    this.bin = null;
    this.one = null;
    this.build(host);
    on("results", () => this.renew());
    on("recipe", () => { this.form.take(); this.showExcluded(); });
    this.form.take();
    this.renew();
  }

  build(host) {
    this.colour = choice("Colour of the particles", [], () => this.paint(), { test: "particles-colour" });
    this.what = choice("Histogram of", [], () => { this.bin = null; this.draw(); }, { test: "particles-variable" });
    this.leaving = check("A click leaves a particle out", { test: "particles-leave" }, () => {});
    this.out = h("div", { class: "faint", "data-test": "particles-excluded" });
    this.back = button("Take the last one back", () => this.takeBack(), { test: "particles-take-back" });
    this.form = particlesForm();
    this.reading = h("div", {}, this.colour, this.what,
      h("h3", {}, "What does not count"), this.leaving,
      h("p", { class: "faint" }, "Or draw around several with the tools of the map."), this.out, this.back);
    this.map = panel("Particles", { test: "particles-map", style: { gridRow: "1 / 3" } });
    const bars = panel("Histogram", { test: "particles-histogram" });
    const against = panel("Size and composition", { test: "particles-scatter" });
    this.rows = panel("Measured", { test: "particles-table", scroll: true });
    this.single = panel("Spectrum", { test: "particles-spectrum" });
    this.bars = bars;
    bars.header.append(
      button("◂", () => this.step(-1), { label: "bar before", title: "The bar before", test: "particles-bar-before" }),
      button("▸", () => this.step(1), { label: "bar after", title: "The bar after", test: "particles-bar-after" }),
      button("All", () => this.choose({ bin: null, one: null }), { title: "No bar, no particle", test: "particles-all" }));
    this.order = choice("", [["area_raw", "by area"], ["composition_mean", "by composition"], ["score", "by confidence"]], () => this.list(), { test: "particles-order" });
    this.inWords = button("In words", () => { this.telling = !this.telling; this.inWords.setAttribute("aria-pressed", String(this.telling)); this.list(); }, { test: "particles-words" });
    this.rows.header.append(this.order, this.inWords);
    this.leave = button("Leave out", () => this.exclude(this.one), { test: "particles-exclude", disabled: true });
    this.single.header.append(this.leave);
    host.append(
      h("div", { class: "controls" }, this.reading, this.form.element),
      h("div", { class: "panels tight", style: { gridTemplateColumns: "1.15fr 1fr", gridTemplateRows: "minmax(0, 1fr) minmax(0, 1fr) minmax(0, .95fr)" } },
        this.map.element, bars.element, against.element, this.rows.element, this.single.element));
    this.view = new ParticleMap(this.map.body, {
      title: "particles", tools: ["rectangle", "polygon", "lasso"], test: "particles",
      onClick: (x, y) => this.clicked(x, y), onShape: (shape) => this.leaveOut([shape.region]),
    });
    this.histogram = new Curves(bars.body, { title: "histogram of particles", y: "particles", legend: false, test: "particles-histogram" });
    this.histogram.onClick((point) => this.choose({ bin: point.pointIndex === this.bin ? null : point.pointIndex, one: null }));
    this.legend = h("span", { class: "legend", style: { fontSize: "11px" } });
    against.header.append(this.legend);
    this.scatter = new Curves(against.body, { title: "size against composition", legend: false, test: "particles-scatter" });
    this.scatter.onClick((point) => this.choose({ one: this.members[point.curveNumber]?.[point.pointIndex] }));
    this.spectrum = new Curves(this.single.body, { title: "spectrum of a particle", x: "photon energy (eV)", y: "optical density", test: "particles-spectrum" });
  }

  renew() {
    const found = hasNode("/particles");
    this.reading.hidden = !found;
    this.form.open(!found);
    if (!found) {
      this.told = null;
      const words = hasNode("/composition") ? "No particles yet: choose at the left how to find them, and press Run." : "No particles yet. They are found in the map of thickness: press Run.";
      this.view.clear(words);
      for (const one of [this.histogram, this.scatter, this.spectrum]) one.clear("");
      this.rows.body.replaceChildren();
      return;
    }
    if (this.told?.stamp === store.results.stamp) return;
    attempt(async () => {
      const [told, drawn, map] = await Promise.all([ask("particles/table"), ask("particles/outlines"), picture("particles/map")]);
      Object.assign(this, { told, drawn, bin: null, one: null });
      const { columns, n } = told;
      const options = [["composition_mean", told.variable], ["diameter", "area-equivalent diameter (µm)"]].filter(([name]) => columns[name]);
      if (told.phases) options.push(["dominant_phase", "prevailing phase"]);
      this.colour.set([...options, ["", "outlines alone"]], this.colour.select.value || options[0]?.[0]);
      const bins = Object.keys(told.histograms).map((name) => [name, this.titled(name)]);
      this.what.set(bins, told.histograms[this.what.select.value] ? this.what.select.value : bins[0]?.[0]);
      this.map.retitle(`${n} particle${n === 1 ? "" : "s"} in the map of ${map.header.name}`);
      const [low, high] = map.header.robust;
      this.view.show(map, { palette: "grey", limits: [low + 1.8 * (high - low), low], label: map.header.name }); // dark on white
      this.draw();
    });
  }

  titled(name) {
    const { unit } = this.told.columns[name];
    return `${name === "composition_mean" ? this.told.variable : NAMES[name]}${unit ? ` (${unit})` : ""}`;
  }

  draw() {
    this.paint();
    this.showExcluded();
    this.plot();
    this.list();
    attempt(() => this.showSpectrum());
  }

  /** The particles in their colours. */
  paint() {
    const name = this.colour.select.value;
    const column = this.told.columns[name];
    let fill = null;
    if (name === "dominant_phase") {
      fill = { categories: this.told.phases.names, values: column.values.map((one) => this.told.phases.names.indexOf(one)) };
    } else if (column) {
      const known = column.values.filter(Number.isFinite);
      const [low, high] = [Math.min(...known), Math.max(...known)];
      fill = { values: column.values, limits: high > low ? [low, high] : [low - 0.5, low + 0.5], unit: column.unit };
    }
    this.view.particles(this.drawn.outlines, fill);
    this.light();
  }

  light() {
    this.view.light(this.lit(), this.one);
  }

  /** Particles of the chosen bar, or the chosen one. */
  lit() {
    if (this.bin !== null) return this.told.histograms[this.what.select.value].members[this.bin];
    return this.one === null ? [] : [this.one];
  }

  plot() {
    const name = this.what.select.value;
    const found = this.told.histograms[name];
    if (!found) { this.histogram.clear("Nothing was measured."); this.scatter.clear(""); return; }
    const { edges, members } = found;
    showHistogram(this.histogram, found, this.titled(name), { bin: this.bin, one: this.one, key: name });
    this.bars.retitle(this.bin === null ? "Histogram: click a bar" : `${members[this.bin].length} of ${number(edges[this.bin], 3)} to ${number(edges[this.bin + 1], 3)} ${this.told.columns[name].unit}`);
    const size = name === "composition_mean" ? "area_raw" : name;
    this.members = showAgainst(this.scatter, this.told, size, this.titled(size), this.lit(), this.legend);
  }

  list() {
    if (!this.told) return;
    this.order.hidden = Boolean(this.telling);
    if (this.telling) {
      this.rows.retitle("What the particles say");
      const { statistics_words: words, contacts } = this.told;
      this.rows.body.scrollTop = 0;
      this.rows.body.replaceChildren(h("ul", { class: "doubts" }, [...words, ...(contacts?.words ?? [])].map((one) => h("li", {}, one))));
      return;
    }
    const which = this.bin === null ? this.told.columns.area_raw.values.map((_, i) => i) : this.lit();
    this.rows.retitle(this.bin === null ? "Measured" : `The ${which.length} particles of the bar`);
    this.rows.body.replaceChildren(rowsOf(this.told, which, this.order.select.value, this.one, (i) => this.choose({ one: i, keep: true })));
    this.rows.body.querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" });
  }

  async showSpectrum() {
    this.leave.disabled = this.one === null;
    if (this.one === null || !hasNode("/particles/spectra")) {
      this.single.retitle("Spectrum");
      this.spectrum.clear("Click a particle: on the map, in the plot or in the table.");
      return;
    }
    const told = await ask("particles/spectrum", { particle: this.one });
    const { columns, variable } = this.told;
    const sd = columns[columns.composition_mean?.sd]?.values[this.one];
    this.single.retitle(`Particle ${this.one + 1}${columns.composition_mean ? `: ${variable} = ${withError(columns.composition_mean.values[this.one], sd)}` : ""}`);
    this.spectrum.show([
      { x: told.energy, y: told.mean, name: "mean of all", colour: "#5a6370", dash: "dash", width: 1.2 },
      { x: told.energy, y: told.spectrum, sd: told.spectrum_se, name: `particle ${this.one + 1}, ${told.pixels} pixels`, colour: CHOSEN },
    ]);
  }

  /** A bar, or a particle: {bin, one}; keep: the bar stays. */
  choose({ bin, one, keep }) {
    if (one === undefined && bin === undefined) return;
    if (bin !== undefined) this.bin = bin;
    else if (!keep) this.bin = null;
    if (one !== undefined) this.one = one;
    this.light();
    this.plot();
    this.list();
    attempt(() => this.showSpectrum());
  }

  step(by) {
    const n = this.told?.histograms[this.what.select.value]?.members.length;
    if (n) this.choose({ bin: this.bin === null ? (by > 0 ? 0 : n - 1) : (this.bin + by + n) % n, one: null });
  }

  clicked(x, y) {
    attempt(async () => {
      const { particle } = await ask("particles/at", { x, y });
      if (this.leaving.input.checked && particle !== null) this.exclude(particle);
      else this.choose({ one: particle, bin: null });
    });
  }

  // --- what does not count ----------------------------------------------------------------------

  excluded() {
    return (value("particles.exclude") ?? []).map((one) => Object.fromEntries(Object.entries(one).filter(([, of]) => of !== null)));
  }

  exclude(particle) {
    if (particle === null || particle === undefined) return;
    attempt(async () => this.leaveOut([await ask("particles/region", { particle })]));
  }

  leaveOut(regions) {
    attempt(async () => {
      await edit({ "particles.exclude": [...this.excluded(), ...regions] });
      notice("Left out of the recipe; press Run to measure without it.");
    });
  }

  takeBack() {
    attempt(() => edit({ "particles.exclude": this.excluded().slice(0, -1) }));
  }

  showExcluded() {
    const regions = this.excluded();
    this.out.textContent = regions.length ? `${regions.length} region${regions.length === 1 ? "" : "s"} left out (orange on the map).` : "Nothing is left out.";
    this.back.disabled = !regions.length;
    this.view.shapes(regions.map((one) => ({ kind: "polygon", points: cornersOf(one), colour: CHOSEN, filled: true })));
  }
}

export default {
  name: "particles",
  title: "Particles",
  create(host) {
    const view = new ParticlesView(host);
    return { shown: () => view.view.draw(), hidden() {} };
  },
};
