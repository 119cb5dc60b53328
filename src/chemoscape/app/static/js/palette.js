// The report's colours, as the server has them from there.
import { ask } from "./api.js";

/** Colour of pixels without a value. */
export const NOTHING = [224, 224, 224];
let scales = {};
let categories = ["#0072B2"];

/** Fetch the colours, once, before anything is drawn. */
export async function loadPalettes() {
  ({ scales, categories } = await ask("palettes"));
}

/** 256 colours [r, g, b] of a scale: sequential, diverging, error or grey. */
export function scale(name) {
  return scales[name] ?? scales.sequential;
}

/** Colour of category i, as "#rrggbb"; they repeat after eight. */
export function category(i) {
  return categories[((i % categories.length) + categories.length) % categories.length];
}

/** The same as [r, g, b]. */
export function categoryRGB(i) {
  const hex = category(i);
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Colours of all 65536 levels of a picture as 32-bit RGBA, for values from low to high. */
export function lut(name, header, low, high) {
  const out = new Uint32Array(65536);
  const pack = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
  out[0] = pack(NOTHING);
  if (name === "labels" || name === "mask") {
    for (let level = 1; level < 65536; level++) {
      const label = Math.round(header.low + (level - 1) * header.step);
      if (name === "mask") out[level] = label ? pack([11, 90, 157]) : pack([246, 246, 246]);
      else out[level] = label < 0 ? pack([246, 246, 246]) : pack(categoryRGB(label));
    }
    return out;
  }
  const colours = scale(name).map(pack);
  const range = high - low || 1;
  const start = (header.low - low) / range;
  const slope = header.step / range;
  for (let level = 1; level < 65536; level++) {
    const at = Math.floor((start + (level - 1) * slope) * 256);
    out[level] = colours[at < 0 ? 0 : at > 255 ? 255 : at];
  }
  return out;
}
