// Explore: components, scores, clusters; every gesture on the clusters is an edit of the recipe.
import { ask, picture, Picture } from "../api.js";
import { attempt, h, newest, panel } from "../dom.js";
import { ImageView, Viewport } from "../image.js";
import { category } from "../palette.js";
import { edit, hasNode, on, store } from "../store.js";
import { Brushing } from "./brushing.js";
import { ClusterControls } from "./cluster-controls.js";
import { ClusterSpectra } from "./cluster-spectra.js";
import { Components } from "./components.js";
import { Dendrogram } from "./dendrogram.js";
import { Scatter } from "./scatter.js";

class Explore {
  constructor(host) {
    this.selected = new Set();
    this.stale = true;
    const viewport = new Viewport();
    this.components = new Components(viewport);
    const tree = panel("Dendrogram", { test: "explore-tree" });
    const map = panel("Clusters", { test: "explore-map" });
    const scores = panel("Scores", { test: "explore-scatter" });
    const spectra = panel("Cluster spectra", { test: "explore-spectra" });
    const cutting = newest((n) => this.draw({ cut: n }, true));
    this.tree = new Dendrogram(tree.body, {
      onCutting: cutting,
      onCut: (n) => this.gesture({ do: "cut", into: n }),
      onSelect: (clusters, more) => this.select(clusters, more),
    });
    this.map = new ImageView(map.body, {
      title: "clusters", tools: ["lasso", "rectangle", "polygon"], viewport, test: "explore-map",
      onShape: ({ region }) => this.brushing.region(region),
      onClick: (x, y) => this.pickAt(x, y),
    });
    this.unrun = h("div", {
      "data-test": "explore-preview", hidden: true, class: "warn",
      style: { position: "absolute", right: 0, top: 0, zIndex: 2, padding: "1px 8px", borderRadius: "4px", background: "#fff3df", fontSize: "11.5px", pointerEvents: "none" },
    });
    map.body.append(this.unrun);
    this.scatter = new Scatter(scores, {
      onBrush: (question) => this.brushing.scores(question),
      onPlane: () => attempt(() => this.brushing.show()),
    });
    this.spectra = new ClusterSpectra(spectra);
    this.brushing = new Brushing(this.map, this.scatter, (mean) => {
      this.spectra.beside(mean);
      this.fade();
    });
    this.controls = new ClusterControls({
      onGesture: (what) => this.gesture(what), onSelect: (k) => this.select([k], true),
    }, this.brushing);
    const row = (columns, ...elements) => h("div", {
      style: { display: "grid", gap: "8px", minHeight: 0, minWidth: 0, gridTemplateRows: "minmax(0, 1fr)", gridTemplateColumns: columns },
    }, elements);
    host.append(this.controls.element, h("div", { class: "panels", style: { gridTemplateRows: "minmax(0, 5fr) minmax(0, 6fr)" } },
      row("minmax(0, 10fr) minmax(0, 11fr) minmax(0, 9fr) minmax(0, 14fr)", ...this.components.elements, tree.element),
      row("repeat(3, minmax(0, 1fr))", map.element, scores.element, spectra.element)));
  }

  /** A gesture becomes an edit of the recipe, of which the store then tells; one after the other,
   *  of cuts only the last. */
  gesture(what) {
    this.last = what;
    const before = this.queue ?? Promise.resolve();
    this.queue = before.then(() => attempt(async () => {
      if (what.do === "cut" && this.last !== what && this.last.do === "cut") return;
      const { changes, said } = await ask("explore/gesture", what);
      this.controls.said.textContent = said;
      if (Object.keys(changes).length) await edit(changes);
      else await this.draw();
    }));
    return this.queue;
  }

  /** Draw what has changed: the results, the recipe, the run. */
  async refresh() {
    this.stale = false;
    this.controls.showRecipe(this.components.rank?.rank);
    if (!hasNode("/clustered/components")) { this.empty(); return; }
    if (store.results.stamp !== this.stamp) {
      this.stamp = store.results.stamp;
      this.selected.clear();
      this.brushing.clear();
      await this.components.refresh();
      const feature = store.results.nodes["/clustered/clusters"]?.variables.feature;
      this.scatter.axes(this.components.rank.eigenvalue.length, feature?.shape[0] ?? 0);
      this.controls.showRecipe(this.components.rank.rank);
    }
    await this.draw();
  }

  empty() {
    const running = store.job?.state === "running";
    const few = store.stack?.there && store.stack.energy.length < 4;
    const words = running ? "Components and clusters are being computed …"
      : !store.results?.summary ? "Nothing here yet: press Run for components and clusters."
        : `The last run has made no components and clusters${few ? ": it takes four energies or more. Go on to Match, or to Maps." : "; press Run, and see [clusters] enabled in the recipe."}`;
    this.stamp = this.now = null;
    this.components.clear(words);
    for (const one of [this.map, this.scatter.view, this.spectra]) one.clear(words);
    this.tree.clear();
    this.unrun.hidden = true;
    this.controls.say(words);
    this.controls.showClusters(null, this.selected);
  }

  /** Draw the clusters of some hand work (none: the recipe's); while dragging, what is quick. */
  async draw(work = {}, dragging = false) {
    const asked = this.asked = {};
    const late = () => asked !== this.asked; // another drawing has begun
    if (!hasNode("/clustered/clusters")) {
      this.tree.clear();
      this.map.clear("No clusters were made.");
      await this.scatter.refresh();
      return;
    }
    let now;
    let tree;
    try {
      [now, tree] = await Promise.all([
        picture("explore/preview", work), dragging ? this.tree.tree : ask("explore/tree"),
      ]);
    } catch (error) {
      if (!late()) this.controls.say(error.message, "bad");
      return;
    }
    if (late()) return;
    this.now = now;
    const told = JSON.stringify(now.header.work);
    if (told !== this.work) this.selected = new Set(); // the numbers are of other clusters now
    this.work = told;
    this.map.show(now, { palette: "labels", label: "cluster" });
    this.map.legend = now.header.sizes.map((_, k) => ({ colour: category(k), text: String(k) }));
    this.map.readout.textContent = `${now.header.n} clusters; click one to select it`;
    this.tree.show(tree, now.header, this.selected);
    this.showState();
    this.fade();
    await this.scatter.refresh(work, this.selected);
    if (late() || dragging) return;
    const means = await ask("explore/spectra", work);
    if (late()) return;
    this.spectra.show(means, this.selected, this.stamp);
    if (means.note) this.controls.said.textContent = means.note;
  }

  showState() {
    const { as_run: asRun, waiting } = this.now.header;
    this.unrun.hidden = asRun && !waiting.length;
    this.unrun.textContent = waiting.length ? "of the last run" : "preview, not yet run";
    this.controls.showState(this.now.header);
    this.controls.showClusters(this.now.header, this.selected);
  }

  select(clusters, more) {
    const all = clusters.every((one) => this.selected.has(one));
    if (!more) this.selected = new Set(all && this.selected.size === clusters.length ? [] : clusters);
    else for (const one of clusters) this.selected[all ? "delete" : "add"](one);
    this.tree.show(this.tree.tree, this.now.header, this.selected);
    this.scatter.select(this.selected);
    this.controls.showClusters(this.now.header, this.selected);
    this.spectra.select(this.selected);
    this.fade();
  }

  pickAt(x, y) {
    const at = this.now?.pixelAt(x, y);
    const label = at ? this.now.value(...at) : NaN;
    if (Number.isFinite(label)) this.select([Math.round(label)], true);
  }

  /** Fade the clusters that are not selected, where no pixels were drawn around. */
  fade() {
    if (this.brushing?.question) return;
    if (!this.selected.size || !this.now) { this.map.veil(null); return; }
    const { data, header } = this.now;
    const wanted = new Set([...this.selected].map((one) => Math.round((one - header.low) / header.step) + 1));
    this.map.veil(new Picture(header, data.map((level) => (wanted.has(level) ? 2 : 0))));
  }
}

export default {
  name: "explore",
  title: "Explore",
  create(host) {
    const view = new Explore(host);
    let visible = false;
    const later = () => {
      view.stale = true;
      if (visible) attempt(() => view.refresh());
    };
    for (const event of ["recipe", "results"]) on(event, later);
    on("job", () => {
      view.controls.showRecipe(view.components.rank?.rank);
      if (!view.now) later();
    });
    return {
      shown() { visible = true; if (view.stale) attempt(() => view.refresh()); },
      hidden() { visible = false; },
    };
  },
};
