/** The phrases of each list with their bars; room is kept for those that are still to come. */

import { $, arrange, make } from "./dom.js";
import { shown } from "./question.js";
import { counted, isClear, NO_WINNER, perCent, titled, YOURS } from "./words.js";

/**
 * @typedef {import("./question.js").List} List
 * @typedef {import("./api.js").Score} Score
 * @typedef {{done: number, total: number}} Progress
 */

const MOST_WAITING = 25; // rows; a longer list scrolls in a box that is no higher

/** @type {Map<string, HTMLElement>} */
let sections = new Map();
/** What the rows of a list show. @type {WeakMap<HTMLElement, Score[] | undefined>} */
const filled = new WeakMap();

/**
 * @param {import("./question.js").Question} asked
 * @param {import("./pictures.js").Picture | null} picture null: none is there yet
 * @param {Map<string, Progress>} reading lists whose phrases are encoded now
 * @param {string} waiting why nothing comes yet; "" where it does
 * @param {(list: List, phrase: string) => void} onPhrase
 */
export function showBars(asked, picture, reading, waiting, onPhrase) {
  $("bars").hidden = Boolean(picture?.error ?? picture?.failed);
  sections = new Map(asked.lists.map((list) => [list.name, sections.get(list.name) ?? made(list)]));
  arrange($("bars"), [...sections.values()]);
  for (const list of asked.lists) {
    const section = /** @type {HTMLElement} */ (sections.get(list.name));
    const scores = picture?.answers.get(list.key);
    section.classList.toggle("waiting", Boolean(picture) && !scores);
    section.setAttribute("aria-busy", String(Boolean(picture) && !scores));
    const unclear = Boolean(scores?.length) && !isClear(scores[0].probability);
    section.classList.toggle("unclear", unclear);
    showHead(section, list, reading.get(list.name), picture && !scores ? waiting : unclear ? NO_WINNER : "");
    const rows = /** @type {HTMLElement} */ (section.querySelector("ol"));
    const count = shown(asked, list);
    rows.classList.toggle("long", count > MOST_WAITING);
    if (scores && filled.get(rows) === scores) continue;
    filled.set(rows, scores);
    fill(rows, scores ?? Array(Math.min(count, MOST_WAITING)).fill(null), (phrase) => onPhrase(list, phrase));
  }
}

/**
 * Mark the phrase whose map is shown or on its way.
 * @param {string | null} name of its list
 * @param {string | null} phrase
 */
export function press(name, phrase) {
  for (const row of $("bars").querySelectorAll(".row")) {
    const here = name !== null && sections.get(name)?.contains(row) && row.dataset.phrase === phrase;
    row.setAttribute("aria-pressed", String(Boolean(here)));
  }
}

/** @param {List} list */
function made({ name, own }) {
  const title = own ? YOURS : titled(name);
  const heading = make("h3", { textContent: title, title });
  const progress = make("progress", { hidden: true, "aria-label": `Reading ${title}` });
  const head = make("div", { className: "head" }, heading, make("p", { className: "quiet" }), progress);
  return make("section", { className: "list", "aria-label": title }, head, make("ol"));
}

/**
 * @param {HTMLElement} section
 * @param {List} list
 * @param {Progress | undefined} progress
 * @param {string} news in place of the number of phrases
 */
function showHead(section, list, progress, news) {
  const says = /** @type {HTMLElement} */ (section.querySelector(".head p"));
  const bar = /** @type {HTMLProgressElement} */ (section.querySelector("progress"));
  const all = counted(list.count, "phrase");
  says.textContent = progress ? `reading ${progress.done} of ${all}` : news || all;
  bar.hidden = !progress;
  if (progress) Object.assign(bar, { max: progress.total, value: progress.done });
}

/**
 * @param {HTMLElement} rows
 * @param {(Score | null)[]} scores null: still to come
 * @param {(phrase: string) => void} onPhrase
 */
function fill(rows, scores, onPhrase) {
  while (rows.children.length > scores.length) rows.lastElementChild?.remove();
  while (rows.children.length < scores.length) rows.append(make("li", {}, row()));
  scores.forEach((score, at) => {
    const button = /** @type {HTMLButtonElement} */ (rows.children[at].firstElementChild);
    // A disabled button would lose the keyboard's focus.
    button.disabled = !score && button !== document.activeElement;
    button.onclick = score && (() => onPhrase(score.phrase));
    if (button.dataset.phrase !== score?.phrase) button.setAttribute("aria-pressed", "false");
    write(button, score);
  });
}

function row() {
  const phrase = make("span", { className: "phrase", dir: "auto" });
  const figures = [make("b"), make("span", { className: "plain" })];
  return make("button", { type: "button", className: "row", "aria-pressed": "false" }, phrase, ...figures, bar());
}

/**
 * @param {HTMLButtonElement} button
 * @param {Score | null} score
 */
function write(button, score) {
  const [words, share, before, track] = /** @type {any} */ (button.children);
  const { phrase = "", probability = 0, plain } = /** @type {Partial<Score>} */ (score ?? {});
  if (score) button.dataset.phrase = words.title = phrase;
  else {
    delete button.dataset.phrase;
    words.removeAttribute("title");
  }
  words.textContent = phrase;
  share.textContent = score ? perCent(probability) : "";
  before.textContent = plain === undefined ? "" : `plain ${perCent(plain)}`;
  draw(track, probability, plain);
  button.classList.toggle("corrected", plain !== undefined);
}

/** @returns {HTMLElement} an empty bar */
export function bar() {
  return make("span", { className: "track" }, make("i"), make("s"));
}

/**
 * Let a bar be as long as a probability; what is not 0 can be seen.
 * @param {any} track
 * @param {number} share 0 to 1
 * @param {number} [other] a second probability, which has a tick
 */
export function draw(track, share, other) {
  track.style.setProperty("--share", share);
  track.style.setProperty("--plain", other ?? 0);
  const [long, tick] = track.children;
  long.classList.toggle("some", share > 0);
  // Near an end of the bar, a tick would only hide that.
  tick.hidden = other === undefined || other < 0.01 || Math.abs(other - share) < 0.01;
}
