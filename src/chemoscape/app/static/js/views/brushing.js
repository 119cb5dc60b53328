// Pixels drawn around: in the scores they are shown in the map, in the map in the scores.
import { ask, picture } from "../api.js";
import { attempt, button, h, number } from "../dom.js";
import { cornersOf } from "../overlay.js";

// Of what is drawn around, in the maps and in the spectra.
const INK = [28, 32, 36];
const HINT = "Draw with the lasso in the scores or in the map: the same pixels are shown in the other, and their mean spectrum.";

/** Brushing between a map (ImageView) and a Scatter; told: onMean(answer of explore/brushed or
 *  null). `element` says what is selected.
 */
export class Brushing {
  constructor(map, scatter, onMean) {
    Object.assign(this, { map, scatter, onMean, question: null });
    this.said = h("p", { "data-test": "explore-selection", role: "status" });
    this.forget = button("Clear", () => this.clear(), { test: "explore-clear" });
    this.element = h("div", {}, this.said, this.forget);
    this.tell(null);
  }

  /** Pixels in a polygon of scores. */
  scores(question) {
    this.corners = null;
    this.ask(question);
  }

  /** Pixels in a region of the map. */
  region(region) {
    this.corners = cornersOf(region);
    this.ask({ region });
  }

  /** Forget what was drawn. */
  clear() {
    this.question = null;
    this.map.shapes([]);
    this.map.mask(null);
    attempt(() => this.scatter.mark(null, null));
    this.tell(null);
  }

  ask(question) {
    this.question = question;
    attempt(() => this.show());
  }

  /** Show it again, in another plane of scores perhaps. */
  async show() {
    const { question, corners } = this;
    if (!question) return;
    this.map.shapes(corners ? [{ kind: "polygon", points: corners, colour: "#1c2024" }] : []);
    if (corners) {
      this.map.mask(null);
      await this.scatter.mark(null, question.region);
    } else {
      const there = Object.entries(this.scatter.plane).every(([key, one]) => question[key] === one);
      const [mask] = await Promise.all([
        picture("explore/brush", question), this.scatter.mark(there ? question.polygon : null, null),
      ]);
      if (question !== this.question) return;
      this.map.mask(mask, INK);
    }
    const mean = await ask("explore/brushed", question);
    if (question === this.question) this.tell(mean);
  }

  tell(mean) {
    this.forget.hidden = !this.question;
    this.said.className = mean ? "number" : "faint";
    const part = mean && mean.n_used < mean.n ? ` (${mean.n_used} of them read)` : "";
    this.said.textContent = mean
      ? `${mean.n} pixels${part}, ${number(mean.area_um2, 3)} µm²; their mean is dashed in the spectra.` : HINT;
    this.onMean(mean);
  }
}
