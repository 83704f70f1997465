/** What is asked: lists, phrases of one's own, how many, corrected or plain. */

import { $, make } from "./dom.js";
import { question } from "./question.js";
import { counted, titled } from "./words.js";

const KEPT = "clip-gaze"; // what the browser remembers; never one's own phrases

/** @type {{name: string, count: number, input: HTMLInputElement}[]} */
let lists = [];
/** @type {string[]} */
let own = [];

/**
 * @param {{name: string, phrases: number, selected: boolean}[]} known
 * @param {() => void} onChange
 */
export function setUp(known, onChange) {
  const kept = remembered();
  // Of another model, perhaps, which has other lists.
  if (kept.lists?.length && !known.some(({ name }) => kept.lists?.includes(name))) delete kept.lists;
  lists = known.map(({ name, phrases, selected }) => {
    const checked = kept.lists?.includes(name) ?? selected;
    const input = make("input", { type: "checkbox", value: name, checked });
    const chip = make("span", {}, titled(name), make("small", { textContent: phrases.toLocaleString("en") }));
    $("lists").append(make("label", { title: name }, input, chip));
    return { name, count: phrases, input };
  });
  for (const id of ["top", "quality"]) {
    if ([...$(id).options].some(({ value }) => value === kept[id])) $(id).value = kept[id];
  }
  $("corrected").checked = kept.corrected === true;
  let before = "";
  $("settings").addEventListener("change", () => {
    own = typed();
    remember();
    showAsked();
    const now = JSON.stringify(asked());
    if (now !== before) onChange(); // phrases that were asked with Ctrl-Enter change once more
    before = now;
  });
  $("own").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const asks = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (asks) $("own").dispatchEvent(new Event("change", { bubbles: true }));
  });
  own = typed(); // a browser may have kept them over a reload
  showAsked();
  $("answers").hidden = false;
}

export function asked() {
  const chosen = lists.filter(({ input }) => input.checked);
  return question(chosen, own, {
    top: Number($("top").value),
    corrected: $("corrected").checked,
    quality: $("quality").value,
  });
}

function typed() {
  if ($("own").disabled) return [];
  const lines = $("own").value.split("\n").map((/** @type {string} */ line) => line.trim());
  return /** @type {string[]} */ ([...new Set(lines)].filter(Boolean));
}

function showAsked() {
  const { lists: chosen, top, corrected } = asked();
  const each = top ? `${top} each` : "all phrases";
  const says = [counted(chosen.length, "list"), each, ...(corrected ? ["corrected"] : [])];
  $("asked").textContent = chosen.length ? says.join(", ") : "nothing yet";
}

/** @returns {{lists?: string[], top?: string, quality?: string, corrected?: boolean} & Record<string, any>} */
function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
  } catch {
    return {}; // storage is off, or holds something else
  }
}

function remember() {
  const chosen = lists.filter(({ input }) => input.checked).map(({ name }) => name);
  const [top, quality] = [$("top").value, $("quality").value];
  const choices = { lists: chosen, top, quality, corrected: $("corrected").checked };
  try {
    localStorage.setItem(KEPT, JSON.stringify(choices));
  } catch {
    // Storage is off or full: the choices hold until the page is closed.
  }
}
