// What is drawn over a map: scale bar, colour bar, axes, shapes. Sizes in CSS pixels times dpr.
import { number } from "./dom.js";

const INK = "#1c2024";

function font(place, size = 11, weight = "") {
  return `${weight} ${size * place.dpr}px system-ui, "DejaVu Sans", sans-serif`;
}

/** A round length of about a fifth of the field, with its label in µm or nm. */
export function roundLength(field) {
  const power = 10 ** Math.floor(Math.log10(field / 4));
  const length = [5, 2, 1].map((one) => one * power).find((one) => one <= field / 4) ?? power;
  const text = length >= 0.999 ? `${number(length, 3)} µm` : `${number(length * 1000, 3)} nm`;
  return { length, text };
}

/** A bar of known length at the lower left. */
export function drawScaleBar(context, place) {
  const { dpr, margin, inner } = place;
  const { length, text } = roundLength(inner[0] / place.sx);
  const width = length * place.sx;
  const left = margin.left + 10 * dpr;
  const bottom = margin.top + inner[1] - 10 * dpr;
  context.save();
  context.font = font(place, 11, "600");
  const box = Math.max(width, context.measureText(text).width) + 12 * dpr;
  context.fillStyle = "rgba(255,255,255,.82)";
  context.fillRect(left - 6 * dpr, bottom - 20 * dpr, box, 27 * dpr);
  context.fillStyle = INK;
  context.fillRect(left, bottom, width, 3 * dpr);
  context.textAlign = "left";
  context.fillText(text, left, bottom - 5 * dpr);
  context.restore();
}

/** The colours with their limits and unit, right of the map. */
export function drawColourBar(context, place, { colours, limits, unit }) {
  const { dpr, width, height } = place;
  const left = width - 56 * dpr;
  const top = 22 * dpr;
  const tall = Math.max(height - 40 * dpr, 20);
  context.save();
  for (let i = 0; i < tall; i++) {
    const [r, g, b] = colours[Math.min(255, Math.floor(256 * (1 - i / tall)))];
    context.fillStyle = `rgb(${r},${g},${b})`;
    context.fillRect(left, top + i, 11 * dpr, 1.5);
  }
  context.fillStyle = INK;
  context.font = font(place, 10.5);
  context.textBaseline = "middle";
  const [low, high] = limits;
  const power = sharedPower(low, high);
  const shown = ticks(low / 10 ** power, high / 10 ** power, 5);
  const places = shown.length > 1 ? Math.max(0, ...shown.map((one) => decimals(one, shown[1] - shown[0]))) : 2;
  for (const value of shown) {
    const at = Math.round(top + tall * (1 - (value * 10 ** power - low) / (high - low || 1)));
    context.fillRect(left + 11 * dpr, at - dpr / 2, 3 * dpr, dpr);
    context.fillText(value.toFixed(places).replace("-", "−"), left + 17 * dpr, at);
  }
  context.textBaseline = "alphabetic";
  const sign = [...String(power)].map((one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "⁻").join("");
  const words = [power ? `10${sign}` : "", unit && unit !== "1" ? unit : ""].filter(Boolean).join(" ");
  if (words) context.fillText(words, left - 4 * dpr, top - 8 * dpr, 60 * dpr);
  context.restore();
}

/** The power of ten that the ticks of a colour bar share, so that five characters say each. */
function sharedPower(low, high) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  const own = Math.floor(Math.log10(most || 1));
  return own > 4 || own < -2 || high - low < 0.01 * most ? own : 0;
}

/** Decimal places that a tick needs at a spacing; at most four. */
function decimals(value, spacing) {
  const enough = [0, 1, 2, 3].find((n) => Math.abs(value - Number(value.toFixed(n))) < 1e-6 * spacing);
  return enough ?? 4;
}

/** Round ticks between two values, about `n` of them. */
export function ticks(low, high, n = 5) {
  const raw = (high - low) / n;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) {
    out.push(Math.abs(v) < step * 1e-6 ? 0 : v);
  }
  return out;
}

/** Axes with ticks and titles, for what is no map of the sample. */
export function drawAxes(context, place, [xTitle, yTitle]) {
  const { dpr, margin, inner } = place;
  const bottom = margin.top + inner[1];
  context.save();
  context.strokeStyle = context.fillStyle = INK;
  context.lineWidth = dpr;
  context.strokeRect(margin.left, margin.top, inner[0], inner[1]);
  context.font = font(place, 10.5);
  context.textAlign = "center";
  for (const v of ticks(place.toX(margin.left), place.toX(margin.left + inner[0]))) {
    context.fillRect(place.x(v), bottom, dpr, 4 * dpr);
    context.fillText(number(v, 3), place.x(v), bottom + 15 * dpr);
  }
  context.fillText(xTitle, margin.left + inner[0] / 2, bottom + 29 * dpr);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const v of ticks(place.toY(bottom), place.toY(margin.top))) {
    context.fillRect(margin.left - 4 * dpr, place.y(v), 4 * dpr, dpr);
    context.fillText(number(v, 3), margin.left - 6 * dpr, place.y(v));
  }
  context.translate(10 * dpr, margin.top + inner[1] / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(yTitle, 0, 0);
  context.restore();
}

/** Shapes with a light edge, so that they show on any colour. */
export function drawShapes(context, place, list) {
  context.save();
  context.font = font(place, 11, "600");
  for (const { kind, points, colour = "#D55E00", label, filled } of list) {
    const path = new Path2D();
    if (kind === "point") {
      const [[x, y]] = points;
      const reach = 7 * place.dpr;
      path.moveTo(place.x(x) - reach, place.y(y));
      path.lineTo(place.x(x) + reach, place.y(y));
      path.moveTo(place.x(x), place.y(y) - reach);
      path.lineTo(place.x(x), place.y(y) + reach);
    } else {
      points.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](place.x(x), place.y(y)));
      if (kind !== "line" && kind !== "open") path.closePath();
    }
    if (filled) {
      context.fillStyle = `${colour}40`;
      context.fill(path);
    }
    context.lineJoin = "round";
    context.strokeStyle = "rgba(255,255,255,.9)";
    context.lineWidth = 3.5 * place.dpr;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = 1.8 * place.dpr;
    context.stroke(path);
    if (label) {
      const [x, y] = points[0];
      context.lineWidth = 3 * place.dpr;
      context.strokeStyle = "rgba(255,255,255,.9)";
      context.strokeText(label, place.x(x) + 6 * place.dpr, place.y(y) - 6 * place.dpr);
      context.fillStyle = colour;
      context.fillText(label, place.x(x) + 6 * place.dpr, place.y(y) - 6 * place.dpr);
    }
  }
  context.restore();
}

/** Corners of a region {x, y} or {polygon}. */
export function cornersOf(region) {
  if (region.polygon) return region.polygon;
  const { x: [a, b], y: [c, d] } = region;
  return [[a, c], [b, c], [b, d], [a, d]];
}
