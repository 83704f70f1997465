/** The selected picture, large, or an invitation where there is none. */

import { $ } from "./dom.js";

const STRANGE = "This browser cannot show this picture.";
const COMING = "Its phrases come all the same.";

/** @type {import("./pictures.js").Picture | null} */
let shown = null;
/** @type {import("./pictures.js").Picture | null} */
let loaded = null;
let readable = true;
let mapped = false;

/**
 * Show a picture as soon as it is decoded; what was shown stays until then.
 * @param {import("./pictures.js").Picture | null} picture
 */
export async function showPicture(picture) {
  if (picture !== shown) {
    shown = picture;
    $("invite").hidden = Boolean(picture);
    $("view").hidden = !picture;
    if (picture) await load(picture);
  }
  explain();
}

/**
 * Make room for a map.
 * @returns {boolean} whether the picture is shown below it; else the browser cannot show it
 */
export function ready() {
  mapped = true;
  if (!readable) $("frame").style.setProperty("--ratio", 1);
  explain();
  return readable;
}

/** Show the picture again without a map. */
export function bare() {
  mapped = false;
  explain();
}

/** @param {import("./pictures.js").Picture} picture */
async function load(picture) {
  $("name").textContent = $("name").title = picture.file.name;
  $("size").textContent = "";
  const probe = new Image();
  probe.src = picture.url;
  const decoded = await probe.decode().then(() => true, () => false);
  if (picture !== shown) return;
  loaded = picture;
  readable = decoded;
  if (!decoded) return;
  const { naturalWidth: width, naturalHeight: height } = probe;
  $("picture").src = picture.url;
  $("picture").alt = picture.file.name;
  $("frame").style.setProperty("--ratio", width / height);
  $("size").textContent = `${width} × ${height}`;
}

function explain() {
  if (shown && shown !== loaded) return;
  const strange = shown?.failed ? STRANGE : `${STRANGE} ${COMING}`;
  const says = shown?.error ?? (readable || mapped ? "" : strange);
  $("frame").hidden = !shown || says !== "";
  $("frame").classList.toggle("mapped", mapped);
  $("picture").hidden = !readable;
  $("unseen").hidden = !shown;
  if ($("unseen").textContent !== says) $("unseen").textContent = says;
  $("unseen").classList.toggle("warn", Boolean(shown?.error));
}
