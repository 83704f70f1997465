/** Two pictures side by side, and which phrases are likelier in one than in the other. */

import { ask } from "./api.js";
import { $, make, speak, write } from "./dom.js";
import { form, OWN } from "./question.js";
import { counted, perCent, probability, times, titled, YOURS } from "./words.js";

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./api.js").Change} Change
 */

const SAME = "The model sees no difference between them.";
const DIFFERENT =
  "Which phrases gain most from one picture to the other, and by how much their odds are multiplied.";
const LETTERS = /** @type {const} */ (["A", "B"]);

/** @type {[Picture, Picture] | null} */
let pair = null;
let stop = new AbortController();

/**
 * @param {() => Question} question
 * @param {() => void} onLeave
 */
export function setUp(question, onLeave) {
  $("leave").addEventListener("click", onLeave);
  $("swap").addEventListener("click", () => pair && compare(question(), pair[1], pair[0]));
}

/** @returns {boolean} whether two pictures were shown */
export function leave() {
  const was = pair !== null;
  stop.abort();
  pair = null;
  $("two").hidden = true;
  $("one").hidden = false;
  return was;
}

/**
 * @param {Question} asked
 * @param {Picture} left
 * @param {Picture} right
 */
export async function compare(asked, left, right) {
  leave();
  pair = [left, right];
  stop = new AbortController();
  const { signal } = stop;
  $("one").hidden = true;
  $("two").hidden = false;
  show("left", left);
  show("right", right);
  $("changes").replaceChildren();
  $("two-error").textContent = "";
  const onWait = write("two-says", "Looking at both …");
  onWait("");
  try {
    const data = form(asked, asked.lists, left.file, right.file);
    data.delete("corrected");
    const response = await ask("api/compare", data, { signal, onWait });
    /** @type {import("./api.js").Comparison} */
    const found = await response.json();
    if (!signal.aborted) showChanges(found.images[0]);
  } catch (error) {
    if (signal.aborted) return;
    $("two-says").textContent = "";
    $("two-error").textContent = /** @type {Error} */ (error).message;
  }
}

/**
 * @param {string} side
 * @param {Picture} picture
 */
function show(side, { url, file }) {
  $(side).src = url;
  $(side).alt = file.name;
  $(`${side}-name`).textContent = file.name;
}

/** @param {import("./api.js").Comparison["images"][number]} compared */
function showChanges({ lists, same }) {
  $("two-says").textContent = same ? SAME : DIFFERENT;
  const all = Object.values(lists).flat();
  const most = Math.max(...all.map(({ difference }) => Math.abs(difference)), 1e-9);
  for (const [name, changes] of Object.entries(lists)) {
    const falls = changes.filter(({ difference }) => difference < 0).reverse();
    const rises = changes.filter(({ difference }) => difference > 0);
    const title = name === OWN ? YOURS : titled(name);
    const tables = [falls, rises].map((side, at) => table(title, LETTERS[at], side, most));
    $("changes").append(make("section", { "aria-label": title }, make("h3", { textContent: title }), ...tables));
  }
  speak(`Compared: ${counted(all.length, "phrase")} shown`);
}

/**
 * @param {string} title of the list
 * @param {"A" | "B"} letter of the picture in which these phrases are likelier
 * @param {Change[]} changes
 * @param {number} most the largest difference of all, which has the longest bar
 */
function table(title, letter, changes, most) {
  const heads = [`Likelier in ${letter}`, "A", "B", "odds"].map((text) => make("th", { scope: "col", textContent: text }));
  const rows = changes.map(({ phrase, before, after, difference }) => {
    const track = make("span", { className: "track" }, make("i"));
    track.style.setProperty("--share", Math.abs(difference) / most);
    const words = make("span", { className: "phrase", dir: "auto", title: phrase, textContent: phrase });
    const figures = [perCent(probability(before)), perCent(probability(after)), times(difference)];
    const cells = figures.map((textContent) => make("td", { textContent }));
    return make("tr", {}, make("th", { scope: "row" }, words, track), ...cells);
  });
  if (!rows.length) {
    rows.push(make("tr", {}, make("td", { colSpan: 4, className: "quiet", textContent: "no phrase" })));
  }
  const caption = make("caption", { className: "hidden", textContent: `${title}: likelier in ${letter}` });
  const head = make("thead", {}, make("tr", {}, ...heads));
  return make("table", { className: letter }, caption, head, make("tbody", {}, ...rows));
}
