/** Pictures come in: dropped anywhere, pasted, or chosen. */

import { $ } from "./dom.js";

let pasted = 0;

/** @param {(files: File[]) => void} onFiles */
export function watch(onFiles) {
  const take = (/** @type {File[]} */ files, /** @type {string} */ otherwise) => {
    $("intake-says").textContent = files.length ? "" : otherwise;
    if (files.length) onFiles(files);
  };
  for (const id of ["pick", "add"]) $(id).addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    const files = [...$("files").files];
    $("files").value = ""; // so that the same file can be chosen again
    take(files, "");
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const typing = /** @type {Element} */ (event.target).matches?.("textarea, input");
    if (typing && !files.length) return;
    take(files.map(named), "There is no picture to paste: copy a picture first.");
  });
  catchDrops((event) => {
    const items = [...(event.dataTransfer?.items ?? [])];
    const folder = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    if (folder) take([], "That is a folder: drop the pictures that are in it.");
    else take([...(event.dataTransfer?.files ?? [])], "That is no file: save the picture first, then drop its file.");
  });
}

/** @param {(event: DragEvent) => void} onDrop */
function catchDrops(onDrop) {
  let inside = 0;
  for (const [kind, by] of Object.entries({ dragenter: 1, dragover: 0, dragleave: -1, drop: -Infinity })) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      inside = Math.max(0, inside + by);
      document.body.classList.toggle("dropping", inside > 0);
      if (kind === "drop") onDrop(/** @type {DragEvent} */ (event));
    });
  }
}

/**
 * A pasted picture is always called image.png; give each a name of its own.
 * @param {File} file
 */
function named(file) {
  if (!/^image\.\w+$/.test(file.name)) return file;
  const name = `pasted ${++pasted}.${file.name.split(".").pop()}`;
  return new File([file], name, { type: file.type });
}
