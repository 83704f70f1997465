/** Asks about one picture after the other, the selected one first. */

import { follow, RefusedError } from "./api.js";
import { speak } from "./dom.js";
import { pictures, selected } from "./pictures.js";
import { form, missing } from "./question.js";
import { isClear, NO_WINNER, perCent, titled, YOURS } from "./words.js";

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./question.js").Question} Question
 */

/** @type {{picture: Picture, stop: AbortController} | null} */
let current = null;
/** Whether a picture still waits for its answer. */
export let busy = false;

/** Lists whose phrases are encoded now. @type {Map<string, import("./bars.js").Progress>} */
export const reading = new Map();

/** Why nothing comes yet; "" where it does. */
export let waiting = "";

/**
 * Ask for all that is missing.
 * @param {() => Question} question
 * @param {() => void} onNews
 */
export async function gaze(question, onNews) {
  if (busy) return;
  busy = true;
  for (let picture = next(question()); picture; picture = next(question())) {
    current = { picture, stop: new AbortController() };
    await answered(picture, question(), current.stop.signal, onNews);
  }
  current = null;
  busy = false;
  onNews();
}

/** Give up what is being asked: it is no longer wanted as it was. */
export function stop() {
  current?.stop.abort();
}

/** @param {Picture} picture that is no longer wanted */
export function forget(picture) {
  if (current?.picture === picture) stop();
}

/** @param {Question} asked */
function next(asked) {
  const wants = (/** @type {Picture | null} */ picture) =>
    picture && !picture.failed && missing(asked, picture).length > 0;
  const first = selected();
  return wants(first) ? first : pictures.find(wants);
}

/**
 * @param {Picture} picture
 * @param {Question} asked
 * @param {AbortSignal} signal
 * @param {() => void} onNews
 */
async function answered(picture, asked, signal, onNews) {
  const lists = missing(asked, picture);
  const keys = new Map(lists.map(({ name, key }) => [name, key]));
  const tell = (/** @type {string} */ text) => {
    waiting = text;
    if (text) speak(text);
    onNews();
  };
  const keep = (/** @type {string} */ name, /** @type {any} */ scores) => {
    picture.answers.set(keys.get(name) ?? name, scores);
  };
  try {
    await follow("api/gaze", form(asked, lists, picture.file), { signal, onWait: tell }, (event, data) => {
      if (event === "queued") return tell(data.ahead ? `waiting; ${data.ahead} before this` : "");
      if (event === "encoding") reading.set(data.list, { done: data.done, total: data.total });
      if (event === "list") keep(data.list, data.scores);
      if (event === "picture") {
        picture.about = data.result;
        picture.error = data.result.error;
        for (const [name, scores] of Object.entries(data.result.lists)) keep(name, scores);
      }
      if (event !== "encoding" || data.done === data.total) reading.delete(data.list);
      onNews();
    });
    if (missing(asked, picture).length) throw new Error("The answer is not complete. Try again.");
    if (picture === selected()) speak(spoken(picture, asked));
  } catch (error) {
    // Of a picture that cannot be read, the reason has come already.
    if (!signal.aborted && !picture.error) {
      picture.failed = /** @type {Error} */ (error).message;
      // The server is gone: do not ask it once more for each picture.
      const others = error instanceof RefusedError ? [] : pictures.filter((each) => missing(asked, each).length);
      for (const each of others) each.failed = picture.failed;
    }
  }
  reading.clear();
  waiting = "";
  onNews();
}

/**
 * @param {Picture} picture
 * @param {Question} asked
 */
function spoken(picture, asked) {
  if (picture.error) return picture.error;
  const words = asked.lists.flatMap(({ name, own, key }) => {
    const score = picture.answers.get(key)?.[0];
    if (!score) return [];
    const { phrase, probability } = score;
    return [isClear(probability) ? `${phrase}, ${perCent(probability)}` : `${NO_WINNER} of ${own ? YOURS : titled(name)}`];
  });
  return `${picture.file.name}: ${words.join("; ")}`;
}
