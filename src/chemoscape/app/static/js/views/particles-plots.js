// Plots of the Particles view: histogram, size against composition.
import { h } from "../dom.js";
import { category } from "../palette.js";
import { greek } from "./particles-table.js";

/** Colour of what was chosen, and of bars that were not. */
export const CHOSEN = "#D55E00";
const BARS = "#5b8db8";
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x"];

/** Bars with their numbers of particles; the chosen bar and that of the chosen particle stand out. */
export function showHistogram(curves, { edges, members, logarithmic }, title, { bin, one, key }) {
  const at = members.map((_, i) => (edges[i] + edges[i + 1]) / 2);
  const most = Math.max(...members.map((of) => of.length));
  const own = one === null ? -1 : members.findIndex((of) => of.includes(one));
  curves.show([{
    bar: true, x: at, y: members.map((of) => of.length), barWidth: at.map((_, i) => 0.96 * (edges[i + 1] - edges[i])),
    colours: members.map((_, i) => (i === bin || i === own ? CHOSEN : BARS)), hover: "%{y} particles<extra></extra>",
  }], {
    x: title, log: { x: logarithmic }, xRange: rangeOf(edges, logarithmic),
    yaxis: { dtick: most < 6 ? 1 : undefined, rangemode: "tozero" }, key,
  });
}

/** Size against composition, by prevailing phase, with error bars; the particles of each trace. */
export function showAgainst(curves, { columns, phases, variable, histograms }, name, title, lit, legend) {
  if (!columns.composition_mean) { curves.clear("The particles have no composition."); return []; }
  const groups = phases ? phases.names : ["all"];
  const of = groups.map((group) => columns.area_raw.values.map((_, i) => i).filter((i) => !phases || columns.dominant_phase.values[i] === group));
  const kept = groups.map((_, i) => i).filter((i) => of[i].length);
  const pick = (column, which) => which.map((i) => columns[column]?.values[i] ?? null);
  const trace = (which, more) => ({
    x: pick("composition_mean", which), y: pick(name, which), mode: "markers",
    sd: columns[name].sd ? pick(columns[name].sd, which) : which.map(() => 0),
    xsd: columns.composition_mean.sd ? pick(columns.composition_mean.sd, which) : undefined,
    text: which.map((i) => `particle ${i + 1}`), hover: "%{text}: %{x:.3f}, %{y:.3g}<extra></extra>", ...more,
  });
  const members = kept.map((g) => of[g]);
  const traces = kept.map((g) => trace(of[g], { name: `${groups[g]} (${of[g].length})`, colour: category(g), symbol: SYMBOLS[g % 6], size: 6 }));
  if (lit.length) {
    members.push(lit);
    traces.push(trace(lit, { name: "chosen", colour: CHOSEN, symbol: "circle-open", size: 12, sd: undefined }));
  }
  const found = histograms[name];
  curves.show(traces, { x: variable, y: title, log: { y: found?.logarithmic }, key: name });
  legend.replaceChildren(...kept.map((g) => h("span", { class: "faint" },
    h("span", { class: "swatch", style: { background: category(g) } }), `${greek(groups[g])} (${of[g].length})`)));
  return members;
}

/** Ends of an axis with a little room, as plotly wants them. */
function rangeOf(edges, logarithmic) {
  const [low, high] = [edges[0], edges.at(-1)].map((one) => (logarithmic ? Math.log10(one) : one));
  const room = 0.03 * (high - low);
  return [low - room, high + room];
}
