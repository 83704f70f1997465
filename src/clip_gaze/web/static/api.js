/** Requests to the server that this page comes from. */

/**
 * @typedef {{phrase: string, probability: number, plain?: number}} Score
 * @typedef {{image: string, model: string, variant: string, lists: Record<string, Score[]>,
 *   status: "ok" | "error", error: string | null, templates: string[], corrected: boolean}} Result
 * @typedef {{image: string, phrase: string, list: string | null, probability: number,
 *   grid: number[][], box: [number, number, number, number], overlay: {limit: number, png: string},
 *   templates: string[], corrected: boolean}} Heat
 * @typedef {{phrase: string, before: number, after: number, difference: number}} Change
 * @typedef {{reference: string, images: {image: string, lists: Record<string, Change[]>,
 *   same: boolean, status: "ok" | "error", error: string | null}[]}} Comparison
 * @typedef {{signal: AbortSignal, onWait: (why: string) => void}} Patience
 *   `onWait` is told why nothing is asked for a while, and "" when it is asked again
 */

/** The server's own line on what went wrong. */
export class RefusedError extends Error {}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function read(path) {
  return (await checked(await reached(path, {}))).json();
}

/**
 * Ask, and ask again as long as the server is busy.
 * @param {string} path
 * @param {FormData} form
 * @param {Patience} patience
 * @param {string} [accept]
 * @returns {Promise<Response>}
 */
export async function ask(path, form, { signal, onWait }, accept = "application/json") {
  for (;;) {
    const options = { method: "POST", body: form, headers: { Accept: accept }, signal };
    const response = await reached(path, options);
    if (response.status !== 503) return checked(response);
    const seconds = Math.max(1, Number(response.headers.get("Retry-After")) || 1);
    onWait(`busy; trying again in ${seconds} s`);
    await pause(seconds, signal);
    onWait("");
  }
}

/**
 * Ask, and pass on what comes, piece by piece.
 * @param {string} path
 * @param {FormData} form
 * @param {Patience} patience
 * @param {(event: string, data: any) => void} onEvent
 */
export async function follow(path, form, patience, onEvent) {
  const response = await ask(path, form, patience, "text/event-stream");
  const reader = /** @type {ReadableStream} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(unreachable);
    if (done) throw new Error("The answer broke off. Is clip-gaze still running?");
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const { event, data } = parsed(block);
      if (event === "error") throw new RefusedError(data.error);
      if (event === "done") return;
      if (event) onEvent(event, data);
    }
  }
}

/** @param {string} block of lines, one event */
function parsed(block) {
  const fields = block.split(/\r?\n/).map((line) => line.match(/^(event|data): ?(.*)$/));
  const all = (/** @type {string} */ name) =>
    fields.flatMap((field) => (field?.[1] === name ? [field[2]] : [])).join("\n");
  return { event: all("event"), data: JSON.parse(all("data") || "{}") };
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
function reached(path, options) {
  return fetch(path, options).catch(unreachable);
}

/**
 * @param {Error} error
 * @returns {never}
 */
function unreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new Error("clip-gaze does not answer. Is it still running?");
}

/** @param {Response} response */
async function checked(response) {
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new RefusedError(answer.error ?? `The server answered with ${response.status}.`);
}

/**
 * @param {number} seconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
