// What every view shares: what is open, the recipe and its revision, the run, the results.
import { ask } from "./api.js";
import { notice } from "./dom.js";

const listeners = {};
/** The shared state; views read it and change it through `edit`, `run` and `open` alone. */
export const store = { facts: null, stack: null, recipe: null, results: null, job: null };

/** Be told of "facts", "stack", "recipe", "job" or "results". */
export function on(event, listener) {
  (listeners[event] ??= []).push(listener);
}

function tell(event) {
  for (const listener of listeners[event] ?? []) {
    try { listener(store[event]); } catch (error) { console.error(error); notice(error.message, "bad"); }
  }
}

let asking = null;
/** Ask what has changed, and tell the views. Calls while one is under way share it. */
export function refresh() {
  asking ??= look().finally(() => { asking = null; });
  return asking;
}

async function look() {
  const before = store.facts;
  const facts = await ask("facts");
  store.facts = facts;
  const opened = facts.opened_stamp && facts.opened_stamp !== before?.opened_stamp;
  if (JSON.stringify(facts) !== JSON.stringify(before)) tell("facts");
  const changed = facts.opened_stamp && (opened || facts.revision !== store.recipe?.revision);
  if (opened) {
    store.results = null;
    store.stack = await ask("stack");
  }
  if (changed) store.recipe = await ask("recipe");
  store.asRun = facts.as_run; // told of together with the recipe that it is of
  if (opened) {
    tell("stack");
  }
  if (changed) tell("recipe");
  if (facts.opened_stamp) {
    const job = await ask("run");
    if (JSON.stringify(job) !== JSON.stringify(store.job)) {
      store.job = job;
      tell("job");
    }
  }
  if (facts.opened_stamp && (opened || facts.stamp !== store.results?.stamp)) {
    store.results = await ask("results");
    tell("results");
  }
}

/** Go on asking: often while something is under way. */
export async function watch() {
  for (;;) {
    let pause = 1500;
    try {
      await refresh();
      if (store.facts.state === "opening" || store.job?.state === "running") pause = 250;
      lost(null);
    } catch (error) {
      lost(error);
      pause = 2000;
    }
    await new Promise((done) => { setTimeout(done, pause); });
  }
}

/** The program is out of reach, or is again. */
function lost(error) {
  const box = document.getElementById("lost");
  document.body.classList.toggle("lost", Boolean(error));
  box.hidden = !error;
  if (!error) return;
  box.textContent = error.status === 403
    ? "The program was started anew, and does not know this page: open the address that it printed."
    : error.status === 0
      ? "The program does not answer: was it ended, or the tunnel closed? What is shown stays; this page goes on as soon as it is back."
      : error.message;
}

async function act(name, body) {
  try {
    return await ask(name, body);
  } catch (error) {
    if (error.status === 409) {
      await refresh();
      throw Object.assign(new Error(`${error.message} The recipe is shown as it is now.`), { status: 409 });
    }
    throw error;
  } finally {
    await refresh().catch(() => {});
  }
}

/** Change the recipe: {"clusters.cut": 3, …}; null takes a key out. */
export function edit(changes) {
  return act("recipe/edit", { revision: store.recipe.revision, changes });
}

/** Run the session's recipe up to "explore", "maps", "stress" or "all". */
export function run(until) {
  return act("run/start", { revision: store.recipe.revision, until });
}

/** End the run. */
export function cancel() {
  return act("run/cancel", {});
}

/** Open a file of the folder, or {demo: true}. */
export function open(body) {
  return act("open", body);
}

/** Any other action on the recipe. */
export function recipeAction(name, body = {}) {
  return act(`recipe/${name}`, { revision: store.recipe.revision, ...body });
}

/** Whether the results are of the recipe as it is now. */
export function upToDate() {
  return Boolean(store.results?.summary && store.asRun);
}

/** A value of the resolved recipe, as value("clusters.cut"). */
export function value(key) {
  return key.split(".").reduce((table, name) => table?.[name], store.recipe?.table);
}

/** Whether the results hold a node. */
export function hasNode(path) {
  return Boolean(store.results?.nodes?.[path]);
}
