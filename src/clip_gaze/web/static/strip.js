/** The strip of thumbnails: which pictures there are, and which is looked at. */

import { $, arrange, make } from "./dom.js";
import { near, sorted } from "./finding.js";
import { selected } from "./pictures.js";

const EDGE = 160;

/** @type {WeakMap<import("./pictures.js").Picture, HTMLElement>} */
const thumbs = new WeakMap();
// Large pictures are decoded one after the other, so that they are never in memory together.
let last = Promise.resolve();

/** @param {(picture: import("./pictures.js").Picture) => void} onSelect */
export function showStrip(onSelect) {
  const all = sorted().map((picture) => {
    const thumb = thumbs.get(picture) ?? made(picture, onSelect);
    thumbs.set(picture, thumb);
    /** @type {HTMLElement} */ (thumb.lastElementChild).textContent = near.get(picture)?.toFixed(3) ?? "";
    const input = /** @type {HTMLInputElement} */ (thumb.firstElementChild);
    input.checked = picture === selected();
    thumb.classList.toggle("bad", Boolean(picture.error ?? picture.failed));
    return thumb;
  });
  arrange($("thumbs"), all);
  $("strip").hidden = !all.length;
}

/** Bring the thumbnail of the selected picture into sight, without moving the page. */
export function reveal() {
  const thumb = thumbs.get(/** @type {any} */ (selected()));
  const box = $("strip");
  if (!thumb) return;
  const { offsetTop: top, offsetLeft: left } = thumb;
  if (top < box.scrollTop || top + thumb.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top;
  if (left < box.scrollLeft || left + thumb.offsetWidth > box.scrollLeft + box.clientWidth) box.scrollLeft = left;
}

/** Put the keyboard's focus on the selected picture. */
export function focusStrip() {
  thumbs.get(/** @type {any} */ (selected()))?.querySelector("input")?.focus();
}

/**
 * @param {import("./pictures.js").Picture} picture
 * @param {(picture: import("./pictures.js").Picture) => void} onSelect
 */
function made(picture, onSelect) {
  const input = make("input", { type: "radio", name: "picture", "aria-label": picture.file.name });
  input.addEventListener("change", () => onSelect(picture));
  const canvas = make("canvas", { width: EDGE, height: EDGE });
  last = last.then(() => draw(canvas, picture.file));
  return make("label", { className: "thumb", title: picture.file.name }, input, make("span", {}, canvas), make("small"));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {File} file
 */
async function draw(canvas, file) {
  try {
    const image = await createImageBitmap(file);
    const scale = EDGE / Math.max(image.width, image.height);
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
  } catch {
    canvas.classList.add("blank"); // the browser cannot read it; perhaps the server can
  }
}
