// The recipe: its text, what is changed, saving, and everything the command line writes.
import { ask } from "../api.js";
import { attempt, button, h, notice, panel, table } from "../dom.js";
import { on, recipeAction, refresh, store } from "../store.js";
import { lineOf, sections, TomlText } from "../toml-text.js";

const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`);

/** Ask a yes-or-no question; whether it was answered with yes. */
function asked(question, yes) {
  return new Promise((answer) => {
    const dialog = h("dialog", { "aria-label": question, "data-test": "recipe-question" });
    const end = (value) => { dialog.close(); dialog.remove(); answer(value); };
    dialog.addEventListener("cancel", () => end(false));
    dialog.append(h("p", {}, question), h("div", { class: "row" },
      button(yes, () => end(true), { primary: true, test: "recipe-yes" }),
      button("Cancel", () => end(false), { test: "recipe-no" })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

function create(host) {
  let shownRevision = null; // of the text in the editor
  let seen = null; // the recipe as last asked for

  const controls = h("div", { class: "controls" });
  const text = panel("Recipe (TOML)", { test: "recipe-text-panel" });
  const changed = panel("Changed against the defaults", { test: "recipe-changed", scroll: true });
  const files = panel("Exported files", { test: "recipe-files", scroll: true });
  host.append(controls, h("div", {
    class: "panels",
    style: { gridTemplateColumns: "minmax(0, 1.25fr) minmax(0, 1fr)", gridTemplateRows: "minmax(0, 1.4fr) minmax(0, 1fr)" },
  }, text.element, changed.element, files.element));
  text.element.style.gridRow = "1 / 3";

  const editor = new TomlText(() => { showState(); });
  const error = h("p", { class: "bad", role: "alert", "data-test": "recipe-error" });
  text.body.style.display = "flex";
  text.body.style.flexDirection = "column";
  text.body.append(editor.element, error);
  const applying = button("Apply", () => attempt(apply), { primary: true, test: "recipe-apply", title: "Ctrl+Enter in the text" });
  const dropping = button("Discard", () => load(true), { test: "recipe-discard", title: "show the recipe as it is" });
  text.header.append(dropping, applying);
  editor.area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); attempt(apply); }
  });

  const state = h("p", { "data-test": "recipe-state" });
  const contradiction = h("p", { class: "warn", "data-test": "recipe-contradiction" });
  const undo = button("Undo", () => attempt(() => turn("undo")), { test: "recipe-undo", title: "Ctrl+Z outside the text" });
  const redo = button("Redo", () => attempt(() => turn("redo")), { test: "recipe-redo", title: "Ctrl+Shift+Z outside the text" });
  const name = h("input", { type: "text", "data-test": "recipe-name", "aria-label": "file name", spellcheck: "false", style: { width: "100%" } });
  const saving = button("Save", () => attempt(() => save()), { test: "recipe-save" });
  const exporting = button("Run everything and export", () => attempt(exportAll), { primary: true, test: "recipe-export" });
  const where = h("p", { class: "faint" });
  const command = h("code", { "data-test": "recipe-command", style: { overflowWrap: "anywhere" } });
  const copy = button("Copy", () => attempt(async () => {
    await navigator.clipboard.writeText(command.textContent);
    notice("the command line is copied");
  }), { test: "recipe-copy" });
  const jumps = h("div", { class: "row", "data-test": "recipe-sections" });
  controls.append(
    state, contradiction, h("div", { class: "row" }, undo, redo),
    h("h3", {}, "Save in the opened folder as"), name, h("div", { class: "row" }, saving),
    h("h3", {}, "Everything the command line writes"), exporting, where,
    h("h3", {}, "The same on the command line, once saved"), command, h("div", { class: "row" }, copy),
    h("h3", {}, "Go to section"), jumps);

  const dirty = () => seen !== null && editor.value !== editor.loaded;

  function showState() {
    if (!seen) return;
    const unsaved = seen.saved ? "saved" : "not saved";
    const behind = shownRevision !== store.recipe?.revision;
    state.textContent = dirty()
      ? behind ? "The text is being edited, and the recipe has changed meanwhile: discard, or copy what you need." : "The text is being edited: apply it with Ctrl+Enter."
      : `Revision ${seen.revision}, ${unsaved}.`;
    state.className = dirty() && behind ? "warn" : "";
    undo.disabled = !seen.can_undo;
    redo.disabled = !seen.can_redo;
    applying.disabled = !dirty();
    dropping.disabled = !dirty();
    exporting.disabled = store.job?.state === "running";
    contradiction.textContent = seen.contradiction ? `It cannot be run like this: ${seen.contradiction}` : "";
  }

  /** Show the recipe as it is; a text that is being edited stays unless `always`. */
  function load(always = false) {
    if (!seen || (dirty() && !always)) { showState(); return; }
    editor.load(seen.text);
    shownRevision = seen.revision;
    error.textContent = "";
    jumps.replaceChildren(...sections(seen.text).map(({ title, line }) => button(title, () => editor.goTo(line), { test: `recipe-go-${title}` })));
    showState();
  }

  function showChanged() {
    const rows = seen.changed.map((one) => [
      h("span", { title: one.about }, h("code", {}, one.key), h("div", { class: "faint" }, one.about)),
      h("code", { style: { overflowWrap: "anywhere" } }, one.value), h("code", { class: "faint" }, one.default),
    ]);
    changed.body.replaceChildren(rows.length
      ? table([{ title: "key" }, { title: "here" }, { title: "default" }], rows, { test: "recipe-changes" })
      : h("p", { class: "faint" }, "Nothing but the defaults."));
  }

  async function look() {
    seen = await ask("recipe");
    if (document.activeElement !== name) name.value = seen.name;
    command.textContent = seen.command;
    where.textContent = `Results, figures, report, tables and meshes go into ${seen.export}, beside the recipe.`;
    load();
    showChanged();
  }

  async function showFiles() {
    const found = await ask("recipe/exported");
    files.retitle(found.files.length ? `Exported files: ${found.folder}` : "Exported files");
    files.body.replaceChildren(found.files.length
      ? table([{ title: "file" }, { title: "size", num: true }], found.files.map((one) => [
        h("a", { href: `/download/${one.name.split("/").map(encodeURIComponent).join("/")}`, download: "", "data-test": `download-${one.name}` }, one.name),
        size(one.bytes)]), { test: "recipe-file-list" })
      : h("p", { class: "faint" }, "Nothing has been exported yet."));
  }

  async function apply() {
    try {
      await recipeAction("text", { revision: shownRevision, text: editor.value });
    } catch (refused) {
      if (refused.status === 409) {
        error.textContent = "The recipe was changed meanwhile, in another view or tab: copy what you typed, then discard it to see the recipe as it is.";
        return false;
      }
      if (refused.status !== 400) throw refused;
      const line = lineOf(editor.value, refused.message);
      error.textContent = refused.message;
      editor.mark(line);
      return false;
    }
    editor.loaded = editor.value;
    await look();
    return true;
  }

  async function turn(which) {
    if (dirty()) { notice("apply or discard the text first", "warn"); return; }
    await recipeAction(which);
    await look();
  }

  async function save() {
    if (dirty() && !await apply()) return;
    const body = { name: name.value.trim() };
    try {
      await recipeAction("save", body);
    } catch (refused) {
      if (refused.status !== 400 || !refused.message.includes("overwrite it")) throw refused;
      if (!await asked(refused.message, "Overwrite it")) return;
      await recipeAction("save", { ...body, overwrite: true });
    }
    await look();
    notice(`saved as ${seen.name}`);
  }

  async function exportAll() {
    if (dirty() && !await apply()) return;
    const { exists, folder } = await ask("recipe/exported");
    if (exists && !await asked(`${folder} exists already. Replace it?`, "Replace it")) return;
    try {
      await ask("run/start", { revision: seen.revision, until: "all", export: true, overwrite: exists });
    } finally {
      await refresh();
    }
  }

  const current = () => { if (!host.hidden && store.recipe) attempt(look); };
  on("recipe", current);
  on("job", () => { showState(); if (!host.hidden && store.job?.state !== "running") attempt(showFiles); });
  return { shown() { current(); attempt(showFiles); }, hidden() {}, turn };
}

export default { name: "recipe", title: "Recipe", create };
