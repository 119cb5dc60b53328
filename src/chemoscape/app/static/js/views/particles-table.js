// The table of the particles.
import { h, number, table, withError } from "../dom.js";

const LETTERS = { alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε" };
/** "epsilon-Li0.3V2O5" with its Greek letter. */
export const greek = (name) => String(name).replace(/^(alpha|beta|gamma|delta|epsilon)(?=-)/, (one) => LETTERS[one]);

/** Rows of some particles in an order (falling); onRow(particle). */
export function rowsOf({ columns, phases, variable }, which, order, chosen, onRow) {
  const of = (name, i) => columns[name]?.values[i] ?? null;
  const key = (i) => of(order, i) ?? -Infinity;
  const sorted = [...which].sort((a, b) => key(b) - key(a));
  const cells = [
    [{ title: "" }, (i) => h("strong", {}, String(i + 1))],
    [{ title: "area (µm²)", num: true }, (i) => number(of("area_raw", i), 3)],
    columns.composition_mean && [{ title: variable, num: true }, (i) => withError(of("composition_mean", i), of("composition_se", i))],
    [{ title: "length × width (µm)", num: true }, (i) => `${number(of("length", i), 3)} × ${number(of("width", i), 2)}`],
    phases && [{ title: "prevailing phase" }, (i) => {
      const at = phases.names.indexOf(of("dominant_phase", i));
      const share = phases.shares[i]?.[at];
      return `${greek(of("dominant_phase", i))}${share === null || share === undefined ? "" : ` ${Math.round(100 * share)} %`}`;
    }],
    columns.area_psf && [{ title: "area less blur (µm²)", num: true }, (i) => withError(of("area_psf", i), of("area_psf_sd", i))],
    [{ title: "confidence", num: true }, (i) => number(of("score", i), 2)],
    [{ title: "" }, (i) => h("span", { class: "warn" }, remarks(of, i))],
  ].filter(Boolean);
  if (!sorted.length) return h("div", { class: "empty" }, "No particle here.");
  return table(cells.map(([column]) => column), sorted.map((i) => cells.map(([, cell]) => cell(i))), {
    chosen: sorted.indexOf(chosen), onRow: (row) => onRow(sorted[row]),
  });
}

function remarks(of, i) {
  return [
    of("border", i) && "at the edge",
    of("unresolved", i) && "narrower than the resolution",
    of("overlap", i) > 0.1 && `${Math.round(100 * of("overlap", i))} % shared`,
    of("fit_ok", i) === false && (of("fit_reason", i) || "shape not fitted"),
  ].filter(Boolean).join("; ");
}
