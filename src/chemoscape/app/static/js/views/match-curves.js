// A cluster's spectrum over its standards' parts, and the residual beneath on the same energies.
import { Curves } from "../curves.js";
import { h } from "../dom.js";
import { category } from "../palette.js";

const FIT = "#1c2024";
const GREY = "#7d8590";
/** Both plots have the same left edge, so that energies lie above each other. */
const AXIS = { automargin: false };

/** Two plots in one panel. */
export class MatchCurves {
  constructor(panel) {
    const upper = h("div", { style: { position: "relative", flex: "2.6", minHeight: 0 } });
    const lower = h("div", { style: { position: "relative", flex: "1", minHeight: 0 } });
    Object.assign(panel.body.style, { display: "flex", flexDirection: "column" });
    panel.body.append(upper, lower);
    this.fit = new Curves(upper, { title: "match", x: "", y: "optical density", toolsIn: panel.header, test: "match-fit", alone: (layout) => ({
      xaxis: { ...layout.xaxis, showticklabels: true, title: { text: "photon energy (eV)" } }, margin: { ...layout.margin, b: 44 },
    }) });
    this.residual = new Curves(lower, { title: "match residual", x: "photon energy (eV)", y: "residual (OD)", toolsIn: panel.header, legend: false, test: "match-residual" });
  }

  clear(text) {
    this.fit.clear(text);
    this.residual.clear("");
    this.linked = false;
  }

  /** Show a cluster's curves; `order` are the names of the standards, for their colours; `live` the
   *  curves at another shift. */
  show(told, { cluster, clusters, order, live, key, quick = false }) {
    const colour = category(cluster);
    const shown = live ?? told;
    const parts = shown.parts.map((one) => ({
      x: shown.energy, y: one.curve, name: `${one.label}, ${one.share < 0.0005 ? "<0.1" : (100 * one.share).toFixed(1)} %`,
      colour: category(clusters + Math.max(order.indexOf(one.name), 0)), width: 1.3,
    }));
    const under = { x: shown.energy, y: shown.baseline, name: "baseline", colour: GREY, dash: "dot", width: 1.2 };
    const xRange = [told.energy[0], told.energy.at(-1)];
    this.fit.show([
      { x: told.energy, y: told.spectrum, sd: told.se, name: `cluster ${cluster} ± se`, colour, width: 2.4 },
      ...parts, under,
      { x: shown.energy, y: shown.fitted, name: live ? "fit at this shift" : "fit", colour: FIT, dash: "dash", width: 1.3 },
    ], { key, xRange, xaxis: { showticklabels: false, title: { text: "" } }, yaxis: AXIS, margin: { l: 62, b: 8 }, legend: { font: { size: 10.5 } } });
    if (quick) return; // the residual follows when the slider rests
    const zero = told.energy.map(() => 0);
    this.residual.show([
      { x: told.energy, y: zero, sd: told.se, name: "± se", colour: GREY, width: 1 },
      ...(live ? [{ x: told.energy, y: told.residual, name: "as run", colour: GREY, width: 1.1 }] : []),
      { x: shown.energy, y: shown.residual, name: "spectrum − fit", colour, width: 1.5 },
    ], { key, xRange, margin: { l: 62 }, yaxis: { ...AXIS, exponentformat: "power", nticks: 5 } });
    this.link();
  }

  /** Zooming one zooms the other. */
  link() {
    if (this.linked) return;
    this.linked = true;
    const pair = [this.fit.div, this.residual.div];
    pair.forEach((from, i) => from.on("plotly_relayout", (change) => {
      const to = pair[1 - i];
      const wanted = {};
      for (const name of ["xaxis.range[0]", "xaxis.range[1]", "xaxis.autorange"]) {
        if (name in change) wanted[name] = change[name];
      }
      const [low, high] = to.layout?.xaxis?.range ?? [];
      const same = wanted["xaxis.range[0]"] === low && wanted["xaxis.range[1]"] === high;
      if (Object.keys(wanted).length && !same && !this.moving) {
        this.moving = true;
        Plotly.relayout(to, wanted).finally(() => { this.moving = false; });
      }
    }));
  }
}
