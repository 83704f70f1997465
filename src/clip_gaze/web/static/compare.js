/** Two pictures side by side, and which phrases are likelier in one than in the other. */

import { ask } from "./api.js";
import { bar, draw } from "./bars.js";
import { $, make, speak, write } from "./dom.js";
import { form, OWN } from "./question.js";
import { hand, json } from "./save.js";
import { menu } from "./saving.js";
import { counted, isClear, perCent, probability, stemmed, times, titled, YOURS } from "./words.js";

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./api.js").Change} Change
 * @typedef {import("./api.js").Comparison} Comparison
 */

const SAME = "The model sees no difference between them.";
const DIFFERENT =
  "Which phrases gain most from one picture to the other, and by how much their odds are multiplied.";
const MEDIA = { "two-chart": "image/png", "two-csv": "text/csv", "two-json": "application/json" };

/** @type {[Picture, Picture] | null} */
let pair = null;
let stop = new AbortController();
const files = menu("two-save");
/** What the server was asked, and what it answered. @type {{data: FormData, found: Comparison} | null} */
let answer = null;

/**
 * @param {() => Question} question
 * @param {() => void} onLeave
 */
export function setUp(question, onLeave) {
  $("leave").addEventListener("click", onLeave);
  $("swap").addEventListener("click", () => pair && compare(question(), pair[1], pair[0]));
  for (const [id, media] of Object.entries(MEDIA)) {
    $(id).addEventListener("click", () => files.save((patience) => save(media, patience)));
  }
}

/**
 * @param {string} media type of the file
 * @param {import("./api.js").Patience} patience
 */
async function save(media, patience) {
  if (!answer || !pair) return;
  const { data, found } = answer;
  const stem = pair.map(({ file }) => stemmed(file.name)).join(" and ");
  if (media === "application/json") hand(json(found), `${stem}.json`);
  else {
    const response = await ask("api/compare", data, patience, media);
    // The mark by which Excel knows UTF-8.
    const before = media === "text/csv" ? ["\ufeff"] : [];
    hand(new Blob([...before, await response.blob()], { type: media }), `${stem}.${media.slice(-3)}`);
  }
}

/** @returns {boolean} whether the menu was open, or something was being saved; neither is, now */
export const stopSaving = () => files.close() || files.stop();

/** @returns {boolean} whether two pictures are compared */
export const shown = () => pair !== null;

/** @returns {boolean} whether two pictures were shown */
export function leave() {
  const was = pair !== null;
  stop.abort();
  files.stop();
  pair = answer = null;
  $("two-save").hidden = true;
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
    /** @type {Comparison} */
    const found = await response.json();
    if (signal.aborted) return;
    answer = { data, found };
    $("two-save").hidden = false;
    showChanges(found.images[0]);
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
  for (const [name, changes] of Object.entries(lists)) {
    const falls = changes.filter(({ difference }) => difference < 0);
    const rises = changes.filter(({ difference }) => difference > 0);
    const title = name === OWN ? YOURS : titled(name);
    // Where nothing else is there, what is small is shown.
    const folds = changes.some((change) => !isSmall(change));
    const tables = [table(title, "A", falls, folds), table(title, "B", rises, folds)];
    $("changes").append(make("section", { "aria-label": title }, make("h3", { textContent: title }), ...tables));
  }
  speak(`Compared: ${counted(all.length, "phrase")} shown`);
}

/**
 * @param {Change} change
 * @returns {boolean} whether its phrase is unlikely in both pictures
 */
function isSmall({ before, after }) {
  return !isClear(Math.max(probability(before), probability(after)));
}

/**
 * @param {string} title of the list
 * @param {"A" | "B"} letter of the picture in which these phrases are likelier
 * @param {Change[]} changes
 * @param {boolean} folds whether those that are small in both pictures are shown on demand alone
 */
function table(title, letter, changes, folds) {
  const heads = [`Likelier in ${letter}`, "A", "B", "odds"].map((text) => make("th", { scope: "col", textContent: text }));
  const rows = changes.filter((change) => !folds || !isSmall(change)).map(row);
  if (!changes.length) rows.push(note("no phrase"));
  const small = changes.filter((change) => folds && isSmall(change)).map(row);
  const bodies = [make("tbody", {}, ...rows)];
  if (small.length) {
    const rest = make("tbody", { hidden: true }, ...small);
    bodies.push(rest, make("tbody", {}, unfolding(rest, rows.length ? "more, " : "")));
  }
  const caption = make("caption", { className: "hidden", textContent: `${title}: likelier in ${letter}` });
  const head = make("thead", {}, make("tr", {}, ...heads));
  return make("table", { className: letter }, caption, head, ...bodies);
}

/** @param {Change} change */
function row({ phrase, before, after, difference }) {
  const shares = [probability(before), probability(after)];
  const track = bar();
  draw(track, Math.max(...shares), Math.min(...shares));
  const words = make("span", { className: "phrase", dir: "auto", title: phrase, textContent: phrase });
  const figures = [...shares.map(perCent), times(difference)];
  const cells = figures.map((textContent) => make("td", { textContent }));
  return make("tr", {}, make("th", { scope: "row" }, words, track), ...cells);
}

/** @param {Node | string} content of a row that is no phrase's */
function note(content) {
  return make("tr", {}, make("td", { colSpan: 4, className: "quiet" }, content));
}

/**
 * @param {HTMLElement} rest rows that are not shown yet
 * @param {string} more what stands between their number and what they are
 */
function unfolding(rest, more) {
  const textContent = `${rest.children.length} ${more}below 1% in both`;
  const button = make("button", { type: "button", className: "fold", textContent, "aria-expanded": "false" });
  button.addEventListener("click", () => {
    rest.hidden = !rest.hidden;
    button.setAttribute("aria-expanded", String(!rest.hidden));
  });
  return note(button);
}
