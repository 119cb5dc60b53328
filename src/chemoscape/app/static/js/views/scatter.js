// Scores of one component against another: density of pixels, clusters, and brushing.
import { picture, Picture } from "../api.js";
import { attempt, h } from "../dom.js";
import { ImageView } from "../image.js";
import { category } from "../palette.js";

/** The scatter in a panel; told: onBrush({a, b, space, outliers, polygon}) when pixels are drawn
 *  around.
 */
export class Scatter {
  constructor(panel, told) {
    this.told = told;
    this.plane = { a: 1, b: 2, space: "score", outliers: false };
    this.view = new ImageView(panel.body, {
      title: "scores", tools: ["lasso", "rectangle", "polygon"], stretch: true, axes: ["", ""],
      test: "explore-scatter", onShape: (shape) => this.brushed(shape),
    });
    const select = (test, title) => h("select", {
      "data-test": test, "aria-label": title, title,
      onchange: () => this.choose(),
    });
    this.across = select("explore-across", "component across");
    this.up = select("explore-up", "component up");
    this.space = h("select", {
      "data-test": "explore-space", "aria-label": "what is drawn", onchange: () => this.choose(),
      title: "Scores: as they are. Shapes: what k-means groups, each pixel scaled to unit length, so that thickness is divided out",
    }, h("option", { value: "score" }, "Scores"), h("option", { value: "shape" }, "Shapes"));
    this.wide = h("input", { type: "checkbox", "data-test": "explore-outliers", onchange: () => this.choose() });
    this.colour = h("select", {
      "data-test": "explore-colour", "aria-label": "colour of the scores", title: "colour: the cluster of most pixels, or how many pixels",
      onchange: () => attempt(() => this.refresh(this.work, this.selected)),
    }, h("option", { value: "cluster" }, "clusters"), h("option", { value: "density" }, "density"));
    panel.header.querySelector(".tools").before(this.colour);
    const small = { minHeight: "23px", padding: "0 2px" };
    for (const one of [this.across, this.up, this.space, this.colour]) Object.assign(one.style, small);
    this.space.style.fontWeight = 600;
    panel.header.querySelector("h2").replaceWith(
      h("span", { class: "row", style: { gap: "4px", margin: 0, marginRight: "auto" } },
        this.space, this.up, "over", this.across,
        h("label", { title: "axes that hold every pixel, not the central 99.8 %" }, this.wide, "all")));
  }

  /** How many components and shape axes there are; those to begin with. */
  axes(components, shapes) {
    this.counts = { score: components, shape: shapes };
    this.space.disabled = shapes < 2;
    if (shapes < 2) this.space.value = "score";
    this.fill();
  }

  fill() {
    const n = this.counts[this.space.value];
    const name = this.space.value === "score" ? "PC" : "axis";
    for (const [one, key] of [[this.across, "a"], [this.up, "b"]]) {
      const before = Math.min(this.plane[key], n);
      one.replaceChildren(...Array.from({ length: n }, (_, k) => h("option", { value: k + 1 }, `${name} ${k + 1}`)));
      one.value = before;
    }
    this.plane = {
      a: Number(this.across.value), b: Number(this.up.value), space: this.space.value,
      outliers: this.wide.checked,
    };
  }

  choose() {
    if (this.space.value !== this.plane.space) this.plane = { ...this.plane, a: 1, b: 2 };
    else this.plane = { ...this.plane, a: Number(this.across.value), b: Number(this.up.value) };
    this.fill();
    this.view.viewport.reset();
    attempt(() => this.refresh(this.work, this.selected));
    this.told.onPlane();
  }

  /** Draw anew, with the clusters of some hand work (none: the recipe's). */
  async refresh(work = {}, selected = new Set()) {
    Object.assign(this, { work, selected });
    const asked = this.asked = {};
    const colour = this.colour.value;
    const shown = await picture("explore/scatter", { ...this.plane, ...work, colour, log: true });
    if (asked !== this.asked) return; // another question has overtaken this one
    const { axes, beyond, n } = shown.header;
    this.view.options.axes = axes;
    this.view.show(shown, { palette: shown.header.kind, label: shown.header.name });
    this.view.readout.textContent = beyond
      ? `${n} pixels, of which ${beyond} lie beyond the axes` : `${n} pixels`;
    this.clusters = shown.header.clusters;
    this.outlines();
  }

  /** Other clusters are selected. */
  select(selected) {
    this.selected = selected;
    this.outlines();
  }

  outlines() {
    this.view.shapes([
      ...(this.clusters ?? []).map(({ cluster, outline, mean }) => (this.colour.value === "cluster" && !this.selected.has(cluster)
        ? { kind: "open", points: [mean, mean], colour: category(cluster), label: String(cluster) }
        : { kind: "polygon", points: outline, colour: category(cluster), label: String(cluster), filled: this.selected.has(cluster) })),
      ...(this.drawn ? [{ kind: "polygon", points: this.drawn, colour: "#1c2024" }] : []),
    ]);
  }

  brushed({ region }) {
    const { polygon, x, y } = region;
    const corners = polygon ?? [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]];
    this.mark(corners, null);
    this.told.onBrush({ ...this.plane, polygon: corners });
  }

  /** Show where a selection lies: corners drawn here, or the pixels of a region of the map. */
  async mark(corners, region) {
    this.drawn = corners;
    this.outlines();
    if (!region) { this.view.veil(null); return; }
    const some = await picture("explore/scatter", { ...this.plane, region });
    this.view.veil(new Picture(some.header, some.data.map((level) => (level ? 2 : 0)))); // others fade
  }
}
