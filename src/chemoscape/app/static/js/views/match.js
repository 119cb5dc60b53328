// Match: what the clusters are made of, how sure that is, and where the energy axis lies.
import { ask } from "../api.js";
import { attempt, button, h, number, panel, slider, table, withError } from "../dom.js";
import { Curves } from "../curves.js";
import { category } from "../palette.js";
import { edit, hasNode, on, store, value } from "../store.js";
import { MatchCurves } from "./match-curves.js";
import { MatchForm } from "./match-form.js";

const FURTHEST = 2;
/** After this long without a further step the slider rests, ms. */
const RESTS_MS = 150;
const signed = (shift) => `${shift < 0 ? "−" : "+"}${Math.abs(shift).toFixed(3)} eV`;
const swatch = (k) => h("span", { class: "swatch", style: { background: category(k) } });

const once = (text) => h("span", { style: { whiteSpace: "nowrap" } }, text);

/** A share in words: 12.3 %, or that it is next to nothing. */
function percent(share) {
  return share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
}

/** Standards with their shares; one alone needs none. */
function mixture(fit) {
  if (!fit) return "–";
  if (fit.labels.length === 1) return fit.labels[0];
  return fit.labels.map((name, i) => (fit.shares ? `${percent(fit.shares[i])} ${name}` : name)).join(" + ");
}

class Match {
  constructor(host) {
    this.host = host;
    this.cluster = 0;
    this.live = null; // the answer at another shift
    this.form = new MatchForm();
    this.buildShift();
    const controls = h("div", { class: "controls" }, this.form.element, this.shiftBox);
    const spectrum = panel("Cluster spectrum and its standards", { test: "match-spectrum" });
    const list = panel("Clusters and what they are made of", { test: "match-clusters", scroll: true });
    const runners = panel("Runners-up", { test: "match-runners", scroll: true });
    const scan = panel("Residual against the energy shift", { test: "match-scan" });
    this.panels = { spectrum, list, runners, scan };
    host.append(controls, h("div", {
      class: "panels", style: { gridTemplateColumns: "minmax(0, 1fr) minmax(0, 1fr)", gridTemplateRows: "minmax(0, 1.25fr) minmax(0, 1fr) minmax(0, 1fr)" },
    }, spectrum.element, list.element, runners.element, scan.element));
    spectrum.element.style.gridRow = "1 / 4";
    this.curves = new MatchCurves(spectrum);
    this.scan = new Curves(scan.body, { title: "residual against shift", x: "energy shift (eV)", y: "rms residual (OD)", legend: false, toolsIn: scan.header, test: "match-scan" });
    this.scan.onClick((point) => this.move(point.x, false));
  }

  buildShift() {
    this.slider = slider("Energy shift", {
      min: -FURTHEST, max: FURTHEST, step: 0.01, value: 0, unit: "eV", digits: 2, test: "match-shift",
    }, (shift, dragging) => this.move(shift, dragging));
    this.axis = h("p", { class: "faint", "data-test": "match-axis" });
    this.said = h("p", { "data-test": "match-live", class: "number" });
    this.hold = button("Hold this shift", () => this.set(Number(this.slider.input.value)), { test: "match-hold", title: "[calibration] energy_shift = this number" });
    this.fit = button("Fit it", () => this.set("fit"), { test: "match-fit-shift", title: "[calibration] energy_shift = \"fit\"" });
    this.back = button("Back to the fit", () => this.leave(), { test: "match-back" });
    this.shiftBox = h("div", {}, h("h3", {}, "Energy axis: E(file) − E(library)"), this.slider, this.said,
      h("div", { class: "row" }, this.hold, this.fit, this.back), this.axis);
  }

  set(shift) {
    return attempt(async () => { await edit({ "calibration.energy_shift": shift }); });
  }

  /** Read what has changed. */
  async refresh() {
    this.stale = false;
    this.showAxis();
    await this.form.refresh();
    if (!hasNode("/clustered/match")) { this.empty(); return; }
    const fresh = store.results.stamp !== this.stamp;
    if (fresh) {
      this.stamp = store.results.stamp;
      this.live = null;
      this.told = await ask("match/table");
      this.cluster = Math.min(this.cluster, this.told.clusters.length - 1);
      this.slider.set(this.told.shift.value ?? 0);
    }
    await Promise.all([this.choose(this.cluster), this.rescan()]);
  }

  showAxis() {
    const wanted = value("calibration.energy_shift");
    const anchors = value("calibration.anchors") ?? [];
    const text = value("calibration.enabled") === false ? "held at zero: [calibration] is off"
      : anchors.length ? "set by anchors" : wanted === "fit" || wanted === undefined ? "fitted to the clusters"
        : `held at ${signed(Number(wanted))}`;
    this.axis.textContent = `The recipe: ${text}.`;
    this.hold.disabled = this.fit.disabled = anchors.length > 0;
    this.fit.setAttribute("aria-pressed", String(wanted === "fit"));
  }

  empty() {
    this.stamp = null;
    this.live = this.told = null;
    const running = store.job?.state === "running";
    const few = store.stack?.there && store.stack.energy.length < 4;
    const words = running ? "The clusters are being matched …"
      : value("clusters.enabled") === false || few
        ? `There are no clusters to match (${few ? "they take four energies or more" : "[clusters] is off in the recipe"}): maps come from the standards alone.`
        : "Nothing is matched yet: choose the standards, then press Run to maps.";
    this.curves.clear(words);
    this.scan.clear("");
    this.said.textContent = "";
    this.slider.input.disabled = this.hold.disabled = this.back.disabled = true;
    this.panels.list.body.replaceChildren(h("div", { class: "empty" }, words));
    this.panels.runners.body.replaceChildren();
  }

  /** Show one cluster. */
  async choose(k) {
    this.cluster = k;
    this.host.dataset.cluster = k;
    this.showTables();
    const asked = this.asked = {};
    try {
      const told = await ask("match/curves", { cluster: k });
      if (asked !== this.asked) return;
      this.run = told;
      this.draw();
    } catch (error) {
      if (asked === this.asked) this.curves.clear(error.message);
    }
    if (this.live) await this.look(this.live.shift_eV);
  }

  draw(quick = false) {
    const live = this.live?.cluster === this.cluster ? this.live.curves : null;
    const { standards } = this.run.standards;
    this.curves.show(this.run, {
      cluster: this.cluster, clusters: this.told.clusters.length, order: standards.map((one) => one.name), live, key: this.cluster, quick,
    });
    const row = this.told.clusters[this.cluster];
    this.panels.spectrum.retitle(`Cluster ${this.cluster}, ${row.pixels.toLocaleString("en")} pixels${live ? `, at ${signed(this.live.shift_eV)}` : `: ${row.candidates[0]?.labels.join(" + ") ?? "no match"}`}`);
  }

  showTables() {
    const { clusters, variable } = this.told;
    const live = this.live?.clusters;
    const columns = [{ title: "" }, { title: variable, num: true }, { title: "made of" }, { title: "thickness", num: true }, { title: "R", num: true }];
    const rows = clusters.map((one, k) => {
      const best = live ? live[k] : one.candidates[0];
      const x = live ? number(best?.composition) : withError(one.composition.value, one.composition.sd);
      const thick = once(`${number(one.thickness.value, 3)}${one.thickness.unit === "1" ? "" : ` ${one.thickness.unit}`}`);
      thick.title = `± ${number(one.thickness.sd, 2)} by the fit alone`;
      return [
        h("span", { style: { whiteSpace: "nowrap" } }, swatch(one.cluster), String(one.cluster)), once(x),
        h("div", {}, mixture(best), live ? "" : h("div", { class: one.ambiguous ? "warn" : "faint" }, one.words)),
        live ? "" : thick, once(number(live ? best?.r_factor : one.r_factor, 3)),
      ];
    });
    this.panels.list.body.replaceChildren(table(columns, rows, { onRow: (k) => attempt(() => this.choose(k)), chosen: this.cluster, test: "match-table" }));
    this.panels.list.retitle(live ? `Clusters at ${signed(this.live.shift_eV)}, not run` : "Clusters and what they are made of");
    this.showRunners();
  }

  showRunners() {
    const one = this.told.clusters[this.cluster];
    const rows = one.candidates.map((fit) => [
      mixture(fit),
      fit.delta_bic === 0 ? "best" : fit.delta_bic.toFixed(1), once(withError(fit.composition, fit.sd)), once(number(fit.r_factor, 3)),
    ]);
    const columns = [{ title: "standards" }, { title: "ΔBIC", num: true }, { title: this.told.variable, num: true }, { title: "R", num: true }];
    const error = this.told.library_error && h("p", { class: "bad" }, this.told.library_error);
    this.panels.runners.body.replaceChildren(...[error || null, table(columns, rows, { test: "match-runners" }),
      h("p", { class: "faint" }, `Cluster ${this.cluster}: ${one.shift_words}. All: ${this.told.shift_words}.`)].filter(Boolean));
    this.panels.runners.retitle(`Cluster ${this.cluster}: the assignment and its runners-up`);
  }

  /** The residual about the best shift, with the standards that the recipe names now. */
  async rescan() {
    this.slider.input.disabled = this.back.disabled = false;
    try {
      this.scanned = await ask("match/scan");
      this.drawScan();
    } catch (error) {
      this.scan.clear(error.message);
    }
  }

  drawScan() {
    if (!this.scanned) return;
    const { shift_eV: x, rms, fitted } = this.scanned;
    const at = this.live?.shift_eV;
    this.scan.show([{ x, y: rms, name: "all clusters", colour: "#0b5a9d", hover: "%{x:.3f} eV: %{y:.3g}<extra></extra>" }], {
      markers: [{ x: fitted.value, label: `fitted ${withError(fitted.value, fitted.sd).replaceAll("-", "−")} eV` },
        ...(at === undefined ? [] : [{ x: at, dash: "solid", colour: "#a3150c" }])],
      yaxis: { rangemode: "tozero" }, key: this.stamp,
    });
  }

  /** Look at another shift; one question at a time, and the last wins. */
  move(shift, dragging) {
    this.slider.set(shift);
    this.wanted = Math.max(-FURTHEST, Math.min(FURTHEST, shift));
    if (this.looking) return;
    this.looking = attempt(async () => {
      while (this.wanted !== null) {
        const next = this.wanted;
        this.wanted = null;
        await this.look(next);
      }
    }).finally(() => { this.looking = null; });
    if (!dragging) this.slider.input.focus({ preventScroll: true });
  }

  async look(shift) {
    if (!this.told) return;
    const told = await ask("match/at", { shift_eV: shift, cluster: this.cluster });
    if (!this.told) return;
    const before = this.live;
    this.live = told;
    const times = told.chi2_ratio === null ? "" : `, ${number(told.chi2_ratio, 3)} × the chi² of the fitted shift`;
    this.said.textContent = `Live: rms residual ${number(told.rms, 3)}${times}`;
    this.host.dataset.live = shift;
    if (this.run) this.draw(Boolean(before));
    // while dragging the fit alone follows; the rest as soon as the slider rests
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (!this.live) return;
      if (this.run) this.draw();
      this.showTables();
      this.drawScan();
    }, RESTS_MS);
  }

  leave() {
    this.live = null;
    delete this.host.dataset.live;
    this.said.textContent = "";
    if (!this.told) return;
    this.slider.set(this.scanned?.fitted.value ?? this.told.shift.value ?? 0);
    if (this.run) this.draw();
    this.showTables();
    this.drawScan();
  }
}

function create(host) {
  const match = new Match(host);
  let visible = false;
  const update = () => {
    if (visible && store.stack) attempt(() => match.refresh());
    else match.stale = true;
  };
  on("results", update);
  on("recipe", update);
  on("job", () => { match.form.run.disabled = store.job?.state === "running"; if (visible && !hasNode("/clustered/match")) match.empty(); });
  return {
    shown() { visible = true; if (match.stale !== false) update(); },
    hidden() { visible = false; },
  };
}

export default { name: "match", title: "Match", create };
