// The form of [stress]: material, boundaries, mesh. What it holds goes into the recipe with Run.
import { ask } from "../api.js";
import { attempt, button, check, choice, h, notice } from "../dom.js";
import { edit, run, store, value } from "../store.js";

const STATUS = ["measured", "literature", "illustrative"].map((one) => [one, one]);
const NUMBERS = [
  ["young_GPa", "E, Young (GPa)"], ["poisson", "ν, Poisson"],
  ["eigenstrain", "Strain per unit"], ["reference", "Strain-free at"],
];

/** "43" or "43, 60": a number, a list, or null where nothing is written. */
export function numbers(text) {
  const parts = text.split(/[,;\s]+/).filter(Boolean).map(Number);
  if (parts.some((one) => !Number.isFinite(one))) throw new Error(`"${text}" is no number`);
  return parts.length === 0 ? null : parts.length === 1 ? parts[0] : parts;
}

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
const written = (one) => (one === undefined || one === null ? "" : [].concat(one).join(", "));

/** The form: {element, take() (from the recipe), open(flag), help() (of the results)}. */
export function stressForm() {
  const boxes = Object.fromEntries(NUMBERS.map(([name, text]) => [name, textBox(text, `stress-${name}`)]));
  boxes.source = textBox("Where the values come from", "stress-source");
  const status = choice("How far to trust them", STATUS, () => {}, { value: "illustrative", test: "stress-status" });
  const free = check("free", { value: true, test: "stress-free" }, () => {});
  const fixed = check("fixed", { value: true, test: "stress-fixed" }, () => {});
  const springs = textBox("springs of … GPa/µm (10, 100)", "stress-springs");
  const hint = h("p", { class: "faint" });
  const pair = (...of) => h("div", { class: "row pair" }, of.map((one) => boxes[one]));
  const size = textBox("Triangles (µm); empty: two pixels", "stress-mesh-size");
  const graded = check("finer where x changes", { test: "stress-graded" }, () => {});
  const presets = h("div", { class: "row" });
  const note = h("p", { class: "faint" });

  const fill = (material) => {
    for (const [name] of NUMBERS) boxes[name].input.value = written(material[name]);
    boxes.source.input.value = material.source ?? "";
    if (material.status) status.select.value = material.status;
  };
  const help = () => attempt(async () => {
    const told = await ask("stress/springs");
    hint.textContent = (told.half_way_GPa_per_um ? `About ${told.half_way_GPa_per_um.toPrecision(2)} GPa/µm hold the largest particle half. ` : "") + told.brief;
    hint.title = told.words.join(" ");
    presets.replaceChildren(...told.presets.map((one) => button(one.name, () => fill(one), { title: one.source, test: "stress-preset" })));
  });

  /** What the form says against the recipe, as changes of it. */
  function changes() {
    const wanted = { "stress.enabled": true };
    for (const [name, text] of NUMBERS) {
      const one = numbers(boxes[name].input.value);
      const optional = name === "eigenstrain" && value("stress.material.lattice");
      if (one === null && !optional) throw new Error(`${text} is missing`);
      wanted[`stress.material.${name}`] = one;
    }
    if (!boxes.source.input.value.trim()) throw new Error("say where the material's values come from");
    wanted["stress.material.source"] = boxes.source.input.value.trim();
    wanted["stress.material.status"] = status.select.value;
    const stiff = [].concat(numbers(springs.input.value) ?? []);
    const boundary = [free.input.checked && "free", fixed.input.checked && "fixed", ...stiff.map((one) => ({ springs_GPa_per_um: one }))].filter(Boolean);
    if (!boundary.length) throw new Error("choose a boundary: free, fixed or springs");
    wanted["stress.boundary"] = boundary;
    wanted["stress.mesh_size_um"] = numbers(size.input.value);
    wanted["stress.graded"] = graded.input.checked;
    return Object.fromEntries(Object.entries(wanted).filter(([key, one]) => !same(one, value(key))));
  }

  const start = button("Run", () => attempt(async () => {
    const wanted = changes();
    if (Object.keys(wanted).length) await edit(wanted);
    await run("stress");
  }), { primary: true, test: "stress-run", title: "Put this into the recipe, and run it up to the stress" });
  const out = button("Leave stress out", () => attempt(async () => {
    await edit({ "stress.enabled": false });
    notice("Stress is left out of the recipe.");
  }), { test: "stress-off" });

  const details = h("details", {}, h("summary", {}, h("strong", {}, "Material and boundaries")),
    presets, pair("young_GPa", "poisson"), pair("eigenstrain", "reference"), boxes.source, status, note,
    h("h3", {}, "How the outline is held"), h("div", { class: "row" }, free, fixed), springs, hint,
    h("h3", {}, "Mesh"), size, graded);

  return {
    help,
    element: h("div", {}, h("div", { class: "row" }, start, out), details),
    open(flag) {
      if (flag) details.setAttribute("open", "");
    },
    take() {
      if (details.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
      const material = value("stress.material");
      if (material) fill(material);
      note.textContent = material?.lattice ? `The strain comes from the lattice table ${material.lattice}.` : "";
      const boundary = value("stress.boundary") ?? ["free", "fixed"];
      free.input.checked = boundary.includes("free");
      fixed.input.checked = boundary.includes("fixed");
      springs.input.value = boundary.filter((one) => typeof one === "object").map((one) => one.springs_GPa_per_um).join(", ");
      size.input.value = written(value("stress.mesh_size_um"));
      graded.input.checked = Boolean(value("stress.graded"));
      out.hidden = !value("stress.enabled");
      start.disabled = !store.recipe;
    },
  };
}

function textBox(text, test) {
  const input = h("input", { type: "text", "data-test": test });
  const field = h("label", { class: "field" }, h("span", {}, text), input);
  field.input = input;
  return field;
}
