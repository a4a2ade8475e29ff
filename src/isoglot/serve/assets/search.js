// The passages of one query.

import { amount, figure, h, passageText } from "./dom.js";
import { chip, shareBar, shareList, sharesInWords, toneOf } from "./languages.js";

/** What is shown before a question: how it works, and examples. */
export function welcome({ index, examples, openExample, compareExample }) {
  const rows = examples.map(({ id, language, direction, query, languages }) =>
    h("li", {},
      h("button.example", { type: "button", onclick: () => openExample(query) },
        chip(language), h("span", { lang: language, dir: direction }, query)),
      languages > 1 && h("button.plain", { type: "button", onclick: () => compareExample(id), "aria-label": `Compare its ${languages} translations` },
        `in ${languages} languages`)));
  return [
    h("h2.lead", { id: "results-title" }, "Ask in any language."),
    h("p.lead", {}, `The ${amount(index.passages, "passage")} here are in ${amount(index.languages.length, "language")}. `
      + "The answer may be in another one than the question: a search that is fair to all of them finds it all the same."),
    rows.length > 0 && h("h3", {}, "Try one of these"),
    rows.length > 0 && h("ul.examples", {}, ...rows),
  ].filter(Boolean);
}

/** The answer to a query. */
export function answerView(answer, policyName) {
  const total = answer.results.length;
  if (!total) {
    return [
      h("h2", { id: "results-title" }, "Nothing found"),
      h("p.notice", {}, "No passage came up. Take other words, or let all languages in."),
    ];
  }
  return [
    h("div.head", {},
      h("h2", { id: "results-title" }, `${amount(total, "passage")} in ${amount(answer.languages.length, "language")}`),
      h("p.quiet", {}, `${policyName}, ${answer.took_ms < 10 ? answer.took_ms.toFixed(1) : Math.round(answer.took_ms)} ms`)),
    shareBar(answer.languages, "Languages of the passages"),
    shareList(answer.languages),
    h("ol.list", {}, ...answer.results.map((result) => resultItem(result, answer.policy))),
  ];
}

/** One line for screen readers. */
export function announcement(answer) {
  const languages = answer.languages.length;
  return answer.results.length
    ? `${amount(answer.results.length, "passage")} in ${amount(languages, "language")}: ${sharesInWords(answer.languages)}`
    : "Nothing found";
}

function resultItem(result, policy) {
  const similarity = policy !== "score" && result.similarity !== null && `similarity ${figure(result.similarity)}`;
  return h(`li.result.${toneOf(result.language)}`, { "data-language": result.language },
    h("div.meta", {},
      h("span.rank", { "aria-hidden": "true" }, result.rank),
      chip(result.language),
      h("span.id", { title: result.doc_id }, h("bdi", {}, result.doc_id)),
      h("span.score", {}, h("span.quiet", {}, "score "), figure(result.score),
        similarity && h("span.quiet.similarity", {}, similarity))),
    passageText(result));
}
