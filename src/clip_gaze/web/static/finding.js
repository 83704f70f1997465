/** Sorts the strip by how near its pictures are to some words. */

import { ask } from "./api.js";
import { $, speak, write } from "./dom.js";
import { pictures } from "./pictures.js";
import { counted } from "./words.js";

/** @typedef {import("./pictures.js").Picture} Picture */

const MOST = 20; // pictures in one question
const NOTHING = "Write what to look for.";
const UNSAID = "Write what you do not want right behind the “-”.";

/** How near each picture is; empty where they stand as they were added. @type {Map<Picture, number>} */
export let near = new Map();

let stop = new AbortController();

/** @param {() => void} onNews */
export function setUp(onNews) {
  $("finding").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    find($("wanted").value, onNews);
  });
  $("unfind").addEventListener("click", () => {
    forget();
    onNews();
    $("wanted").focus();
  });
}

/** Let the pictures stand as they were added. */
export function forget() {
  stop.abort();
  near = new Map();
  $("unfind").hidden = true;
  $("wanted").value = $("finding-says").textContent = $("finding-error").textContent = "";
}

/** @returns {Picture[]} the nearest first */
export function sorted() {
  const worth = (/** @type {Picture} */ picture) => near.get(picture) ?? -2;
  return near.size ? [...pictures].sort((one, two) => worth(two) - worth(one)) : pictures;
}

/**
 * @param {string} text words, with commas between; those behind a "-" are not wanted
 * @param {() => void} onNews
 */
async function find(text, onNews) {
  const words = text.split(",").map((each) => each.trim()).filter(Boolean);
  const lacking = words.length ? (words.includes("-") ? UNSAID : "") : NOTHING;
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  $("finding-error").textContent = lacking;
  $("finding-says").textContent = lacking ? "" : "Looking …";
  if (lacking) return;
  try {
    const found = new Map();
    const asked = pictures.filter(({ error }) => !error);
    for (let at = 0; at < asked.length; at += MOST) {
      const some = asked.slice(at, at + MOST);
      const response = await ask("api/find", form(words, some), { signal, onWait: write("finding-says") });
      for (const { image, similarity } of (await response.json()).images) {
        const picture = some.find(({ id }) => String(id) === image);
        if (picture) found.set(picture, similarity);
      }
    }
    if (signal.aborted) return;
    near = found;
    $("unfind").hidden = false;
    $("finding-says").textContent = `${counted(near.size, "picture")}, the nearest first`;
    speak(`Nearest: ${sorted()[0]?.file.name ?? ""}`);
    onNews();
  } catch (error) {
    if (signal.aborted) return;
    $("finding-says").textContent = "";
    $("finding-error").textContent = /** @type {Error} */ (error).message;
  }
}

/**
 * @param {string[]} words
 * @param {Picture[]} some
 */
function form(words, some) {
  const data = new FormData();
  for (const { file, id } of some) data.append("image", file, String(id));
  for (const word of words) {
    const minus = word.startsWith("-");
    data.append(minus ? "without" : "phrase", minus ? word.slice(1).trim() : word);
  }
  data.append("top", "0");
  return data;
}
