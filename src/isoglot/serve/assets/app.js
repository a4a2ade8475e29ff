// The page: what is asked stands in the address; whenever that changes, it is asked and shown.

import { Refused, ask, setKey } from "./api.js";
import { comparisonAnnouncement, comparisonView, sumOfShares } from "./compare.js";
import { amount, byId, h } from "./dom.js";
import { learn } from "./languages.js";
import { buildOptions, foldOptions, readOptions, showOptions, showSample } from "./options.js";
import { buildRows, readRows } from "./rows.js";
import { announcement, answerView, welcome } from "./search.js";
import { readState, requestOf, writeState } from "./state.js";

let index;
let offered;
let rows;
let view = "";
let running = new AbortController();
// Answers to the question that is shown, by what else was asked: to see another policy costs nothing.
let answers = new Map();
let answersTo = "";

start();

async function start() {
  try {
    [index, offered] = await Promise.all([withKey(() => ask("index")), withKey(() => ask("questions"))]);
  } catch (error) {
    showError(error, start);
    return;
  }
  learn(index.languages);
  byId("facts").textContent =
    `${amount(index.passages, "passage")} · ${amount(index.languages.length, "language")} · ${index.encoder}`;
  byId("version").textContent = index.version;
  byId("query").maxLength = index.limits.query_characters;
  buildOptions(index, () => go({ ...current(), ...readOptions() }));
  rows = buildRows(index, offered, () => go({ ...current(), translations: readRows() }));
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const query = byId("query").value.trim();
    if (query) go({ ...current(), query });
    else byId("query").focus();
  });
  byId("compare-form").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ ...current(), translations: readRows() });
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=radio], [type=checkbox]), select, textarea, dialog");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    [byId("query"), byId("example"), document.querySelector("#rows input")].find((one) => one?.checkVisibility())?.focus();
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is the question's
    byId("results").focus();
  });
  byId("options").hidden = false;
  addEventListener("hashchange", show);
  show();
}

const current = () => readState(location.hash);

/** Ask something else; the same again is asked anew. */
function go(state) {
  const fragment = writeState(state);
  if (fragment === writeState(current())) {
    answersTo = "";
    show();
  } else location.hash = fragment;
}

/** Show what the address asks for. */
function show() {
  const state = current();
  const comparing = state.view === "compare";
  const policy = index.policies.some((one) => one.policy === state.policy) ? state.policy : index.default_policy;
  const title = comparing ? "Compare translations" : "Search";
  document.title = !comparing && state.query ? `${state.query} – isoglot` : `${title} – isoglot`;
  byId("title").textContent = title;
  byId("search-form").hidden = comparing;
  byId("compare-form").hidden = !comparing;
  if (view !== state.view) foldOptions(comparing);
  view = state.view;
  document.body.classList.toggle("comparing", comparing);
  mark(byId("view-search"), !comparing);
  mark(byId("view-compare"), comparing);
  if (comparing && !state.translations.length && offered.questions.length) {
    rows.showExample(offered.questions[0].id);
    state.translations = readRows();
    history.replaceState(null, "", writeState(state));
  }
  // The other view keeps the options.
  const kept = { ...state, query: "", translations: [] };
  byId("view-search").href = writeState({ ...kept, view: "search" });
  byId("view-compare").href = writeState({ ...kept, view: "compare" });
  showOptions(state, policy);
  if (comparing) {
    if (JSON.stringify(readRows()) !== JSON.stringify(state.translations)) rows.showRows(state.translations);
  } else if (byId("query").value.trim() !== state.query) byId("query").value = state.query;
  run(state, policy);
}

function mark(link, here) {
  if (here) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** Ask what a state asks for, show the answer, and then what the other policies would say. */
async function run(state, policy) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const comparing = state.view === "compare";
  if (!(comparing ? state.translations.length : state.query)) {
    for (const one of index.policies) showSample(one.policy, null);
    busy(false);
    output(...(comparing
      ? [h("h2", { id: "results-title" }, "Write a question in two languages or more")]
      : welcome({ index, examples: pickExamples(), openExample, compareExample })));
    return;
  }
  const path = comparing ? "compare" : "search";
  const question = comparing
    ? { queries: state.translations.map(({ language, query }) => ({ query, language: language || null })) }
    : { query: state.query };
  const fetchAnswer = (one) => answerTo(path, { ...question, ...requestOf(state, one) }, signal);
  const same = JSON.stringify([path, question, { ...requestOf(state, ""), quota: state.quota }]);
  if (same !== answersTo) {
    answers = new Map();
    answersTo = same;
    for (const one of index.policies) showSample(one.policy, null);
  }
  busy(true);
  try {
    const answer = await withKey(() => fetchAnswer(policy));
    if (signal.aborted) return;
    const name = index.policies.find((one) => one.policy === policy).name;
    output(...(comparing ? comparisonView(answer, name) : answerView(answer, name)));
    byId("status").textContent = comparing ? comparisonAnnouncement(answer) : announcement(answer);
    busy(false);
  } catch (error) {
    if (signal.aborted) return;
    busy(false);
    showError(error, () => go(current()));
    return;
  }
  try {
    for (const one of index.policies) {
      const answer = await fetchAnswer(one.policy);
      if (signal.aborted) return;
      showSample(one.policy, comparing ? sumOfShares(answer.answers) : answer.languages);
    }
  } catch {
    // The question is answered; a service with too much to do need not say what it would have said.
  }
}

async function answerTo(path, body, signal) {
  const key = JSON.stringify(body);
  if (!answers.has(key)) answers.set(key, await ask(path, body, signal));
  return answers.get(key);
}

function busy(on) {
  byId("results").setAttribute("aria-busy", String(on));
}

function output(...nodes) {
  byId("output").replaceChildren(...nodes);
}

function showError(error, again) {
  const refused = error instanceof Refused;
  if (!refused) console.error(error);
  output(
    h("h2", { id: "results-title" }, "Not answered"),
    h("div.notice.fault", { role: "alert" },
      h("p", {}, refused ? error.message : "Something on this page went wrong."),
      h("p.quiet", {}, refused ? error.help : "Load it again.")),
    h("button", { type: "button", onclick: again }, "Try again"));
}

/** Do something that may need the API key, and ask for the key as often as it is refused. */
async function withKey(work) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      await askForKey(tries > 0);
    }
  }
}

let asking = null;

function askForKey(again) {
  const dialog = byId("key-dialog");
  byId("key-error").textContent = again ? "That key was not accepted." : "";
  asking ??= new Promise((resolve) => {
    const form = byId("key-form");
    // Without a key there is nothing to see; and a browser lets a page refuse to close a dialog only once.
    const reopen = () => dialog.open || dialog.showModal();
    dialog.addEventListener("close", reopen);
    form.addEventListener("submit", () => {
      dialog.removeEventListener("close", reopen);
      setKey(byId("key").value.trim());
      byId("key").value = "";
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** A few questions, each in another language, so that the page shows what can be asked. */
function pickExamples() {
  const seen = new Set();
  return offered.questions.slice(0, 6).map(({ id, text }) => {
    const languages = Object.keys(text);
    const language = languages.find((code) => !seen.has(code)) ?? languages[0];
    seen.add(language);
    const { direction } = offered.languages.find((one) => one.language === language);
    return { id, language, direction, query: text[language], languages: languages.length };
  });
}

const openExample = (query) => go({ ...current(), query });

function compareExample(id) {
  rows.showExample(id);
  go({ ...current(), view: "compare", translations: readRows() });
}
