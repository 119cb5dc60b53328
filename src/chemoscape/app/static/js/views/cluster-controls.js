// The left column of Explore: how clusters are found, which are selected, what is done with them.
import { attempt, button, check, choice, h } from "../dom.js";
import { category } from "../palette.js";
import { edit, recipeAction, run, store, value } from "../store.js";

const BY_HAND = ["cut", "cut_distance", "split", "merge"];
const WORDS = {
  n_clusters: "number of clusters", n_components: "number of components", centred: "choice of the mean",
  enabled: "[clusters] enabled", seed: "seed",
};

/** Whether the recipe has a key of [clusters] that is hand work. */
function has(key) {
  const said = value(`clusters.${key}`);
  return Array.isArray(said) ? said.length > 0 : said !== null && said !== undefined;
}

/** A change of how clusters are found: hand work on those found before goes. */
function found(key, to) {
  const changes = { [`clusters.${key}`]: to };
  for (const one of BY_HAND) if (has(one)) changes[`clusters.${one}`] = null;
  return attempt(() => edit(changes));
}

/** The controls: `element`; told: onGesture(question of explore/gesture), onSelect(cluster). */
export class ClusterControls {
  constructor({ onGesture, onSelect }, brushing) {
    this.onSelect = onSelect;
    this.selected = new Set();
    const number = (key) => (one) => found(key, one === "auto" ? null : Number(one));
    this.n = choice("Number of clusters", [], number("n_clusters"), { test: "explore-n" });
    this.used = choice("Components used", [], number("n_components"), { test: "explore-used-n" });
    this.centred = check("subtract the mean first", { test: "explore-centred" }, (one) => found("centred", one || null));
    this.run = button("Run", () => attempt(() => run("explore")), { primary: true, test: "explore-run", title: "Components and clusters by the recipe as it is" });
    this.state = h("p", { "data-test": "explore-state", role: "status" });
    this.list = h("div", { "data-test": "explore-list", role: "group", "aria-label": "clusters" });
    this.merge = button("Merge", () => onGesture({ do: "merge", clusters: [...this.selected] }),
      { test: "explore-merge", title: "Make one of the clusters selected" });
    this.split = button("Split in", () => onGesture({ do: "split", cluster: [...this.selected][0], into: Number(this.into.value) }),
      { test: "explore-split", title: "k-means within the cluster selected" });
    this.into = h("select", { "aria-label": "parts", "data-test": "explore-into", style: { width: "52px" } },
      [2, 3, 4, 5].map((k) => h("option", { value: k }, String(k))));
    const back = (name) => () => {
      this.said.textContent = "";
      attempt(() => recipeAction(name));
    };
    this.undo = button("↶ Undo", back("undo"), { test: "explore-undo", title: "Take back the last edit of the recipe (Ctrl+Z)" });
    this.redo = button("↷", back("redo"), { test: "explore-redo", title: "Do it again (Ctrl+Y)", label: "redo" });
    this.over = button("As found", () => onGesture({ do: "undo all" }),
      { test: "explore-over", title: "Without cut, splits and merges" });
    this.said = h("p", { class: "faint", "data-test": "explore-said", role: "status" });
    this.element = h("aside", { class: "controls", "aria-label": "controls" },
      this.n, this.used, this.centred, h("div", { class: "row" }, this.run), this.state,
      h("h3", {}, "Clusters: select to merge or split"), this.list,
      h("div", { class: "row" }, this.merge, this.split, this.into),
      h("div", { class: "row" }, this.undo, this.redo, this.over), this.said,
      h("h3", {}, "Pixels drawn around"), brushing.element);
  }

  /** What the recipe says. `rank`: components used by default, where known. */
  showRecipe(rank) {
    const upTo = (most, now) => [...new Set([...Array(most).keys()].map((k) => k + 1).concat(now > most ? [now] : []))]
      .map((k) => [k, String(k)]);
    const n = value("clusters.n_clusters") ?? "auto";
    this.n.set([["auto", "auto: the best of 2 to 8"], ...upTo(16, n)], n);
    const used = value("clusters.n_components") ?? "auto";
    this.used.set([["auto", `auto: by the rank${rank ? `, ${rank}` : ""}`], ...upTo(10, used)], used);
    this.centred.input.checked = Boolean(value("clusters.centred"));
    this.run.disabled = store.job?.state === "running";
    this.undo.disabled = store.recipe?.can_undo === false;
    this.redo.disabled = store.recipe?.can_redo === false;
    this.over.disabled = !BY_HAND.some(has);
  }

  /** Say whether what is shown was run (header of explore/preview). */
  showState({ as_run: asRun, waiting }) {
    this.state.className = asRun && !waiting.length ? "faint" : "warn";
    this.state.textContent = waiting.length
      ? `Shown is the last run: the recipe has another ${waiting.map((one) => WORDS[one] ?? one).join(" and ")}. Press Run.`
      : asRun ? "As the last run made them."
        : "Preview of what a run makes of the recipe. Press Run to keep it and bring the rest up to date.";
  }

  /** Say something else there. */
  say(text, kind = "faint") {
    this.state.className = kind;
    this.state.textContent = text;
  }

  /** The clusters of a header of explore/preview (null: none), and those selected. */
  showClusters(now, selected) {
    this.selected = selected;
    const sizes = now?.sizes ?? [];
    const total = sizes.reduce((sum, one) => sum + one, 0);
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.test : null;
    this.list.replaceChildren(...sizes.map((n, k) => this.row(k, `${n} px · ${((100 * n) / total).toFixed(1)} %`)));
    if (focused) this.list.querySelector(`[data-test="${focused}"]`)?.focus();
    const [only] = selected;
    const merged = selected.size === 1 && now?.parts.filter((part) => part.cluster === only).length > 1;
    this.merge.disabled = selected.size < 2;
    this.split.disabled = selected.size !== 1;
    this.split.textContent = merged ? "Take apart" : "Split in";
    this.into.hidden = merged;
  }

  row(k, size) {
    const one = button("", () => this.onSelect(k), { test: `explore-cluster-${k}` });
    one.setAttribute("aria-pressed", String(this.selected.has(k)));
    Object.assign(one.style, { display: "flex", width: "100%", margin: "1px 0", minHeight: "23px", padding: "1px 8px" });
    one.append(h("span", { class: "swatch", style: { background: category(k), marginTop: "4px" } }),
      h("span", { style: { flex: 1, textAlign: "left" } }, `cluster ${k}`), h("span", { class: "number" }, size));
    return one;
  }
}
