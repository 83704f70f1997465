/** Puts the page together: what is shown follows from the pictures, the question and the answers. */

import { read } from "./api.js";
import { showBars } from "./bars.js";
import * as comparing from "./compare.js";
import { $, make, speak } from "./dom.js";
import * as finding from "./finding.js";
import * as gazing from "./gazing.js";
import * as intake from "./intake.js";
import { add, pictures, remove, select, selected } from "./pictures.js";
import { setUp as setUpPrompt, showPrompt } from "./prompting.js";
import { result } from "./question.js";
import { hand, json, saveCard, saveCsv } from "./save.js";
import { menu } from "./saving.js";
import { hide, mark, see, seen } from "./seeing.js";
import { asked, setUp } from "./settings.js";
import { showPicture } from "./stage.js";
import { focusStrip, reveal, showStrip } from "./strip.js";
import { counted, stemmed } from "./words.js";

const TWO = "two"; // the state of the browser's history while two pictures are compared

/** The menu of files about one picture, or about all. */
const one = menu("save");

function show() {
  const picture = selected();
  const question = asked();
  showPicture(picture);
  showStrip(choose);
  $("finding").hidden = pictures.length < 2;
  showPrompt(question);
  showBars(question, picture, gazing.reading, gazing.waiting, (list, phrase) => see(list, phrase, asked()));
  mark();
  if (picture?.error ?? picture?.failed) $("hint").hidden = true;
  $("trouble").hidden = !picture?.failed;
  $("trouble-says").textContent = picture?.failed ?? "";
  $("none").hidden = question.lists.length > 0;
  $("tools").hidden = $("results").hidden = !picture;
  $("one").classList.toggle("filled", Boolean(picture));
  showTools();
}

function showTools() {
  const others = pictures.filter((picture) => picture !== selected() && !picture.error);
  $("with-label").hidden = !others.length || Boolean(selected()?.error);
  const ids = others.map(({ id }) => id).join(" ");
  if ($("with").dataset.ids !== ids) {
    const options = others.map(({ id, file }) => make("option", { value: String(id), textContent: file.name }));
    $("with").replaceChildren(make("option", { value: "", textContent: "…" }), ...options);
    $("with").dataset.ids = ids;
  }
  const results = complete();
  for (const id of ["save-csv", "save-json"]) $(id).disabled = gazing.busy || !results.length;
  $("save").hidden = Boolean(selected()?.error);
  $("save-card").disabled = !selected() || Boolean(selected()?.error) || !asked().lists.length;
}

function complete() {
  return pictures.flatMap((picture) => result(asked(), picture) ?? []);
}

/** @param {import("./pictures.js").Picture} picture */
function choose(picture) {
  select(picture);
  hide();
  show();
  reveal();
}

function gaze() {
  gazing.gaze(asked, show);
  show();
}

/** @param {File[]} files */
function take(files) {
  const first = !pictures.length;
  const focused = $("invite").contains(document.activeElement);
  leave();
  finding.forget();
  add(files);
  hide();
  if (first) $("settings").open = false;
  speak(`${counted(files.length, "picture")} added`);
  gaze();
  reveal();
  if (focused) focusStrip();
}

function drop() {
  const picture = selected();
  if (!picture) return;
  hide();
  one.stop();
  gazing.forget(picture);
  remove(picture);
  gaze();
  if (selected()) focusStrip();
  else $("pick").focus();
}

function changed() {
  gazing.stop();
  hide();
  for (const picture of pictures) picture.failed = null;
  gaze();
}

/** Take the comparison out of the browser's history where there is none: it cannot come again. */
function settle() {
  if (!comparing.shown() && history.state === TWO) history.back();
}

/** @returns {boolean} whether two pictures were compared */
function leave() {
  const was = comparing.leave();
  settle();
  return was;
}

/** @returns {boolean} whether two pictures were compared */
function back() {
  const was = leave();
  if (was) {
    show();
    $("with").focus();
  }
  return was;
}

function stem() {
  return pictures.length === 1 ? stemmed(pictures[0].file.name) : "pictures";
}

function listen() {
  intake.watch(take);
  comparing.setUp(asked, back);
  finding.setUp(show);
  setUpPrompt(asked);
  $("unsee").addEventListener("click", hide);
  $("again").addEventListener("click", changed);
  $("remove").addEventListener("click", drop);
  $("with").addEventListener("change", () => {
    const [left, right] = [selected(), pictures.find(({ id }) => String(id) === $("with").value)];
    $("with").value = "";
    if (!left || !right) return;
    comparing.compare(asked(), left, right);
    history.pushState(TWO, "");
    $("two-title").focus();
  });
  $("save-json").addEventListener("click", () => one.save(() => hand(json(complete()), `${stem()}.json`)));
  $("save-csv").addEventListener("click", () => one.save((patience) => {
      const done = pictures.filter((picture) => result(asked(), picture));
      return saveCsv(done, asked(), patience, stem());
    }));
  $("save-card").addEventListener("click", () =>
    one.save((patience) => {
      const picture = selected();
      return picture && saveCard(picture, asked(), seen(), patience, stemmed(picture.file.name));
    }),
  );
  window.addEventListener("popstate", () => (history.state === TWO ? settle() : back()));
  settle(); // the page may have been loaded anew
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    // A menu may be open that has not the focus.
    if (!one.close() && !comparing.stopSaving() && !back() && !one.stop()) hide();
  });
}

async function start() {
  listen();
  try {
    setUp(await read("api/lists"), changed);
    gaze(); // a picture may have come already
  } catch (error) {
    $("intake-says").textContent = /** @type {Error} */ (error).message;
  }
}

start();
