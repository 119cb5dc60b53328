// Curves and bars by plotly, SVG traces only; saved as PNG, SVG and CSV.
import { button, h } from "./dom.js";
import { download, csvOf } from "./export.js";
import { ticks } from "./overlay.js";
import { category } from "./palette.js";

const FONT = { family: 'system-ui, "DejaVu Sans", sans-serif', size: 11, color: "#1c2024" };

/** A logarithmic axis; one of less than two decades has ticks between their powers of ten. */
function logged(wanted, values) {
  if (!wanted) return {};
  const known = values.filter((one) => one > 0);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  if (!(high < 60 * low)) return { type: "log" };
  const powers = Array.from({ length: 16 }, (_, i) => 10 ** (i - 8));
  const round = high < 6 * low ? ticks(low, high, 4) : powers.flatMap((power) => [1, 2, 5].map((one) => one * power));
  return { type: "log", tickvals: round.map((one) => Number(one.toPrecision(3))), tickformat: "~g" };
}

/** `#rrggbb` with an opacity. */
export function faded(colour, opacity) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
}

/** How a spectrum is drawn: of a few energies each is marked, as a line would hide what lies between
 *  them, and one alone would not be seen. */
export function dotted(n) {
  return n <= 12 ? { mode: "lines+markers", size: 6 } : {};
}

/** A plot in a panel's body.
 *
 * Options: title (for files), x and y (axis titles with units), toolsIn (element for the button),
 * legend (true), square, rangemode.
 */
export class Curves {
  constructor(host, options = {}) {
    this.options = options;
    this.div = h("div", { style: { position: "absolute", inset: 0 }, "data-test": options.test ? `${options.test}-plot` : null });
    this.nothing = h("div", { class: "empty", hidden: true });
    host.append(this.div, this.nothing);
    this.menuHost = options.toolsIn ?? host.parentElement?.querySelector("header");
    this.menuHost?.append(this.menu());
    new ResizeObserver(() => {
      if (this.drawn && this.div.clientWidth) Plotly.Plots.resize(this.div);
    }).observe(host);
  }

  menu() {
    const name = () => (this.options.title ?? "curves").replace(/\W+/g, "-");
    // what stands alone has its own energies and title, also where another plot lies beneath it
    const alone = () => ({ data: this.div.data, layout: { ...this.div.layout, ...this.options.alone?.(this.div.layout) } });
    const picture = (format) => Plotly.downloadImage(alone(), {
      format, filename: name(), width: 900, height: 560, scale: format === "png" ? 2 : 1,
    });
    const items = [
      ["figure as PNG", () => picture("png")],
      ["figure as SVG", () => picture("svg")],
      ["numbers as CSV", () => download(`${name()}.csv`, "text/csv", csvOf(this.traces ?? [], this.titles))],
    ];
    return popup("⤓", `Save ${this.options.title ?? "the figure"}, or its numbers`, items);
  }

  /** Show traces [{x, y, sd?, name, colour?, dash?, mode?, width?, text?, bar?, axis2?, hidden?}].
   *
   * extra: log (x, y), markers [{x, label, dash?}], lines [{y, label}], shapes, xRange, yRange, key
   * (keeps the zoom while it is the same), x and y titles, margin.
   */
  show(traces, extra = {}) {
    this.traces = traces;
    this.titles = { x: extra.x ?? (this.options.x || "photon energy (eV)"), y: extra.y ?? this.options.y };
    this.drawn = true;
    this.nothing.hidden = true;
    this.div.hidden = false;
    const data = traces.flatMap((one, i) => plotted(one, one.colour ?? category(i)));
    const wrapped = (text) => ({ text: text ?? "", standoff: 6 });
    const axis = {
      showline: true, linecolor: "#7d8590", ticks: "outside", ticklen: 4, gridcolor: "#eceef1",
      zeroline: false, automargin: true,
    };
    const layout = {
      font: FONT, margin: { l: 52, r: 10, t: 6, b: 40, ...extra.margin }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
      showlegend: this.options.legend !== false && traces.filter((one) => one.name).length > 1,
      legend: { x: 1, xanchor: "right", y: 1, bgcolor: "rgba(255,255,255,.75)", font: { size: 10.5 }, ...extra.legend },
      hovermode: extra.hovermode ?? "closest", barmode: "overlay", bargap: 0.06, dragmode: "zoom",
      uirevision: extra.key ?? "same", hoverlabel: { font: { size: 11 } },
      xaxis: { ...axis, title: wrapped(extra.x ?? this.options.x), ...logged(extra.log?.x, traces.flatMap((one) => one.x)), range: extra.xRange, ...extra.xaxis },
      yaxis: { ...axis, title: wrapped(extra.y ?? this.options.y), ...logged(extra.log?.y, traces.flatMap((one) => one.y)), range: extra.yRange, ...extra.yaxis },
      shapes: [
        ...(extra.markers ?? []).map(({ x, dash = "dot", colour = "#5a6370" }) => ({
          type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: colour, width: 1.2, dash },
        })),
        ...(extra.lines ?? []).map(({ y, dash = "dot" }) => ({
          type: "line", y0: y, y1: y, xref: "paper", x0: 0, x1: 1, line: { color: "#5a6370", width: 1, dash },
        })),
        ...(extra.shapes ?? []),
      ],
      annotations: [
        ...(extra.markers ?? []).filter((one) => one.label).map(({ x, label, at = 1 }) => ({
          x: extra.log?.x ? Math.log10(x) : x, y: at, yref: "paper", text: label, showarrow: false, xanchor: "left", yanchor: "top", font: { size: 10, color: "#5a6370" },
        })),
        ...(extra.lines ?? []).filter((one) => one.label).map(({ y, label }) => ({
          y: extra.log?.y ? Math.log10(y) : y, x: 1, xref: "paper", text: label, showarrow: false, xanchor: "right", yanchor: "bottom", font: { size: 10, color: "#5a6370" },
        })),
      ],
    };
    if (traces.some((one) => one.axis2)) {
      layout.yaxis2 = { ...axis, showgrid: false, overlaying: "y", side: "right", tickmode: "auto", title: wrapped(extra.y2) };
      layout.margin.r = 52;
    }
    Plotly.react(this.div, data, layout, { displayModeBar: false, responsive: false });
    if (this.clicked && !this.listening) {
      this.listening = true;
      this.div.on("plotly_click", (event) => this.clicked(event.points[0], event));
    }
  }

  /** Be told of clicks: listener(point {x, y, pointIndex, data.name}). */
  onClick(listener) {
    this.clicked = listener;
  }

  /** Show nothing, and say why. */
  clear(text = "") {
    if (this.drawn) Plotly.purge(this.div);
    this.drawn = this.listening = false;
    this.traces = [];
    this.div.hidden = true;
    this.nothing.textContent = text;
    this.nothing.hidden = false;
  }
}

function plotted(one, colour) {
  const axis = one.axis2 ? { yaxis: "y2" } : {};
  if (one.bar) {
    return [{
      type: "bar", x: one.x, y: one.y, name: one.name, width: one.barWidth, text: one.text, textposition: "none",
      marker: { color: one.colours ?? colour, line: { width: 0 } }, opacity: one.opacity ?? 1, hovertemplate: one.hover, ...axis,
    }];
  }
  const line = {
    type: "scatter", mode: one.mode ?? "lines", x: one.x, y: one.y, name: one.name ?? "",
    line: { color: colour, width: one.width ?? 1.6, dash: one.dash }, text: one.text,
    marker: { color: one.colours ?? colour, size: one.size ?? 5, symbol: one.symbol },
    visible: one.hidden ? "legendonly" : true, hovertemplate: one.hover, ...axis,
  };
  if (!one.sd) return [line];
  if ((one.mode ?? "lines") !== "lines") {
    return [{ ...line, error_y: { type: "data", array: one.sd, thickness: 1, width: 2, color: colour }, error_x: one.xsd ? { type: "data", array: one.xsd, thickness: 1, width: 2, color: colour } : undefined }];
  }
  const band = {
    type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false,
    fill: "toself", fillcolor: faded(colour, 0.22), ...bandOf(one), ...axis,
  };
  return [band, line];
}

/** Around a curve by its sd: a closed line for each stretch without a gap. */
function bandOf({ x, y, sd }) {
  const out = { x: [], y: [] };
  const known = (i) => y[i] !== null && sd[i] !== null && Number.isFinite(y[i]) && Number.isFinite(sd[i]);
  for (let i = 0; i < x.length; i++) {
    if (!known(i)) continue;
    const from = i;
    while (i + 1 < x.length && known(i + 1)) i++;
    const run = Array.from({ length: i - from + 1 }, (_, k) => from + k);
    out.x.push(...run.map((k) => x[k]), ...run.reverse().map((k) => x[k]), null);
    run.reverse();
    out.y.push(...run.map((k) => y[k] + sd[k]), ...run.reverse().map((k) => y[k] - sd[k]), null);
  }
  return out;
}

/** A button that opens a short list of actions [[text, action], …]. */
export function popup(sign, title, items) {
  const host = h("div", { class: "tools" });
  const close = () => { host.querySelector(".menu")?.remove(); opener.setAttribute("aria-expanded", "false"); };
  const opener = button(sign, () => {
    if (host.querySelector(".menu")) { close(); return; }
    opener.setAttribute("aria-expanded", "true");
    const menu = h("div", { class: "menu", role: "menu" }, items.map(([text, action]) =>
      button(text, () => { close(); action(); })));
    host.append(menu);
    menu.firstChild.focus();
    menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { close(); opener.focus(); event.stopPropagation(); } });
    setTimeout(() => document.addEventListener("pointerdown", (event) => { if (!host.contains(event.target)) close(); }, { once: true }));
  }, { title, label: title });
  opener.setAttribute("aria-haspopup", "menu");
  host.append(opener);
  return host;
}
