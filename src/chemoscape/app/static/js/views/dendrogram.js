// The tree of the clusters found, with a cut that can be moved, and below it what they are now.
import { category } from "../palette.js";
import { number } from "../dom.js";
import { ticks } from "../overlay.js";

const NS = "http://www.w3.org/2000/svg";
const MARGIN = { left: 44, right: 12, top: 14, bottom: 58 };
const CHIP = 22;

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Black or white, whichever is read better on a colour "#rrggbb". */
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** The dendrogram in a panel's body.
 *
 * told: onCutting(n) while the cut is dragged, onCut(n) when it is set, onSelect(clusters, more)
 * when chips or branches are clicked (more: in addition to those selected).
 */
export class Dendrogram {
  constructor(host, told) {
    this.told = told;
    this.host = host;
    this.svg = s("svg", { role: "group", "aria-label": "dendrogram of the clusters", width: "100%", height: "100%" });
    this.svg.style.cssText = "position:absolute;inset:0;user-select:none;touch-action:none";
    // where the keys go: a line or a ring of its own, not the box around it
    for (const [type, on] of [["focusin", true], ["focusout", false]]) {
      this.svg.addEventListener(type, ({ target }) => {
        const ring = target.querySelector?.(".ring");
        if (ring) ring.style.opacity = on && target.matches(":focus-visible") ? 1 : 0;
      });
    }
    host.append(this.svg);
    new ResizeObserver(() => this.draw()).observe(host);
  }

  /** Show a tree (explore/tree), the clusters now (header of explore/preview), those selected. */
  show(tree, now, selected) {
    Object.assign(this, { tree, now, selected });
    this.draw();
  }

  clear() {
    this.tree = null;
    this.svg.replaceChildren();
  }

  /** Number of clusters that a cut at a height leaves. */
  countAt(height) {
    return this.tree.n - this.tree.height.filter((one) => one <= height).length;
  }

  draw() {
    const { tree, host } = this;
    if (!tree || !host.clientWidth) return;
    this.size = [host.clientWidth, host.clientHeight];
    const focused = this.svg.contains(document.activeElement) ? document.activeElement.dataset.test : null;
    const plotHeight = Math.max(this.size[1] - MARGIN.top - MARGIN.bottom, 30);
    const most = 1.12 * tree.top;
    // square root: low joins are where a cut has to be aimed at
    this.y = (height) => MARGIN.top + plotHeight * (1 - Math.sqrt(Math.min(Math.max(height, 0), most) / most));
    this.heightAt = (y) => most * Math.min(Math.max(1 - (y - MARGIN.top) / plotHeight, 0), 1) ** 2;
    this.step = (this.size[0] - MARGIN.left - MARGIN.right) / tree.n;
    this.base = this.y(0);
    const x = [];
    tree.order.forEach((leaf, at) => { x[leaf] = MARGIN.left + (at + 0.5) * this.step; });
    tree.left.forEach((left, k) => { x[tree.n + k] = (x[left] + x[tree.right[k]]) / 2; });
    this.x = x;
    this.svg.replaceChildren(this.axis(most), ...this.branches(), ...this.chips(), this.cut());
    if (focused) this.svg.querySelector(`[data-test="${focused}"]`)?.focus();
  }

  axis(most) {
    const group = s("g", { "font-size": 10.5, fill: "#5a6370" });
    const spread = ticks(0, Math.sqrt(most), 4).map((one) => Number((one ** 2).toPrecision(1)));
    for (const value of [...new Set(spread)].filter((one) => one <= most)) {
      const y = this.y(value);
      group.append(s("line", { x1: MARGIN.left, x2: this.size[0] - MARGIN.right, y1: y, y2: y, stroke: "#eceef1" }),
        s("text", { x: MARGIN.left - 5, y: y + 4, "text-anchor": "end" }, number(value, 2)));
    }
    group.append(s("text", { transform: `translate(11 ${(MARGIN.top + this.base) / 2}) rotate(-90)`, "text-anchor": "middle" }, "distance of shapes"));
    return group;
  }

  /** Which clusters now hold leaves of the tree. */
  clustersOf(leaves) {
    const wanted = new Set(leaves);
    const parts = this.now.parts.filter((part) => part.leaves.some((leaf) => wanted.has(leaf)));
    return [...new Set(parts.map((part) => part.cluster))].sort((a, b) => a - b);
  }

  branches() {
    const { tree, x } = this;
    const heightOf = (node) => (node < tree.n ? 0 : tree.height[node - tree.n]);
    const lines = [];
    for (let k = 0; k < tree.left.length; k++) {
      const [left, right] = [tree.left[k], tree.right[k]];
      const members = tree.members[tree.n + k];
      const below = this.clustersOf(members);
      const joined = tree.height[k] <= this.cutHeight();
      const top = this.y(tree.height[k]);
      const d = `M${x[left]} ${this.y(heightOf(left))}V${top}H${x[right]}V${this.y(heightOf(right))}`;
      const colour = joined && below.length === 1 ? category(below[0]) : "#7d8590";
      const line = s("path", { d, fill: "none", stroke: colour, "stroke-width": joined ? 2.4 : 1.5 });
      const hit = s("path", { d: `M${x[left]} ${top}H${x[right]}`, fill: "none", stroke: "transparent", "stroke-width": 13, cursor: "pointer", "data-test": `explore-branch-${k}` });
      const words = `${members.length} clusters found, ${tree.size[tree.n + k]} pixels, join at ${number(tree.height[k], 3)}`;
      hit.append(s("title", {}, words));
      hit.addEventListener("click", (event) => this.told.onSelect(below, event.shiftKey || event.ctrlKey || event.metaKey));
      lines.push(line, hit);
    }
    if (tree.n === 1) lines.push(s("path", { d: `M${x[0]} ${MARGIN.top}V${this.base}`, stroke: category(0), "stroke-width": 2.4 }));
    return lines;
  }

  /** The clusters now, each under the leaves it is made of. */
  chips() {
    const { tree, now } = this;
    const place = new Map(tree.order.map((leaf, at) => [leaf, at]));
    const drawn = [];
    const seen = new Set();
    const total = now.sizes.reduce((sum, one) => sum + one, 0);
    const first = (part) => Math.min(...part.leaves.map((leaf) => place.get(leaf)));
    const parts = [...now.parts].sort((a, b) => first(a) - first(b) || a.part - b.part);
    for (const part of parts) {
      const kin = parts.filter((one) => one.of === part.of);
      const left = MARGIN.left + first(part) * this.step;
      const width = part.leaves.length * this.step;
      const each = width / kin.length;
      const from = left + kin.indexOf(part) * each;
      if (kin.length > 1) {
        const fork = `M${left + width / 2} ${this.base}L${from + each / 2} ${this.base + 9}`;
        drawn.push(s("path", { d: fork, stroke: category(part.cluster), "stroke-width": 1.6, "stroke-dasharray": "3 2" }));
      }
      drawn.push(this.chip(part, from, each, total, !seen.has(part.cluster), kin.length > 1));
      seen.add(part.cluster);
    }
    return drawn;
  }

  chip(part, from, width, total, isFirst, isPart) {
    const { cluster } = part;
    const colour = category(cluster);
    const chosen = this.selected.has(cluster);
    const size = this.now.sizes[cluster];
    const share = `${((100 * size) / total).toFixed(size / total < 0.1 ? 1 : 0)} %`;
    const merged = this.now.parts.filter((one) => one.cluster === cluster).length > 1;
    const told = `cluster ${cluster}: ${size} pixels, ${share} of those clustered${merged ? ", merged by hand" : ""}${isPart ? ", of a split" : ""}`;
    const inner = Math.max(Math.min(width - 4, 74), 12);
    const left = from + (width - inner) / 2;
    const group = s("g", {
      role: "checkbox", "aria-checked": String(chosen), "aria-label": told, tabindex: isFirst ? 0 : null,
      cursor: "pointer", "data-test": isFirst ? `explore-leaf-${cluster}` : null, "data-cluster": cluster,
    });
    const top = this.base + 9;
    group.style.outline = "none";
    const ring = { x: left - 4.5, y: top - 4.5, width: inner + 9, height: CHIP + 9, rx: 7, fill: "none", stroke: "#0b5a9d", "stroke-width": 2, opacity: 0 };
    group.append(s("rect", { class: "ring", ...ring }), s("title", {}, told),
      s("rect", { x: left - 3, y: top - 3, width: inner + 6, height: CHIP + 6, rx: 6, fill: chosen ? "#1c2024" : "transparent" }),
      s("rect", { x: left - 1, y: top - 1, width: inner + 2, height: CHIP + 2, rx: 4.5, fill: chosen ? "#ffffff" : "transparent" }),
      s("rect", { x: left, y: top, width: inner, height: CHIP, rx: 4, fill: colour }),
      s("text", { x: left + inner / 2, y: top + 15.5, "text-anchor": "middle", "font-size": 12, "font-weight": 600, fill: inkOn(colour) }, `${chosen && inner > 26 ? "✓ " : ""}${cluster}`));
    if (width > 30) group.append(s("text", { x: from + width / 2, y: top + CHIP + 15, "text-anchor": "middle", "font-size": 10.5, fill: "#5a6370" }, share));
    const select = (event) => this.told.onSelect([cluster], true, event);
    group.addEventListener("click", select);
    group.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      select(event);
    });
    return group;
  }

  cutHeight() {
    return this.dragged ?? this.now.cut_height;
  }

  cut() {
    const { tree } = this;
    const n = this.dragged === undefined ? this.now.cut : this.countAt(this.dragged);
    const y = this.y(this.cutHeight());
    const right = this.size[0] - MARGIN.right;
    const words = `cut: ${n} of ${tree.n}`;
    const line = s("g", {
      role: "slider", tabindex: 0, cursor: "ns-resize", "data-test": "explore-cut", "aria-label": "cut of the tree",
      "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": tree.n - 1, "aria-valuenow": tree.n - n,
      "aria-valuetext": `${n} clusters, cut at ${number(this.cutHeight(), 3)}`,
    });
    const wide = words.length * 6.1 + 12;
    line.style.outline = "none";
    line.append(s("title", {}, "Drag, or arrow keys: up joins, down parts"),
      s("line", { x1: MARGIN.left, x2: right, y1: y, y2: y, stroke: "transparent", "stroke-width": 16 }),
      s("line", { class: "ring", x1: MARGIN.left, x2: right, y1: y, y2: y, stroke: "#e9a29d", "stroke-width": 7, opacity: 0 }),
      s("line", { x1: MARGIN.left, x2: right, y1: y, y2: y, stroke: "#a3150c", "stroke-width": 1.8, "stroke-dasharray": "6 3" }),
      s("rect", { x: right - wide, y: y - 9, width: wide, height: 18, rx: 9, fill: "#a3150c" }),
      s("text", { x: right - wide / 2, y: y + 4, "text-anchor": "middle", fill: "#fff", "font-size": 11, "font-weight": 600 }, words));
    line.addEventListener("pointerdown", (event) => this.drag(event));
    line.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowRight: -1, ArrowDown: 1, ArrowLeft: 1, Home: tree.n, End: -tree.n }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const now = performance.now();
      const from = now < (this.wantedUntil ?? 0) ? this.wanted : this.now.cut; // keys held down are faster than runs
      const wanted = Math.min(Math.max(from + by, 1), tree.n);
      if (wanted === from) return;
      Object.assign(this, { wanted, wantedUntil: now + 500 });
      this.told.onCutting(wanted);
      this.told.onCut(wanted);
    });
    return line;
  }

  drag(event) {
    event.preventDefault();
    const top = this.svg.getBoundingClientRect().top;
    let last = this.now.cut;
    const move = (one) => {
      this.dragged = this.heightAt(one.clientY - top);
      const n = this.countAt(this.dragged);
      if (n !== last) this.told.onCutting(n);
      last = n;
      this.draw();
    };
    const end = (one) => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      this.dragged = undefined;
      this.draw();
      this.svg.querySelector('[data-test="explore-cut"]').focus();
      if (one.type === "pointerup") this.told.onCut(last);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }
}
