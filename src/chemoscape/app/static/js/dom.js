// Small pieces of the page. Text is always set as text, never as HTML.

/** Make an element: attributes (also `onclick` and the like as functions, `data` as an object),
 *  then children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** A button; `options`: primary, test (data-test), title, disabled. */
export function button(text, onClick, options = {}) {
  return h("button", {
    type: "button", class: options.primary ? "primary" : null, "data-test": options.test,
    title: options.title, "aria-label": options.label, onclick: onClick, disabled: options.disabled,
  }, text);
}

/** A labelled list to choose from: options are [value, text]; onChange(value). */
export function choice(text, options, onChange, { value, test } = {}) {
  const select = h("select", { "data-test": test, onchange: () => onChange(select.value) });
  const field = h("label", { class: "field" }, h("span", {}, text), select);
  field.set = (items, chosen) => {
    select.replaceChildren(...items.map(([one, words]) => h("option", { value: one }, words)));
    if (chosen !== undefined && chosen !== null) select.value = chosen;
  };
  field.select = select;
  field.set(options, value);
  return field;
}

/** A labelled slider that says its value with its unit; onInput(value, dragging). */
export function slider(text, { min, max, step, value, unit = "", digits = 2, test }, onInput) {
  const said = h("span", { class: "number" });
  const input = h("input", { type: "range", min, max, step, "data-test": test, "aria-label": text });
  const show = () => { said.textContent = `${Number(input.value).toFixed(digits)} ${unit}`; };
  input.value = value;
  input.addEventListener("input", () => { show(); onInput(Number(input.value), true); });
  input.addEventListener("change", () => { show(); onInput(Number(input.value), false); });
  show();
  const field = h("label", { class: "field" },
    h("span", { class: "row" }, `${text}: `, said), input);
  field.input = input;
  field.set = (one) => { input.value = one; show(); };
  return field;
}

/** A labelled box for a number with its unit; onChange(number | null). */
export function numberBox(text, { value, step = "any", min, max, unit = "", test }, onChange) {
  const input = h("input", { type: "number", step, min, max, "data-test": test });
  if (value !== undefined && value !== null) input.value = value;
  input.addEventListener("change", () => onChange(input.value === "" ? null : Number(input.value)));
  const field = h("label", { class: "field" }, h("span", {}, text),
    h("span", { class: "row" }, input, unit));
  field.input = input;
  return field;
}

/** A labelled check box; onChange(boolean). */
export function check(text, { value = false, test }, onChange) {
  const input = h("input", { type: "checkbox", "data-test": test });
  input.checked = value;
  input.addEventListener("change", () => onChange(input.checked));
  const field = h("label", { class: "row" }, input, text);
  field.input = input;
  return field;
}

/** A table: columns are {title, num?}, rows are lists of texts or elements; onRow(i) makes rows
 *  buttons for mouse and keyboard. */
export function table(columns, rows, { onRow, chosen, test } = {}) {
  const head = h("tr", {}, columns.map((one) => h("th", { class: one.num ? "num" : null }, one.title)));
  const body = rows.map((cells, i) => {
    const row = h("tr", { class: i === chosen ? "chosen" : null, tabindex: onRow ? 0 : null },
      cells.map((cell, j) => h("td", { class: columns[j]?.num ? "num" : null }, cell ?? "")));
    if (onRow) {
      row.addEventListener("click", () => onRow(i));
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onRow(i); }
      });
    }
    return row;
  });
  return h("table", { "data-test": test }, h("thead", {}, head), h("tbody", {}, body));
}

/** A panel with a title: `{element, header, body}`. */
export function panel(title, { test, scroll, style } = {}) {
  const header = h("header", {}, h("h2", {}, title));
  const body = h("div", { class: "body" });
  const element = h("section", {
    class: scroll ? "panel scroll" : "panel", "data-test": test, "aria-label": title, style,
  }, header, body);
  return { element, header, body, retitle: (text) => { header.firstChild.textContent = text; } };
}

/** A number in few digits; "–" where there is none. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(Math.max(digits - 2, 0)).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

/** A value with its standard deviation, both to the second digit of the latter. */
export function withError(value, sd) {
  if (!Number.isFinite(value) || value === null) return "–";
  if (!Number.isFinite(sd) || sd === null || sd <= 0) return number(value);
  const places = Math.min(Math.max(1 - Math.floor(Math.log10(sd)), 0), 8);
  return `${value.toFixed(places)} ± ${sd.toFixed(places)}`;
}

/** Say something above the views: kind "bad" stays until it is closed, "warn" or "" goes. */
export function notice(text, kind = "") {
  const host = document.getElementById("notices");
  for (const one of [...host.children]) if (one.dataset.text === text) one.remove();
  const box = h("div", { class: `notice ${kind}`, "data-test": `notice-${kind || "plain"}` }, text);
  box.dataset.text = text;
  box.append(button("×", () => box.remove(), { label: "close" }));
  host.append(box);
  while (host.children.length > 2) host.firstChild.remove();
  if (kind !== "bad") setTimeout(() => box.remove(), kind ? 9000 : 4000);
}

/** One call at a time: while one is under way only the newest is kept, so that dragging over a slow
 *  connection queues nothing. `make(...)` may be asynchronous. */
export function newest(make) {
  let waiting = null;
  let under = null;
  return (...args) => {
    waiting = args;
    under ??= (async () => {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await attempt(() => make(...now));
      }
    })().finally(() => { under = null; });
    return under;
  };
}

/** Carry out something asynchronous; what it refuses is said above the views, but for a server out
 *  of reach, which the page says of itself. */
export function attempt(make) {
  return Promise.resolve().then(make).catch((error) => {
    if (error.status !== 0) notice(error.message, "bad");
    if (!("status" in error)) console.error(error);
  });
}
