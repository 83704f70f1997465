/** A menu of files to save: one is saved at a time, and can be given up. */

import { $, write } from "./dom.js";

/**
 * @typedef {import("./api.js").Patience} Patience
 * @typedef {{save: (work: (patience: Patience) => unknown) => void, stop: () => boolean, close: () => boolean}} Menu
 *   `save`: let `work` make a file; `stop`: give it up; `close`: show the entries no longer; the
 *   last two return whether there was something to do
 */

/**
 * @param {string} id of the menu; what went wrong stands in the element `id`-says
 * @returns {Menu}
 */
export function menu(id) {
  const details = $(id);
  const summary = details.firstElementChild;
  const say = write(`${id}-says`);
  /** @type {AbortController | null} */
  let saver = null;

  function stop() {
    const was = saver !== null;
    saver?.abort();
    saver = null;
    summary.textContent = "Save";
    say("");
    return was;
  }

  function close() {
    const was = details.open;
    details.open = false;
    return was;
  }

  /** @param {(patience: Patience) => unknown} work */
  async function save(work) {
    stop();
    const mine = new AbortController();
    saver = mine;
    close();
    summary.textContent = "Saving …";
    summary.focus();
    try {
      await work({ signal: mine.signal, onWait: say });
      if (saver === mine) stop();
    } catch (error) {
      if (saver !== mine) return;
      stop();
      say(/** @type {Error} */ (error).message);
    }
  }

  details.addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
    if (event.relatedTarget && !details.contains(event.relatedTarget)) close();
  });
  document.addEventListener("click", (event) => {
    if (!details.contains(event.target)) close();
  });
  details.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !close()) return;
    event.stopPropagation(); // Escape does one thing
    summary.focus();
  });
  return { save, stop, close };
}
