// How many components there are, and what each looks like: scree plot, eigenimage, eigenspectrum.
import { ask, picture } from "../api.js";
import { button, h, number, panel } from "../dom.js";
import { Curves } from "../curves.js";
import { ImageView } from "../image.js";
import { category } from "../palette.js";

/** Three panels: `elements`; `viewport` is shared with the map. */
export class Components {
  constructor(viewport) {
    this.number = 1;
    const scree = panel("How many components", { test: "explore-scree" });
    this.image = panel("Eigenimage", { test: "explore-eigenimage" });
    this.spectrum = panel("Eigenspectra", { test: "explore-eigenspectrum" });
    this.elements = [scree.element, this.image.element, this.spectrum.element];
    const plot = h("div", { style: { position: "absolute", left: 0, right: 0, top: 0, bottom: "112px" } });
    this.said = h("div", { style: { position: "absolute", left: 0, right: 0, bottom: 0, height: "112px", fontSize: "11.5px", overflow: "hidden" } });
    scree.body.append(plot, this.said);
    this.scree = new Curves(plot, {
      title: "scree", x: "component", y: "eigenvalue", legend: false, toolsIn: scree.header,
    });
    this.scree.onClick((point) => this.choose(Math.round(point.x)));
    this.pick = h("select", {
      "aria-label": "component", "data-test": "explore-component", style: { minHeight: "23px", padding: "0 2px", fontWeight: 600 },
      onchange: () => this.choose(Number(this.pick.value)),
    });
    this.image.header.querySelector("h2").replaceWith(h("span", { class: "tools", style: { marginRight: "auto", flexWrap: "nowrap" } },
      button("‹", () => this.choose(this.number - 1), { label: "component before", title: "component before (←)", test: "explore-before" }),
      this.pick,
      button("›", () => this.choose(this.number + 1), { label: "next component", title: "next component (→)", test: "explore-after" })));
    this.view = new ImageView(this.image.body, { title: "eigenimage", tools: [], viewport, test: "explore-eigenimage" });
    this.curves = new Curves(this.spectrum.body, {
      title: "eigenspectra", x: "energy (eV)", y: "eigenspectrum (unit length)", legend: false,
    });
    for (const one of this.elements) {
      one.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!by || event.target === this.pick) return;
        event.preventDefault();
        this.choose(this.number + by);
      });
    }
  }

  /** Ask for all of it anew. */
  async refresh() {
    [this.rank, this.spectra] = await Promise.all([
      ask("explore/rank"), ask("values", { of: "/clustered/components/eigenspectrum" }),
    ]);
    const n = this.rank.eigenvalue.length;
    this.pick.replaceChildren(...Array.from({ length: n }, (_, k) => h("option", { value: k + 1 }, `PC ${k + 1}`)));
    this.number = Math.min(this.number, n);
    this.drawScree();
    await this.choose(this.number);
  }

  clear(words) {
    this.rank = null;
    for (const one of [this.scree, this.curves, this.view]) one.clear(words);
    this.said.replaceChildren();
  }

  drawScree() {
    const { rank } = this;
    const x = rank.eigenvalue.map((_, k) => k + 1);
    const used = rank.used.n ?? rank.rank;
    const plot = this.scree.div;
    this.scree.show([{
      x, y: rank.scaled_eigenvalue.map((one) => (one > 0 ? one : null)), mode: "lines+markers", size: 7, width: 1, colour: "#7d8590",
      colours: x.map((k) => (k === this.number ? "#D55E00" : k <= used ? category(0) : "#aab1ba")),
      text: rank.share.map((one) => `${number(100 * one, 4)} % of the sum of squares`),
      hover: "component %{x}: %{y:.4g}<br>%{text}<extra></extra>",
    }], {
      log: { y: true }, lines: [{ y: rank.noise_edge, label: used < 6 ? "noise" : "" }],
      markers: [{ x: used + 0.5, label: used < 6 ? `${used} used` : "" }],
      xaxis: { dtick: plot.clientWidth < 190 ? 2 : 1, tick0: 1, tickangle: 0, range: [0.5, x.length + 0.5] },
      yaxis: { dtick: plot.clientHeight < 130 ? 2 : 1, exponentformat: "power" },
    });
    const line = (one) => h("div", { title: one.says, style: { display: "flex", fontWeight: one.used ? 600 : 400 } },
      h("span", { style: { flex: 1 } }, one.name, one.used ? " — decides" : ""),
      h("span", { class: "number" }, one.n === null ? "refused" : String(one.n)));
    const common = rank.common_component
      ? h("div", { class: "warn" }, `Component ${rank.common_component} is the same in all pixels: an error of I0?`) : null;
    this.said.replaceChildren(...rank.criteria.map(line),
      h("div", { "data-test": "explore-used", style: { borderTop: "1px solid #d6dae0", marginTop: "2px" } },
        rank.used.n === null ? rank.used.says : `Clusters use ${rank.used.n}: ${rank.used.says}.`), common ?? "");
  }

  /** Show a component. */
  async choose(wanted) {
    if (!this.rank) return;
    this.number = Math.min(Math.max(wanted, 1), this.rank.eigenvalue.length);
    this.pick.value = this.number;
    const asked = this.asked = {};
    this.drawScree();
    this.drawSpectra();
    const share = 100 * this.rank.share[this.number - 1];
    const shown = await picture("picture", { of: "/clustered/components/score", at: { pc: this.number - 1 } });
    if (asked !== this.asked) return;
    const most = Math.max(...shown.header.robust.map(Math.abs)) || 1;
    this.view.show(shown, { palette: "diverging", limits: [-most, most], unit: "score", label: `score of component ${this.number}` });
    this.view.readout.textContent = `${number(share, 4)} % of the sum of squares`;
  }

  drawSpectra() {
    const { coords, values } = this.spectra;
    const others = [...Array(Math.min(this.rank.rank, 4)).keys()]; // more of them are noise
    const traces = others.filter((k) => k !== this.number - 1).map((k) => ({
      x: coords.energy, y: values[k], name: `component ${k + 1}`, colour: "#c3c8cf", width: 1,
    }));
    traces.push({ x: coords.energy, y: values[this.number - 1], name: `component ${this.number}`, colour: "#D55E00", width: 2 });
    this.spectrum.retitle(`Eigenspectrum ${this.number}`);
    this.curves.show(traces, { yaxis: { zeroline: true, zerolinecolor: "#7d8590" } });
  }
}
