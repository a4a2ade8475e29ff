// Elements from values. Texts become text nodes and attributes are set as such, so nothing that
// comes from a passage or a query is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/**
 * Make an element.
 * @param {string} tag Its name, classes after dots: "p.quiet.small".
 * @param {Object} attributes "on..." are listeners; true is the attribute alone, false and null leave it out.
 * @param {...(Node|string|number|null|false)} children
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

/** "1 passage", "2 passages", "1,200 passages" */
export function amount(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/**
 * A text of a passage: in its language and direction, long ones folded.
 * @param {Object} result language, direction and text
 * @param {string} tag Of the element that holds the text.
 */
export function passageText(result, tag = "p.text") {
  if (!result.text) return h("p.quiet", {}, "The index keeps no texts.");
  const text = h(tag, { lang: result.language, dir: result.direction }, result.text);
  const more = h("button.plain.more", { type: "button", hidden: true, "aria-expanded": "false" }, "Show all");
  more.addEventListener("click", () => {
    const open = text.classList.toggle("open");
    more.textContent = open ? "Show less" : "Show all";
    more.setAttribute("aria-expanded", String(open));
  });
  // Known only once it is laid out.
  requestAnimationFrame(() => { more.hidden = text.scrollHeight <= text.clientHeight + 2; });
  return h("div.passage", {}, text, more);
}

/** A score as people read it. */
export function figure(value) {
  return value === null ? "–" : value.toFixed(3);
}
