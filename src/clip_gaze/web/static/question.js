/** What is asked about pictures, and which answers are there already. */

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{name: string, count: number, own: string[] | null, key: string}} List
 *   `count`: its phrases; `own`: they are the user's; `key`: two lists with one key have one answer
 * @typedef {{lists: List[], top: number, corrected: boolean, quality: string}} Question
 */

export const OWN = "phrases"; // as the command line calls them

/**
 * @param {{name: string, count: number}[]} lists
 * @param {string[]} own
 * @param {{top: number, corrected: boolean, quality: string}} choices
 * @returns {Question}
 */
export function question(lists, own, choices) {
  const { top, corrected } = choices;
  const all = lists.map(({ name, count }) => ({ name, count, own: /** @type {any} */ (null) }));
  if (own.length) all.push({ name: OWN, count: own.length, own });
  const keyed = all.map((list) => ({ ...list, key: JSON.stringify([list.name, list.own, top, corrected]) }));
  return { lists: keyed, ...choices };
}

/**
 * @param {Question} asked
 * @param {List} list
 * @returns {number} how many phrases of a list are shown
 */
export function shown({ top }, list) {
  return top ? Math.min(top, list.count) : list.count;
}

/**
 * @param {Question} asked
 * @param {List[]} lists those that are asked about
 * @param {...File} files
 */
export function form({ top, corrected }, lists, ...files) {
  const data = new FormData();
  for (const file of files) data.append("image", file, file.name);
  for (const { name, own } of lists) {
    if (own) for (const phrase of own) data.append("phrase", phrase);
    else data.append("list", name);
  }
  data.append("top", String(top));
  data.append("corrected", String(corrected));
  return data;
}

/**
 * @param {Question} asked
 * @param {Picture} picture
 * @returns {List[]} the lists without an answer
 */
export function missing({ lists }, picture) {
  if (picture.error) return [];
  return picture.about ? lists.filter(({ key }) => !picture.answers.has(key)) : lists;
}

/**
 * @param {Question} asked
 * @param {Picture} picture
 * @returns {import("./api.js").Result | null} as the server writes it; null: not all is there yet
 */
export function result(asked, picture) {
  if (!picture.about || missing(asked, picture).length) return null;
  const { image, model, variant, status, error, templates } = picture.about;
  const pairs = asked.lists.map(({ name, key }) => [name, picture.answers.get(key)]);
  const lists = status === "ok" ? Object.fromEntries(pairs) : {};
  const { corrected } = status === "ok" ? asked : picture.about;
  return { image, model, variant, lists, status, error, templates, corrected };
}
