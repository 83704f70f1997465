"use strict";

// What is known: the lists, their probabilities, the pictures. The page itself is in report.js.

const $ = (id) => document.getElementById(id);

/** Make an element; strings among the children become text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const facts = JSON.parse($("facts").textContent);
const blocks = document.querySelectorAll("script.levels");
const thumbs = document.querySelectorAll("script.thumb");
const maps = document.querySelectorAll("script.map");
const count = facts.pictures.length;
const all = Array.from({ length: count }, (_, picture) => picture);
const number = new Intl.NumberFormat("en");
const names = facts.pictures.map(([path]) => path.split(/[\\/]/).pop());
let byName = null;
let starts = null; // the first map of each picture
const lists = facts.lists.map((list, at) => ({
  ...list,
  at,
  width: list.phrases.length,
  title: list.name.replaceAll("_", " ").replace(/^./u, (letter) => letter.toUpperCase()),
}));

/** The place of each picture in the order of names, in which "picture 2" comes before "picture 10". */
function places() {
  if (!byName) {
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    byName = [];
    const sorted = [...all].sort((a, b) => compare(names[a], names[b]) || a - b);
    sorted.forEach((picture, place) => (byName[picture] = place));
  }
  return byName;
}

/** The levels of a list, one row a picture; unpacked when the list is first asked for. */
function levels(list) {
  if (!list.levels) {
    const bytes = atob(blocks[list.at].textContent);
    blocks[list.at].remove();
    list.levels = new Uint16Array(count * list.width);
    for (let i = 0; i < list.levels.length; i++) {
      list.levels[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    }
  }
  return list.levels;
}

function share(list, picture, column) {
  const level = levels(list)[picture * list.width + column];
  return level ? Math.exp((level - 65535) * facts.step) : 0;
}

/** The columns of a picture's `many` likeliest phrases, best first. */
function best(list, picture, many) {
  const row = levels(list).subarray(picture * list.width, (picture + 1) * list.width);
  const found = [];
  for (let column = 0; column < row.length; column++) {
    if (found.length === many && row[column] <= row[found[many - 1]]) continue;
    let place = found.length;
    while (place > 0 && row[found[place - 1]] < row[column]) place--;
    found.splice(place, 0, column);
    if (found.length > many) found.pop();
  }
  return found;
}

/** The best column of each picture. */
function firsts(list) {
  list.firsts ??= all.map((picture) => {
    const row = levels(list).subarray(picture * list.width, (picture + 1) * list.width);
    let first = 0;
    for (let column = 1; column < row.length; column++) if (row[column] > row[first]) first = column;
    return first;
  });
  return list.firsts;
}

/** How many pictures have each phrase first: [column, pictures], most first. */
function counts(list) {
  if (!list.counts) {
    const tally = new Map();
    for (const column of firsts(list)) tally.set(column, (tally.get(column) ?? 0) + 1);
    list.counts = [...tally].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  }
  return list.counts;
}

function isAmong(list, picture, column, many) {
  const row = levels(list).subarray(picture * list.width, (picture + 1) * list.width);
  let before = 0;
  for (const level of row) if (level > row[column]) before++;
  return before < many;
}

/** Per cents of a share (0 to 1), as `wording.py` writes them. */
function perCent(share) {
  const value = 100 * share;
  if (value < 0.1) return "<0.1%";
  if (value > 99.9) return ">99.9%";
  const tenths = Math.floor(10 * value + 0.5);
  return tenths < 100 || value >= 99.5 ? `${(tenths / 10).toFixed(1)}%` : `${Math.floor(value + 0.5)}%`;
}

const NO_WINNER = "no clear winner";

/** Whether the first phrase of a list wins with this share (0 to 1), as `wording.py` has it. */
function isClear(share) {
  return share >= 0.0095; // what is written as 1.0%
}

/** A value with its sign and two digits that count, as `words.js` writes it. */
function signed(value) {
  return `${value < 0 ? "\u2212" : "+"}${Number(Math.abs(value).toPrecision(2))}`;
}

function source(picture) {
  return webp(thumbs[picture]);
}

function webp(element) {
  return `data:image/webp;base64,${element.textContent}`;
}

/** The heat map of a picture for a list: its phrase, scale, box and image; undefined if there is none. */
function mapOf(list, picture) {
  if (!facts.mapped.length) return undefined;
  starts ??= facts.mapped.reduce((sums, row) => [...sums, sums.at(-1) + row.length], [0]);
  const place = facts.mapped[picture].findIndex(([name]) => name === list.name);
  if (place < 0) return undefined;
  const [, phrase, limit, box] = facts.mapped[picture][place];
  return { phrase, limit, box, source: webp(maps[starts[picture] + place]) };
}
