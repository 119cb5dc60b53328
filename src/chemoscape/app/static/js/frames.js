// Frames of a stack while someone scrubs through them: one request at a time, the newest wish next,
// neighbours fetched ahead, thinned frames while dragging a large image.
import { picture } from "./api.js";

/** Bytes of frames that are kept. */
const KEPT = 96e6;
/** Pixels above which frames are thinned while dragging. */
const LARGE = 400_000;

export class Frames {
  /** `body(index)` is the question for a frame; `draw(picture, index)` shows one. */
  constructor({ name = "picture", body, count, pixels, draw, fail }) {
    Object.assign(this, { name, body, count, pixels, show: draw, fail });
    this.kept = new Map();
    this.wish = null;
    this.busy = false;
    this.direction = 1;
  }

  /** Show a frame as soon as it is here; `rough` while dragging. */
  want(index, { rough = false } = {}) {
    if (this.last !== undefined && index !== this.last) this.direction = Math.sign(index - this.last);
    this.last = index;
    const here = this.kept.get(this.key(index, 1));
    this.wish = { index, rough: rough && this.pixels > LARGE };
    if (here) {
      this.touch(this.key(index, 1), here);
      this.show(here, index);
      this.wish = null;
    }
    this.next();
  }

  key(index, reduce) {
    return `${index}/${reduce}`;
  }

  async next() {
    if (this.busy) return;
    const wish = this.wish ?? this.neighbour();
    if (!wish) return;
    const asked = this.wish;
    this.busy = true;
    try {
      const reduce = wish.rough ? Math.ceil(Math.sqrt(this.pixels / (LARGE / 2))) : 1;
      const key = this.key(wish.index, reduce);
      const one = this.kept.get(key) ?? await picture(this.name, { ...this.body(wish.index), reduce });
      this.touch(key, one);
      if (asked) {
        this.show(one, wish.index);
        if (this.wish === asked) this.wish = null;
      } else if (this.wish?.index === wish.index) { // wished for while it was fetched ahead
        this.show(one, wish.index);
        this.wish = null;
      }
    } catch (error) {
      this.wish = null;
      if (asked) this.fail?.(error);
      this.busy = false;
      return;
    }
    this.busy = false;
    this.next();
  }

  /** The next frame to fetch ahead, or null. */
  neighbour() {
    if (this.last === undefined) return null;
    for (const step of [1, -1, 2]) {
      const index = this.last + step * this.direction;
      if (index >= 0 && index < this.count && !this.kept.has(this.key(index, 1))) return { index };
    }
    return null;
  }

  touch(key, one) {
    this.kept.delete(key);
    this.kept.set(key, one);
    let bytes = 0;
    for (const frame of this.kept.values()) bytes += frame.data.byteLength;
    for (const [old, frame] of this.kept) {
      if (bytes <= KEPT || this.kept.size <= 4) break;
      this.kept.delete(old);
      bytes -= frame.data.byteLength;
    }
  }
}
