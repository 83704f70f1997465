/** Answers as files: JSON and CSV of all pictures, and the selected picture with its bars. */

import { ask } from "./api.js";
import { $, make } from "./dom.js";
import { form } from "./question.js";

/**
 * @typedef {import("./api.js").Result} Result
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./pictures.js").Picture} Picture
 */

const COLUMNS = [
  "image", "model", "variant", "templates", "corrected", "status",
  "list", "phrase", "probability", "plain", "error",
];

/**
 * @param {Result[]} results
 * @param {string} stem of the file's name
 */
export function saveJson(results, stem) {
  hand(new Blob([`${JSON.stringify(results, null, 1)}\n`], { type: "application/json" }), `${stem}.json`);
}

/**
 * @param {Result[]} results
 * @param {string} stem of the file's name
 */
export function saveCsv(results, stem) {
  const lines = [COLUMNS, ...results.flatMap(rows)].map((cells) => `${cells.map(cell).join(",")}\n`);
  hand(new Blob(lines, { type: "text/csv" }), `${stem}.csv`);
}

/**
 * @param {Picture} picture
 * @param {Question} asked
 * @param {string | null} phrase whose heat map goes with it
 * @param {string} stem of the file's name
 */
export async function saveCard(picture, asked, phrase, stem) {
  const data = form(asked, asked.lists, picture.file);
  if (phrase !== null) data.append("see", phrase);
  const { signal } = new AbortController();
  const onWait = (/** @type {number} */ seconds) => {
    $("save-says").textContent = `clip-gaze is busy; trying again in ${seconds} s`;
  };
  const response = await ask("api/card", data, { signal, onWait }, "image/png");
  hand(await response.blob(), `${stem}.png`);
  $("save-says").textContent = "";
}

/** @param {Result} result */
function rows({ image, model, variant, templates, corrected, status, lists, error }) {
  const start = [image, model, variant, templates.join(" | "), corrected ? "corrected" : "", status];
  if (status === "error") return [[...start, "", "", "", "", error]];
  return Object.entries(lists).flatMap(([name, scores]) =>
    scores.map(({ phrase, probability, plain }) => [...start, name, phrase, number(probability), number(plain), ""]),
  );
}

/**
 * @param {number | undefined} value
 * @returns {string} with all its digits, as Python writes it
 */
function number(value) {
  if (value === undefined) return "";
  if (value !== 0 && value < 1e-4) return value.toExponential().replace(/e-(\d)$/, "e-0$1");
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** @param {unknown} value */
function cell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function hand(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may still be reading it
}
