// Curves of the Maps view: the profile along a line, and the histogram of a region.
import { ask } from "../api.js";
import { Curves, faded } from "../curves.js";
import { h, number, table, withError } from "../dom.js";

const BLUE = "#0b5a9d";
const titled = (one) => (one.unit && one.unit !== "1" ? `${one.title} (${one.unit})` : one.title);

/** A map along a line, its errors as bands: counting (dark), with the systematic ones (light). */
export class Profile {
  constructor(panel) {
    this.panel = panel;
    const host = h("div", { style: { position: "relative", flex: 1, minHeight: 0 } });
    this.legend = h("div", { class: "row", style: { fontSize: "11.5px", color: "#5a6370", gap: "0 9px" } });
    Object.assign(panel.body.style, { display: "flex", flexDirection: "column" });
    panel.body.append(host, this.legend);
    this.plot = new Curves(host, { title: "line profile", x: "distance (µm)", legend: false, toolsIn: panel.header, test: "maps-profile" });
  }

  clear(text) {
    this.plot.clear(text);
    this.legend.replaceChildren();
    this.panel.retitle("Line profile");
  }

  async show(id, line, width) {
    const asked = this.asked = {};
    let told;
    try {
      told = await ask("maps/profile", { line, width_um: width, maps: [id] });
    } catch (error) {
      if (asked === this.asked) this.clear(error.message);
      return;
    }
    if (asked !== this.asked) return;
    const [one] = told.profiles;
    const lines = [];
    if (one.sd_systematic) lines.push(...bands(one, one.sd, "± counting and systematic"));
    if (one.sd_counting) lines.push(...bands(one, one.sd_counting, "± counting"));
    lines.push({ x: one.distance, y: one.values, colour: BLUE, name: one.title, width: 1.8 });
    this.plot.show(lines, { y: titled(one), key: id });
    const whole = { x: one.distance, y: one.values };
    this.plot.traces = [ // what is saved: the line once, with both parts of its error
      { ...whole, name: titled(one), sd: one.sd_counting ?? undefined },
      ...(one.sd_systematic ? [{ x: one.distance, y: one.sd_systematic, name: "systematic sd" }] : []),
    ];
    const inner = faded(BLUE, one.sd_systematic ? 0.39 : 0.22);
    this.legend.replaceChildren(...(one.sd ? [
      one.sd_counting && named(inner, `± counting, ${typical(one.sd_counting)}`),
      one.sd_systematic && named(faded(BLUE, 0.22), `with systematic, ${typical(one.sd)}`),
      one.n_across > 1 && "averaging lowers the counting part alone",
    ] : [one.no_uncertainty]).filter(Boolean));
    const across = one.n_across > 1 ? `, ${one.n_across} pixels wide` : "";
    this.panel.retitle(`Line profile, ${number(told.length_um, 3)} µm${across}`);
    this.panel.header.title = one.sd_counting ? told.words : one.no_uncertainty;
  }
}

const named = (colour, text) => h("span", {}, h("span", { class: "swatch", style: { background: colour } }), text);

/** A band for every stretch of the line that has a value and an error. */
function bands({ distance, values }, sds, name) {
  const out = [];
  let open = null;
  distance.forEach((at, i) => {
    if (values[i] === null || sds[i] === null) { open = null; return; }
    if (!open) out.push(open = { x: [], y: [], sd: [], colour: BLUE, name, width: 0 });
    open.x.push(at);
    open.y.push(values[i]);
    open.sd.push(sds[i]);
  });
  return out;
}

/** Median of the errors along the line. */
function typical(sds) {
  const known = sds.filter(Number.isFinite).sort((a, b) => a - b);
  return `median ${number(known[Math.floor(known.length / 2)], 2)}`;
}

/** How many pixels have which value, in a region or the whole map, by pixel and by mass. */
export class Statistics {
  constructor(panel) {
    this.panel = panel;
    this.words = h("div", { class: "readout number", "data-test": "maps-statistics", style: { whiteSpace: "normal" } });
    const host = h("div", { style: { position: "relative", flex: 1, minHeight: 0 } });
    Object.assign(panel.body.style, { display: "flex", flexDirection: "column" });
    panel.body.append(host, this.words);
    this.plot = new Curves(host, { title: "histogram", toolsIn: panel.header, test: "maps-histogram" });
  }

  clear(text) {
    this.plot.clear(text);
    this.words.textContent = "";
    this.panel.retitle("Histogram");
  }

  async show(id, region) {
    const asked = this.asked = {};
    let told;
    try {
      told = await ask("maps/statistics", region ? { id, region } : { id });
    } catch (error) {
      if (asked === this.asked) this.clear(error.message);
      return;
    }
    if (asked !== this.asked) return;
    const { counts, edges } = told.histogram;
    const middle = counts.map((_, i) => (edges[i] + edges[i + 1]) / 2);
    const share = counts.map((count) => (100 * count) / told.n_pixels);
    const bars = [{ x: middle, y: share, bar: true, barWidth: edges[1] - edges[0], colour: "#56B4E9", name: "by pixel", hover: "%{x:.4g}: %{y:.3g} %<extra></extra>" }];
    if (told.mass_histogram) {
      bars.push({ x: middle, y: told.mass_histogram.map((one) => 100 * one), name: "by mass", colour: "#D55E00", mode: "lines", width: 1.4 });
    }
    const markers = [{ x: told.mean, dash: "solid", label: "mean" }];
    this.plot.show(bars, { x: titled(told), y: "share (%)", key: id + JSON.stringify(region), markers, legend: { y: 1.02, yanchor: "bottom", xanchor: "left", x: 0, orientation: "h" }, margin: { t: 26 } });
    const unit = told.unit && told.unit !== "1" ? ` ${told.unit}` : "";
    const { p05, p50, p95 } = told.percentiles;
    const mass = told.mean_mass_weighted === null ? "" : `, by mass ${number(told.mean_mass_weighted)}`;
    this.words.textContent = `Mean ${withError(told.mean, told.mean_sd)}${mass}${unit}; median ${number(p50, 3)}, 5–95 % ${number(p05, 3)} to ${number(p95, 3)}; ${told.n_pixels.toLocaleString("en")} pixels, ${number(told.area_um2, 3)} µm²`;
    this.panel.retitle(region ? "Histogram of the region" : "Histogram of the whole map");
  }
}

/** Shares of the standards as a table. */
export function phaseTable(told) {
  const percent = (one) => (one === null ? "–" : (100 * one).toFixed(1));
  const molar = told.phases.some((one) => one.molar_fraction !== null);
  const columns = [{ title: "%" }, { title: "mass", num: true }, ...(molar ? [{ title: "molar", num: true }] : []), { title: "area", num: true }];
  const rows = told.phases.map((one) => [one.label, percent(one.mass_fraction), ...(molar ? [percent(one.molar_fraction)] : []), percent(one.area_fraction)]);
  const made = table(columns, rows, { test: "maps-phases" });
  made.title = told.words;
  return made;
}
