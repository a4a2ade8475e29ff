// Requests to this service, with the API key where there is one.

const KEY = "isoglot-key"; // in sessionStorage: of this tab, gone when it is closed

export class Refused extends Error {
  constructor(status, { error, help }) {
    super(error);
    this.status = status;
    this.help = help;
  }
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);

/**
 * Ask for a path, with a body by POST.
 * @throws {Refused} if the answer is not the one that was asked for; status 0 if there was none.
 */
export async function ask(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: "The service cannot be reached.", help: "See whether it still runs, and try again." });
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    answer = { error: `The answer (${response.status}) cannot be read.`, help: "Try again." };
    throw new Refused(response.status, answer);
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}
