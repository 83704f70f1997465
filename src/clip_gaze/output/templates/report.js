
// ---- What is shown: it stands in the address, so that "back" goes back ----

const state = { list: lists[0], column: -1, only: "", sort: "", view: "" };
let shown = [];
let address; // what is shown stands in it

/** Change what is shown, at once: the event of a new address comes later, maybe after a next change. */
function go(change) {
  const { list, column, only, sort, view } = { ...state, ...change };
  const words = new URLSearchParams({ list: list.name });
  if (column >= 0) words.set("phrase", list.phrases[column]);
  for (const [name, value] of Object.entries({ only, sort, view })) {
    if (value) words.set(name, value);
  }
  location.hash = words;
  arrive();
}

function choose(list, column, only = "") {
  go({ list, column, only, sort: "", view: "" });
}

function arrive() {
  if (address === location.hash) return;
  address = location.hash;
  const words = new URLSearchParams(location.hash.slice(1));
  if (shown.length && location.hash && !words.has("list")) return; // a link within the page
  state.list = lists.find((list) => list.name === words.get("list")) ?? lists[0];
  state.column = state.list.phrases.indexOf(words.get("phrase"));
  for (const name of ["only", "sort", "view"]) state[name] = words.get(name) ?? "";
  show();
}

const ORDERS = {
  best: ({ list, column }) => (a, b) =>
    levels(list)[b * list.width + column] - levels(list)[a * list.width + column] || a - b,
  given: () => (a, b) => a - b,
  name: () => (a, b) => places()[a] - places()[b],
  sure: ({ list }) => (a, b) =>
    share(list, b, firsts(list)[b]) - share(list, a, firsts(list)[a]) || a - b,
};
const SAYS = { best: "likeliest first", given: "as given", name: "by name", sure: "surest first" };

function order() {
  const usual = state.column >= 0 ? "best" : "given";
  const asked = state.column < 0 && state.sort === "best" ? usual : state.sort;
  return asked in ORDERS ? asked : usual;
}

function isSheet() {
  return (state.view || (state.column >= 0 ? "sheet" : "bars")) === "sheet";
}

/** The pictures that are shown now, in order. */
function chosen() {
  const { list, column, only } = state;
  let found = [...all];
  if (column >= 0 && only === "first") found = found.filter((i) => firsts(list)[i] === column);
  if (column >= 0 && only === "five") found = found.filter((i) => isAmong(list, i, column, 5));
  return found.sort(ORDERS[order()](state));
}

function show() {
  const { list, column } = state;
  shown = chosen();
  hang();
  if ($("pictures").getBoundingClientRect().top < 0) $("pictures").scrollIntoView();
  $("none").hidden = shown.length > 0;
  $("heading").textContent = column >= 0 ? list.phrases[column] : "All pictures";
  $("clear").hidden = column < 0;
  const of = shown.length < count ? ` of ${number.format(count)}` : "";
  const noun = count === 1 ? "picture" : "pictures";
  $("status").textContent = `${number.format(shown.length)}${of} ${noun}, ${SAYS[order()]}`;
  showControls();
  showChart();
}

function showControls() {
  const { list, column, only } = state;
  const [likeliest] = $("sort").options;
  likeliest.hidden = likeliest.disabled = column < 0;
  $("sort").value = order();
  $("only-label").hidden = column < 0;
  $("only").value = only;
  for (const input of document.querySelectorAll("[name=list]")) {
    input.checked = Number(input.value) === list.at;
  }
  for (const input of document.querySelectorAll("[name=view]")) {
    input.checked = (input.value === "sheet") === isSheet();
  }
}

// ---- The wall: lines of pictures. Every line keeps its place; those near the window are hung ----

let lines = [];
let wallWidth = 0;

/** Share the pictures out into lines: [pictures, height in pixels, width or null for all of it]. */
function shareOut() {
  const style = getComputedStyle($("gallery"));
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const size = (name) => parseFloat(style.getPropertyValue(name)) * rem;
  const [gap, caption, high, cell] = ["--gap", "--caption", "--high", "--cell"].map(size);
  wallWidth = $("gallery").clientWidth;
  const found = [];
  if (!isSheet()) {
    const columns = Math.max(1, Math.floor((wallWidth + gap) / (cell + gap)));
    $("gallery").style.setProperty("--columns", columns);
    for (let i = 0; i < shown.length; i += columns) {
      found.push([shown.slice(i, i + columns), high + caption, null]);
    }
    return found;
  }
  let line = [];
  let ratios = 0;
  for (const picture of shown) {
    line.push(picture);
    ratios += ratio(picture);
    const room = wallWidth - gap * (line.length - 1);
    if (ratios * high >= room) {
      found.push([line, room / ratios + caption, null]);
      line = [];
      ratios = 0;
    }
  }
  if (line.length) found.push([line, high + caption, ratios * high + gap * (line.length - 1)]);
  return found;
}

/** Width over height, within bounds: a strip of cloth must not take a line for itself. */
function ratio(picture) {
  const [, , width, height] = facts.pictures[picture];
  return Math.min(3, Math.max(0.4, width / height));
}

/** Make all lines anew. */
function hang() {
  watch.disconnect();
  $("gallery").classList.toggle("sheet", isSheet());
  let place = 0;
  lines = shareOut().map(([pictures, height, width]) => {
    const line = make("div", { class: "line", role: "presentation" });
    line.style.height = `${height}px`;
    if (width) line.style.maxWidth = `${width}px`;
    line.pictures = pictures;
    line.place = place;
    place += pictures.length;
    return line;
  });
  $("gallery").replaceChildren(...lines);
  for (const line of lines) watch.observe(line);
}

function fill(line) {
  if (line.firstChild) return;
  line.append(...line.pictures.map((picture, i) => card(picture, line.place + i)));
}

const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) fill(target);
      else if (!target.contains(document.activeElement)) target.replaceChildren();
    }
  },
  { rootMargin: "900px 0px" },
);

/** Hang anew when the width has changed, with the same picture on top. */
function resized() {
  if ($("gallery").clientWidth === wallWidth) return;
  const top = lines.find((line) => line.getBoundingClientRect().bottom > 0);
  const above = lines.length > 0 && lines[0].getBoundingClientRect().top < 0;
  hang();
  if (above && top) lineOf(top.pictures[0])?.scrollIntoView();
}

function lineOf(picture) {
  return lines.find((line) => line.pictures.includes(picture));
}

function card(picture, place) {
  const { list } = state;
  const image = make("img", { alt: "", decoding: "async", src: source(picture) });
  const texts = isSheet() ? [caption(list, picture)] : marks(list, picture);
  const button = make(
    "button",
    { type: "button", class: "card", title: facts.pictures[picture][0] },
    make("span", { class: "frame" }, image),
    make("span", { class: "name", dir: "auto" }, names[picture]),
    make("span", { class: "marks" }, ...texts),
  );
  button.addEventListener("click", () => open(picture));
  const item = make(
    "div",
    { role: "listitem", "aria-setsize": shown.length, "aria-posinset": place + 1 },
    button,
  );
  item.style.setProperty("--ratio", ratio(picture));
  return item;
}

/** A bar as long as a share of 1; what is not 0 can be seen. */
function track(part) {
  const bar = make("i", part > 0 ? { class: "some" } : {});
  bar.style.setProperty("--share", part);
  return make("span", { class: "track", "aria-hidden": "true" }, bar);
}

/** A phrase with its per cents and its bar. */
function mark(list, picture, column, element) {
  const value = share(list, picture, column);
  const text = make("span", { dir: "auto" }, list.phrases[column]);
  element.append(text, make("b", {}, perCent(value)), track(value));
  element.classList.toggle("chosen", list === state.list && column === state.column);
  return element;
}

/** Whether a picture's first phrase of a list wins. */
function wins(list, picture) {
  return isClear(share(list, picture, firsts(list)[picture]));
}

/** Three bars, the chosen phrase among them; where none wins and none was chosen, that and one bar. */
function marks(list, picture) {
  if (state.column < 0 && !wins(list, picture)) {
    const first = mark(list, picture, firsts(list)[picture], make("span", { class: "mark" }));
    return [make("span", { class: "unclear" }, NO_WINNER), first];
  }
  const columns = best(list, picture, 3);
  if (state.column >= 0 && !columns.includes(state.column)) columns.splice(2, 1, state.column);
  return columns.map((column) => mark(list, picture, column, make("span", { class: "mark" })));
}

/** One line: the per cents of the chosen phrase, or of the best one, which is named. */
function caption(list, picture) {
  const column = state.column >= 0 ? state.column : firsts(list)[picture];
  const best = wins(list, picture) ? list.phrases[column] : NO_WINNER;
  const text = state.column >= 0 ? names[picture] : best;
  const value = make("b", {}, perCent(share(list, picture, column)));
  return make("span", { class: "mark" }, value, make("span", { class: "from", dir: "auto" }, text));
}

// ---- The chart: how many pictures have each phrase first ----

const FEW = 12;
let whole = false;

function showChart() {
  const { list, column, only } = state;
  const rows = counts(list);
  const longest = rows[0][1];
  const few = rows.filter(([at], place) => whole || place < FEW || at === column);
  const some = `${number.format(rows.length)} of ${number.format(list.width)}`;
  $("chart-says").textContent = `${list.title}: ${some} phrases come first in some picture.`;
  $("bars").replaceChildren(
    ...few.map(([at, many]) => {
      const pressed = at === column && only === "first";
      const row = make(
        "button",
        { type: "button", class: "row", "aria-pressed": pressed },
        make("span", { dir: "auto" }, list.phrases[at]),
        make("b", {}, number.format(many), make("span", { class: "hidden" }, " pictures")),
        track(many / longest),
      );
      row.classList.toggle("chosen", at === column);
      row.column = at;
      row.addEventListener("click", () => choose(list, pressed ? -1 : at, pressed ? "" : "first"));
      return make("li", {}, row);
    }),
  );
  $("more").hidden = rows.length <= FEW;
  $("more").textContent = whole ? "Show fewer" : `Show all ${number.format(rows.length)}`;
}

// ---- The search box: a combobox over all phrases of all lists, and the pictures' names ----

const MOST = 150;
let index = null;
let matches = [];
let active = -1;

/** Without accents and capitals, so that "cezanne" finds "Cézanne". */
function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** What holds all words, at best at its start; without words the phrases of the list shown. */
function find(text) {
  index ??= [
    ...lists.flatMap((list) =>
      list.phrases.map((phrase, column) => ({ list, column, text: phrase, folded: fold(phrase) })),
    ),
    ...all.map((picture) => ({ picture, text: names[picture], folded: fold(names[picture]) })),
  ];
  const words = fold(text).split(/\s+/).filter(Boolean);
  if (!words.length) return index.filter(({ list }) => list === state.list);
  const rank = ({ list, folded }) => {
    const within = ` ${folded}`.includes(` ${words[0]}`) ? 1 : 2;
    const place = folded.startsWith(words[0]) ? 0 : within;
    return (list ? 0 : 10) + place + (list === state.list ? 0 : 0.5);
  };
  return index
    .filter(({ folded }) => words.every((word) => folded.includes(word)))
    .sort((a, b) => rank(a) - rank(b));
}

function suggest() {
  const found = find($("search").value);
  const phrases = found.filter(({ list }) => list);
  const pictures = found.filter(({ list }) => !list);
  matches = [...phrases.slice(0, MOST), ...pictures.slice(0, MOST)];
  active = -1;
  const options = matches.map(({ list, text }, at) => {
    const option = make(
      "li",
      { role: "option", id: `option-${at}`, "aria-selected": "false" },
      make("span", { dir: "auto" }, text),
      make("small", {}, list ? list.title : "Picture"),
    );
    option.addEventListener("click", () => take(at));
    return option;
  });
  const more = found.length - matches.length;
  if (more || !found.length) {
    const says = more ? `${number.format(more)} more: type some letters` : "Nothing is called that";
    const quiet = { class: "says", role: "option", "aria-disabled": "true", "aria-selected": "false" };
    options.push(make("li", quiet, says));
  }
  $("options").replaceChildren(...options);
  expand(true);
  $("options").scrollTop = 0;
}

function expand(yes) {
  $("options").hidden = !yes;
  $("search").setAttribute("aria-expanded", yes);
  $("search").removeAttribute("aria-activedescendant");
}

function point(at) {
  if (!matches.length) return;
  $("options").children[active]?.setAttribute("aria-selected", "false");
  active = (at + matches.length) % matches.length;
  const option = $("options").children[active];
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  $("search").setAttribute("aria-activedescendant", option.id);
}

function take(at) {
  const { list, column, picture } = matches[at];
  $("search").value = "";
  expand(false);
  if (list) choose(list, column);
  else open(picture);
}

function searchKey(event) {
  const closed = $("options").hidden;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (closed) suggest();
    if (event.key === "ArrowDown") point(active + 1);
    else point(active < 0 ? -1 : active - 1);
  } else if (event.key === "Enter" && !closed && matches.length) {
    event.preventDefault();
    take(Math.max(active, 0));
  } else if (event.key === "Escape") {
    if (closed) $("search").value = "";
    expand(false);
  }
}

// ---- One picture, closer ----

let course = []; // what "next" goes through
let near = 0;
let from = null; // where the focus was

function open(picture) {
  from = document.activeElement;
  course = shown.includes(picture) ? shown : all;
  near = course.indexOf(picture);
  look();
  $("closer").showModal();
}

function look() {
  const picture = course[near];
  const [path, link] = facts.pictures[picture];
  $("closer-name").textContent = names[picture];
  $("closer-path").textContent = path;
  $("closer-link").href = link;
  enlarge(picture, link);
  $("closer-place").textContent = `${number.format(near + 1)} of ${number.format(course.length)}`;
  $("closer-lists").replaceChildren(...lists.map((list) => closerList(list, picture)));
  $("closer").scrollTop = 0;
}

/** Show a picture's thumbnail, and its file as soon as that is there, if it is and can be shown. */
function enlarge(picture, link) {
  const shown = $("closer-image");
  const [, , width, height] = facts.pictures[picture];
  $("closer").style.setProperty("--ratio", width / height);
  shown.src = source(picture);
  const file = new Image();
  file.src = link;
  file.decode().then(
    () => {
      if (picture === course[near]) shown.src = file.src;
    },
    () => {}, // it has gone, or is of a kind that browsers do not show
  );
}

function closerList(list, picture) {
  const columns = best(list, picture, lists.length > 2 ? 5 : 8);
  if (list === state.list && state.column >= 0 && !columns.includes(state.column)) {
    columns.push(state.column);
  }
  const rows = columns.map((column) => {
    const says = "Sort all pictures by this phrase";
    const row = make("button", { type: "button", class: "row", title: says });
    row.addEventListener("click", () => {
      $("closer").close();
      choose(list, column);
    });
    return mark(list, picture, column, row);
  });
  const says = wins(list, picture) ? [] : [make("span", { class: "unclear" }, NO_WINNER)];
  const head = make("div", { class: "head" }, make("h3", { dir: "auto" }, list.title), ...says);
  return make("section", {}, head, ...rows, ...seen(list, picture));
}

/** Where the picture speaks for the phrase that comes first. */
function seen(list, picture) {
  const map = mapOf(list, picture);
  if (!map) return [];
  const heat = make("img", { class: "over", alt: `Heat map for ${map.phrase}`, src: map.source });
  const [left, top, right, bottom] = map.box;
  for (const [side, part] of Object.entries({ left, top, width: right - left, height: bottom - top })) {
    heat.style[side] = `${100 * part}%`;
  }
  const below = make("img", { alt: "", src: source(picture) });
  const frame = make("div", { class: "mapped" }, below, heat);
  const colours = make("img", { class: "colours", alt: "", src: webp($("colours")) });
  const against = make("span", {}, `${signed(-map.limit)} against`);
  const ends = make("p", { class: "ends" }, against, make("span", {}, `for ${signed(map.limit)}`));
  const says = make("figcaption", { dir: "auto" }, `Orange speaks for “${map.phrase}”, blue against it`);
  return [make("figure", { class: "map" }, frame, colours, ends, says)];
}

function step(by) {
  near = (near + by + course.length) % course.length;
  look();
}

/** Give the focus back: to the picture last looked at, where it is on the wall. */
function closed() {
  const line = lineOf(course[near]);
  if (!line || from?.closest(".search")) {
    from?.focus();
    return;
  }
  fill(line);
  line.children[line.pictures.indexOf(course[near])].firstChild.focus();
}

// ---- Start ----

if (count) {
  document.body.classList.toggle("small", facts.edge < 240);
  $("chart").open = matchMedia("(min-width: 60rem)").matches;
  $("search").addEventListener("input", suggest);
  $("search").addEventListener("click", suggest);
  $("search").addEventListener("keydown", searchKey);
  $("search").addEventListener("blur", () => expand(false));
  // Otherwise a press on an option takes the focus, and the list is gone before the click.
  $("options").addEventListener("mousedown", (event) => event.preventDefault());
  $("only").addEventListener("change", (event) => go({ only: event.target.value }));
  $("sort").addEventListener("change", (event) => go({ sort: event.target.value }));
  $("clear").addEventListener("click", () => {
    choose(state.list, -1);
    $("pictures").focus({ preventScroll: true });
  });
  $("more").addEventListener("click", () => {
    whole = !whole;
    showChart();
  });
  for (const input of document.querySelectorAll("[name=list]")) {
    input.addEventListener("change", () => choose(lists[Number(input.value)], -1));
  }
  for (const input of document.querySelectorAll("[name=view]")) {
    input.addEventListener("change", () => go({ view: input.value }));
  }
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => $("closer").close());
  $("closer").addEventListener("close", closed);
  $("closer").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  $("closer").addEventListener("click", (event) => {
    if (event.target === $("closer")) $("closer").close(); // beside it
  });
  addEventListener("hashchange", arrive);
  addEventListener("resize", resized);
  addEventListener("beforeprint", () => {
    watch.disconnect(); // on paper no line has a place of its own
    lines.forEach(fill);
  });
  addEventListener("afterprint", hang);
  arrive();
}
