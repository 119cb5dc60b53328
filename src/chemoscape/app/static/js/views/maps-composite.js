// Beside the map: three weights as one picture, the residual, or the prevailing standard.
import { choice, h, number } from "../dom.js";
import { ImageView } from "../image.js";
import { category } from "../palette.js";

const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const NAMES = { composite: "Composite of weights", residual: "Residual", labels: "Labels" };

/** A panel that shows a companion of the map, at the same zoom. */
export class Companion {
  constructor(panel, viewport, fetch) {
    this.panel = panel;
    this.fetch = fetch;
    this.what = "composite";
    this.kinds = h("select", { "aria-label": "what to show beside the map", "data-test": "maps-companion", onchange: () => { this.what = this.kinds.value; this.draw(); } },
      Object.entries(NAMES).map(([value, text]) => h("option", { value }, text)));
    panel.header.append(this.kinds);
    const host = h("div", { style: { flex: 1, minHeight: 0 } });
    this.legend = h("div", { "data-test": "maps-legend", class: "row", style: { fontSize: "11.5px", gap: "2px 9px" } });
    Object.assign(panel.body.style, { display: "flex", flexDirection: "column" });
    panel.body.append(host, this.legend);
    this.view = new ImageView(host, { title: "composite", viewport, toolsIn: panel.header, test: "maps-rgb" });
    this.view.csv = () => csvOfMaps(this.shown);
    this.pickers = [0, 1, 2].map((i) => choice(`Colour ${i + 1}`, [], (id) => { this.ids[i] = id; this.draw(); }, { test: `maps-rgb-${i}` }));
    this.paper = h("input", { type: "checkbox", "data-test": "maps-rgb-paper", onchange: () => this.draw() });
    this.controls = h("details", {}, h("summary", {}, "Composite: which weights"), this.pickers,
      h("label", { class: "row", style: { flexWrap: "nowrap" } }, this.paper, "red, green, blue (not safe for colour-blind readers)"));
  }

  /** Take the list of a new run. */
  set(list, groups) {
    this.rgb = list.rgb;
    this.groups = groups;
    this.ids = this.rgb ? [...this.rgb.ids, "", "", ""].slice(0, 3) : ["", "", ""];
    const all = groups.flatMap((group) => group.maps.map((one) => [one.id, `${one.title} (${group.title.split(", ").at(-1)})`]));
    const weights = all.filter(([id]) => this.rgb && id in this.rgb.tops);
    this.pickers.forEach((one, i) => one.set([["", "none"], ...weights], this.ids[i]));
    return this.draw();
  }

  /** The map of a kind: the residual of a route, or labels. */
  first(test) {
    return this.groups.flatMap((group) => group.maps).find(test);
  }

  async draw() {
    const asked = this.asked = {};
    try {
      const make = { composite: () => this.composite(), residual: () => this.one((m) => m.id.endsWith("/residual")), labels: () => this.one((m) => m.kind === "labels") }[this.what];
      const show = await make();
      if (asked === this.asked) show();
    } catch (error) {
      if (asked === this.asked) { this.view.clear(error.message); this.legend.replaceChildren(); }
    }
  }

  async composite() {
    const ids = this.ids.filter(Boolean);
    if (!ids.length) return () => { this.view.clear("No weights are chosen."); this.legend.replaceChildren(); };
    const maps = await Promise.all(ids.map((id) => this.fetch(id)));
    if (maps.some((one) => one.nx !== maps[0].nx || one.ny !== maps[0].ny)) throw new Error("These weights are not on the same pixels.");
    const colours = this.paper.checked ? this.rgb.paper : this.rgb.safe[ids.length];
    const limits = ids.map((id) => [0, this.rgb.tops[id]]);
    return () => {
      this.shown = maps;
      this.view.showRGB(maps, limits, { colours: colours.slice(0, ids.length).map(rgbOf) });
      this.view.host.dataset.shown = "composite";
      this.view.legend = maps.map((one, i) => ({
        colour: colours[i], text: `${one.header.name}: 0 to ${number(limits[i][1], 3)}${one.header.unit === "1" ? "" : ` ${one.header.unit}`}`,
      }));
      this.legend.replaceChildren(...legendOf(this.view.legend));
    };
  }

  async one(test) {
    const entry = this.first(test);
    if (!entry) return () => { this.view.clear("The run has made none."); this.legend.replaceChildren(); };
    const map = await this.fetch(entry.id);
    return () => {
      this.shown = [map];
      this.view.show(map, { label: entry.title });
      this.view.legend = entriesOf(map);
      this.legend.replaceChildren(...legendOf(this.view.legend));
    };
  }
}

/** The maps that make a picture, a row for each pixel. */
function csvOfMaps(maps) {
  const [first] = maps;
  const [dx, dy] = first.pitch;
  const { x, y } = first.header;
  const plain = (value) => (Number.isFinite(value) ? Number(value.toPrecision(7)) : "");
  const names = maps.map(({ header }) => `"${header.name}${header.unit && header.unit !== "1" ? ` (${header.unit})` : ""}"`);
  const lines = [["x (µm)", "y (µm)", ...names].join(",")];
  for (let iy = 0; iy < first.ny; iy++) {
    for (let ix = 0; ix < first.nx; ix++) {
      lines.push([plain(x[0] + ix * dx), plain(y[0] + iy * dy), ...maps.map((one) => plain(one.value(ix, iy)))].join(","));
    }
  }
  return `${lines.join("\n")}\n`;
}

/** What the colours of labels mean: [{colour, text}], none of a map that has no labels. */
export function entriesOf(map) {
  const names = map.header.kind === "labels" ? map.header.labels ?? [] : [];
  return names.map((name, i) => ({ colour: category(i), text: name }));
}

/** The same beneath a map. */
export function legendOf(entries) {
  return entries.map(({ colour, text }) => h("span", {}, h("span", { class: "swatch", style: { background: colour, outline: "1px solid #999" } }), text));
}
