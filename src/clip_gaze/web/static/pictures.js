/** The pictures on the page, and which of them is looked at. */

/**
 * @typedef {object} Picture
 * @property {number} id
 * @property {File} file
 * @property {string} url of the file, within this page
 * @property {Map<string, import("./api.js").Score[]>} answers by the key of their list
 * @property {import("./api.js").Result | null} about the last answer's
 * @property {string | null} error why the server cannot read it
 * @property {string | null} failed why there was no answer; asking again may help
 * @property {Map<string, import("./api.js").Heat>} maps
 */

/** @type {Picture[]} */
export const pictures = [];

/** @type {Picture | null} */
let current = null;
let count = 0;

export const selected = () => current;

/** @param {Picture | null} picture */
export function select(picture) {
  current = picture;
}

/** @param {File[]} files the first of which is now selected */
export function add(files) {
  const added = files.map((file) => ({
    id: ++count,
    file,
    url: URL.createObjectURL(file),
    answers: new Map(),
    about: null,
    error: null,
    failed: null,
    maps: new Map(),
  }));
  pictures.push(...added);
  current = added[0];
}

/**
 * Take a picture away; its neighbour is selected in its place.
 * @param {Picture} picture
 */
export function remove(picture) {
  const at = pictures.indexOf(picture);
  pictures.splice(at, 1);
  URL.revokeObjectURL(picture.url);
  if (picture === current) current = pictures[at] ?? pictures[at - 1] ?? null;
}
