// The histogram of a picture, with two handles for the limits of its colours.
import { h, number } from "./dom.js";

const BINS = 160;

/** Limits by hand: dragged, or moved by arrow keys; double click gives them back to the picture. */
export class Histogram {
  constructor(onLimits) {
    this.onLimits = onLimits;
    this.canvas = h("canvas", { class: "histogram", "aria-hidden": "true" });
    this.handles = ["lowest", "highest"].map((name, i) => h("input", {
      type: "number", step: "any", "aria-label": `${name} value of the colours`,
      style: { width: "84px", minHeight: "21px", padding: "0 4px" },
      onchange: () => this.set(i, Number(this.handles[i].value)),
    }));
    this.auto = h("button", { type: "button", title: "Limits by the picture (double click)", onclick: () => this.free() }, "auto");
    this.element = h("div", {}, this.canvas,
      h("div", { class: "row", style: { margin: "1px 0", fontSize: "11.5px" } }, "colours from ", this.handles[0], " to ", this.handles[1], this.auto));
    this.canvas.addEventListener("pointerdown", (event) => this.drag(event));
    this.canvas.addEventListener("dblclick", () => this.free());
  }

  /** Count a picture's levels; `limits` are those shown. */
  take(picture, limits) {
    this.picture = picture;
    if (!picture) return;
    const counts = new Uint32Array(BINS);
    const { data } = picture;
    const step = Math.max(1, Math.floor(data.length / 250000));
    for (let i = 0; i < data.length; i += step) {
      if (data[i]) counts[Math.floor(((data[i] - 1) * BINS) / 65535)]++;
    }
    this.counts = counts;
    const { low, step: spacing } = picture.header;
    this.range = [low, low + 65534 * spacing];
    this.limits = limits;
    this.draw();
  }

  x(value) {
    const [low, high] = this.range;
    return ((value - low) / (high - low || 1)) * this.canvas.width;
  }

  draw() {
    const { canvas, counts } = this;
    canvas.width = canvas.clientWidth || 200;
    canvas.height = canvas.clientHeight || 44;
    const context = canvas.getContext("2d");
    const most = Math.log1p(Math.max(...counts));
    context.fillStyle = "#9aa4b1";
    counts.forEach((count, i) => {
      const tall = (Math.log1p(count) / (most || 1)) * (canvas.height - 3);
      context.fillRect((i * canvas.width) / BINS, canvas.height - tall, canvas.width / BINS + 0.5, tall);
    });
    context.fillStyle = "#0b5a9d";
    this.limits.forEach((value, i) => {
      context.fillRect(Math.min(Math.max(this.x(value) - 1, 0), canvas.width - 2), 0, 2, canvas.height);
      if (document.activeElement !== this.handles[i]) this.handles[i].value = number(value, 4);
    });
  }

  set(i, value) {
    if (!Number.isFinite(value) || !this.picture) return;
    const limits = [...this.limits];
    limits[i] = value;
    if (limits[1] <= limits[0]) return;
    this.limits = limits;
    this.draw();
    this.onLimits(limits);
  }

  free() {
    this.onLimits(null);
  }

  drag(event) {
    if (!this.picture) return;
    const value = (one) => this.range[0] + (one.offsetX / this.canvas.clientWidth) * (this.range[1] - this.range[0]);
    const at = value(event);
    const i = Math.abs(at - this.limits[0]) < Math.abs(at - this.limits[1]) ? 0 : 1;
    this.canvas.setPointerCapture(event.pointerId);
    const move = (one) => this.set(i, value(one));
    const stop = () => this.canvas.removeEventListener("pointermove", move);
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", stop, { once: true });
  }
}
