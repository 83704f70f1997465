/** Answers as files: JSON and CSV of all pictures, and the selected picture with its bars. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { form } from "./question.js";

/**
 * @typedef {import("./api.js").Patience} Patience
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./pictures.js").Picture} Picture
 */

const MOST_ON_CARD = 20; // phrases of each list

/**
 * Let the server write the table of each picture, and join them: all together could be too large.
 * @param {Picture[]} pictures
 * @param {Question} asked
 * @param {Patience} patience
 * @param {string} stem of the file's name
 */
export async function saveCsv(pictures, asked, patience, stem) {
  const parts = ["\ufeff"]; // the mark by which Excel knows UTF-8
  for (const { file } of pictures) {
    const response = await ask("api/gaze", form(asked, asked.lists, file), patience, "text/csv");
    const table = await response.text();
    parts.push(parts.length > 1 ? table.slice(table.indexOf("\n") + 1) : table);
  }
  hand(new Blob(parts, { type: "text/csv" }), `${stem}.csv`);
}

/**
 * @param {Picture} picture
 * @param {Question} asked
 * @param {import("./seeing.js").Wanted | null} seen whose heat map goes with it
 * @param {Patience} patience
 * @param {string} stem of the file's name
 */
export async function saveCard(picture, asked, seen, patience, stem) {
  const top = Math.min(asked.top || MOST_ON_CARD, MOST_ON_CARD);
  const data = form({ ...asked, top }, asked.lists, picture.file);
  if (seen) {
    data.append("see", seen.phrase);
    data.append("see_list", seen.list.name);
    data.append("see_quality", seen.quality);
  }
  const response = await ask("api/card", data, patience, "image/png");
  hand(await response.blob(), `${stem} card.png`); // never the name of the picture itself
}

/** @param {unknown} content */
export function json(content) {
  return new Blob([`${JSON.stringify(content, null, 1)}\n`], { type: "application/json" });
}

/**
 * Give the browser a file to keep.
 * @param {Blob} blob
 * @param {string} name
 */
export function hand(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may still be reading it
}
