/** How names and figures are written; figures as the command line writes them. */

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const whole = new Intl.NumberFormat("en");

export const YOURS = "Your own phrases";
export const NO_WINNER = "no clear winner";

/** @param {string} name of a list, such as "painting_materials" */
export function titled(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {string} name of a file, which loses its ending */
export const stemmed = (name) => name.replace(/\.[^.]*$/, "");

/**
 * @param {number} count
 * @param {string} noun in the singular
 */
export function counted(count, noun) {
  return `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * @param {number} share 0 to 1
 * @returns {string} per cents, never rounded to none or to all
 */
export function perCent(share) {
  const value = 100 * share;
  if (value < 0.1) return "<0.1%";
  if (value > 99.9) return ">99.9%";
  const tenths = Math.floor(10 * value + 0.5);
  return tenths < 100 || value >= 99.5 ? `${(tenths / 10).toFixed(1)}%` : `${Math.floor(value + 0.5)}%`;
}

/**
 * @param {number} share 0 to 1, of the first phrase of a list
 * @returns {boolean} whether it wins, as `wording.py` has it
 */
export function isClear(share) {
  return share >= 0.0095; // what is written as 1.0%
}

/**
 * @param {number} logOdds
 * @returns {number} the probability
 */
export function probability(logOdds) {
  return 0.5 * (1 + Math.tanh(logOdds / 2));
}

/**
 * @param {number} difference of log-odds
 * @returns {string} what it multiplies the odds by, at least 1
 */
export function times(difference) {
  const log10 = Math.abs(difference) / Math.LN10;
  if (log10 > 6) return `×10${[...String(Math.round(log10))].map((digit) => RAISED[Number(digit)]).join("")}`;
  const value = (10 ** log10).toPrecision(3);
  return `×${log10 < 2.9995 ? value : whole.format(Number(value))}`;
}

/**
 * @param {number} value
 * @returns {string} with its sign and two digits that count
 */
export function signed(value) {
  return `${value < 0 ? "\u2212" : "+"}${Number(Math.abs(value).toPrecision(2))}`;
}
