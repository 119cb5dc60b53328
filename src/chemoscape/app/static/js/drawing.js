// Shapes drawn on a map by mouse, pen or keyboard; zoom and pan where no tool is taken up.
import { drawShapes } from "./overlay.js";

/** Tools: the sign on the button, and what it says. */
export const TOOLS = {
  point: { sign: "+", title: "Point: click, or arrow keys and Enter" },
  rectangle: { sign: "▭", title: "Rectangle: drag, or arrow keys and Enter twice" },
  polygon: { sign: "⬠", title: "Polygon: click corners, double-click or Enter twice to close" },
  lasso: { sign: "✎", title: "Lasso: draw around" },
  line: { sign: "╱", title: "Line: drag, or arrow keys and Enter twice" },
};
/** Movements on the screen below this (CSS pixels) are a click. */
const STILL = 3;

/** Follows the pointer and the keys over one ImageView. */
export class Drawing {
  constructor(view) {
    this.view = view;
    this.tool = null;
    this.points = [];
    this.cursor = null; // moved by keys
    const canvas = view.front;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("dblclick", () => this.closePolygon());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  use(name) {
    this.tool = name;
    this.points = [];
    this.cursor = null;
    this.view.front.style.cursor = name ? "crosshair" : "grab";
    if (name) this.view.front.focus({ preventScroll: true });
    this.view.drawFront();
  }

  at(event) {
    const place = this.view.place();
    return [place.toX(event.offsetX * place.dpr), place.toY(event.offsetY * place.dpr)];
  }

  down(event) {
    if (!this.view.picture || event.button) return;
    this.view.front.setPointerCapture(event.pointerId);
    this.pressed = { where: [event.offsetX, event.offsetY], centre: this.view.viewport.centre };
    const here = this.at(event);
    if (this.tool === "polygon") this.points.push(here);
    else if (this.tool) this.points = [here];
    this.view.drawFront();
  }

  move(event) {
    if (!this.view.picture) return;
    const here = this.at(event);
    this.view.hover(...here);
    if (!this.pressed) {
      this.follow = here;
      if (this.tool === "polygon" && this.points.length) this.view.drawFront();
      return;
    }
    if (this.tool === "lasso") this.points.push(here);
    else if (this.tool === "rectangle" || this.tool === "line") this.points = [this.points[0], here];
    else if (!this.tool) this.pan(event);
    this.view.drawFront();
  }

  up(event) {
    if (!this.pressed) return;
    const [x, y] = this.pressed.where;
    const still = Math.hypot(event.offsetX - x, event.offsetY - y) < STILL;
    this.pressed = null;
    if (this.tool === "point" && still) this.finish([this.at(event)]);
    else if (!this.tool && still) this.view.options.onClick?.(...this.at(event));
    else if (this.tool === "lasso" && this.points.length > 3) this.finish(this.points);
    else if ((this.tool === "rectangle" || this.tool === "line") && !still) this.finish(this.points);
  }

  pan(event) {
    const { view, pressed } = this;
    const place = view.place();
    const [x0, x1, y0, y1] = view.picture.extent;
    const start = pressed.centre ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    view.viewport.centre = [
      start[0] - ((event.offsetX - pressed.where[0]) * place.dpr) / place.sx,
      start[1] + ((event.offsetY - pressed.where[1]) * place.dpr) / place.sy,
    ];
    view.viewport.changed();
  }

  wheel(event) {
    if (!this.view.picture) return;
    event.preventDefault();
    const factor = Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 400);
    this.zoomBy(factor, this.at(event));
  }

  zoomBy(factor, about) {
    const { view } = this;
    const [x0, x1, y0, y1] = view.picture.extent;
    const centre = view.viewport.centre ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    const zoom = Math.min(Math.max(view.viewport.zoom * factor, 1), 60);
    const used = zoom / view.viewport.zoom;
    view.viewport.centre = zoom === 1 ? null : centre.map((c, i) => about[i] + (c - about[i]) / used);
    view.viewport.zoom = zoom;
    view.viewport.changed();
  }

  key(event) {
    const { view } = this;
    if (!view.picture || event.ctrlKey || event.metaKey) return;
    const [dx, dy] = view.picture.pitch;
    const [x0, x1, y0, y1] = view.picture.extent;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, dy], ArrowDown: [0, -dy] };
    if (this.tool && moves[event.key]) {
      const from = this.cursor ?? [(x0 + x1) / 2, (y0 + y1) / 2];
      this.cursor = from.map((v, i) => v + step * moves[event.key][i]);
      this.view.hover(...this.cursor);
    } else if (this.tool && event.key === "Enter") this.enter();
    else if (event.key === "Escape") view.use(null);
    else if (event.key === "+" || event.key === "-") {
      this.zoomBy(event.key === "+" ? 1.25 : 0.8, view.viewport.centre ?? [(x0 + x1) / 2, (y0 + y1) / 2]);
    } else if (event.key === "0") view.viewport.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
    view.drawFront();
  }

  enter() {
    if (!this.cursor) return;
    const last = this.points.at(-1);
    const same = last && last[0] === this.cursor[0] && last[1] === this.cursor[1];
    if (this.tool === "point") this.finish([this.cursor]);
    else if (this.tool === "polygon" || this.tool === "lasso") {
      if (same) this.closePolygon();
      else this.points.push(this.cursor);
    } else if (!this.points.length) this.points = [this.cursor];
    else if (!same) this.finish([this.points[0], this.cursor]);
  }

  closePolygon() {
    if (this.tool !== "polygon" && this.tool !== "lasso") return;
    const corners = this.points.filter(([x, y], i, all) => !i || x !== all[i - 1][0] || y !== all[i - 1][1]);
    if (corners.length > 2) this.finish(corners);
  }

  finish(points) {
    const { view, tool } = this;
    this.points = [];
    const round = (one) => one.map((v) => Number(v.toPrecision(7)));
    const corners = points.map(round);
    const shape = { kind: tool };
    if (tool === "point") [[shape.x, shape.y]] = corners;
    else if (tool === "line") shape.line = corners;
    else if (tool === "rectangle") {
      const axis = (i) => corners.map((one) => one[i]).sort((a, b) => a - b);
      shape.region = { x: axis(0), y: axis(1) };
    } else shape.region = { polygon: tool === "lasso" ? thinned(corners) : corners };
    view.drawFront();
    view.options.onShape?.(shape);
  }

  draw(context, place) {
    if (this.cursor) drawShapes(context, place, [{ kind: "point", points: [this.cursor], colour: "#000000" }]);
    if (!this.points.length || this.tool === "point") return;
    let points = this.points;
    if (this.tool === "polygon" && this.follow) points = [...points, this.follow];
    if (this.tool === "rectangle" && points.length === 2) {
      const [[a, c], [b, d]] = points;
      points = [[a, c], [b, c], [b, d], [a, d]];
    }
    const kind = this.tool === "rectangle" ? "polygon" : "open";
    drawShapes(context, place, [{ kind, points }]);
  }
}

/** At most 200 of the points of a line drawn by hand. */
function thinned(points) {
  const step = Math.max(1, Math.ceil(points.length / 200));
  return points.filter((_, i) => i % step === 0);
}
