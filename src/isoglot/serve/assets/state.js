// What is asked, as it stands in the address behind "#": it can be shared and kept, and unlike
// what stands behind "?" it is never sent to a server, so no log has it.

const list = (text) => (text ?? "").split(",").filter(Boolean);

/** Read the state from an address' fragment. */
export function readState(fragment) {
  const values = new URLSearchParams(fragment.replace(/^#/, ""));
  return {
    view: values.get("view") === "compare" ? "compare" : "search",
    query: values.get("q") ?? "",
    // "sw:Maziwa hugeukaje?"; the language may be missing
    translations: values.getAll("t").map((text) => {
      const [, language, query] = /^([A-Za-z-]*):([\s\S]*)$/.exec(text) ?? ["", "", text];
      return { language, query };
    }),
    policy: values.get("policy") ?? "",
    quota: Number(values.get("quota")) || null,
    k: Number(values.get("k")) || 10,
    languages: list(values.get("languages")),
    words: values.get("words") === "1",
  };
}

/** Write a state so that `readState` gives it back; what is as usual is left out. */
export function writeState(state) {
  const values = new URLSearchParams();
  if (state.view === "compare") {
    values.set("view", "compare");
    for (const { language, query } of state.translations) values.append("t", `${language}:${query}`);
  } else if (state.query) values.set("q", state.query);
  if (state.policy) values.set("policy", state.policy);
  if (state.quota && state.policy === "quota") values.set("quota", state.quota);
  if (state.k !== 10) values.set("k", state.k);
  if (state.languages.length) values.set("languages", state.languages.join(","));
  if (state.words) values.set("words", "1");
  return `#${values}`;
}

/** What the API wants to know of a state, besides the queries. */
export function requestOf(state, policy) {
  return {
    k: state.k,
    policy,
    languages: state.languages.length ? state.languages : null,
    quota: policy === "quota" ? state.quota : null,
    words: state.words,
  };
}
