// The form of [particles]: where and how particles are found. It goes into the recipe with Run.
import { attempt, button, choice, h, notice, numberBox } from "../dom.js";
import { edit, run, store, value } from "../store.js";

const METHODS = [
  ["auto", "the trained network, if there is one"], ["maskrcnn", "the trained network"], ["classical", "thresholds and watersheds"],
];

/** The form: {element, take() (from the recipe), open(flag)}. */
export function particlesForm() {
  const method = choice("How they are found", METHODS, () => {}, { test: "particles-method" });
  const where = choice("Map to look in", [["thickness", "thickness: the sum of all weights"]], () => {}, { test: "particles-where" });
  const fwhm = numberBox("Resolution of the microscope (FWHM)", { min: 0, step: 0.01, unit: "µm", test: "particles-fwhm" }, () => {});
  const threshold = numberBox("Least confidence; empty: the method's own", { min: 0, max: 1, step: 0.05, test: "particles-threshold" }, () => {});
  const groups = numberBox("Groups by their spectra; 0: none", { min: 0, max: 20, step: 1, test: "particles-groups" }, () => {});
  const read = (box) => (box.input.value === "" ? null : box.input.valueAsNumber);

  function changes() {
    const wanted = {
      "particles.enabled": true, "particles.method": method.select.value, "particles.map": where.select.value,
      "particles.fwhm_um": read(fwhm) ?? value("particles.fwhm_um"), "particles.threshold": read(threshold), "particles.n_clusters": read(groups) ?? 0,
    };
    return Object.fromEntries(Object.entries(wanted).filter(([key, one]) => (one ?? null) !== (value(key) ?? null)));
  }

  const start = button("Run", () => attempt(async () => {
    const wanted = changes();
    if (Object.keys(wanted).length) await edit(wanted);
    await run("stress");
  }), { primary: true, test: "particles-run", title: "Put this into the recipe, and run it up to the particles" });
  const out = button("Leave particles out", () => attempt(async () => {
    await edit({ "particles.enabled": false });
    notice("Particles are left out of the recipe.");
  }), { test: "particles-off" });
  const details = h("details", {}, h("summary", {}, h("strong", {}, "How particles are found")), method, where, fwhm, threshold, groups);

  return {
    element: h("div", {}, h("div", { class: "row" }, start, out), details),
    open(flag) {
      if (flag) details.setAttribute("open", "");
    },
    take() {
      if (!store.recipe || (details.contains(document.activeElement) && document.activeElement.tagName === "INPUT")) return;
      method.select.value = value("particles.method") ?? "auto";
      const own = value("particles.map") ?? "thickness";
      const names = store.results?.summary?.standards ?? [];
      where.set([["thickness", "thickness: the sum of all weights"], ...[...new Set([...names, own])].filter((one) => one !== "thickness").map((one) => [one, one])], own);
      fwhm.input.value = value("particles.fwhm_um") ?? "";
      threshold.input.value = value("particles.threshold") ?? "";
      groups.input.value = value("particles.n_clusters") ?? 0;
      out.hidden = !value("particles.enabled");
    },
  };
}
