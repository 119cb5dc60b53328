// I0: where the beam is open, and the optical density that follows.
import { ask, picture } from "../api.js";
import { attempt, button, h, numberBox, panel } from "../dom.js";
import { Curves, dotted } from "../curves.js";
import { Frames } from "../frames.js";
import { ImageView } from "../image.js";
import { cornersOf } from "../overlay.js";
import { edit, on, store, value } from "../store.js";

/** A plateau of equal pixels would hide all others on a linear axis. */
const LOG = { log: { y: true }, yaxis: { dtick: 1, rangemode: "normal" } };
const SAME = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function create(host) {
  let choice = "auto"; // shown
  let frames = null;
  let index = 0;

  const controls = h("div", { class: "controls" });
  const bright = panel("Mean image, with the open beam", { test: "beam-map" });
  const density = panel("Optical density", { test: "beam-density" });
  const spectrum = panel("Incident beam and sample", { test: "beam-spectrum" });
  const levels = panel("Brightness of the pixels", { test: "beam-levels" });
  host.append(controls, h("div", {
    class: "panels", style: { gridTemplateColumns: "repeat(2, minmax(0, 1fr))", gridTemplateRows: "minmax(0, 1.3fr) minmax(0, 1fr)" },
  }, bright.element, density.element, spectrum.element, levels.element));

  const map = new ImageView(bright.body, {
    title: "I0", tools: ["rectangle", "polygon", "lasso"], test: "beam", toolsIn: bright.header,
    onShape: (shape) => choose(shape.region),
  });
  const od = new ImageView(density.body, { title: "optical density", test: "beam-density", toolsIn: density.header, viewport: map.viewport });
  const plot = new Curves(spectrum.body, { title: "I0", x: "photon energy (eV)", y: "counts per pixel", toolsIn: spectrum.header });
  plot.onClick((point) => go(nearest(point.x)));
  const histogram = new Curves(levels.body, { title: "brightness", x: "brightness (1: the brightest plateau)", y: "pixels", legend: false, toolsIn: levels.header });

  const words = h("p", { "data-test": "beam-words" });
  const warned = h("div", { class: "warn" });
  const state = h("p", { class: "faint", "data-test": "beam-state" });
  const use = button("Use this I0", () => attempt(() => edit({ "absorbance.i0": choice })), { primary: true, test: "beam-use" });
  const auto = button("Find it", () => choose("auto"), { test: "beam-auto", title: "the brightest plateau of the image" });
  const low = numberBox("lowest brightness", { value: 0.95, step: 0.01, min: 0.01, test: "beam-low" }, byLevels);
  const high = numberBox("highest brightness", { value: 1.05, step: 0.01, min: 0.01, test: "beam-high" }, byLevels);
  const scrub = h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": "energy of the optical density", "data-test": "beam-scrub" });
  scrub.addEventListener("input", () => go(Number(scrub.value), true));
  scrub.addEventListener("change", () => go(Number(scrub.value)));
  const energy = h("span", { class: "number" });
  const body = h("div", {},
    h("h2", {}, "Where the beam is open"),
    h("p", { class: "faint" }, "Draw a region in the mean image, let it be found, or take a range of brightness."),
    h("div", { class: "row" }, auto), low, high, words, warned, h("div", { class: "row" }, use), state,
    h("h3", {}, "Optical density at"), energy, scrub,
    h("p", { class: "faint" }, "A quick look at frames as recorded; a run takes out the drift first, and corrects dark, dead time and stray light as the recipe says."));
  const refused = h("p", { class: "faint", hidden: true });
  controls.append(body, refused);

  function byLevels() {
    const pair = [Number(low.input.value), Number(high.input.value)];
    if (pair[0] > 0 && pair[1] > pair[0]) choose({ levels: pair });
  }

  function nearest(at) {
    const list = store.stack.energy;
    return list.reduce((best, one, i) => (Math.abs(one - at) < Math.abs(list[best] - at) ? i : best), 0);
  }

  function choose(one) {
    choice = one;
    attempt(show);
  }

  async function show() {
    const asked = choice;
    words.textContent = "…";
    try {
      const found = await ask("beam/pick", { i0: asked });
      if (choice !== asked) return;
      const spread = found.spread === null ? "" : `; the beam varies by ${(100 * found.spread).toFixed(1)} % over them (with noise)`;
      words.className = "";
      words.textContent = `${found.n} pixels (${(100 * found.share).toFixed(1)} % of the field)${spread}. ${found.units_correction ?? ""}`;
      warned.replaceChildren(...(found.warnings ?? []).map((text) => h("p", {}, text)));
      use.disabled = false;
      plot.show([
        { x: found.energy, y: found.i0, name: "I0, open beam" },
        { x: found.energy, y: found.rest, name: "all other pixels", dash: "dash" },
        { x: found.energy, y: found.density_of_rest, name: "their −ln(I/I0)", axis2: true, colour: "#009E73" },
      ].map((one) => ({ ...one, ...dotted(found.energy.length) })), { y2: "−ln(mean I / I0)", markers: [{ x: store.stack.energy[index] }], legend: { y: 1.08, orientation: "h", yanchor: "bottom", x: 0, xanchor: "left" } });
      map.mask(await picture("beam/mask", { i0: asked }));
    } catch (error) {
      if (choice !== asked) return;
      words.className = "bad";
      words.textContent = error.message;
      use.disabled = true;
      map.mask(null);
    }
    const drawn = asked !== "auto" && !asked.levels ? asked : null;
    map.shapes(drawn ? [{ kind: "polygon", points: cornersOf(drawn), colour: "#D55E00", label: "I0" }] : []);
    histogram.show(histogram.traces ?? [], { ...LOG, shapes: asked.levels ? [band(asked.levels)] : [] });
    frames = new Frames({
      name: "beam/density", body: (i) => ({ i0: asked, energy: i }), count: store.stack.energy.length,
      pixels: store.stack.shape[1] * store.stack.shape[2], fail: (error) => od.clear(error.message),
      draw: (one, i) => { od.show(one, { label: "optical density" }); density.retitle(`Optical density at ${store.stack.energy[i].toFixed(2)} eV`); },
    });
    go(index);
    told();
  }

  const band = ([a, b]) => ({ type: "rect", x0: a, x1: b, yref: "paper", y0: 0, y1: 1, fillcolor: "rgba(11,90,157,.18)", line: { width: 0 } });

  function go(to, rough = false) {
    index = to;
    scrub.value = to;
    energy.textContent = `${store.stack.energy[to].toFixed(2)} eV`;
    frames?.want(to, { rough });
  }

  function told() {
    const now = value("absorbance.i0");
    const plain = (one) => (typeof one === "object" && one ? Object.fromEntries(Object.entries(one).filter(([, v]) => v !== null)) : one);
    const same = SAME(plain(now), plain(choice));
    state.textContent = same ? "The recipe uses this." : `The recipe uses ${typeof now === "string" ? (now === "auto" ? "what is found" : `the file ${now.split("/").at(-1)}`) : "another region"}.`;
    host.dataset.used = String(same);
  }

  async function opened() {
    const counts = store.stack.there && store.stack.quantity === "counts";
    body.hidden = !counts;
    refused.hidden = counts;
    refused.textContent = store.stack.there ? `The stack holds ${store.stack.quantity.replace("_", " ")}: I0 was applied before. Go on to Explore.` : "The stack is not there, only its results are.";
    if (!counts) {
      for (const one of [od, plot, histogram]) one.clear("");
      map.clear(refused.textContent);
      return;
    }
    scrub.max = store.stack.energy.length - 1;
    index = Math.floor(store.stack.energy.length / 3);
    const mean = await picture("beam/brightness");
    map.show(mean, { palette: "grey", label: "brightness", limits: [0, mean.header.robust[1] || 1] });
    const { counts: n, edges } = mean.header;
    histogram.show([{ bar: true, x: n.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: n, barWidth: edges[1] - edges[0], colour: "#7d8590" }], LOG);
    const now = value("absorbance.i0");
    const given = typeof now === "object" ? Object.fromEntries(Object.entries(now).filter(([, v]) => v !== null)) : "auto";
    choose(given);
  }

  on("stack", () => attempt(opened));
  on("recipe", told);
  if (store.stack) attempt(opened);
  return { shown: () => { map.draw(); od.draw(); } };
}

export default { name: "beam", title: "I0", create };
