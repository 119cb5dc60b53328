// The page: tabs, keys, what runs, opening files.
import { attempt, button, h, notice } from "./dom.js";
import { loadPalettes } from "./palette.js";
import { cancel, on, open, recipeAction, store, upToDate, watch } from "./store.js";
import { ask } from "./api.js";

let NAMES = ["stack", "beam", "explore", "match", "maps", "stress", "particles", "recipe"];
const views = {};
let shown = null;

async function loadViews() {
  const modules = await Promise.allSettled(NAMES.map((name) => import(`./views/${name}.js`)));
  modules.forEach((one, i) => {
    if (one.status === "fulfilled") views[NAMES[i]] = one.value.default;
    else notice(`the view ${NAMES[i]} cannot be loaded: ${one.reason}`, "bad");
  });
  NAMES = NAMES.filter((name) => views[name]);
  document.getElementById("tabs").replaceChildren(...NAMES.map((name, i) => {
    const tab = h("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-selected": "false", "aria-controls": `view-${name}`,
      "data-test": `tab-${name}`, onclick: () => go(name),
    }, h("span", { class: "key", "aria-hidden": "true" }, String(i + 1)), views[name].title);
    return tab;
  }));
}

/** Show a view. */
function go(name) {
  if (!views[name] || !store.facts?.opened_stamp) return;
  const host = document.getElementById("views");
  if (!views[name].element) {
    const element = h("div", { class: "view", id: `view-${name}`, role: "tabpanel", "data-test": `view-${name}` });
    host.append(element);
    views[name].element = element;
    views[name].handle = views[name].create(element);
  }
  document.getElementById("start")?.remove();
  if (shown && shown !== name) {
    views[shown].element.hidden = true;
    views[shown].handle.hidden?.();
  }
  shown = name;
  views[name].element.hidden = false;
  for (const one of NAMES) {
    document.getElementById(`tab-${one}`)?.setAttribute("aria-selected", String(one === name));
  }
  history.replaceState(null, "", `#${name}`);
  views[name].handle.shown?.();
}

/** What can be opened in the folder. */
async function browse(folder = "") {
  const dialog = document.getElementById("files");
  const { folder: here, files } = await ask("files", { folder });
  const path = (name) => (here ? `${here}/${name}` : name);
  const choose = (file) => attempt(async () => {
    if (file.kind === "folder") { await browse(path(file.name)); return; }
    dialog.close();
    await open({ path: path(file.name) });
  });
  const signs = { folder: "📁", results: "▦", recipe: "≡", file: "·" };
  const rows = files.map((file) => h("li", {}, button("", () => choose(file), { test: `file-${file.name}` })));
  rows.forEach((row, i) => {
    const { name, kind, bytes } = files[i];
    const size = bytes === null ? kind : bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
    row.firstChild.append(h("span", { "aria-hidden": "true" }, signs[kind]), h("span", {}, name), h("span", { class: "size" }, size));
  });
  const up = here && h("li", {}, button("..", () => attempt(() => browse(here.split("/").slice(0, -1).join("/")))));
  dialog.replaceChildren(
    h("h2", {}, `Open from ${store.facts.folder}${here ? `/${here}` : ""}`),
    h("p", { class: "faint" }, "A stack, a recipe (.toml), or a folder of results. Only this folder is reachable; start the program in another one for others."),
    h("ul", { class: "file-list" }, up, rows),
    h("div", { class: "row" },
      button("Open this folder as a stack", () => { dialog.close(); attempt(() => open({ path: here || "." })); }),
      button("Simulated demo", () => { dialog.close(); attempt(() => open({ demo: true })); }, { test: "open-demo" }),
      button("Close", () => dialog.close())),
  );
  if (!dialog.open) dialog.showModal();
}

function showStart(facts) {
  const host = document.getElementById("views");
  let start = document.getElementById("start");
  if (facts.opened_stamp) { start?.remove(); return; }
  start ??= h("div", { class: "start", id: "start" });
  host.append(start);
  const waiting = facts.state === "opening";
  start.replaceChildren(
    h("h2", {}, "From an X-ray spectromicroscopy stack to composition, phase and stress maps"),
    h("p", { class: facts.error ? "bad" : "faint" }, facts.error || (waiting ? "Opening …" : "Choose what to look at.")),
    waiting ? h("progress", {}) : h("div", { class: "row" },
      button("Open a stack, a recipe or results", () => attempt(() => browse()), { primary: true, test: "start-open" }),
      button("Simulated demo", () => attempt(() => open({ demo: true })), { test: "start-demo" })),
  );
}

const STEPS = { running: "", done: "run finished", failed: "the run failed", cancelled: "the run was cancelled" };
let lastJob = null;
function showRun() {
  const host = document.getElementById("run-state");
  const job = store.job;
  const opening = store.facts?.state === "opening";
  if (opening) host.replaceChildren("opening …", h("progress", {}));
  else if (job?.state === "running") {
    const progress = h("progress", { max: job.of || null });
    if (job.of) progress.value = job.done;
    host.replaceChildren(h("span", { "data-test": "run-step" }, `${job.step || "starting"} · ${Math.round(job.seconds ?? 0)} s`), progress,
      button("Cancel", () => attempt(cancel), { test: "run-cancel" }));
  } else host.replaceChildren(h("span", { class: "faint", "data-test": "run-done" }, STEPS[job?.state] ?? ""));
  document.body.dataset.run = job?.state ?? "none";
  const seen = job && `${job.id} ${job.state}`; // one may fail before it was seen running
  const ended = job && job.state !== "running" && lastJob !== seen;
  if (ended && job.state === "failed") notice(job.error || "the run failed", "bad");
  lastJob = seen;
  showBanner();
  showWarnings();
  showTitle();
}

/** What the file and the last run warn of: counted in the top bar, listed when asked for. */
function showWarnings() {
  const counter = document.getElementById("warnings");
  const list = document.getElementById("warned");
  const failed = store.job?.state === "failed";
  const run = (failed ? store.job.warnings : store.results?.summary?.warnings) ?? [];
  const groups = [["Of the file", store.stack?.notes ?? []], [failed ? "Of the failed run" : "Of these results", run]];
  const count = groups.reduce((sum, [, texts]) => sum + texts.length, 0);
  counter.hidden = !count;
  counter.textContent = `⚠ ${count} warning${count === 1 ? "" : "s"}`;
  if (!count) closeWarnings();
  list.replaceChildren(...groups.filter(([, texts]) => texts.length).flatMap(([title, texts]) => [
    h("h3", {}, title), h("ul", {}, texts.map((one) => h("li", {}, one)))]));
}

function closeWarnings() {
  document.getElementById("warned").hidden = true;
  document.getElementById("warnings").setAttribute("aria-expanded", "false");
}

/** The file, and how far a run is: read on the tab while one looks elsewhere. */
function showTitle() {
  const path = store.facts?.path;
  const { state, done, of } = store.job ?? {};
  const sign = state === "running" ? (of ? `${Math.round((100 * done) / of)} % · ` : "running · ") : "";
  document.title = path ? `${sign}${path} · chemoscape` : "chemoscape";
}

function showBanner() {
  const banner = document.getElementById("banner");
  const stale = store.results?.summary && store.recipe && !upToDate() && store.job?.state !== "running";
  banner.hidden = !stale;
  banner.textContent = stale ? "The recipe has been changed since these results were made: press Run to bring them up to date." : "";
  document.body.dataset.stale = String(Boolean(stale));
}

function keys(event) {
  if (event.key === "Escape" && !document.getElementById("warned").hidden) {
    closeWarnings();
    document.getElementById("warnings").focus();
    return;
  }
  const typing = event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, dialog");
  if ((event.ctrlKey || event.metaKey) && !event.altKey) {
    const key = event.key.toLowerCase();
    const typed = event.target.closest?.("input[type=text], input[type=number], textarea, dialog");
    if (typed || (key !== "z" && key !== "y") || !store.recipe) return;
    event.preventDefault();
    turn(key === "y" || event.shiftKey ? "redo" : "undo");
    return;
  }
  if (typing || event.altKey) return;
  const tabs = [...document.querySelectorAll("#tabs button")];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && tabs.includes(event.target)) {
    event.preventDefault();
    tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length].focus();
    return;
  }
  const index = "12345678".indexOf(event.key);
  if (index >= 0 && event.key !== "") go(NAMES[index]);
  else if (event.key === "o") attempt(() => browse());
  else if (event.key === "?") help();
}

/** Undo or redo, in every view alike; the recipe's own view asks about its text first. */
function turn(which) {
  attempt(() => (views[shown]?.handle.turn ?? recipeAction)(which));
}

function help() {
  const dialog = document.getElementById("help");
  const rows = [
    ["1 … 8", "the views, in the order of the work"], ["o", "open another file"],
    ["← →", "frame before, frame after (Shift: ten)"], ["+ − 0", "zoom in, out, whole field (on a map)"],
    ["arrows, Enter", "move and set the cross of a tool on a map"], ["Esc", "put a tool away"], ["Ctrl+Z, Ctrl+Y", "take back the last edit of the recipe, do it again"], ["?", "this list"],
  ];
  dialog.replaceChildren(h("h2", {}, "Keys"), h("table", {}, rows.map(([key, text]) => h("tr", {}, h("td", {}, h("code", {}, key)), h("td", {}, text)))),
    button("Close", () => dialog.close()));
  dialog.showModal();
}

on("facts", (facts) => {
  showTitle();
  document.getElementById("file").textContent = facts.path ?? facts.folder;
  document.body.dataset.state = facts.state;
  if (facts.error && facts.opened_stamp) notice(facts.error, "bad");
  showStart(facts);
  showRun();
});
on("stack", () => {
  const wanted = location.hash.slice(1);
  go(shown ?? (views[wanted] ? wanted : store.stack.kind === "results" ? "maps" : "stack"));
});
on("job", showRun);
on("stack", showWarnings);
on("recipe", () => {
  showBanner();
  document.getElementById("undo").disabled = !store.recipe.can_undo;
  document.getElementById("redo").disabled = !store.recipe.can_redo;
});
on("results", () => { showBanner(); showWarnings(); document.body.dataset.stamp = store.results?.stamp ?? ""; });

document.addEventListener("keydown", keys);
document.getElementById("file").addEventListener("click", () => attempt(() => browse()));
for (const one of ["undo", "redo"]) document.getElementById(one).addEventListener("click", () => turn(one));
document.getElementById("warnings").addEventListener("click", () => {
  const list = document.getElementById("warned");
  list.hidden = !list.hidden;
  document.getElementById("warnings").setAttribute("aria-expanded", String(!list.hidden));
});
document.addEventListener("pointerdown", (event) => { if (!event.target.closest("#warned, #warnings")) closeWarnings(); });
attempt(async () => {
  await Promise.all([loadPalettes(), loadViews()]);
  await watch();
});
