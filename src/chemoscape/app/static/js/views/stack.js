// The stack: scrub through the energies, spectra of pixels and regions, drift before and after.
import { ask } from "../api.js";
import { attempt, button, check, choice, h, number, panel } from "../dom.js";
import { Curves, dotted } from "../curves.js";
import { Frames } from "../frames.js";
import { ImageView } from "../image.js";
import { category } from "../palette.js";
import { cornersOf } from "../overlay.js";
import { edit, hasNode, on, store, value } from "../store.js";

function create(host) {
  let frames = null;
  let index = 0;
  let regions = []; // what was drawn: {pixel} or a region, with its colour
  let shown = "stack";

  const controls = h("div", { class: "controls" });
  const map = panel("Frame", { test: "stack-map" });
  const curves = panel("Spectra of pixels and regions", { test: "stack-spectra" });
  const drift = panel("Drift", { test: "stack-drift" });
  host.append(controls, h("div", {
    class: "panels", style: { gridTemplateColumns: "minmax(0, 1.15fr) minmax(0, 1fr)", gridTemplateRows: "minmax(0, 1.5fr) minmax(0, 1fr)" },
  }, map.element, curves.element, drift.element));
  map.element.style.gridRow = "1 / 3";

  const view = new ImageView(map.body, {
    title: "frame", tools: ["point", "rectangle", "polygon", "lasso"], contrast: true, test: "stack",
    toolsIn: map.header,
    onShape: (shape) => { regions.push(shape.kind === "point" ? { pixel: [shape.x, shape.y] } : shape.region); attempt(showSpectra); },
  });
  const plot = new Curves(curves.body, { title: "spectra", x: "photon energy (eV)", y: "counts", test: "stack-spectra", toolsIn: curves.header });
  plot.onClick((point) => go(nearest(point.x)));
  const shifts = new Curves(drift.body, { title: "drift", x: "photon energy (eV)", y: "shift applied (px)", toolsIn: drift.header });

  const energy = h("span", { class: "number", style: { fontSize: "17px", fontWeight: "600" }, "data-test": "stack-energy" });
  const scrub = h("input", { type: "range", min: 0, max: 1, step: 1, value: 0, "aria-label": "frame", "data-test": "stack-scrub" });
  scrub.addEventListener("input", () => go(Number(scrub.value), true));
  scrub.addEventListener("change", () => go(Number(scrub.value)));
  const steps = h("div", { class: "row" },
    button("◀", () => go(index - 1), { label: "frame before" }), button("▶", () => go(index + 1), { label: "frame after" }), energy);
  const of = choice("Show", [["stack", "frames as recorded"]], (name) => { shown = name; restart(); attempt(showSpectra); }, { test: "stack-of" });
  const lock = check("same colours for all frames", { value: false, test: "stack-lock" }, () => {
    view.limits = lock.input.checked ? view.shownLimits() : null;
    go(index);
  });
  const drop = button("Leave this frame out", () => attempt(dropFrame), { test: "stack-drop", title: "[input] drop_energies" });
  const exclude = button("Exclude the last region", () => attempt(excludeRegion), { test: "stack-exclude", title: "[input] exclude" });
  const clear = button("Clear spectra", () => { regions = []; attempt(showSpectra); }, { test: "stack-clear" });
  const facts = h("div", {});
  controls.append(h("h2", {}, "Frame"), steps, scrub, of, lock, h("div", { class: "row" }, drop),
    h("h3", {}, "Spectra"), h("p", { class: "faint" }, "Take a tool above the frame: point, rectangle, polygon or lasso."),
    h("div", { class: "row" }, clear, exclude), h("h3", {}, "Measurement"), facts);

  function nearest(at) {
    const list = store.stack.energy;
    return list.reduce((best, one, i) => (Math.abs(one - at) < Math.abs(list[best] - at) ? i : best), 0);
  }

  /** The question for frame i of the recorded energies, among what is shown. */
  function body(i) {
    if (shown !== "optical_density") return { of: shown, energy: i };
    const run = densityEnergies ?? [];
    return { of: shown, energy: run.reduce((best, one, j) => (Math.abs(one - store.stack.energy[i]) < Math.abs(run[best] - store.stack.energy[i]) ? j : best), 0) };
  }
  let densityEnergies = null;

  function go(to, rough = false) {
    if (!frames) return;
    index = Math.min(Math.max(to, 0), store.stack.energy.length - 1);
    scrub.value = index;
    energy.textContent = `${store.stack.energy[index].toFixed(2)} eV`;
    scrub.setAttribute("aria-valuetext", energy.textContent);
    const dropped = (value("input.drop_energies") ?? []).some((one) => Math.abs(one - store.stack.energy[index]) < 0.01);
    drop.textContent = dropped ? "Take this frame in again" : "Leave this frame out";
    frames.want(index, { rough });
    if (!rough) showSpectraNow();
  }

  function restart() {
    const [count, ny, nx] = store.stack.shape;
    const left = { stack: "as recorded", aligned: "without its drift", optical_density: "optical density" }[shown];
    frames = new Frames({
      body, count, pixels: nx * ny, fail: (error) => view.clear(error.message),
      draw: (picture, i) => {
        view.show(picture, { palette: shown === "optical_density" ? "sequential" : "grey", label: shown === "optical_density" ? "optical density" : store.stack.quantity.replace("_", " ") });
        map.retitle(`Frame ${i + 1} of ${count}, ${left}`);
        host.dataset.frame = i;
      },
    });
    go(index);
  }

  let spectra = null;
  async function showSpectra() {
    view.shapes(regions.map((one, i) => ({
      kind: one.pixel ? "point" : "polygon", points: one.pixel ? [one.pixel] : cornersOf(one), colour: category(i), label: String(i + 1),
    })));
    const whole = { x: store.stack.x, y: store.stack.y };
    spectra = await ask("stack/spectrum", {
      of: shown === "optical_density" ? "optical_density" : "stack",
      regions: regions.length ? regions : [widened(whole)],
    });
    showSpectraNow();
  }

  function showSpectraNow() {
    if (!spectra) return;
    const named = (one, i) => (regions.length ? `${i + 1}: ${one.n === 1 ? "pixel" : `${one.n} pixels`}` : `whole field, ${one.n} pixels`);
    plot.show(spectra.spectra.map((one, i) => ({
      x: spectra.energy, y: one.mean, sd: one.se, name: named(one, i), colour: category(i), ...dotted(spectra.energy.length),
    })), {
      y: spectra.unit === "counts" ? "counts per pixel" : "optical density",
      markers: [{ x: store.stack.energy[index], dash: "solid" }], key: shown,
    });
    host.dataset.spectra = spectra.spectra.length;
  }

  function showDrift() {
    if (!hasNode("/drift")) {
      shifts.clear("The drift is measured by a run (Explore, Run).");
      return;
    }
    attempt(async () => {
      const found = await ask("stack/drift");
      drift.retitle(found.applied ? "Drift, taken out by the last run" : "Drift: below the threshold, not taken out");
      const doubted = found.energy.map((_, i) => i).filter((i) => found.replaced[i]);
      shifts.show([
        { x: found.energy, y: found.shift_x, name: "x", mode: "lines+markers", size: 3 },
        { x: found.energy, y: found.shift_y, name: "y", mode: "lines+markers", size: 3, dash: "dot" },
        doubted.length && { x: doubted.map((i) => found.energy[i]), y: doubted.map((i) => found.shift_y[i]), name: "not believed, interpolated", mode: "markers", symbol: "x", colour: "#D55E00" },
      ].filter(Boolean));
    });
  }

  async function dropFrame() {
    const here = store.stack.energy[index];
    const list = value("input.drop_energies") ?? [];
    const without = list.filter((one) => Math.abs(one - here) >= 0.01);
    await edit({ "input.drop_energies": without.length < list.length ? without : [...list, here].sort((a, b) => a - b) });
    go(index);
  }

  async function excludeRegion() {
    const region = regions.findLast((one) => !one.pixel);
    if (!region) throw Object.assign(new Error("draw a region first"), { status: 400 });
    await edit({ "input.exclude": [...(value("input.exclude") ?? []), region] });
  }

  function choices() {
    const items = [["stack", "frames as recorded"]];
    if (hasNode("/drift")) items.push(["aligned", "frames without their drift"]);
    if (store.results?.summary) items.push(["optical_density", "optical density"]);
    if (!items.some(([name]) => name === shown)) shown = "stack";
    of.set(items, shown);
  }

  function opened() {
    if (!store.stack.there) {
      view.clear("The stack is not there, only its results are.");
      frames = null;
      return;
    }
    index = Math.min(index, store.stack.energy.length - 1);
    if (index === 0) index = Math.floor(store.stack.energy.length / 3);
    regions = [];
    scrub.max = store.stack.energy.length - 1;
    const { shape: [n, ny, nx], energy: e, x, y } = store.stack;
    const rows = [
      ["energies", `${n}, ${e[0].toFixed(2)} to ${e.at(-1).toFixed(2)} eV`],
      ["pixels", `${ny} × ${nx}${store.stack.step > 1 ? `, every ${store.stack.step}th shown` : ""}`],
      ["field", `${number(x[1] - x[0], 3)} × ${number(y[1] - y[0], 3)} µm`],
      ["values", store.stack.quantity.replace("_", " ")],
      ...store.stack.facts.map((one) => [one.name, `${typeof one.value === "number" ? number(one.value, 4) : one.value} ${one.unit}`]),
    ];
    facts.replaceChildren(h("table", {}, rows.map(([name, text]) => h("tr", {}, h("td", { class: "faint" }, name), h("td", { style: { overflowWrap: "anywhere" } }, text)))));
    choices();
    restart();
    attempt(showSpectra);
    showDrift();
  }

  host.addEventListener("keydown", arrows);
  document.addEventListener("keydown", (event) => { if (!host.hidden && event.target === document.body) arrows(event); });
  function arrows(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!step || event.target.closest?.("input, select, textarea") || event.defaultPrevented) return;
    if (view.drawing.tool && event.target === view.front) return;
    event.preventDefault();
    go(index + step * (event.shiftKey ? 10 : 1));
  }

  on("stack", opened);
  on("results", () => attempt(async () => {
    if (!store.stack?.there) return;
    densityEnergies = store.results?.summary ? (await ask("values", { of: "/spectra/mean" })).coords.energy : null;
    choices();
    showDrift();
    if (shown !== "stack") restart();
  }));
  on("recipe", () => { if (frames) go(index); });
  if (store.stack) opened();
  return { shown: () => view.draw() };
}

/** A region with a little more on every side, so that the outer centres lie inside. */
function widened({ x, y }) {
  const more = ([a, b]) => [a - Math.abs(b - a) * 1e-6 - 1e-9, b + Math.abs(b - a) * 1e-6 + 1e-9];
  return { x: more(x), y: more(y) };
}

export default { name: "stack", title: "Stack", create };
