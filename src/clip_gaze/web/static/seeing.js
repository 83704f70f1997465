/** Where the picture speaks for a phrase: one map at a time, asked for, shown and taken away. */

import { follow } from "./api.js";
import { press } from "./bars.js";
import { $, speak, write } from "./dom.js";
import { selected } from "./pictures.js";
import { bare, ready } from "./stage.js";
import { perCent, signed, titled } from "./words.js";

/**
 * @typedef {import("./question.js").List} List
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./api.js").Heat} Heat
 * @typedef {{list: List, phrase: string, quality: string, stop: AbortController}} Wanted
 */

/** @type {Wanted | null} */
let wanted = null;

/** @returns {Wanted | null} what the map that is shown was asked for */
export function seen() {
  return $("map").hidden ? null : wanted;
}

/** Mark the phrase of the map again, after the bars were written anew. */
export function mark() {
  press(wanted?.list.name ?? null, wanted?.phrase ?? null);
}

/** @returns {boolean} whether there was a map, or one on its way */
export function hide() {
  const was = wanted !== null || $("see-error").textContent !== "";
  wanted?.stop.abort();
  wanted = null;
  $("map").hidden = true;
  bare();
  say("hint");
  mark();
  return was;
}

/**
 * Show where the selected picture speaks for a phrase; asked again, hide it.
 * @param {List} list that the phrase is weighed against
 * @param {string} phrase
 * @param {Question} question
 */
export async function see(list, phrase, { quality, corrected }) {
  const again = wanted?.list.name === list.name && wanted.phrase === phrase;
  hide();
  const picture = selected();
  if (again || !picture) return;
  const mine = { list, phrase, quality, stop: new AbortController() };
  wanted = mine;
  mark();
  const key = JSON.stringify([list.name, list.own, phrase, quality, corrected]);
  try {
    const heat = picture.maps.get(key) ?? (await asked(picture.file, mine, corrected));
    picture.maps.set(key, heat);
    if (wanted === mine) show(heat);
  } catch (error) {
    if (wanted !== mine) return;
    hide();
    say("see-error");
    $("see-error").textContent = /** @type {Error} */ (error).message;
  }
}

/**
 * @param {File} file
 * @param {Wanted} mine
 * @param {boolean} corrected
 * @returns {Promise<Heat>}
 */
async function asked(file, { list, phrase, quality, stop }, corrected) {
  const form = new FormData();
  form.append("image", file, file.name);
  const fields = { phrase, quality, corrected, overlay: true };
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  if (!list.own) form.append("list", list.name);
  // A phrase that stands alone is left to the server, which knows what to weigh it against.
  else if (list.own.length > 1) for (const other of list.own) form.append("against", other);
  const bar = $("seeing-bar");
  bar.removeAttribute("value");
  const onWait = write("seeing-says", `Looking for “${phrase}” …`);
  onWait("");
  say("seeing");
  /** @type {Heat | null} */
  let heat = null;
  await follow("api/see", form, { signal: stop.signal, onWait }, (event, data) => {
    if (event === "progress") Object.assign(bar, { max: data.total, value: data.done });
    if (event === "maps") [heat] = data.maps;
  });
  if (!heat) throw new Error("No map came. Try again.");
  return heat;
}

/** @param {Heat} heat */
function show(heat) {
  const { limit, png } = heat.overlay;
  const map = $("map");
  const [left, top, right, bottom] = ready() ? heat.box : [0, 0, 1, 1];
  for (const [side, share] of Object.entries({ left, top, width: right - left, height: bottom - top })) {
    map.style[side] = `${100 * share}%`;
  }
  map.src = png;
  map.alt = `Heat map of ${heat.phrase}: warmest in the ${hottest(heat)} of the picture.`;
  map.hidden = false;
  $("scale-phrase").textContent = $("scale-phrase").title = heat.phrase;
  const among = heat.list === null ? "your phrases" : titled(heat.list).toLowerCase();
  $("scale-share").textContent = `${perCent(heat.probability)} of ${among}${heat.corrected ? ", corrected" : ""}`;
  $("scale-against").textContent = `${signed(-limit)} against`;
  $("scale-for").textContent = `for ${signed(limit)}`;
  say("scale");
  speak(`${map.alt} Escape hides it.`);
}

/** @param {string} id of what the line below the picture shows */
function say(id) {
  for (const each of ["hint", "seeing", "scale"]) $(each).hidden = each !== id || !selected();
  $("see-error").textContent = "";
}

/**
 * @param {Heat} heat
 * @returns {string} where in the picture it is hottest
 */
function hottest({ grid, box }) {
  const cells = grid.flat();
  const at = cells.indexOf(Math.max(...cells));
  const [left, top, right, bottom] = box;
  const along = (/** @type {number} */ cell, /** @type {number} */ from, /** @type {number} */ to) =>
    Math.min(2, Math.floor(3 * (from + ((to - from) * (cell + 0.5)) / grid.length)));
  const row = ["upper", "middle", "lower"][along(Math.floor(at / grid.length), top, bottom)];
  const column = ["left", "centre", "right"][along(at % grid.length, left, right)];
  return row === "middle" && column === "centre" ? "centre" : `${row} ${column}`;
}
