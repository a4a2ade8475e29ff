// How to search: policy, languages and number, the same for both views.

import { amount, byId, h } from "./dom.js";
import { chip, nameOf, shareBar, sharesInWords } from "./languages.js";

const COUNTS = [5, 10, 20, 50, 100];
const QUOTAS = [1, 2, 3, 5, 10];

/**
 * Fill the options in.
 * @param {Object} index Answer of /index.
 * @param {function()} changed Called when one was changed by hand.
 */
export function buildOptions(index, changed) {
  byId("policies").append(...index.policies.map(({ policy, name, meaning }) => {
    const id = `policy-${policy}`;
    return h("label.policy", { for: id },
      h("input", { type: "radio", name: "policy", id, value: policy, "aria-describedby": `${id}-meaning ${id}-share`, onchange: changed }),
      h("span.name", {}, name),
      h("span.meaning", { id: `${id}-meaning` }, meaning),
      h("span.sample", { id: `${id}-share`, "data-policy": policy }));
  }));
  byId("languages").append(...index.languages.map(({ language, passages }) =>
    h("label.language", {},
      h("input", { type: "checkbox", name: "language", value: language, onchange: changed }),
      chip(language),
      h("span.quiet.size", { title: amount(passages, "passage") }, passages.toLocaleString("en")))));
  byId("count").append(...choices(COUNTS));
  byId("quota").append(h("option", { value: "" }, "equal"), ...choices(QUOTAS));
  byId("words-field").hidden = !index.has_words;
  for (const id of ["count", "quota", "words"]) byId(id).addEventListener("change", changed);
  byId("all-languages").addEventListener("click", () => {
    for (const box of boxes()) box.checked = false;
    byId("more-options").querySelector("summary").focus();
    changed();
  });
}

/** Unfold the options where there is room beside the results, when a view begins. */
export function foldOptions(comparing) {
  byId("more-options").open = !comparing && !matchMedia("(max-width: 60rem)").matches;
}

/** Set the options to a state. */
export function showOptions(state, policy) {
  byId(`policy-${policy}`).checked = true;
  for (const box of boxes()) box.checked = state.languages.includes(box.value);
  choose(byId("count"), state.k);
  choose(byId("quota"), state.quota ?? "");
  byId("words").checked = state.words;
  byId("quota-field").hidden = policy !== "quota";
  byId("policy-meaning").textContent = byId(`policy-${policy}-meaning`).textContent;
  byId("all-languages").hidden = !state.languages.length;
  const languages = state.languages.length ? state.languages.map(nameOf).join(", ") : amount(boxes().length, "language");
  byId("options-summary").textContent = `${languages}, ${amount(state.k, "passage")}${state.words ? ", words" : ""}`;
}

/** Read the options. */
export function readOptions() {
  return {
    policy: document.querySelector("[name=policy]:checked")?.value ?? "",
    languages: boxes().filter((box) => box.checked).map((box) => box.value),
    k: Number(byId("count").value),
    quota: Number(byId("quota").value) || null,
    words: byId("words").checked,
  };
}

/** Show what a policy makes of the question, or nothing. */
export function showSample(policy, counts) {
  const place = document.querySelector(`.sample[data-policy=${policy}]`);
  if (!counts?.length) place.replaceChildren();
  else place.replaceChildren(shareBar(counts, "Languages"), h("span.unseen", {}, sharesInWords(counts)));
}

const boxes = () => [...document.querySelectorAll("[name=language]")];
const choices = (numbers) => numbers.map((number) => h("option", { value: number }, number));

/** Choose a value, also one that the list does not have. */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === String(value))) {
    select.append(...choices([value]));
  }
  select.value = String(value);
}
