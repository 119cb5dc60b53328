// Fields on triangles: how they come from the server, and how they are painted into pixels.
import { askBytes } from "./api.js";
import { scale } from "./palette.js";

/** One field under one boundary: nodes x, y (µm), displacement ux, uy (µm), value; triangles. */
export class Mesh {
  constructor({ header, buffer, offset }) {
    this.header = header;
    const { nodes, triangles, sides } = header;
    const row = (i) => new Float32Array(buffer, offset + 4 * i * nodes, nodes);
    [this.ux, this.uy, this.values] = [2, 3, 4].map(row);
    [this.x, this.y] = header.origin.map((start, i) => Float64Array.from(row(i), (one) => start + one));
    const at = offset + 20 * nodes;
    this.triangles = new Uint32Array(buffer, at, 3 * triangles);
    this.sides = new Uint32Array(buffer, at + 12 * triangles, 2 * sides);
  }

  /** Lowest and highest place of the nodes [left, right, bottom, top], µm. */
  get extent() {
    const ends = (of) => of.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)],
      [Infinity, -Infinity]);
    return [...ends(this.x), ...ends(this.y)];
  }

  /** Value and undeformed place at weights (b, c; a = 1 - b - c) within a triangle. */
  inside(triangle, b, c) {
    const corners = this.triangles.subarray(3 * triangle, 3 * triangle + 3);
    const mix = (of) => (1 - b - c) * of[corners[0]] + b * of[corners[1]] + c * of[corners[2]];
    return { x: mix(this.x), y: mix(this.y), value: mix(this.values) };
  }
}

/** Ask for a field: boundary "free", "fixed" or the name of the springs. */
export async function askMesh(boundary, field) {
  return new Mesh(await askBytes("stress/mesh", { boundary, field }));
}

/** 256 colours of a scale as 32-bit RGBA. */
export function colours(name) {
  return Uint32Array.from(scale(name), ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
}

/** Places of the nodes on the screen: `view` {left, top, scale} in µm and pixels a µm; displacement
 *  drawn `factor` times. */
export function placed(mesh, view, factor) {
  const n = mesh.x.length;
  const px = new Float32Array(n);
  const py = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    px[i] = (mesh.x[i] + factor * mesh.ux[i] - view.left) * view.scale;
    py[i] = (view.top - mesh.y[i] - factor * mesh.uy[i]) * view.scale;
  }
  return { px, py };
}

/** Paint a field, linear in every triangle.
 *
 *  `pixels` (Uint32 RGBA) and `owner` (Int32: triangle of every pixel, -1 outside) are of
 *  width × height and are overwritten; `limits` are the ends of the 256 `colours`. */
export function paint(mesh, { px, py }, { pixels, owner, width, height }, limits, lut) {
  pixels.fill(0);
  owner.fill(-1);
  const { triangles, values } = mesh;
  const toLevel = 256 / (limits[1] - limits[0] || 1);
  for (let t = 0, k = 0; k < triangles.length; t++, k += 3) {
    const i = triangles[k], j = triangles[k + 1], l = triangles[k + 2];
    const ax = px[i], ay = py[i], bx = px[j], by = py[j], cx = px[l], cy = py[l];
    const twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (twice === 0) continue;
    const x0 = Math.max(0, Math.floor(Math.min(ax, bx, cx)));
    const x1 = Math.min(width - 1, Math.ceil(Math.max(ax, bx, cx)));
    const y0 = Math.max(0, Math.floor(Math.min(ay, by, cy)));
    const y1 = Math.min(height - 1, Math.ceil(Math.max(ay, by, cy)));
    if (x1 < x0 || y1 < y0) continue;
    // weights of the second and third corner are linear in the place
    const bdx = (cy - ay) / twice, bdy = -(cx - ax) / twice;
    const cdx = -(by - ay) / twice, cdy = (bx - ax) / twice;
    const va = (values[i] - limits[0]) * toLevel;
    const vb = (values[j] - values[i]) * toLevel, vc = (values[l] - values[i]) * toLevel;
    for (let y = y0; y <= y1; y++) {
      let b = (x0 + 0.5 - ax) * bdx + (y + 0.5 - ay) * bdy;
      let c = (x0 + 0.5 - ax) * cdx + (y + 0.5 - ay) * cdy;
      let at = y * width + x0;
      for (let x = x0; x <= x1; x++, at++, b += bdx, c += cdx) {
        if (b < -1e-5 || c < -1e-5 || b + c > 1.00001) continue;
        const level = va + b * vb + c * vc;
        pixels[at] = lut[level < 0 ? 0 : level > 255 ? 255 : level | 0];
        owner[at] = t;
      }
    }
  }
}

/** Weights of the second and third corner of a triangle at a place on the screen. */
export function weights(mesh, { px, py }, triangle, x, y) {
  const [i, j, l] = mesh.triangles.subarray(3 * triangle, 3 * triangle + 3);
  const bx = px[j] - px[i], by = py[j] - py[i], cx = px[l] - px[i], cy = py[l] - py[i];
  const twice = bx * cy - by * cx;
  const dx = x - px[i], dy = y - py[i];
  return [(dx * cy - dy * cx) / twice, (bx * dy - by * dx) / twice];
}

/** Add lines between pairs of nodes to a path of a 2-D context. */
export function trace(context, pairs, { px, py }) {
  context.beginPath();
  for (let k = 0; k < pairs.length; k += 2) {
    context.moveTo(px[pairs[k]], py[pairs[k]]);
    context.lineTo(px[pairs[k + 1]], py[pairs[k + 1]]);
  }
}

/** Add closed lines through nodes to a path of a 2-D context. */
export function traceLoops(context, loops, { px, py }) {
  context.beginPath();
  for (const loop of loops) {
    loop.forEach((node, i) => context[i ? "lineTo" : "moveTo"](px[node], py[node]));
    context.closePath();
  }
}

/** The sides of the outlines as closed lines of nodes. */
export function loopsOf(mesh) {
  if (mesh.loops) return mesh.loops;
  const next = new Map();
  const add = (from, to) => { next.get(from)?.push(to) ?? next.set(from, [to]); };
  for (let k = 0; k < mesh.sides.length; k += 2) {
    add(mesh.sides[k], mesh.sides[k + 1]);
    add(mesh.sides[k + 1], mesh.sides[k]);
  }
  mesh.loops = [];
  for (const start of next.keys()) {
    const loop = [];
    for (let at = start; at !== undefined;) {
      loop.push(at);
      const to = next.get(at).pop();
      if (to === undefined) break;
      const back = next.get(to);
      back.splice(back.indexOf(at), 1);
      at = to;
    }
    if (loop.length > 2) mesh.loops.push(loop);
  }
  return mesh.loops;
}

/** Displacement [ux, uy] in µm at places [[x, y], …] on the undeformed mesh; none outside. */
export function displacements(mesh, places) {
  const { x, y, ux, uy, triangles } = mesh;
  const found = places.map(() => [0, 0]);
  const undeformed = { px: x, py: y };
  for (let t = 0, k = 0; k < triangles.length; t++, k += 3) {
    const i = triangles[k], j = triangles[k + 1], l = triangles[k + 2];
    const x0 = Math.min(x[i], x[j], x[l]), x1 = Math.max(x[i], x[j], x[l]);
    const y0 = Math.min(y[i], y[j], y[l]), y1 = Math.max(y[i], y[j], y[l]);
    for (let p = 0; p < places.length; p++) {
      const [at, up] = places[p];
      if (at < x0 || at > x1 || up < y0 || up > y1) continue;
      const [b, c] = weights(mesh, undeformed, t, at, up);
      if (b < -1e-5 || c < -1e-5 || b + c > 1.00001) continue;
      const mix = (of) => (1 - b - c) * of[i] + b * of[j] + c * of[l];
      found[p] = [mix(ux), mix(uy)];
    }
  }
  return found;
}

/** All sides of the triangles, each once, as pairs of nodes. */
export function edges(mesh) {
  if (mesh.edges) return mesh.edges;
  const seen = new Set();
  const n = mesh.x.length;
  const { triangles } = mesh;
  for (let k = 0; k < triangles.length; k += 3) {
    for (let e = 0; e < 3; e++) {
      const a = triangles[k + e], b = triangles[k + ((e + 1) % 3)];
      seen.add(Math.min(a, b) * n + Math.max(a, b));
    }
  }
  mesh.edges = new Uint32Array(2 * seen.size);
  let at = 0;
  for (const one of seen) {
    mesh.edges[at++] = Math.floor(one / n);
    mesh.edges[at++] = one % n;
  }
  return mesh.edges;
}
