// Mean spectra of the clusters with their standard errors, and of what was drawn around.
import { h } from "../dom.js";
import { Curves } from "../curves.js";
import { category } from "../palette.js";

/** Spectra in a panel. */
export class ClusterSpectra {
  constructor(panel) {
    this.curves = new Curves(panel.body, { title: "cluster spectra", x: "photon energy (eV)", y: "optical density" });
    this.scaling = h("select", {
      "data-test": "explore-scaling", "aria-label": "scale of the spectra", style: { minHeight: "23px", padding: "0 2px" },
      title: "Shapes are what k-means compares: less their mean over energy, scaled to unit length",
      onchange: () => this.draw(),
    }, h("option", { value: "measured" }, "as measured"), h("option", { value: "shape" }, "shapes"));
    panel.header.querySelector("h2").after(this.scaling);
    this.selected = new Set();
  }

  /** Show the answer of explore/spectra; `stamp` changes with the results. */
  show(means, selected, stamp) {
    Object.assign(this, { means, selected, stamp });
    this.draw();
  }

  /** Other clusters are selected. */
  select(selected) {
    this.selected = selected;
    this.draw();
  }

  /** Show another mean beside: the answer of explore/brushed, or null. */
  beside(mean) {
    this.brushed = mean;
    this.draw();
  }

  clear(words) {
    this.means = null;
    this.curves.clear(words);
  }

  draw() {
    if (!this.means) return;
    const { energy, spectrum, spectrum_se: se, n } = this.means;
    const total = n.reduce((sum, one) => sum + one, 0);
    const shape = this.scaling.value === "shape";
    const traces = spectrum.map((y, k) => ({
      x: energy, y, sd: se[k].some((v) => v !== null) ? se[k] : null, colour: category(k),
      name: `${k} · ${((100 * n[k]) / total).toFixed(1)} %`, width: this.selected.has(k) ? 3.2 : 1.6,
    }));
    if (this.brushed) {
      const { energy: x, spectrum: y, spectrum_se: sd } = this.brushed;
      traces.push({ x, y, sd, name: "drawn around", colour: "#000000", dash: "dash", width: 2 });
    }
    this.curves.show(shape ? traces.map(shapeOf) : traces, {
      key: `${this.stamp} ${shape}`, legend: { traceorder: "normal" },
      y: shape ? "shape of the optical density (1)" : "optical density (± 1 standard error)",
    });
  }
}

/** A curve less its mean, with unit length. */
function shapeOf(one) {
  const known = one.y.filter((v) => v !== null);
  const mean = known.reduce((sum, v) => sum + v, 0) / known.length;
  const length = Math.hypot(...known.map((v) => v - mean)) || 1;
  const scaled = (values, less) => values?.map((v) => (v === null ? null : (v - less) / length));
  return { ...one, y: scaled(one.y, mean), sd: scaled(one.sd, 0) };
}
