// Stress: every boundary on one colour scale, the deformed shape, probes, lines, and doubts.
import { ask } from "../api.js";
import { Curves } from "../curves.js";
import { attempt, button, check, choice, h, number, numberBox, panel, slider } from "../dom.js";
import { Viewport } from "../image.js";
import { askMesh } from "../meshes.js";
import { MeshView } from "../meshview.js";
import { drawColourBar } from "../overlay.js";
import { category, scale } from "../palette.js";
import { hasNode, on, store } from "../store.js";
import { stressForm } from "./stress-form.js";
import { everythingAt, numbersAndDoubts, pointsOf, short } from "./stress-tables.js";

const ALL = "side by side";

class StressView {
  constructor(host) {
    this.probes = [];
    this.track = null;
    this.factor = 20;
    this.viewport = new Viewport();
    this.views = new Map();
    this.build(host);
    on("results", () => this.renew());
    on("recipe", () => this.form.take());
    this.form.take();
    this.renew();
  }

  build(host) {
    this.field = choice("Field", [], () => this.draw(), { test: "stress-field" });
    this.which = choice("Boundaries", [[ALL, ALL]], () => this.draw(), { test: "stress-shown" });
    this.span = choice("One colour scale, up to", [], () => this.draw(), { test: "stress-scale" });
    this.lines = check("Draw the triangles", { test: "stress-mesh" }, () => this.dress());
    this.exaggerated = slider("Displacement drawn", { min: 0, max: 100, step: 1, value: this.factor, unit: "times", digits: 0, test: "stress-exaggeration" },
      (factor) => { this.factor = factor; this.dress(); });
    this.moved = h("div", { class: "faint number", "data-test": "stress-displacement" });
    this.form = stressForm();
    const box = (text, test) => numberBox(text, { step: 0.01, test }, () => {});
    const [x, y] = [box("x (µm)", "stress-x"), box("y (µm)", "stress-y")];
    const ends = ["x₁", "y₁", "x₂", "y₂"].map((text, i) => box(`${text} (µm)`, `stress-line-${i}`));
    const read = (...of) => of.map((one) => one.input.valueAsNumber);
    const pair = (...of) => h("div", { class: "row pair" }, of);
    this.reading = h("div", {},
      this.field, this.which, this.span, this.lines, this.exaggerated, this.moved,
      h("details", {}, h("summary", {}, "Points and lines by number"),
        pair(x, y), button("Probe this point", () => { if (read(x, y).every(Number.isFinite)) this.probe(read(x, y)); }, { test: "stress-probe" }),
        pair(ends[0], ends[1]), pair(ends[2], ends[3]),
        button("Follow this line", () => {
          const [a, b, c, d] = read(...ends);
          if ([a, b, c, d].every(Number.isFinite)) this.follow([[a, b], [c, d]]);
        }, { test: "stress-follow" })));
    this.maps = panel("Stress", { test: "stress-map", style: { gridColumn: "1 / -1" } });
    this.points = panel("Points", { test: "stress-probes", scroll: true });
    this.points.header.append(button("Clear", () => { this.probes = []; this.track = null; this.measure(); }, { test: "stress-clear" }));
    const along = panel("Along the line", { test: "stress-line" });
    this.words = panel("Von Mises stress", { test: "stress-words", scroll: true });
    this.row = h("div", { style: { display: "flex", gap: "6px", position: "absolute", inset: "0" } });
    this.maps.body.append(this.row);
    this.scaleBar = h("canvas", { style: { width: "62px", height: "100%" }, "aria-hidden": "true" });
    new ResizeObserver(() => this.drawScale()).observe(this.row);
    host.append(
      h("div", { class: "controls" }, this.reading, this.form.element),
      h("div", { class: "panels tight", style: { gridTemplateColumns: "1.5fr 1fr 1.12fr", gridTemplateRows: "minmax(0, 1.4fr) minmax(0, 1fr)" } },
        this.maps.element, this.points.element, along.element, this.words.element));
    this.legend = h("span", { class: "legend", style: { flexBasis: "100%" } });
    this.curves = new Curves(along.body, { title: "stress along a line", x: "distance (µm)", legend: false, test: "stress-line" });
    along.header.append(this.legend);
  }

  /** Ask again what was solved. */
  renew() {
    const solved = hasNode("/stress");
    this.form.help();
    this.reading.hidden = !solved;
    this.form.open(!solved);
    if (!solved) {
      this.told = null;
      this.views.clear();
      this.viewport.views.clear();
      this.row.replaceChildren(h("div", { class: "empty", style: { flex: 1 } },
        hasNode("/composition")
          ? "No stress yet: give the material at the left, and press Run."
          : "No stress yet. It follows from the composition: give the material at the left, and press Run."));
      this.maps.retitle("Stress");
      this.points.body.replaceChildren();
      this.curves.clear("");
      this.words.body.replaceChildren();
      return;
    }
    if (this.told?.stamp === store.results.stamp) return;
    attempt(async () => {
      this.told = await ask("stress/list");
      const field = this.field.select.value;
      const fields = this.told.fields.map((one) => [one.name, `${one.long_name} (${one.unit})`]);
      this.field.set(fields, this.told.fields.some((one) => one.name === field) ? field : "von_mises");
      const names = this.told.boundaries.map((one) => one.name);
      const which = this.which.select.value;
      this.which.set([[ALL, ALL], ...names.map((one) => [one, short(one)])], names.includes(which) ? which : ALL);
      const span = this.span.select.value;
      this.span.set([["", "the largest of all boundaries"], ...names.map((one) => [one, `the largest of ${short(one)}`])], names.includes(span) ? span : "");
      const { extent: [x0, x1, y0, y1] } = this.told;
      const pad = 0.05 * Math.max(x1 - x0, y1 - y0);
      this.extent = [x0 - pad, x1 + pad, y0 - pad, y1 + pad];
      this.viewport.zoom = 1;
      this.viewport.centre = null;
      const largest = Math.max(...this.told.boundaries.map((one) => one.largest_displacement_nm)) / 1000;
      this.factor = Math.min(Math.max(Math.round((0.03 * Math.max(x1 - x0, y1 - y0)) / largest), 1), 100); // to be seen
      this.exaggerated.set(this.factor);
      await this.draw();
    });
  }

  get limits() {
    return this.chosen.limits_of[this.span.select.value] ?? this.chosen.limits;
  }

  get shown() {
    const one = this.which.select.value;
    return this.told.boundaries.filter(({ name }) => one === ALL || name === one);
  }

  get chosen() {
    return this.told.fields.find((one) => one.name === this.field.select.value);
  }

  /** Maps, probes, line and numbers of the chosen field. */
  draw() {
    return attempt(async () => {
      const field = this.chosen;
      const meshes = await Promise.all(this.shown.map(({ name }) => askMesh(name, field.name)));
      if (field !== this.chosen) return; // another was chosen meanwhile
      this.place();
      this.maps.retitle(`${field.long_name} (${field.unit}): one scale for all boundaries`);
      const palette = field.kind === "diverging" ? "diverging" : field.name === "composition" ? "sequential" : "stress";
      this.palette = palette;
      this.shown.forEach(({ name }, i) => {
        const view = this.views.get(name);
        view.showMesh(meshes[i], { palette, limits: this.limits, extent: this.extent });
        if (meshes[i].header.note) view.title.title = meshes[i].header.note;
        view.note.textContent = meshes[i].header.note;
      });
      this.dress();
      this.drawScale();
      await this.measure();
    });
  }

  /** One cell for each boundary that is shown. */
  place() {
    const names = this.shown.map((one) => one.name);
    if (names.join() === [...this.views.keys()].join()) return;
    this.views.clear();
    this.viewport.views.clear();
    const cells = this.shown.map(({ name, words }) => {
      const header = h("header", { class: "row" }, h("strong", { title: words, style: { marginRight: "auto" } }, short(name)));
      const body = h("div", { style: { flex: 1, minHeight: 0, position: "relative" } });
      const note = h("div", { class: "warn" });
      const cell = h("div", { class: "cell", style: { flex: 1, minWidth: 0, display: "flex", flexDirection: "column", position: "relative" } }, header, body, note);
      const view = new MeshView(body, {
        title: `stress-${name}`, viewport: this.viewport, toolsIn: header, test: `stress-${name}`,
        onProbe: (at) => this.probe(at), onLine: (line) => this.follow(line),
      });
      Object.assign(view, { title: header.firstChild, note });
      this.views.set(name, view);
      return cell;
    });
    this.row.replaceChildren(...cells, this.scaleBar);
  }

  dress() {
    if (!this.told) return;
    for (const view of this.views.values()) view.set({ factor: this.factor, lines: this.lines.input.checked });
    const largest = this.shown.map((one) => `${short(one.name)} ${number(one.largest_displacement_nm, 3)} nm`);
    const drawn = Math.max(...this.shown.map((one) => one.largest_displacement_nm)) * this.factor;
    this.moved.textContent = `Largest displacement: ${largest.join(", ")}`
      + (this.factor ? `; drawn as ${number(drawn, 3)} nm. Dashed: the outline without it.` : ".");
  }

  drawScale() {
    if (!this.told || !this.scaleBar.clientHeight) return;
    const dpr = window.devicePixelRatio || 1;
    const [width, height] = [62, this.scaleBar.clientHeight].map((v) => Math.round(v * dpr));
    Object.assign(this.scaleBar, { width, height });
    const { limits } = this;
    const { unit } = this.chosen;
    drawColourBar(this.scaleBar.getContext("2d"), { dpr, width, height }, { colours: scale(this.palette ?? "stress"), limits, unit });
  }

  probe(at) {
    if (this.probes.length >= 20) this.probes.shift();
    this.probes.push(at);
    this.looked = this.probes.length - 1;
    attempt(() => this.measure());
  }

  follow(line) {
    this.track = line;
    attempt(() => this.measure());
  }

  /** Values at the points and along the line. */
  async measure() {
    const field = this.chosen;
    const { points } = this.probes.length ? await ask("stress/probe", { points: this.probes }) : { points: [] };
    this.listPoints(points, field);
    for (const [name, view] of this.views) {
      view.mark(points.map((one) => ({ x: one.x, y: one.y, degrees: one.principal_deg?.[name] })), this.track);
    }
    this.tell(points[this.looked]);
    if (!this.track) {
      this.curves.clear("Take up the line tool ╱ of a map, and drag across a particle.");
      this.legend.replaceChildren();
      return;
    }
    const told = await ask("stress/line", { line: this.track, field: field.name });
    const traces = Object.entries(told.curves).map(([name, one], i) => ({
      x: told.distance_um, y: one.values, sd: one.sd, name: short(name), colour: category(i), dash: ["solid", "dash", "dot", "dashdot"][i % 4],
    }));
    traces.push({ x: told.distance_um, y: told.composition, name: this.told.variable, colour: "#5a6370", width: 1, axis2: true });
    this.curves.show(traces, { y: `${field.long_name} (${told.unit})`, y2: this.told.variable });
    this.legend.replaceChildren(...traces.map((one) => h("span", { class: "faint" },
      h("span", { class: "swatch", style: { background: one.colour } }), one.axis2 ? "x" : one.name.replace(" GPa/µm", ""))));
  }

  listPoints(points, field) {
    this.points.retitle(`Points: ${field.long_name.replace(/ \(.*\)/, "")} (${field.unit})`);
    this.points.body.replaceChildren(...pointsOf(this.told, points, field, {
      chosen: this.looked,
      onRow: (i) => { this.looked = i; this.tell(points[i]); this.listPoints(points, field); },
      onRemove: (i) => { this.probes.splice(i, 1); this.looked = null; attempt(() => this.measure()); },
    }));
  }

  /** Numbers of the whole, or everything at one point. */
  tell(point) {
    if (point?.inside) {
      this.words.retitle(`Point ${this.looked + 1}, particle ${point.particle}`);
      this.words.body.replaceChildren(
        button("Back to the whole", () => { this.looked = null; attempt(() => this.measure()); }),
        everythingAt(this.told, point));
    } else {
      this.words.retitle("Von Mises stress");
      this.words.body.replaceChildren(...numbersAndDoubts(this.told));
    }
  }

  shown_() {
    for (const view of this.views.values()) view.draw();
    this.drawScale();
  }
}

export default {
  name: "stress",
  title: "Stress",
  create(host) {
    const view = new StressView(host);
    return { shown: () => view.shown_(), hidden() {} };
  },
};
