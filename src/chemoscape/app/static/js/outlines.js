// Outlines of particles over a map, filled by what was measured of them.
import { drawColourBar, drawShapes } from "./overlay.js";
import { ImageView } from "./image.js";
import { category, scale } from "./palette.js";

const CHOSEN = "#D55E00";

/** An ImageView with particles: `onClick(x, y)` and the tools as there. */
export class ParticleMap extends ImageView {
  constructor(host, options) {
    super(host, options);
    this.outlines = [];
    this.lit = new Set();
    this.left = [];
    this.shade = null;
  }

  /** Particles: outlines [[[x, y], …] per loop] per particle; fill {values, limits, unit, name,
   *  categories} or null. */
  particles(outlines, fill) {
    this.outlines = outlines;
    this.paths = outlines.map((loops) => {
      const path = new Path2D();
      for (const loop of loops) {
        loop.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x, y));
        path.closePath();
      }
      return path;
    });
    this.shade = fill;
    this.draw();
  }

  /** Particles that stand out, and the one that is chosen (or null). */
  light(lit, chosen) {
    this.lit = new Set(lit);
    this.chosen = chosen;
    this.drawFront();
  }

  bar() {
    return !this.withoutBar && Boolean(this.shade && !this.shade.categories);
  }

  render(context, place) {
    this.withoutBar = true;
    super.render(context, place);
    this.withoutBar = false;
    if (!this.bar()) return;
    drawColourBar(context, place, { colours: scale("sequential"), limits: this.shade.limits, unit: this.shade.unit });
  }

  colourOf(i) {
    const value = this.shade?.values[i];
    if (value === null || value === undefined || !Number.isFinite(value)) return null;
    if (this.shade.categories) return category(value);
    const [low, high] = this.shade.limits;
    const at = Math.min(255, Math.max(0, Math.floor((256 * (value - low)) / (high - low || 1))));
    return `rgb(${scale("sequential")[at].join(",")})`;
  }

  drawFront() {
    super.drawFront();
    if (!this.picture || !this.paths) return;
    const context = this.front.getContext("2d");
    const place = this.place();
    const dim = this.lit.size > 0;
    context.save();
    context.beginPath();
    context.rect(0, 0, place.width - place.margin.right, place.height);
    context.clip();
    context.setTransform(place.sx, 0, 0, -place.sy, place.x(0), place.y(0));
    const line = (width) => (width * place.dpr) / place.sx;
    this.paths.forEach((path, i) => {
      const lit = this.lit.has(i);
      const colour = this.colourOf(i);
      context.globalAlpha = dim && !lit ? 0.35 : 0.9;
      if (colour) {
        context.fillStyle = colour;
        context.fill(path, "evenodd");
      }
      context.strokeStyle = "#ffffff";
      context.lineWidth = line(lit ? 4.5 : 2.2);
      context.stroke(path);
      context.strokeStyle = i === this.chosen ? "#000000" : lit ? CHOSEN : "#30363d";
      context.lineWidth = line(lit ? 2.4 : 0.9);
      context.stroke(path);
    });
    context.restore();
    drawShapes(context, place, this.list); // above the particles
    if (this.chosen !== null && this.chosen !== undefined && this.outlines[this.chosen]) {
      const all = this.outlines[this.chosen].flat();
      const x = all.reduce((sum, one) => sum + one[0], 0) / all.length;
      const y = all.reduce((sum, one) => sum + one[1], 0) / all.length;
      context.save();
      context.font = `700 ${12 * place.dpr}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 3.5 * place.dpr;
      context.strokeStyle = "#ffffff";
      context.strokeText(String(this.chosen + 1), place.x(x), place.y(y));
      context.fillStyle = "#000000";
      context.fillText(String(this.chosen + 1), place.x(x), place.y(y));
      context.restore();
    }
  }
}
