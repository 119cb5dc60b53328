// Tables of the Stress view: probed points, everything at one, numbers and doubts.
import { button, h, number, table, withError } from "../dom.js";

/** A boundary in few words. */
export const short = (name) => name.replace(/^springs-(.+)-GPa-per-um$/, "springs $1 GPa/µm");

/** MPa to a tenth at the finest: what a smaller counting error leaves says nothing of the stress. */
function pressure({ value, sd }) {
  if (value === null || sd === null || sd === undefined || sd >= 1) return withError(value, sd);
  return `${value.toFixed(1)} ± ${Math.max(sd, 0.1).toFixed(1)}`;
}

/** One row for each point: where, composition, the field under every boundary. */
export function pointsOf(told, points, field, { chosen, onRow, onRemove }) {
  if (!points.length) return [h("div", { class: "empty" }, "Click on a particle to read every boundary there.")];
  const names = told.boundaries.map((one) => one.name);
  const columns = [{ title: "" }, { title: "x, y (µm)" }, { title: told.variable, num: true }, ...names.map((one) => ({ title: short(one), num: true })), { title: "" }];
  const cell = (one, name) => `${withError(one.values[name][field.name], one.values[name][field.sd])}${one.near_cut?.[name] ? " *" : ""}`;
  const rows = points.map((one, i) => [
    h("strong", {}, String(i + 1)), h("span", { class: "nowrap" }, `${one.x.toFixed(2)}, ${one.y.toFixed(2)}`),
    ...(one.inside
      ? [h("span", { title: `± ${number(one.composition_sd, 2)}` }, number(one.composition, 3)), ...names.map((name) => cell(one, name))]
      : [h("span", { class: "faint", title: one.sentence }, "outside"), ...names.map(() => "–")]),
    button("×", (event) => { event.stopPropagation(); onRemove(i); }, { label: `remove point ${i + 1}` }),
  ]);
  const near = points.some((one) => Object.values(one.near_cut ?? {}).some(Boolean));
  return [
    table(columns, rows, { chosen, onRow }),
    near ? h("p", { class: "warn" }, "* within one width of a cut edge, where the unseen part of the particle decides") : "",
  ];
}

/** All fields at one point, under every boundary. */
export function everythingAt(told, point) {
  const names = told.boundaries.map((one) => one.name);
  const rows = told.fields.map((one) => [`${one.long_name} (${one.unit})`, ...names.map((name) => number(point.values[name][one.name], 3))]);
  rows.splice(4, 0, ["direction of the largest principal stress, from x towards y (°)", ...names.map((name) => number(point.principal_deg[name], 3))]);
  return table([{ title: "" }, ...names.map((one) => ({ title: short(one), num: true }))], rows);
}

/** Largest, 99th percentile and mean under every boundary, and what limits them. */
export function numbersAndDoubts(told) {
  const rows = told.boundaries.map(({ name, numbers: { max, p99, mean } }) => [short(name), number(max.value, 4), pressure(p99), pressure(mean)]);
  const columns = [{ title: "MPa" }, { title: "largest", num: true }, { title: "99th percentile", num: true }, { title: "mean", num: true }];
  return [
    table(columns, rows, { test: "stress-numbers" }),
    h("ul", { class: "doubts", "data-test": "stress-doubts" }, told.doubts.map(({ level, words }) => h("li", { class: level === "caution" ? "warn" : "faint" }, words))),
    h("p", { class: "faint" }, told.conditions),
  ];
}
