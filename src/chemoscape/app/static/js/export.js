// Figures and their numbers as files: PNG, SVG, CSV.
import { popup } from "./curves.js";
import { drawScaleBar } from "./overlay.js";

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

const plain = (value) => (Number.isFinite(value) ? Number(value.toPrecision(12)) : value ?? "");

/** Traces as columns: x, y and sd of each; x once where all share it. */
export function csvOf(traces, { x = "x", y = "" } = {}) {
  const told = JSON.stringify(traces[0]?.x);
  const shared = traces.every((one) => JSON.stringify(one.x) === told);
  const columns = traces.flatMap((one, i) => {
    const name = one.name || (traces.length > 1 ? `curve ${i + 1}` : y || "y");
    const across = shared ? (i ? [] : [[x, one.x]]) : [[`${x} (${name})`, one.x]];
    return [...across, [name, one.y], ...(one.sd ? [[`${name} sd`, one.sd]] : [])];
  });
  const rows = Math.max(0, ...columns.map(([, values]) => values.length));
  const lines = [...(y ? [`# ${y}`] : []), columns.map(([name]) => quoted(name)).join(",")];
  for (let i = 0; i < rows; i++) lines.push(columns.map(([, values]) => quoted(plain(values[i]))).join(","));
  return `${lines.join("\n")}\n`;
}

function csvOfPicture(picture, axes) {
  const { header } = picture;
  const [dx, dy] = picture.pitch;
  const unit = header.unit && header.unit !== "1" ? ` (${header.unit})` : "";
  const lines = [`# ${header.name}${unit}; rows by y; ${axes ? `x: ${axes[0]}, y: ${axes[1]}` : "axes in µm"}`, ["y \\ x"].concat(
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
  const lines = legendLines(view, place);
  const beside = (view.besideWhenSaved ?? 0) * place.dpr; // what the page draws once for several maps
  canvas.width = (place.width + beside) * factor;
  canvas.height = (place.height + lines.length * LINE * place.dpr) * factor;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(factor, factor);
  view.render(context, { ...place, width: place.width + beside });
  const front = view.front;
  context.drawImage(front, 0, 0, place.width, place.height);
  if (!view.options.stretch) drawScaleBar(context, place); // sharper than the screen's
  context.font = legendFont(place);
  context.textBaseline = "middle";
  lines.forEach((line, i) => {
    const middle = place.height + (i + 0.5) * LINE * place.dpr;
    for (const { colour, text, left } of line) {
      const side = colour ? 10 * place.dpr : 0;
      if (colour) {
        context.fillStyle = colour;
        context.fillRect(left, middle - side / 2, side, side);
        context.strokeStyle = "#999";
        context.strokeRect(left, middle - side / 2, side, side);
      }
      context.fillStyle = "#1c2024";
      context.fillText(text, left + side + 5 * place.dpr, middle);
    }
  });
  return canvas;
}

/** Height of a line of the legend, CSS pixels. */
const LINE = 18;
const legendFont = (place) => `${11 * place.dpr}px system-ui, "DejaVu Sans", sans-serif`;

/** What a map shows and what its colours mean (`view.legend`, [{colour, text}]), in lines that fit
 *  its width. */
function legendLines(view, place) {
  const lines = [];
  const context = document.createElement("canvas").getContext("2d");
  context.font = legendFont(place);
  let left = Infinity;
  const { name, unit } = view.picture.header;
  const what = view.rgb ? "" : `${view.how?.label ?? name}${unit && unit !== "1" ? ` (${unit})` : ""}`;
  for (const one of [...(what ? [{ text: what }] : []), ...(view.legend ?? [])]) {
    const width = context.measureText(one.text).width + 27 * place.dpr;
    if (left + width > place.width) {
      lines.push([]);
      left = 4 * place.dpr;
    }
    lines.at(-1).push({ ...one, left });
    left += width;
  }
  return lines;
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one]);

function svgOf(view) {
  const canvas = figure(view, 2);
  const place = view.place();
  const title = escaped(view.options.title ?? view.picture.header.name);
  const [width, height] = [canvas.width / 2, canvas.height / 2];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width / place.dpr}" height="${height / place.dpr}">`
    + `<title>${title}</title><image width="${width}" height="${height}" href="${canvas.toDataURL("image/png")}"/></svg>\n`;
}

/** The button that saves a map. */
export function saveMenu(view) {
  const name = () => (view.host.dataset.shown ?? view.options.title ?? "map").replace(/\W+/g, "-");
  const guarded = (action) => () => { if (view.picture) action(); };
  return popup("⤓", "Save the map or its numbers", [
    ["figure as PNG", guarded(() => figure(view, 2).toBlob((blob) => download(`${name()}.png`, "image/png", blob)))],
    ["figure as SVG", guarded(() => download(`${name()}.svg`, "image/svg+xml", svgOf(view)))],
    ["numbers as CSV", guarded(() => download(`${name()}.csv`, "text/csv", view.csv ? view.csv() : csvOfPicture(view.picture, view.options.stretch && view.options.axes)))],
  ]);
}
