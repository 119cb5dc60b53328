// A text of TOML with line numbers, one of which may be marked.
import { h } from "./dom.js";

/** The sections of a recipe and their lines: [{title, line}], lines from 1. */
export function sections(text) {
  return text.split("\n").flatMap((line, i) => {
    const found = /^\[([^\[\]]+)\]/.exec(line);
    return found ? [{ title: found[1], line: i + 1 }] : [];
  });
}

/** The line (from 1) that a complaint about a recipe speaks of; null if it cannot be told. */
export function lineOf(text, message) {
  const said = /at line (\d+)/.exec(message);
  if (said) return Number(said[1]);
  const lines = text.split("\n");
  const keys = [...message.matchAll(/[A-Za-z_][\w-]*(?:\.[\w-]+)*/g)].map((one) => one[0]);
  for (const dotted of keys) {
    const names = dotted.split(".").filter((one) => !/^\d+$/.test(one));
    for (let depth = names.length - 1; depth >= 0; depth--) {
      const section = names.slice(0, depth).join(".");
      const start = depth ? lines.findIndex((line) => line.startsWith(`[${section}]`)) : -1;
      if (depth && start < 0) continue;
      for (let i = start + 1; i < lines.length && !/^\[/.test(lines[i]); i++) {
        const key = /^\s*([\w-]+)\s*[=.]/.exec(lines[i]);
        if (key?.[1] === names[depth]) return i + 1;
      }
      if (!depth || names.length === depth + 1) {
        const own = lines.findIndex((line) => line.startsWith(`[${names.slice(0, depth + 1).join(".")}]`));
        if (own >= 0 && (depth || names.length === 1)) return own + 1;
      }
    }
  }
  return null;
}

/** A textarea beside its line numbers; `loaded` is the text that was put in last. */
export class TomlText {
  constructor(onInput) {
    this.loaded = "";
    this.marked = null;
    const lines = { margin: "0", padding: "6px 6px", border: "0", whiteSpace: "pre", tabSize: "4" };
    this.gutter = h("pre", {
      "aria-hidden": "true",
      style: { ...lines, overflow: "hidden", textAlign: "right", color: "var(--faint)", background: "var(--ground)", minWidth: "40px", userSelect: "none" },
    });
    this.area = h("textarea", {
      class: "code", wrap: "off", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
      "aria-label": "the recipe as TOML", "data-test": "recipe-text",
      style: { ...lines, flex: "1", resize: "none", overflow: "auto", minWidth: "0" },
    });
    this.element = h("div", {
      style: { display: "flex", flex: "1", minHeight: "0", border: "1px solid var(--line)", borderRadius: "4px", overflow: "hidden" },
    }, this.gutter, this.area);
    this.area.addEventListener("input", () => { this.mark(null); onInput(); });
    this.area.addEventListener("scroll", () => { this.gutter.scrollTop = this.area.scrollTop; });
  }

  /** The text as it is. */
  get value() {
    return this.area.value;
  }

  /** Put in another text, where it was scrolled to. */
  load(text) {
    if (text !== this.area.value) {
      const top = this.area.scrollTop;
      this.area.value = text;
      this.area.scrollTop = top;
    }
    this.loaded = this.area.value;
    this.mark(null);
  }

  /** Mark a line, and show it; null marks none. */
  mark(line) {
    this.marked = line;
    const n = this.area.value.split("\n").length;
    const style = { background: "var(--bad)", color: "#fff" };
    const numbers = Array.from({ length: n }, (_, i) => (i + 1 === line
      ? h("span", { style, "data-test": "recipe-bad-line" }, `${i + 1}\n`) : `${i + 1}\n`));
    this.gutter.replaceChildren(...numbers, "\n\n");
    this.gutter.scrollTop = this.area.scrollTop;
    if (line) this.goTo(line);
  }

  /** Put the cursor at the start of a line, and show it. */
  goTo(line) {
    const lines = this.area.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    this.area.focus();
    this.area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    const height = this.area.scrollHeight / Math.max(lines.length, 1);
    this.area.scrollTop = Math.max((line - 4) * height, 0);
    this.gutter.scrollTop = this.area.scrollTop;
  }
}
