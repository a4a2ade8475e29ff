// The form of a comparison: one question, a row for each language.

import { byId, h } from "./dom.js";
import { chip, directionOf, learn, nameOf } from "./languages.js";

const FIRST = ["en", "ar", "zh", "sw"]; // shown at first, where an example has them

/**
 * Make the form work.
 * @param {Object} index Answer of /index.
 * @param {Object} offered Answer of /questions.
 * @param {function()} changed Called when it should be compared anew.
 */
export function buildRows(index, offered, changed) {
  learn(offered.languages);
  const codes = [...new Set([...index.languages, ...offered.languages].map(({ language }) => language))].sort();
  const most = index.limits.compared;
  const select = byId("example");

  function add({ language = "", query = "" } = {}) {
    const text = h("input.text", {
      type: "text", value: query, maxlength: index.limits.query_characters, spellcheck: "false",
      lang: language, dir: language ? directionOf(language) : "auto", "aria-label": "Question", placeholder: "The question in this language",
    });
    const choice = h("select", { "aria-label": "Language", onchange: () => direct(text, choice.value) },
      h("option", { value: "" }, "language?"),
      ...codes.map((code) => h("option", { value: code, selected: code === language }, `${nameOf(code)} · ${code}`)));
    const remove = h("button.plain.remove", { type: "button", "aria-label": "Take this translation out" }, "×");
    const row = h("li", {}, choice, text, remove);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      (next?.querySelector("input") ?? byId("add-row")).focus();
      refresh();
    });
    byId("rows").append(row);
    refresh();
    return text;
  }

  function refresh() {
    byId("add-row").disabled = byId("rows").children.length >= most;
    const shown = readRows().map(({ language }) => language);
    for (const box of byId("picks").querySelectorAll("input")) box.checked = shown.includes(box.value);
  }

  function fill(rows) {
    byId("rows").replaceChildren();
    for (const row of rows) add(row);
    refresh();
  }

  function showPicks(question) {
    const picks = byId("picks");
    for (const label of picks.querySelectorAll("label")) label.remove();
    picks.hidden = !question;
    if (!question) return;
    picks.append(...Object.entries(question.text).map(([language, query]) =>
      h("label.pick", {}, h("input", { type: "checkbox", value: language, onchange: (event) => {
        if (event.target.checked) {
          if (byId("rows").children.length < most) add({ language, query });
        } else {
          [...byId("rows").children].find((row) => row.querySelector("select").value === language)?.remove();
        }
        refresh();
        changed();
      } }), chip(language))));
  }

  /** Show an example in a few languages, or in those that were asked for. */
  function showExample(id, languages) {
    const question = offered.questions.find((one) => one.id === id);
    if (!question) return;
    select.value = id;
    showPicks(question);
    const all = Object.keys(question.text);
    const some = languages ?? [...FIRST.filter((code) => all.includes(code)), ...all.filter((code) => !FIRST.includes(code))].slice(0, 4);
    fill(some.map((language) => ({ language, query: question.text[language] })));
  }

  byId("example-choice").hidden = !offered.questions.length;
  select.append(...offered.questions.map(({ id, text }) => h("option", { value: id }, text.en ?? Object.values(text)[0])));
  select.addEventListener("change", () => {
    const shown = readRows().map(({ language }) => language);
    const question = offered.questions.find((one) => one.id === select.value);
    const kept = shown.filter((language) => question.text[language]);
    showExample(select.value, kept.length > 1 ? kept : undefined);
    changed();
  });
  byId("add-row").addEventListener("click", () => add().focus());

  /** Show the queries of a state, and the example they are from if they are of one. */
  function showRows(translations) {
    const own = ({ language, query }) => (question) => question.text[language] === query;
    const question = offered.questions.find((one) => translations.some((row) => own(row)(one)));
    if (question) select.value = question.id;
    showPicks(question);
    if (!question || !translations.every((row) => own(row)(question))) byId("wording").open = true;
    fill(translations);
  }
  return { showExample, showRows };
}

/** Read the queries; empty rows are left out. */
export function readRows() {
  return [...byId("rows").children]
    .map((row) => ({ language: row.querySelector("select").value, query: row.querySelector("input").value.trim() }))
    .filter(({ query }) => query);
}

function direct(text, language) {
  text.lang = language;
  text.dir = language ? directionOf(language) : "auto";
}
