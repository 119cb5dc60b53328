// One map on a canvas: colours, zoom, shapes drawn by hand, scale bar, colour bar, readout.
import { lut, scale } from "./palette.js";
import { button, h, number } from "./dom.js";
import { saveMenu } from "./export.js";
import { Histogram } from "./histogram.js";
import { Drawing, TOOLS } from "./drawing.js";
import { fill, fillComposite, outlineOf, veilOf } from "./pixels.js";
import { drawColourBar, drawScaleBar, drawShapes, drawAxes } from "./overlay.js";

/** Zoom and place, shared by views that show the same field. */
export class Viewport {
  constructor() {
    this.zoom = 1;
    this.centre = null; // in the picture's units; null: its middle
    this.views = new Set();
  }

  changed() {
    for (const view of this.views) view.draw();
  }

  reset() {
    this.zoom = 1;
    this.centre = null;
    this.changed();
  }
}

/** A map in a panel's body.
 *
 * host: element to fill (a flex column). Options: `title` (for files), `tools` (of point, rectangle,
 * polygon, lasso, line), `onShape(shape)`, `onHover(x, y, value)`, `contrast` (histogram with
 * handles below), `viewport` (shared), `stretch` (fill the panel, with axes: not a map of the
 * sample), `axes` ([x title, y title], with stretch), `toolsIn` (element for the buttons).
 */
export class ImageView {
  constructor(host, options = {}) {
    this.options = options;
    this.viewport = options.viewport ?? new Viewport();
    this.viewport.views.add(this);
    this.source = document.createElement("canvas"); // the picture, pixel by pixel
    this.picture = null;
    this.list = [];
    this.outline = null;
    this.limits = null; // set by hand
    this.back = h("canvas", { class: "back" });
    this.front = h("canvas", {
      class: "front", tabindex: 0, role: "img", "aria-label": options.title ?? "map",
      "data-test": options.test ? `${options.test}-canvas` : null,
    });
    this.front.view = this;
    this.readout = h("div", { class: "readout number" });
    this.host = h("div", { class: "image-host" }, this.back, this.front);
    this.nothing = h("div", { class: "empty", hidden: true });
    this.host.append(this.nothing);
    host.style.display = "flex";
    host.style.flexDirection = "column";
    host.append(this.host, this.readout);
    if (options.contrast) {
      this.histogram = new Histogram((limits) => {
        this.limits = limits;
        if (!limits && this.picture) this.histogram.take(this.picture, this.shownLimits());
        this.paint();
      });
      host.append(this.histogram.element);
    }
    this.drawing = new Drawing(this);
    this.buildTools();
    new ResizeObserver(() => this.draw()).observe(this.host);
  }

  buildTools() {
    const tools = (this.options.tools ?? []).map((name) => {
      const one = button(TOOLS[name].sign, () => this.use(this.drawing.tool === name ? null : name), {
        title: TOOLS[name].title, label: TOOLS[name].title,
        test: this.options.test ? `${this.options.test}-${name}` : null,
      });
      one.dataset.tool = name;
      return one;
    });
    this.toolbar = h("div", { class: "tools", role: "toolbar" }, tools,
      button("⤢", () => this.viewport.reset(), { title: "Whole field (0)", label: "whole field" }),
      saveMenu(this));
    (this.options.toolsIn ?? this.host.parentElement.parentElement?.querySelector("header"))?.append(this.toolbar);
  }

  /** Take up a tool, or none. */
  use(name) {
    this.drawing.use(name);
    for (const one of this.toolbar.querySelectorAll("[data-tool]")) {
      one.setAttribute("aria-pressed", String(one.dataset.tool === name));
    }
  }

  /** Show a picture: {palette, limits, label, unit}; palette by its kind where none is named. */
  show(picture, how = {}) {
    this.rgb = null;
    this.legend = null;
    this.picture = picture;
    this.how = how;
    this.nothing.hidden = true;
    this.host.dataset.shown = how.label ?? picture.header.name;
    this.histogram?.take(picture, this.shownLimits());
    this.paint();
  }

  /** Show nothing, and say why. */
  clear(text = "") {
    this.picture = null;
    this.rgb = null;
    this.nothing.textContent = text;
    this.nothing.hidden = false;
    this.histogram?.take(null);
    this.draw();
  }

  /** Up to three pictures as red, green and blue (or `how.colours`, [r, g, b] each), each between
   *  its limits [low, high]. */
  showRGB(pictures, limits, how = {}) {
    const first = pictures.find(Boolean);
    this.picture = first;
    this.how = { ...how, bar: false };
    this.rgb = { pictures, limits };
    this.nothing.hidden = true;
    this.paint();
  }

  /** Limits of the colours: by hand, as given, or by the picture's own percentiles. */
  shownLimits() {
    if (this.limits) return this.limits;
    if (this.how?.limits) return this.how.limits;
    const header = this.picture.header;
    const [low, high] = header.robust;
    const palette = this.palette();
    if (palette === "diverging") {
      const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
      return [-most, most];
    }
    return high > low ? [low, high] : [low, low + (Math.abs(low) || 1)];
  }

  palette() {
    return this.how?.palette ?? this.picture?.header.kind ?? "sequential";
  }

  /** Colour the pixels again, and draw. */
  paint() {
    const picture = this.picture;
    if (!picture) return;
    const { nx, ny } = picture;
    if (this.source.width !== nx || this.source.height !== ny || !this.pixels) {
      this.source.width = nx;
      this.source.height = ny;
      this.context = this.source.getContext("2d", { willReadFrequently: false });
      this.pixels = this.context.createImageData(nx, ny);
      this.words = new Uint32Array(this.pixels.data.buffer);
    }
    if (this.rgb) fillComposite(this.pixels.data, this.rgb, this.how.colours);
    else fill(this.words, picture, lut(this.palette(), picture.header, ...this.shownLimits()));
    this.context.putImageData(this.pixels, 0, 0);
    this.draw();
  }

  /** Shapes over the map: [{kind, points [[x, y], …], colour, label, filled}], in its units. */
  shapes(list) {
    this.list = list;
    this.drawFront();
  }

  /** The outline of a mask over the map; null takes it away. */
  mask(picture, colour = [213, 94, 0]) {
    this.outline = picture ? outlineOf(picture, colour) : null;
    this.draw();
  }

  /** Fade all but a mask; null shows all again. */
  veil(picture) {
    this.outline = picture ? veilOf(picture) : null;
    this.draw();
  }

  /** Transformation from the picture's units to the canvas: {x(v), y(v), left, top, …}. */
  place() {
    const dpr = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(this.host.clientWidth * dpr), 1);
    const height = Math.max(Math.round(this.host.clientHeight * dpr), 1);
    const margin = this.options.stretch
      ? { left: 46 * dpr, right: 8 * dpr, top: 6 * dpr, bottom: 34 * dpr }
      : { left: 0, right: this.bar() ? 62 * dpr : 0, top: 0, bottom: 0 };
    const [x0, x1, y0, y1] = this.picture.extent;
    const inner = [width - margin.left - margin.right, height - margin.top - margin.bottom];
    let sx = inner[0] / (x1 - x0);
    let sy = inner[1] / (y1 - y0);
    if (!this.options.stretch) sx = sy = Math.min(sx, sy);
    sx *= this.viewport.zoom;
    sy *= this.viewport.zoom;
    const centre = this.viewport.centre ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    const cx = margin.left + inner[0] / 2;
    const cy = margin.top + inner[1] / 2;
    return {
      dpr, width, height, margin, inner, sx, sy,
      x: (v) => cx + (v - centre[0]) * sx,
      y: (v) => cy - (v - centre[1]) * sy,
      toX: (px) => centre[0] + (px - cx) / sx,
      toY: (py) => centre[1] - (py - cy) / sy,
    };
  }

  /** Where the picture lies in its canvas, as parts of its size: left, top, right, bottom. */
  fieldOnScreen() {
    const [x0, x1, y0, y1] = this.picture.extent;
    const place = this.place();
    return [place.x(x0) / place.width, place.y(y1) / place.height, place.x(x1) / place.width, place.y(y0) / place.height];
  }

  bar() {
    return this.how?.bar !== false && !["labels", "mask"].includes(this.palette()) && !this.options.stretch;
  }

  /** Draw the picture, then what lies over it. */
  draw() {
    if (!this.host.clientWidth) return;
    const dpr = window.devicePixelRatio || 1;
    for (const canvas of [this.back, this.front]) {
      const width = Math.round(this.host.clientWidth * dpr);
      const height = Math.round(this.host.clientHeight * dpr);
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
    }
    const context = this.back.getContext("2d");
    context.clearRect(0, 0, this.back.width, this.back.height);
    if (!this.picture) {
      this.front.getContext("2d").clearRect(0, 0, this.front.width, this.front.height);
      return;
    }
    this.render(context, this.place());
    this.drawFront();
    this.painted = (this.painted ?? 0) + 1;
    this.host.dataset.painted = this.painted;
  }

  /** The picture, its scale bar and colour bar, onto any canvas. */
  render(context, place) {
    const [x0, x1, y0, y1] = this.picture.extent;
    const { margin, inner } = place;
    context.save();
    context.beginPath();
    context.rect(margin.left, margin.top, inner[0], inner[1]);
    context.clip();
    context.imageSmoothingEnabled = false;
    const box = [place.x(x0), place.y(y1), (x1 - x0) * place.sx, (y1 - y0) * place.sy];
    context.drawImage(this.source, ...box);
    if (this.outline) context.drawImage(this.outline, ...box);
    context.restore();
    if (this.options.stretch) drawAxes(context, place, this.options.axes ?? ["", ""]);
    else drawScaleBar(context, place);
    if (this.bar()) {
      drawColourBar(context, place, {
        colours: scale(this.palette()), limits: this.shownLimits(),
        unit: this.how?.unit ?? this.picture.header.unit,
      });
    }
  }

  drawFront() {
    if (!this.picture) return;
    const context = this.front.getContext("2d");
    context.clearRect(0, 0, this.front.width, this.front.height);
    const { margin, inner } = this.place();
    context.save();
    context.beginPath();
    context.rect(margin.left, margin.top, inner[0], inner[1]);
    context.clip(); // not over the axes or the colour bar
    drawShapes(context, this.place(), this.list);
    context.restore();
    if (this.list.length && !this.options.stretch) drawScaleBar(context, this.place()); // not hidden by shapes
    this.drawing.draw(context, this.place());
  }

  /** Say what lies at a place. */
  hover(x, y) {
    if (!this.picture) return;
    const at = this.picture.pixelAt(x, y);
    const value = at ? this.picture.value(...at) : NaN;
    const { unit, name } = this.picture.header;
    const places = Math.max(0, 2 - Math.floor(Math.log10(this.picture.pitch[0] || 1)));
    const axis = this.options.stretch ? "" : " µm";
    const told = this.rgb ? "" : `: ${this.how?.label ?? name} ${number(value, 5)}${unit && unit !== "1" ? ` ${unit}` : ""}`;
    this.readout.textContent = at
      ? `x ${x.toFixed(Math.min(places, 6))}, y ${y.toFixed(Math.min(places, 6))}${axis}${told}` : "";
    this.options.onHover?.(x, y, value);
  }
}
