// Languages at a glance: a colour that stays the same all over the page, always with code and name.

import { amount, h } from "./dom.js";

const TONES = 12;
const known = new Map();

/** Remember languages; each gets the next colour. */
export function learn(languages) {
  for (const { language, name, direction } of languages) {
    if (!known.has(language)) known.set(language, { name, direction, tone: known.size % TONES });
  }
}

export const nameOf = (code) => known.get(code)?.name ?? code;
export const directionOf = (code) => known.get(code)?.direction ?? "auto";
export const toneOf = (code) => `tone-${known.get(code)?.tone ?? 0}`;

/** Code on its colour, and the name. */
export function chip(code) {
  const name = nameOf(code);
  return h("span.chip", {}, h(`span.code.${toneOf(code)}`, {}, code), name === code ? null : ` ${name}`);
}

/** "Arabic 3, English 2" */
export const sharesInWords = (counts) =>
  counts.map(({ language, passages }) => `${nameOf(language)} ${passages.toLocaleString("en")}`).join(", ");

/** A bar whose parts are the shares of languages; its text alternative says the same. */
export function shareBar(counts, what) {
  const bar = h("div.share", { role: "img", "aria-label": `${what}: ${sharesInWords(counts) || "none"}` });
  for (const { language, passages } of counts) {
    const title = `${nameOf(language)}: ${amount(passages, "passage")}`;
    const part = h(`span.${toneOf(language)}`, { title }, h("span", {}, language));
    part.style.flexGrow = passages;
    bar.append(part);
  }
  return bar;
}

/** The shares as text, each with its colour. */
export function shareList(counts) {
  return h("ul.shares", { "aria-label": "Passages by language" }, ...counts.map(({ language, passages }) =>
    h("li", {}, h(`i.${toneOf(language)}`, { "aria-hidden": "true" }), `${nameOf(language)} `, h("b", {}, passages.toLocaleString("en")))));
}
