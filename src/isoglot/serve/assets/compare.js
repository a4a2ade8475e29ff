// The passages of a question's translations, side by side.

import { figure, h, passageText } from "./dom.js";
import { chip, directionOf, shareBar, sharesInWords, toneOf } from "./languages.js";

/** The answers to several queries, as columns. */
export function comparisonView(answer, policyName) {
  const total = answer.answers.length;
  const holders = new Map(answer.agreement.shared.map(({ doc_id, queries }) => [doc_id, queries.length]));
  const columns = h("div.side-by-side", { tabindex: "0", role: "region", "aria-label": "Answers side by side" },
    ...answer.answers.map((one, number) => column(one, number, holders, total)));
  columns.addEventListener("pointerover", (event) => echo(columns, event.target));
  columns.addEventListener("pointerleave", () => echo(columns, null));
  columns.addEventListener("focusin", (event) => echo(columns, event.target));
  return [
    h("div.head", {},
      h("h2", { id: "results-title" }, headline(answer)),
      h("p.quiet", {}, `${policyName}, ${Math.round(answer.took_ms)} ms`)),
    h("p", {}, explanation(answer)),
    columns,
  ];
}

/** One line for screen readers. */
export const comparisonAnnouncement = (answer) => `${headline(answer)}. ${explanation(answer)}`;

function headline({ answers, agreement }) {
  if (answers.length < 2) return "One question";
  if (agreement.overlap === null) return "Nothing found";
  return `The answers share ${Math.round(agreement.overlap * 100)}\u00a0% of their passages`;
}

function explanation({ answers, agreement }) {
  if (answers.length < 2) return "Take a second language to see what they share.";
  const everyone = answers.length === 2 ? "both questions" : `all ${answers.length} questions`;
  const found = agreement.in_all === 1 ? "1 passage is" : `${agreement.in_all || "No"} passages are`;
  return `${answers.length > 2 ? "Averaged over all pairs of questions. " : ""}${found} found by ${everyone}.`;
}

function column(answer, number, holders, total) {
  const language = answer.query_language;
  const title = `column-${number}`;
  return h("section.column", { "aria-labelledby": title },
    h("h3", { id: title },
      language ? chip(language) : h("span.chip", {}, `Question ${number + 1}`),
      h("span.asked", { lang: language, dir: language ? directionOf(language) : "auto" }, answer.query)),
    shareBar(answer.languages, "Languages of the passages"),
    h("p.unseen", {}, sharesInWords(answer.languages)),
    answer.results.length
      ? h("ol.cards", {}, ...answer.results.map((result) => card(result, holders.get(result.doc_id) ?? 1, total)))
      : h("p.quiet", {}, "Nothing found."));
}

function card(result, count, total) {
  const everywhere = count === total && total > 1;
  const shared = everywhere ? (total === 2 ? "in both" : `in all ${total}`) : `in ${count} of ${total}`;
  return h(`li.card.${toneOf(result.language)}`, { "data-doc": result.doc_id },
    h("div.meta", {},
      h("span.rank", { "aria-hidden": "true" }, result.rank),
      chip(result.language),
      count > 1 && h(everywhere ? "span.badge.every" : "span.badge", {}, shared),
      h("span.score", {}, h("span.unseen", {}, "score "), figure(result.score))),
    passageText(result));
}

/** Show where else the passage under the pointer was found. */
function echo(columns, target) {
  const id = target?.closest?.(".card")?.dataset.doc;
  for (const card of columns.querySelectorAll(".card")) {
    card.classList.toggle("echo", id !== undefined && card.dataset.doc === id);
  }
}

/** The languages of all answers together, for the policies' bars. */
export function sumOfShares(answers) {
  const sums = new Map();
  for (const { languages } of answers) {
    for (const { language, passages } of languages) sums.set(language, (sums.get(language) ?? 0) + passages);
  }
  return [...sums].map(([language, passages]) => ({ language, passages })).sort((a, b) => b.passages - a.passages);
}
