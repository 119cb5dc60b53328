// Figures and their numbers as files: PNG, SVG, CSV.
import { popup } from "./curves.js";

/** Hand a file to the browser. */
export function download(name, type, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const quoted = (text) => (/[",\n]/.test(String(text)) ? `"${String(text).replaceAll('"', '""')}"` : String(text ?? ""));

/** Traces as columns: x, y and sd of each. */
export function csvOf(traces, { x = "x" } = {}) {
  const columns = traces.flatMap((one, i) => {
    const name = one.name || `curve ${i + 1}`;
    const all = [[`${x} (${name})`, one.x], [name, one.y]];
    return one.sd ? [...all, [`${name} sd`, one.sd]] : all;
  });
  const rows = Math.max(0, ...columns.map(([, values]) => values.length));
  const lines = [columns.map(([name]) => quoted(name)).join(",")];
  for (let i = 0; i < rows; i++) lines.push(columns.map(([, values]) => quoted(values[i] ?? "")).join(","));
  return `${lines.join("\n")}\n`;
}

function csvOfPicture(picture) {
  const { header } = picture;
  const [dx, dy] = picture.pitch;
  const unit = header.unit && header.unit !== "1" ? ` (${header.unit})` : "";
  const lines = [`# ${header.name}${unit}; rows by y; axes in µm`, ["y \\ x"].concat(
    Array.from({ length: picture.nx }, (_, i) => Number((header.x[0] + i * dx).toPrecision(9)))).join(",")];
  for (let iy = 0; iy < picture.ny; iy++) {
    const row = [Number((header.y[0] + iy * dy).toPrecision(9))];
    for (let ix = 0; ix < picture.nx; ix++) {
      const value = picture.value(ix, iy);
      row.push(Number.isFinite(value) ? Number(value.toPrecision(7)) : "");
    }
    lines.push(row.join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** The map as it is zoomed, with its bars and shapes, on a canvas of its own. */
function figure(view, factor) {
  const canvas = document.createElement("canvas");
  const place = view.place();
  canvas.width = place.width * factor;
  canvas.height = place.height * factor;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(factor, factor);
  view.render(context, place);
  const front = view.front;
  context.drawImage(front, 0, 0, place.width, place.height);
  return canvas;
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one]);

function svgOf(view) {
  const canvas = figure(view, 2);
  const place = view.place();
  const title = escaped(view.options.title ?? view.picture.header.name);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${place.width} ${place.height}" width="${place.width / place.dpr}" height="${place.height / place.dpr}">`
    + `<title>${title}</title><image width="${place.width}" height="${place.height}" href="${canvas.toDataURL("image/png")}"/></svg>\n`;
}

/** The button that saves a map. */
export function saveMenu(view) {
  const name = () => (view.host.dataset.shown ?? view.options.title ?? "map").replace(/\W+/g, "-");
  const guarded = (action) => () => { if (view.picture) action(); };
  return popup("⤓", "Save the map or its numbers", [
    ["figure as PNG", guarded(() => figure(view, 2).toBlob((blob) => download(`${name()}.png`, "image/png", blob)))],
    ["figure as SVG", guarded(() => download(`${name()}.svg`, "image/svg+xml", svgOf(view)))],
    ["numbers as CSV", guarded(() => download(`${name()}.csv`, "text/csv", view.csv ? view.csv() : csvOfPicture(view.picture)))],
  ]);
}
