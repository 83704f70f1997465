/** The line of phrases that is closest to the selected picture, to copy. */

import { follow } from "./api.js";
import { $, make, speak } from "./dom.js";
import { selected } from "./pictures.js";
import { form, OWN } from "./question.js";
import { titled, YOURS } from "./words.js";

/**
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{line: string, similarity: number, naive_similarity: number, best_phrase: string,
 *   best_phrase_similarity: number, parts: {phrase: string, list: string | null, adds: number}[]}} Line
 */

let stop = new AbortController();
/** What the line that is shown, or on its way, was asked for. */
let current = "";

/** @param {() => Question} question */
export function setUp(question) {
  $("prompt").addEventListener("click", () => ask(question()));
  $("copy").addEventListener("click", copy);
}

/**
 * Hide a line that is not of this picture and these lists, and give up one that is on its way.
 * @param {Question} asked
 */
export function showPrompt(asked) {
  const picture = selected();
  $("prompting").hidden = !picture || Boolean(picture.error) || !asked.lists.length;
  if (key(asked, picture) !== current) clear();
}

/**
 * @param {Question} asked
 * @param {Picture | null} picture
 */
const key = ({ lists }, picture) => JSON.stringify([picture?.id, lists.map(({ name, own }) => [name, own])]);

function clear() {
  stop.abort();
  current = "";
  $("made").hidden = $("prompt-bar").hidden = true;
  $("prompt-error").textContent = "";
}

/** @param {Question} asked */
async function ask(asked) {
  const picture = selected();
  if (!picture) return;
  clear();
  current = key(asked, picture);
  stop = new AbortController();
  const { signal } = stop;
  const data = form(asked, asked.lists, picture.file);
  for (const name of ["top", "corrected"]) data.delete(name);
  const bar = $("prompt-bar");
  bar.hidden = false;
  bar.removeAttribute("value");
  try {
    await follow("api/prompt", data, { signal, onWait: speak }, (event, found) => {
      if (signal.aborted) return;
      if (event === "progress") Object.assign(bar, { max: found.total, value: found.done });
      if (event === "prompt") show(found);
    });
  } catch (error) {
    if (!signal.aborted) $("prompt-error").textContent = /** @type {Error} */ (error).message;
  }
  if (!signal.aborted) bar.hidden = true;
}

/** @param {Line} found */
function show(found) {
  const signed = (/** @type {number} */ value) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(3)}`;
  $("line").textContent = found.line;
  $("line-says").textContent =
    `closeness ${found.similarity.toFixed(3)}; first of each list ${found.naive_similarity.toFixed(3)}, ` +
    `one phrase ${found.best_phrase_similarity.toFixed(3)}`;
  $("copy").textContent = "Copy";
  $("parts").replaceChildren(
    ...found.parts.map(({ phrase, list, adds }) => {
      const words = make("span", { textContent: phrase, title: phrase, dir: "auto" });
      return make("li", {}, make("b", { textContent: signed(adds) }), words, make("span", { textContent: list === OWN ? YOURS : titled(list ?? "") }));
    }),
  );
  $("made").hidden = false;
  speak(`Line: ${found.line}`);
}

async function copy() {
  const line = $("line");
  getSelection()?.selectAllChildren(line);
  // Without a secure address, as on another machine, the page may not write to the clipboard itself.
  const done = navigator.clipboard
    ? await navigator.clipboard.writeText(line.textContent).then(() => true, () => false)
    : document.execCommand("copy");
  $("copy").textContent = done ? "Copied" : "Press Ctrl-C";
}
