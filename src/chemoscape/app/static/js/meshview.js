// A field on triangles in the place of a map: deformed shape, outline, mesh, probes.
import { colours, displacements, edges, loopsOf, paint, placed, trace, traceLoops, weights } from "./meshes.js";
import { drawColourBar, drawScaleBar } from "./overlay.js";
import { ImageView } from "./image.js";
import { number } from "./dom.js";
import { scale } from "./palette.js";

/** More sides than this are drawn only while nothing moves. */
const MANY_SIDES = 60000;

/** An ImageView of a mesh; `title` and `test` as there, and `onProbe([x, y])`, `onLine([[x, y], …])`
 *  with places on the undeformed particle. */
export class MeshView extends ImageView {
  constructor(host, options) {
    super(host, {
      tools: ["point", "line"], ...options,
      onShape: (shape) => {
        if (shape.kind === "point") options.onProbe?.(this.material(shape.x, shape.y));
        else options.onLine?.(shape.line.map(([x, y]) => this.material(x, y)));
      },
      onClick: (x, y) => options.onProbe?.(this.material(x, y)),
    });
    this.canvas = document.createElement("canvas");
    this.besideWhenSaved = 62; // its colour bar, which the page draws once for all
    this.factor = 0;
    this.lines = false;
    this.probes = [];
    this.track = [];
  }

  /** Show a mesh: {limits, palette, extent (common to all views)}. */
  showMesh(mesh, how) {
    const { header } = mesh;
    this.mesh = mesh;
    this.palette_ = colours(how.palette);
    this.how = { ...how, label: header.name, unit: header.unit, bar: false };
    this.limits = null;
    const [x0, x1, y0, y1] = how.extent;
    this.picture = { // what ImageView needs to know of a picture
      extent: how.extent, pitch: [(x1 - x0) / 500, (y1 - y0) / 500], header,
      pixelAt: () => null, value: () => NaN, nx: 0, ny: 0,
    };
    this.nothing.hidden = true;
    this.host.dataset.shown = `${header.boundary} ${header.field}`;
    this.draw();
  }

  /** How it is drawn: {factor (of the displacement), lines (of the mesh)}. */
  set({ factor = this.factor, lines = this.lines }) {
    this.factor = factor;
    this.lines = lines;
    this.draw();
  }

  /** Numbered markers [{x, y, degrees}], on the undeformed particle; degrees of the largest
   *  principal stress, or null. */
  mark(probes, track) {
    const step = (k) => track[0].map((from, i) => from + (k / 60) * (track.at(-1)[i] - from));
    const along = !track ? [] : track.length > 2 ? track : Array.from({ length: 61 }, (_, k) => step(k));
    const places = [...probes.map(({ x, y }) => [x, y]), ...along];
    const moved = displacements(this.mesh, places);
    this.probes = probes.map((one, i) => ({ ...one, moved: moved[i] }));
    this.track = along.map((at, i) => ({ at, moved: moved[probes.length + i] }));
    this.drawFront();
  }

  paint() {
    this.draw();
  }

  render(context, place) {
    const { width, height, margin, inner } = place;
    const view = { left: place.toX(0), top: place.toY(0), scale: place.sx };
    this.at = placed(this.mesh, view, this.factor);
    if (this.canvas.width !== width || this.canvas.height !== height || !this.image) {
      this.canvas.width = width;
      this.canvas.height = height;
      const own = this.canvas.getContext("2d");
      this.image = own.createImageData(width, height);
      this.raster = {
        width, height, pixels: new Uint32Array(this.image.data.buffer),
        owner: new Int32Array(width * height),
      };
    }
    paint(this.mesh, this.at, this.raster, this.how.limits, this.palette_);
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    context.save();
    context.beginPath();
    context.rect(margin.left, margin.top, inner[0], inner[1]);
    context.clip();
    context.drawImage(this.canvas, 0, 0);
    if (this.lines && edges(this.mesh).length < MANY_SIDES * (this.drawing.pressed ? 1 : 8)) {
      context.strokeStyle = this.how.palette === "stress" ? "rgba(255,255,255,.45)" : "rgba(28,32,36,.35)";
      context.lineWidth = 0.5 * place.dpr;
      trace(context, edges(this.mesh), this.at);
      context.stroke();
    }
    context.strokeStyle = "#30363d";
    context.lineWidth = place.dpr;
    traceLoops(context, loopsOf(this.mesh), this.at);
    context.stroke();
    if (this.factor > 0) { // where the outline was
      context.strokeStyle = "#5a6370";
      context.setLineDash([4 * place.dpr, 3 * place.dpr]);
      traceLoops(context, loopsOf(this.mesh), placed(this.mesh, view, 0));
      context.stroke();
    }
    context.restore();
    drawScaleBar(context, place);
    if (context.canvas !== this.back) { // a saved figure stands alone
      drawColourBar(context, place, {
        colours: scale(this.how.palette), limits: this.how.limits, unit: this.how.unit,
      });
    }
  }

  /** The field at the nodes, as CSV. */
  csv() {
    const { x, y, ux, uy, values, header } = this.mesh;
    const lines = [`# ${header.name}, boundary ${header.boundary}`,
      `x (µm),y (µm),displacement along x (µm),displacement along y (µm),${header.field} (${header.unit})`];
    x.forEach((_, i) => lines.push([x[i], y[i], ux[i], uy[i], values[i]].map((v) => Number(v.toPrecision(7))).join(",")));
    return `${lines.join("\n")}\n`;
  }

  /** The undeformed place and the value that are drawn at a place; null outside. */
  find(x, y) {
    if (!this.mesh || !this.at) return null;
    const place = this.place();
    const px = place.x(x), py = place.y(y);
    const { width, height, owner } = this.raster;
    const column = Math.floor(px), row = Math.floor(py);
    if (column < 0 || row < 0 || column >= width || row >= height) return null;
    const triangle = owner[row * width + column];
    if (triangle < 0) return null;
    return this.mesh.inside(triangle, ...weights(this.mesh, this.at, triangle, px, py));
  }

  /** The place on the undeformed particle, [x, y] in µm; outside as it is. */
  material(x, y) {
    const found = this.find(x, y);
    return found ? [found.x, found.y] : [x, y];
  }

  hover(x, y) {
    const found = this.find(x, y);
    const { name, unit } = this.how ?? {};
    this.readout.textContent = found
      ? `x ${found.x.toFixed(3)}, y ${found.y.toFixed(3)} µm: ${number(found.value, 4)} ${unit}` : "";
    this.options.onHover?.(x, y, found?.value, name);
  }

  drawFront() {
    super.drawFront();
    if (!this.picture || !this.mesh) return;
    const context = this.front.getContext("2d");
    const place = this.place();
    const { dpr } = place;
    context.save();
    const across = (x, [ux]) => place.x(x + this.factor * ux);
    const up = (y, [, uy]) => place.y(y + this.factor * uy);
    if (this.track.length) {
      const path = new Path2D();
      this.track.forEach(({ at: [x, y], moved }, i) => path[i ? "lineTo" : "moveTo"](across(x, moved), up(y, moved)));
      stroke(context, path, "#1c2024", 1.6 * dpr);
    }
    context.font = `600 ${11 * dpr}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.probes.forEach(({ x, y, degrees, moved }, i) => {
      const px = across(x, moved), py = up(y, moved);
      if (Number.isFinite(degrees)) { // the directions of the principal stresses, the first longer
        for (const [turn, reach] of [[0, 19], [90, 12]]) {
          const angle = ((degrees + turn) * Math.PI) / 180;
          const dx = reach * dpr * Math.cos(angle), dy = -reach * dpr * Math.sin(angle);
          const path = new Path2D();
          path.moveTo(px - dx, py - dy);
          path.lineTo(px + dx, py + dy);
          stroke(context, path, "#1c2024", 1.6 * dpr);
        }
      }
      context.beginPath();
      context.arc(px, py, 8 * dpr, 0, 2 * Math.PI);
      context.fillStyle = "#ffffff";
      context.strokeStyle = "#1c2024";
      context.lineWidth = 1.4 * dpr;
      context.fill();
      context.stroke();
      context.fillStyle = "#1c2024";
      context.fillText(String(i + 1), px, py + 0.5 * dpr);
    });
    context.restore();
  }
}

function stroke(context, path, colour, width) {
  context.strokeStyle = "rgba(255,255,255,.9)";
  context.lineWidth = 2.2 * width;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}
