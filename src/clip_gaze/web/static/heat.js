/** A heat map over its picture, painted as `clip-gaze see` paints it. */

/** @typedef {import("./api.js").Heat} Heat */

// The figures are those of draw.py, which says what they are for.
const FOR = [[255, 200, 80], [250, 132, 22], [208, 44, 8]];
const AGAINST = [[140, 200, 245], [62, 138, 222], [25, 82, 184]];
const [FIRST, FULL, OPAQUE] = [0.08, 0.8, 0.84];
const [COLOURED, CONTRAST, LIFTED] = [0.12, 0.62, 69];
const FADED = 0.72;
const LEAST = 0.004;

const EDGE = 1000; // pixels of a map's longer edge
const STEPS = 256; // of the scale, in each direction

/**
 * @param {Heat} heat
 * @returns {number} where its scale ends
 */
export function limit(heat) {
  return Math.max(LEAST, ...heat.grid.flat().map(Math.abs));
}

/**
 * @param {Heat} heat
 * @returns {string} where in the picture it is hottest
 */
export function hottest({ grid, box }) {
  const cells = grid.flat();
  const at = cells.indexOf(Math.max(...cells));
  const [left, top, right, bottom] = box;
  const along = (/** @type {number} */ cell, /** @type {number} */ from, /** @type {number} */ to) =>
    Math.min(2, Math.floor(3 * (from + ((to - from) * (cell + 0.5)) / grid.length)));
  const row = ["upper", "middle", "lower"][along(Math.floor(at / grid.length), top, bottom)];
  const column = ["left", "centre", "right"][along(at % grid.length, left, right)];
  return row === "middle" && column === "centre" ? "centre" : `${row} ${column}`;
}

/**
 * Paint a map over the square that was seen; the rest of the picture fades into the ground.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement | null} image null: the browser cannot show it
 * @param {Heat} heat
 * @param {number} ground 0 to 255
 */
export function paint(canvas, image, heat, ground) {
  const ratio = image ? image.naturalWidth / image.naturalHeight : 1;
  canvas.width = Math.max(1, Math.round(EDGE * Math.min(1, ratio)));
  canvas.height = Math.max(1, Math.round(EDGE * Math.min(1, 1 / ratio)));
  const { width, height } = canvas;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#888";
  pen.fillRect(0, 0, width, height);
  if (image) pen.drawImage(image, 0, 0, width, height);
  const picture = pen.getImageData(0, 0, width, height);
  const sides = image ? heat.box : [0, 0, 1, 1];
  const [left, right] = [sides[0], sides[2]].map((part) => Math.round(part * width));
  const [top, bottom] = [sides[1], sides[3]].map((part) => Math.round(part * height));
  const values = enlarged(heat, Math.max(1, right - left), Math.max(1, bottom - top));
  const colours = scale();
  const end = limit(heat);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const seen = x >= left && x < right && y >= top && y < bottom;
      const value = seen ? values[(y - top) * (right - left) + x - left] / end : 0;
      const step = 4 * (STEPS + Math.round(STEPS * Math.min(1, Math.max(-1, value))));
      const grey = 0.299 * picture.data[at] + 0.587 * picture.data[at + 1] + 0.114 * picture.data[at + 2];
      const opacity = seen ? colours[step + 3] : FADED;
      for (let band = 0; band < 3; band++) {
        const calm = (grey + COLOURED * (picture.data[at + band] - grey)) * CONTRAST + LIFTED;
        const over = seen ? colours[step + band] : ground;
        picture.data[at + band] = calm + opacity * (over - calm);
      }
    }
  }
  pen.putImageData(picture, 0, 0);
}

/**
 * Paint the scale of colours, over a middle grey.
 * @param {HTMLCanvasElement} canvas
 */
export function paintScale(canvas) {
  const { width, height } = canvas;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const colours = scale();
  const calm = 127.5 * CONTRAST + LIFTED;
  for (let x = 0; x < width; x++) {
    const step = 4 * Math.round((2 * STEPS * x) / (width - 1));
    const mixed = [0, 1, 2].map((band) => calm + colours[step + 3] * (colours[step + band] - calm));
    pen.fillStyle = `rgb(${mixed.map(Math.round).join(" ")})`;
    pen.fillRect(x, 0, 1, height);
  }
}

/** @returns {Float32Array} colour and opacity of each step, from all against to all for */
function scale() {
  const colours = new Float32Array(4 * (2 * STEPS + 1));
  for (let step = -STEPS; step <= STEPS; step++) {
    const strength = Math.abs(step) / STEPS;
    const ramp = step > 0 ? FOR : AGAINST;
    const from = Math.min(1, Math.floor(2 * strength));
    const share = 2 * strength - from;
    const rise = Math.min(1, Math.max(0, (strength - FIRST) / (FULL - FIRST)));
    const colour = [0, 1, 2].map((band) => ramp[from][band] + share * (ramp[from + 1][band] - ramp[from][band]));
    // Level at both ends, so that no edge shows where the map begins.
    colours.set([...colour, OPAQUE * rise * rise * (3 - 2 * rise)], 4 * (step + STEPS));
  }
  return colours;
}

/**
 * @param {Heat} heat
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array} its grid, bicubic, row by row
 */
function enlarged({ grid }, width, height) {
  const columns = taps(grid.length, width);
  const wide = grid.map((row) => columns.map((parts) => parts.reduce((sum, [at, weight]) => sum + weight * row[at], 0)));
  const values = new Float32Array(width * height);
  taps(grid.length, height).forEach((parts, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [at, weight] of parts) sum += weight * wide[at][x];
      values[y * width + x] = sum;
    }
  });
  return values;
}

/**
 * @param {number} cells
 * @param {number} length in pixels
 * @returns {[number, number][][]} for each pixel, cells and their weights, as Pillow has them
 */
function taps(cells, length) {
  return Array.from({ length }, (_, pixel) => {
    const centre = ((pixel + 0.5) * cells) / length;
    const near = [-2, -1, 0, 1, 2]
      .map((step) => Math.floor(centre) + step)
      .filter((at) => at >= 0 && at < cells)
      .map((at) => /** @type {[number, number]} */ ([at, bicubic(at + 0.5 - centre)]));
    const sum = near.reduce((total, [, weight]) => total + weight, 0);
    return near.map(([at, weight]) => [at, weight / sum]);
  });
}

/** @param {number} distance */
function bicubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}
