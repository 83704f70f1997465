"""The local page in a browser, served by a real `clip-gaze serve`."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import clip_gaze
from browsing import PATIENCE
from clip_gaze.drawing import heatmap, look, typeface
from clip_gaze.output import tables
from clip_gaze.results import CorrectedScore, HeatMap, PhraseScore, PictureResult
from clip_gaze.texts import phrases
from clip_gaze.wording import TIMES, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, Download, Locator, Page

    Visit = Callable[..., Page]
    File = tuple[str, bytes]

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
DEFAULTS = ("artists_by_training_prevalence", "movements", "surfaces")
DROP = """async ([kind, files]) => {
  const data = new DataTransfer();
  for (const [name, bytes] of files) {
    const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    data.items.add(new File([content], name, { type: "image/png" }));
  }
  const options = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent(kind, { ...options, dataTransfer: data }));
}"""
ASK = """async ([path, name, bytes, fields]) => {
  const form = new FormData();
  const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  form.append("image", new File([content], name));
  for (const [field, value] of fields) form.append(field, value);
  return (await fetch(path, { method: "POST", body: form })).json();
}"""
# How long each bar and its track are in pixels, once it has grown.
WIDTHS = """async (bars) => {
  await Promise.all(bars.flatMap((bar) => bar.getAnimations()).map((growth) => growth.finished));
  const width = (element) => element.getBoundingClientRect().width;
  return bars.map((bar) => [width(bar), width(bar.parentNode)]);
}"""
STEP = 1 / 64  # of a pixel: what a browser rounds lengths to
# How far things moved that nobody asked to move; moves after a key or a click count too.
SHIFTS = """
  window.moved = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.moved += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
"""


def painted(seed: int, size: int = 160, **phrases: str) -> bytes:
    """Return a picture that the demo model knows something about, as a PNG."""
    from demo.painter import paint

    file = io.BytesIO()
    paint(seed, size, **phrases).image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def files() -> list[File]:
    """Return three pictures: cubism, tonalism and pop art."""
    names = ("cubism", "tonalism", "pop art")
    return [
        (f"{name}.png", painted(seed, movements=f"{name} movement", surfaces="on canvas"))
        for seed, name in enumerate(names, start=3)
    ]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server process with the demo model."""
    cache = str(tmp_path_factory.mktemp("served"))
    environment = {**os.environ, "CLIP_GAZE_CACHE": cache, "HF_HUB_OFFLINE": "1"}
    options = ["--model", "demo", "--port", "0", "--no-open"]
    command = [sys.executable, "-m", "clip_gaze", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()
        assert server.wait(PATIENCE / 1000) == 0


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    """Return a function that opens the page; it must ask nobody else, and not complain."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    asked: list[str] = []
    expected: list[str] = []

    def open_page(*complaint: str, **options: Any) -> Page:
        expected.extend(complaint)
        context = browser.new_context(**{"viewport": WIDE} | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.add_init_script(SHIFTS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        # Without it, one that opens at once would open before it is waited for.
        page.on("filechooser", lambda _: None)
        page.goto(url)
        page.locator("#lists label").first.wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in complaints if not any(one in each for one in expected)] == []
    assert [each for each in asked if not each.startswith((url, f"blob:{url}"))] == []


def drop(page: Page, *files: File, kind: str = "drop") -> None:
    """Drop files onto the page, or paste them."""
    coded = [[name, base64.b64encode(content).decode("ascii")] for name, content in files]
    page.evaluate(DROP, [kind, coded])


def ask(page: Page, path: str, file: File, *fields: tuple[str, str]) -> Any:
    """Return what the server answers to the page's own question."""
    coded = base64.b64encode(file[1]).decode("ascii")
    return page.evaluate(ASK, [path, file[0], coded, [list(field) for field in fields]])


def gazed(file: File, name: str, top: int | None) -> Sequence[PhraseScore]:
    """Return the best phrases of a list, without a server."""
    image = Image.open(io.BytesIO(file[1]))
    with clip_gaze.Clip("demo") as clip:
        (result,) = clip.gaze_many([image], {name: phrases.load(name)}, top)
    return result.lists[name]


def answered(page: Page) -> None:
    """Wait until all pictures have their answers."""
    page.locator("#save-json:enabled").wait_for(state="attached")


def section(page: Page, title: str) -> Locator:
    return page.locator("#bars").get_by_role("region", name=title, exact=True)


def rows(page: Page, title: str) -> list[str]:
    """Return the phrases of a list."""
    return section(page, title).locator(".phrase").all_text_contents()


def chip(page: Page, name: str) -> Locator:
    return page.locator(f"#lists label[title={name}]")


def settings(page: Page) -> None:
    page.get_by_text("Ask about").click()


def heat(page: Page, phrase: str) -> Locator:
    """Press a phrase, and return its map."""
    page.locator(".row").filter(has_text=phrase).first.click()
    found = page.locator("#map")
    found.wait_for()
    return found


def pixels(page: Page) -> Image.Image:
    """Return what is shown of the picture and its map."""
    page.locator("#map").evaluate("map => map.decode()")
    seen = page.locator("#frame").screenshot(animations="disabled")
    return Image.open(io.BytesIO(seen)).convert("RGB")


def per_cents(found: Locator) -> list[float]:
    return [float(text.strip("<>%")) for text in found.all_text_contents()]


def test_it_invites_and_says_which_model_it_has(visit: Visit) -> None:
    page = visit()
    assert page.title() == page.get_by_role("heading", level=1).inner_text() == "clip-gaze"
    assert page.get_by_text("Drop a painting here").is_visible()
    assert page.get_by_role("button", name="choose pictures").is_visible()
    assert page.locator(".made").inner_text() == "seen by demo, fp32"
    note = page.get_by_role("note").inner_text()
    assert "demo model" in note
    assert "painted test pictures" in note
    assert not page.locator("#results").is_visible()
    chosen = page.locator("#lists input:checked")
    assert [each.get_attribute("value") for each in chosen.all()] == list(DEFAULTS)


def test_a_dropped_picture_has_bars_for_each_list(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    titles = ("Artists by training prevalence", "Movements", "Surfaces")
    for title, name in zip(titles, DEFAULTS, strict=True):
        scores = gazed(files[0], name, 5)
        assert rows(page, title) == [score.phrase for score in scores]
        shown = section(page, title).locator(".row b").all_text_contents()
        assert shown == [rounded(100 * score.probability) for score in scores]
        bars = section(page, title).locator(".track i").evaluate_all(WIDTHS)
        for (long, track), score in zip(bars, scores, strict=True):
            assert long == pytest.approx(max(look.LEAST, score.probability * track), abs=STEP)
    assert rows(page, "Movements")[0] == "cubism movement"
    assert (
        page.locator("#picture").evaluate("image => image.naturalWidth")
        == Image.open(io.BytesIO(files[0][1])).width
    )
    assert page.locator("#spoken").inner_text().startswith("cubism.png: ")


def test_a_picture_is_there_before_its_answer(visit: Visit, files: list[File]) -> None:
    page = visit()
    page.route("**/api/gaze", lambda _: None)  # no answer ever comes
    drop(page, files[0])
    page.locator("#picture").wait_for()
    waiting = section(page, "Movements")
    assert waiting.get_attribute("aria-busy") == "true"
    assert waiting.locator(".row").count() == 5
    assert waiting.locator(".row:enabled").count() == 0
    page.unroute_all(behavior="ignoreErrors")


def test_nothing_moves_while_results_arrive(visit: Visit, files: list[File]) -> None:
    for viewport in (WIDE, PHONE):
        page = visit(viewport=viewport)
        drop(page, *files)
        page.locator("#picture").wait_for()
        page.evaluate("window.moved = 0")  # the picture itself takes the room of the invitation
        answered(page)
        page.locator(".thumb").nth(1).click()
        heat(page, "on canvas")
        assert page.evaluate("window.moved") < 0.02


def test_several_pictures_are_chosen_and_looked_through(visit: Visit, files: list[File]) -> None:
    page = visit()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="choose pictures").click()
    chooser.value.set_files(
        [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
    )
    answered(page)
    strip = page.get_by_role("radiogroup", name="Pictures")
    assert strip.get_by_role("radio").count() == 3
    for name, _ in files:
        strip.get_by_role("radio", name=name).check(force=True)
        page.locator("#name", has_text=name).wait_for()
        assert rows(page, "Movements")[0] == f"{name.removesuffix('.png')} movement"
        page.locator(f"#picture[alt='{name}']").wait_for()
    page.get_by_role("button", name="Remove").click()
    assert strip.get_by_role("radio").count() == 2
    assert page.locator("#name").inner_text() == "tonalism.png"


def test_a_picture_is_pasted(visit: Visit, files: list[File]) -> None:
    page = visit()
    for number in (1, 2):
        drop(page, ("image.png", files[0][1]), kind="paste")
        page.locator("#name", has_text=f"pasted {number}.png").wait_for()
    answered(page)
    drop(page, kind="paste")
    page.get_by_text("There is no picture to paste").wait_for()


def test_what_is_no_file_is_refused_in_a_line(visit: Visit) -> None:
    page = visit()
    drop(page)
    page.get_by_role("alert").filter(has_text="save the picture first").wait_for()
    assert page.get_by_text("Drop a painting here").is_visible()


def test_the_page_shows_where_to_let_go(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0], kind="dragenter")
    assert page.get_by_text("Let go to add it").is_visible()
    drop(page, files[0], kind="dragleave")
    assert not page.get_by_text("Let go to add it").is_visible()


def test_a_phrase_has_a_heat_map_that_looks_as_see_draws_it(
    visit: Visit, files: list[File]
) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    assert not page.locator("#map").is_visible()
    shown = heat(page, "cubism movement")
    question = [("phrase", "cubism movement"), ("list", "movements")]
    (found,) = ask(page, "api/see", files[0], *question)
    painted = pixels(page)
    image = Image.open(io.BytesIO(files[0][1])).resize(painted.size, Image.Resampling.BICUBIC)
    expected = np.asarray(heatmap.over(image, HeatMap(**found)), np.float64)
    difference = np.abs(np.asarray(painted, np.float64) - expected)
    assert difference.mean() < 3
    red, _, blue = np.moveaxis(np.asarray(painted, np.int64), -1, 0)
    assert (red - blue > 100).mean() > 0.01  # orange, where it is hot
    label = shown.get_attribute("alt") or ""
    assert re.fullmatch(r"Heat map of cubism movement: warmest in the [a-z ]+\.", label)
    assert page.locator("#spoken").inner_text() == f"{label} Escape hides it."
    limit = max(abs(value) for row in found["grid"] for value in row)
    assert page.locator("#scale-for").inner_text() == f"for +{float(f'{limit:.2g}'):g}"
    assert page.locator("#scale-share").inner_text().endswith("of movements")


def test_a_heat_map_goes_as_it_came(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    row = page.locator(".row").filter(has_text="on canvas")
    for hide in (
        lambda: page.keyboard.press("Escape"),
        row.click,
        page.get_by_role("button", name="Hide map").click,
        lambda: page.locator(".thumb").nth(1).click(),
    ):
        heat(page, "on canvas")
        assert row.get_attribute("aria-pressed") == "true"
        hide()
        page.locator("#map").wait_for(state="hidden")
        assert page.locator(".row[aria-pressed=true]").count() == 0
        assert page.locator("#hint").is_visible()
        assert page.locator("#picture").is_visible()


def test_a_map_says_how_far_it_is_and_can_be_given_up(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    page.route("**/api/see", lambda _: None)  # no answer ever comes
    page.locator(".row").filter(has_text="on canvas").click()
    assert page.get_by_role("progressbar", name="Looking for “on canvas” …").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("progressbar").count() == 0
    assert page.locator("#hint").is_visible()
    page.unroute_all(behavior="ignoreErrors")


def test_lists_and_numbers_are_chosen_and_remembered(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    settings(page)
    chip(page, "movements").click()
    chip(page, "genres").click()
    page.get_by_label("Phrases of each list").select_option("3")
    answered(page)
    assert page.locator("#bars h3").all_text_contents() == [
        "Artists by training prevalence", "Genres", "Surfaces",
    ]  # fmt: skip
    (found,) = ask(page, "api/gaze", files[0], ("list", "genres"), ("top", "3"))
    assert rows(page, "Genres") == [score["phrase"] for score in found["lists"]["genres"]]
    page.reload()
    page.locator("#asked", has_text="3 lists, 3 each").wait_for()
    assert chip(page, "genres").locator("input").is_checked()
    for name in ("artists_by_training_prevalence", "genres", "surfaces"):
        chip(page, name).click()
    drop(page, files[0])
    assert page.get_by_text("Choose a list, or write some phrases.").is_visible()


def test_all_phrases_of_a_long_list_scroll_in_a_box(visit: Visit, files: list[File]) -> None:
    page = visit()
    page.get_by_label("Phrases of each list").select_option("0")
    drop(page, files[0])
    answered(page)
    names = [score.phrase for score in gazed(files[0], "movements", None)]
    assert rows(page, "Movements") == names
    box = section(page, "Movements").locator("ol").bounding_box()
    assert box is not None
    assert box["height"] < 500


def test_own_phrases_are_weighed_against_each_other(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    settings(page)
    own = ["a red boat", "a blue house", "<b>bold</b>"]
    box = page.get_by_label("Your own phrases")
    box.fill("\n".join([*own, "", " a red boat "]))
    box.press("Control+Enter")
    answered(page)
    (found,) = ask(page, "api/gaze", files[0], *(("phrase", phrase) for phrase in own))
    expected = [score["phrase"] for score in found["lists"]["phrases"]]
    assert rows(page, "Your own phrases") == expected
    assert sorted(expected) == sorted(own)
    heat(page, "a blue house")
    assert page.locator("#scale-share").inner_text().endswith("of your phrases")


def test_corrected_shows_the_plain_figure_too(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    settings(page)
    page.get_by_label("Corrected").check()
    answered(page)
    (found,) = ask(page, "api/gaze", files[0], ("list", "movements"), ("corrected", "true"))
    scores = found["lists"]["movements"]
    movements = section(page, "Movements")
    assert rows(page, "Movements") == [score["phrase"] for score in scores]
    shown = movements.locator(".row b").all_text_contents()
    assert shown == [rounded(100 * score["probability"]) for score in scores]
    plain = movements.locator(".plain").all_text_contents()
    assert plain == [f"plain {rounded(100 * score['plain'])}" for score in scores]
    assert movements.locator(".plain").first.is_visible()


def test_two_pictures_are_compared_both_ways(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    page.get_by_label("Compare with").select_option("tonalism.png")
    for letter, phrase in (("A", "cubism movement"), ("B", "tonalism movement")):
        table = page.get_by_role("table", name=f"Movements: likelier in {letter}")
        table.wait_for()
        first = table.get_by_role("row").nth(1)
        assert first.get_by_role("rowheader").inner_text() == phrase
        before, after = (
            per_cents(first.get_by_role("cell").nth(0)),
            per_cents(first.get_by_role("cell").nth(1)),
        )
        assert (before > after) == (letter == "A")
        assert first.get_by_role("cell").nth(2).inner_text().startswith("\N{MULTIPLICATION SIGN}")
    left, right = page.locator("#left"), page.locator("#right")
    assert (left.get_attribute("alt"), right.get_attribute("alt")) == ("cubism.png", "tonalism.png")
    boxes = left.bounding_box(), right.bounding_box()
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=1)
    page.get_by_role("button", name="Swap").click()
    page.locator("#left[alt='tonalism.png']").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#picture").is_visible()
    assert page.get_by_label("Compare with").evaluate("box => box === document.activeElement")


def event(name: str, **data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def test_where_nothing_wins_the_list_says_so(visit: Visit, files: list[File]) -> None:
    shares = {"movements": 0.0094, "surfaces": 0.0095}
    found = {name: [{"phrase": "one", "probability": share}] for name, share in shares.items()}
    result = {
        "image": "cubism.png", "model": "demo", "variant": "fp32", "lists": found, "status": "ok",
        "error": None, "templates": [], "corrected": False,
    }  # fmt: skip
    page = visit()
    page.route(
        "**/api/gaze",
        lambda route: route.fulfill(
            content_type="text/event-stream", body=event("picture", result=result) + event("done")
        ),
    )
    chip(page, "artists_by_training_prevalence").click()
    drop(page, files[0])
    answered(page)
    heads = [section(page, title).locator(".head p") for title in ("Movements", "Surfaces")]
    assert [each.inner_text() for each in heads] == ["no clear winner", "19 phrases"]
    spoken = page.locator("#spoken").text_content() or ""
    assert spoken == "cubism.png: no clear winner of Movements; one, 1.0%"


def test_what_is_small_in_both_pictures_is_folded(visit: Visit, files: list[File]) -> None:
    def change(phrase: str, before: float, after: float) -> dict[str, Any]:
        odds = [math.log(share / (1 - share)) for share in (before, after)]
        figures = {"before": odds[0], "after": odds[1], "difference": odds[1] - odds[0]}
        return {"phrase": phrase, **figures}

    some = [
        change("rises", 0.001, 0.4), change("hardly", 0.001, 0.009), change("nearly", 0.002, 0.003),
        change("falls", 0.003, 0.002),
    ]  # fmt: skip
    lists = {"movements": some, "surfaces": [change("hardly", 0.001, 0.009)]}
    image = {"image": "b", "lists": lists, "same": False, "status": "ok", "error": None}
    answer = {
        "reference": "a", "model": "demo", "variant": "fp32", "templates": [], "images": [image],
    }  # fmt: skip
    page = visit()
    page.route("**/api/compare", lambda route: route.fulfill(json=answer))
    drop(page, *files[:2])
    answered(page)
    page.get_by_label("Compare with").select_option("tonalism.png")

    def shown(table: str) -> list[str]:
        return page.get_by_role("table", name=table).locator(".phrase:visible").all_text_contents()

    rises, falls = "Movements: likelier in B", "Movements: likelier in A"
    page.get_by_role("table", name=rises).wait_for()
    assert (shown(rises), shown(falls)) == (["rises"], [])
    assert shown("Surfaces: likelier in B") == ["hardly"]  # nothing else is there
    assert page.locator(".fold").all_text_contents() == [
        "1 below 1% in both", "2 more, below 1% in both",
    ]  # fmt: skip
    more = page.get_by_role("button", name="2 more, below 1% in both")
    more.click()
    assert shown(rises) == ["rises", "hardly", "nearly"]
    assert more.get_attribute("aria-expanded") == "true"
    more.click()
    assert shown(rises) == ["rises"]


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_large_factors_stand_in_one_line(
    visit: Visit, files: list[File], viewport: dict[str, int]
) -> None:
    page = visit(viewport=viewport)
    drop(page, *files[:2])
    answered(page)
    page.get_by_label("Compare with").select_option("tonalism.png")
    row = page.locator("tbody tr").first
    row.wait_for()
    boxes = row.evaluate(
        """row => {
          const [before, after, odds] = row.querySelectorAll("td");
          before.textContent = after.textContent = ">99.9%";
          odds.textContent = "\\u00d71,000,000";
          return [before, after, odds].flatMap((cell) => {
            const words = document.createRange();
            words.selectNodeContents(cell);
            return [...words.getClientRects()].map(({ left, right }) => [left, right]);
          });
        }"""
    )
    assert len(boxes) == 3
    assert boxes[0][1] < boxes[1][0]
    assert boxes[1][1] < boxes[2][0]


def save(page: Page, name: str) -> Download:
    """Save something, and return the file."""
    page.locator("#save summary").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name=name).click()
    return saved.value


@pytest.mark.parametrize("corrected", [False, True])
def test_json_and_csv_are_what_the_api_answers(
    visit: Visit, files: list[File], corrected: bool
) -> None:
    page = visit()
    files = [('a, "b".png', files[0][1]), files[1]]
    page.get_by_label("Corrected").set_checked(corrected)
    drop(page, *files, ("broken.png", b"no picture"))
    answered(page)
    asked = ("corrected", "true" if corrected else "false")
    expected = [ask(page, "api/gaze", file, asked)[0] for file in files]
    as_json, as_csv = save(page, "Data"), save(page, "Table")
    assert as_json.suggested_filename == "pictures.json"
    found = json.loads(as_json.path().read_text(encoding="utf-8"))
    assert found[:2] == expected
    assert (found[2]["status"], found[2]["lists"]) == ("error", {})
    assert as_csv.suggested_filename == "pictures.csv"
    with as_csv.path().open(encoding="utf-8", newline="") as file:
        text = file.read()
    kind = CorrectedScore if corrected else PhraseScore
    results = [result(each, kind) for each in found]
    assert text == tables.MARK + "".join(tables.csv_long(results))
    assert len(list(csv.reader(io.StringIO(text)))) == 1 + 2 * 15 + 1


def result(entry: dict[str, Any], kind: type[PhraseScore | CorrectedScore]) -> PictureResult:
    """Return what an entry of the JSON stands for."""
    lists = {
        name: tuple(kind(**score) for score in scores) for name, scores in entry["lists"].items()
    }
    return PictureResult(**entry | {"lists": lists, "templates": tuple(entry["templates"])})


def test_a_picture_to_share_is_saved_with_its_map(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    without = save(page, "Picture with bars")
    heat(page, "cubism movement")
    with_map = save(page, "Picture with bars")
    assert without.suggested_filename == with_map.suggested_filename == "cubism card.png"
    first, second = (Image.open(each.path()) for each in (without, with_map))
    assert first.format == second.format == "PNG"
    assert first.width > 300
    assert first.tobytes() != second.tobytes()
    settings(page)
    page.get_by_label("Phrases of each list").select_option("25")
    answered(page)
    with Image.open(save(page, "Picture with bars").path()) as many:
        assert many.format == "PNG"


def test_a_picture_to_share_has_the_map_that_is_shown(visit: Visit, files: list[File]) -> None:
    """Also of a phrase that two lists have."""
    page = visit()
    drop(page, files[0])
    settings(page)
    page.get_by_label("Your own phrases").fill("on canvas\non ice")
    page.keyboard.press("Control+Enter")
    section(page, "Your own phrases").get_by_text("on canvas").wait_for()
    page.get_by_label("Heat maps").select_option("quick")
    answered(page)
    page.evaluate(
        "() => { const before = fetch; window.fetch = (path, options) => "
        "{ window.sent = options.body; return before(path, options); }; }"
    )
    for title, name in (("Your own phrases", "phrases"), ("Surfaces", "surfaces")):
        section(page, title).locator(".row").filter(has_text="on canvas").click()
        page.locator("#map").wait_for()
        save(page, "Picture with bars")
        assert page.evaluate("window.sent.get('see_list')") == name
        assert page.evaluate("window.sent.get('see_quality')") == "quick"


def test_escape_leaves_the_comparison_before_it_hides_a_map(
    visit: Visit, files: list[File]
) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    heat(page, "on canvas")
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.get_by_role("table").first.wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#map").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#map").is_hidden()


def test_the_browsers_back_leaves_the_comparison_and_keeps_the_pictures(
    visit: Visit, files: list[File]
) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    chosen = page.get_by_label("Compare with")

    def compare() -> None:
        chosen.select_option("tonalism.png")
        page.get_by_role("table").first.wait_for()

    def left(count: int) -> None:
        page.wait_for_function("history.state === null")
        assert page.locator("#two").is_hidden()
        assert page.locator("#picture").is_visible()
        assert page.locator(".thumb").count() == count

    compare()
    page.go_back()
    left(2)
    assert chosen.evaluate("box => box === document.activeElement")
    page.go_forward()  # there is nothing to go forward to
    left(2)
    compare()
    page.get_by_role("button", name="Swap").click()
    page.go_back()
    left(2)
    compare()
    page.keyboard.press("Escape")
    left(2)
    compare()
    drop(page, files[2])
    left(3)
    compare()
    page.reload()
    page.wait_for_function("history.state === null")


def test_a_broken_picture_has_one_clear_line(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, ("broken.png", files[0][1][:200]), files[1])
    answered(page)
    line = page.locator("#unseen")
    line.wait_for()
    assert line.inner_text().startswith("broken.png: ")
    assert "\n" not in line.inner_text()
    assert page.get_by_role("alert").filter(has_text="broken.png").count() == 1
    assert page.locator(".row").first.is_hidden()
    assert page.locator("#hint").is_hidden()
    page.locator(".thumb").nth(1).click()
    page.locator("#picture[alt='tonalism.png']").wait_for()
    assert line.inner_text() == ""
    assert rows(page, "Movements")[0] == "tonalism movement"


def test_a_busy_server_is_asked_again(visit: Visit, files: list[File]) -> None:
    page = visit("status of 503")
    for path in ("gaze", "see"):
        asked, kept = refuse_once(page, path)
        if path == "gaze":
            drop(page, files[0])
            section(page, "Movements").get_by_text("busy; trying again in 1 s").wait_for()
            asked_again(page, kept)
            assert section(page, "Movements").get_by_text("busy").count() == 0
            let_go(page, kept)
            answered(page)
        else:
            page.locator(".row").filter(has_text="on canvas").click()
            page.locator("#seeing").get_by_text("busy; trying again in 1 s").wait_for()
            asked_again(page, kept)
            assert page.locator("#seeing-says").inner_text() == "Looking for “on canvas” …"
            let_go(page, kept)
            page.locator("#map").wait_for()
        assert len(asked) == 2
    assert rows(page, "Movements")[0] == "cubism movement"


def test_a_busy_server_is_asked_again_to_compare(visit: Visit, files: list[File]) -> None:
    page = visit("status of 503")
    drop(page, *files[:2])
    answered(page)
    asked, kept = refuse_once(page, "compare")
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.locator("#two").get_by_text("busy; trying again in 1 s").wait_for()
    asked_again(page, kept)
    assert page.locator("#two-says").inner_text() == "Looking at both …"
    let_go(page, kept)
    page.get_by_role("table").first.wait_for()
    assert len(asked) == 2


def test_a_busy_server_is_asked_again_to_save(visit: Visit, files: list[File]) -> None:
    page = visit("status of 503")
    drop(page, files[0])
    answered(page)
    _, kept = refuse_once(page, "card")
    page.locator("#save summary").click()
    with page.expect_download():
        page.get_by_role("button", name="Picture with bars").click()
        page.locator("#save-says").get_by_text("busy; trying again in 1 s").wait_for()
        asked_again(page, kept)
        assert page.locator("#save-says").inner_text() == ""
        let_go(page, kept)


@pytest.mark.parametrize(
    ("name", "path", "first"),
    [("Picture with bars", "card", "cubism card.png"), ("Table", "gaze", "pictures.csv")],
)
def test_what_a_busy_server_is_asked_to_save_can_be_given_up(
    visit: Visit, files: list[File], name: str, path: str, first: str
) -> None:
    page = visit("status of 503")
    drop(page, *files[:2])
    answered(page)
    page.clock.install()
    asked, kept = refuse_once(page, path)
    page.locator("#save summary").click()
    page.get_by_role("button", name=name).click()
    page.locator("#save-says").get_by_text("busy; trying again in 1 s").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#save-says").inner_text() == ""
    assert page.locator("#save summary").inner_text().startswith("Save")
    page.clock.run_for(10_000)
    page.locator("#save summary").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name=name).click()
        let_go(page, kept)
        assert len(asked) == 2  # what was given up was not asked again
        page.unroute_all(behavior="wait")
    assert saved.value.suggested_filename == first


def refuse_once(page: Page, path: str) -> tuple[list[str], list[Any]]:
    """Let the first question of a kind find the queue full, and keep the next ones back.

    Returns a list that counts them, and the ones that are kept: see `let_go`.
    """
    asked: list[str] = []
    kept: list[Any] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            body = json.dumps({"error": "too many questions are waiting"})
            route.fulfill(status=503, headers={"Retry-After": "1"}, body=body)
        else:
            kept.append(route)

    page.route(f"**/api/{path}", answer)
    return asked, kept


def asked_again(page: Page, kept: list[Any]) -> None:
    """Wait for a question that is kept back."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not kept:
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def let_go(page: Page, kept: list[Any]) -> None:
    """Let a question through that was kept back until what the page says was seen."""
    asked_again(page, kept)
    kept.pop().continue_()


def test_no_phrases_are_promised_of_what_was_refused(visit: Visit, files: list[File]) -> None:
    page = visit("status of 413")
    refused = json.dumps({"error": "more than 64 MB at once; send less"})
    page.route("**/api/gaze", lambda route: route.fulfill(status=413, body=refused))
    drop(page, ("strange.png", b"what this browser cannot show"), files[0])
    page.get_by_role("alert").filter(has_text="more than 64 MB at once").wait_for()
    page.locator("#unseen").get_by_text("This browser cannot show this picture.").wait_for()
    assert page.locator("#unseen").inner_text() == "This browser cannot show this picture."
    assert page.locator("#hint").is_hidden()
    page.unroute_all()
    page.locator(".thumb").nth(1).click()
    page.locator("#picture[alt='cubism.png']").wait_for()
    assert page.locator("#frame").is_visible()
    page.get_by_role("button", name="Try again").click()
    answered(page)
    assert page.locator("#hint").is_visible()


def test_a_server_that_is_gone_is_said_and_asked_again_on_demand(
    visit: Visit, files: list[File]
) -> None:
    page = visit("ERR_FAILED")
    page.route("**/api/gaze", lambda route: route.abort())
    drop(page, *files[:2])
    page.get_by_role("alert").filter(has_text="clip-gaze does not answer").wait_for()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    answered(page)
    assert rows(page, "Movements")[0] == "cubism movement"
    assert not page.get_by_role("button", name="Try again").is_visible()


def test_a_server_that_is_gone_is_not_asked_once_more_for_each_picture(
    visit: Visit, files: list[File]
) -> None:
    page = visit("ERR_FAILED")
    drop(page, *files)
    answered(page)
    asked = []
    page.route("**/api/gaze", lambda route: asked.append(route) or route.abort())
    settings(page)
    chip(page, "genres").click()
    page.locator(".thumb.bad").nth(2).wait_for()
    assert len(asked) == 1


def test_an_answer_that_breaks_off_is_said(visit: Visit, files: list[File]) -> None:
    page = visit()
    body = 'event: queued\ndata: {"ahead": 0}\n\n'
    page.route("**/api/gaze", lambda route: route.fulfill(body=body))
    drop(page, files[0])
    page.get_by_role("alert").filter(has_text="The answer broke off").wait_for()


def test_names_are_never_markup(visit: Visit, files: list[File]) -> None:
    page = visit()
    name = "<img src=x onerror=alert(1)>.png"
    drop(page, (name, files[0][1]), files[1])
    answered(page)
    assert page.locator("#name").inner_text() == name
    page.locator(".thumb").nth(1).click()
    page.get_by_label("Compare with").select_option(name)
    page.get_by_role("table").first.wait_for()
    assert page.locator("#right-name").inner_text() == name


def test_twenty_pictures_stay_usable(visit: Visit) -> None:
    many = [(f"{seed}.png", painted(seed, 64)) for seed in range(20)]
    page = visit()
    drop(page, *many)
    radios = page.get_by_role("radio")
    assert radios.count() == 20
    radios.first.focus()
    page.keyboard.press("ArrowUp")  # from the first to the last
    page.locator("#name", has_text="19.png").wait_for()
    answered(page)
    last = page.locator(".thumb").last.bounding_box()
    assert last is not None
    assert 0 < last["y"] < WIDE["height"] - last["height"]
    stage = page.locator("#picture").bounding_box()
    assert stage is not None
    assert stage["height"] > 400
    assert page.evaluate("document.scrollingElement.scrollHeight") < 1.5 * WIDE["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    tokens = dict.fromkeys(("ground", "sheet", "ink", "quiet", "accent", "on-accent", "warn"), "")
    for name in tokens:
        tokens[name] = page.evaluate(
            "name => getComputedStyle(document.documentElement).getPropertyValue(name)",
            f"--{name}",
        )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) < 64) == (scheme == "dark")
    for text in ("ink", "quiet", "accent", "warn"):
        for behind in ("ground", "sheet"):
            assert contrast(tokens[text], tokens[behind]) >= 4.5, (text, behind)
    assert contrast(tokens["on-accent"], tokens["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.1 defines it."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb."""
    levels = np.array([int(colour.strip()[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_is_hard_to_read_or_to_reach(
    visit: Visit, files: list[File], scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(color_scheme=scheme, reduced_motion="reduce")
    check = Axe()

    def fine() -> None:
        found = check.run(page)
        assert found.violations_count == 0, found.generate_report()

    fine()
    drop(page, *files[:2], ("broken.png", b"no picture"))
    answered(page)
    heat(page, "on canvas")
    settings(page)
    page.locator("#save summary").click()
    fine()
    page.get_by_role("radio", name="broken.png").check(force=True)
    page.locator("#unseen").wait_for()
    fine()
    page.get_by_role("radio", name="cubism.png").check(force=True)
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.get_by_role("table").first.wait_for()
    page.locator("#two-save summary").click()
    fine()


def test_every_control_has_a_name(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    heat(page, "on canvas")
    settings(page)
    page.locator("#save summary").click()
    lines = page.locator("body").aria_snapshot().splitlines()
    kinds = ("button", "checkbox", "combobox", "radio", "textbox", "progressbar", "img")
    controls = [
        line.strip(" -") for line in lines if re.match(rf"\s*- ({'|'.join(kinds)})\b", line)
    ]
    assert len(controls) > 30
    assert [line for line in controls if '"' not in line] == []


def test_it_fits_a_phone(visit: Visit, files: list[File]) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)

    def narrow() -> bool:
        return bool(page.evaluate("document.scrollingElement.scrollWidth") == PHONE["width"])

    assert narrow()
    drop(page, *files)
    answered(page)
    page.get_by_text("Ask about").tap()
    page.get_by_label("Your own phrases").fill(f"by a {'very ' * 20}long artist name\na boat")
    page.get_by_label("Corrected").check()
    answered(page)
    assert narrow()
    controls = page.locator("button:enabled, summary, select, textarea, input:not([type=file])")
    for control in controls.all():
        if not control.is_visible():
            continue
        control.scroll_into_view_if_needed()
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    row = page.locator(".row").filter(has_text="on canvas")
    row.tap()
    shown = page.locator("#map")
    shown.wait_for()
    box = shown.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < box["y"] + box["height"] < PHONE["height"]  # beside the phrase, in sight
    assert narrow()
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.get_by_role("table").first.wait_for()
    assert narrow()


def test_everything_is_done_with_the_keyboard(visit: Visit, files: list[File]) -> None:
    page = visit()
    press = page.keyboard.press
    press("Tab")
    with page.expect_file_chooser() as chooser:
        press("Enter")
    name, content = files[0]
    chooser.value.set_files([{"name": name, "mimeType": "image/png", "buffer": content}])
    answered(page)
    assert focused(page) == "cubism.png"
    assert ringed(page)
    passed = []
    while not passed or not passed[-1].startswith("cubism movement"):
        press("Tab")
        passed.append(focused(page))
        assert ringed(page)
        assert len(passed) < 20
    assert passed[:4] == ["Add pictures", "Save", "Remove", "Ask about 3 lists, 5 each"]
    press("Enter")
    page.locator("#map").wait_for()
    assert focused(page).startswith("cubism movement")
    press("Escape")
    page.locator("#map").wait_for(state="hidden")
    assert focused(page).startswith("cubism movement")
    for each in reversed(["cubism.png", *passed[:-1]]):
        press("Shift+Tab")
        assert focused(page) == each
    press("Tab")
    press("Tab")
    press("Enter")
    press("Tab")
    assert focused(page).startswith("Picture with bars")
    press("Escape")
    assert focused(page) == "Save"
    assert not page.get_by_role("button", name="Picture with bars").is_visible()


def test_the_keyboard_stays_where_it_is_while_answers_arrive(
    visit: Visit, files: list[File]
) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    section(page, "Surfaces").locator(".row").first.focus()
    drop(page, *files[1:])
    answered(page)
    assert (
        section(page, "Surfaces")
        .locator(".row")
        .first.evaluate("row => row === document.activeElement")
    )


def focused(page: Page) -> str:
    """Return what the keyboard is on."""
    return str(
        page.evaluate(
            """() => {
              const { activeElement: on } = document;
              return (on.ariaLabel ?? on.innerText).replace(/\\s+/g, " ").trim();
            }"""
        )
    )


def ringed(page: Page) -> bool:
    """Return whether a ring shows where the keyboard is."""
    return bool(
        page.evaluate(
            """() => [document.activeElement, document.activeElement.nextElementSibling]
              .some((each) => each && getComputedStyle(each).outlineStyle === "solid")"""
        )
    )


def test_nothing_is_animated_for_those_who_do_not_want_it(visit: Visit, files: list[File]) -> None:
    for motion in ("no-preference", "reduce"):
        page = visit(reduced_motion=motion)
        page.route("**/api/gaze", lambda _: None)  # no answer ever comes
        drop(page, files[0])
        page.locator("#picture").wait_for()
        running = page.evaluate("document.getAnimations().length")
        assert (running == 0) == (motion == "reduce")
        page.unroute_all(behavior="ignoreErrors")


def test_a_line_for_a_prompt_is_made_and_copied(
    visit: Visit, files: list[File], tmp_path: Path
) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    drop(page, *files[:2])
    answered(page)
    page.get_by_role("button", name="Make a line for a prompt").click()
    page.locator("#made").wait_for()
    (tmp_path / files[0][0]).write_bytes(files[0][1])
    with clip_gaze.Clip("demo") as clip:
        found = clip.prompt(tmp_path / files[0][0], {name: phrases.load(name) for name in DEFAULTS})
    assert page.locator("#line").text_content() == found.line
    parts = page.locator("#parts li")
    assert parts.locator("span:first-of-type").all_text_contents() == [
        part.phrase for part in found.parts
    ]
    assert f"closeness {found.similarity:.3f}" in str(page.locator("#line-says").text_content())
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == found.line
    # A line belongs to its picture and its lists.
    page.locator("#thumbs input").nth(1).check(force=True)
    page.locator("#made").wait_for(state="hidden")


def test_words_sort_the_strip(visit: Visit, files: list[File]) -> None:
    page = visit("400 (Bad Request)")
    drop(page, files[0])
    answered(page)
    assert page.locator("#finding").is_hidden()  # one picture is found without
    drop(page, *files[1:])
    answered(page)
    names = page.locator("#thumbs label")

    def shown() -> list[str | None]:
        return [each.get_attribute("title") for each in names.all()]

    images = [Image.open(io.BytesIO(content)) for _, content in files]
    with clip_gaze.Clip("demo") as clip:
        found = clip.find(["tonalism movement"], images, without=["on wood"])
    order = [files[int(hit.image[1:]) - 1][0] for hit in found.images]
    page.get_by_label("Find among these").fill("tonalism movement, -on wood")
    page.keyboard.press("Enter")
    page.get_by_text("3 pictures, the nearest first").wait_for()
    assert shown() == order
    assert order != [name for name, _ in files]
    assert page.locator("#thumbs small").all_text_contents() == [
        f"{hit.similarity:.3f}" for hit in found.images
    ]
    page.get_by_role("button", name="In my order").click()
    assert shown() == [name for name, _ in files]
    page.get_by_label("Find among these").fill("a boat, -a boat")
    page.keyboard.press("Enter")
    page.get_by_text("cancels itself out").wait_for()


def test_a_search_for_nothing_is_said_in_the_pages_words(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, *files[:2])
    answered(page)
    unsaid = "Write what you do not want right behind the \N{LEFT DOUBLE QUOTATION MARK}-"
    for words, line in (("a boat, -", unsaid), (",, ", "Write what to look for."), ("-", unsaid)):
        page.get_by_label("Find among these").fill(words)
        page.keyboard.press("Enter")
        assert page.locator("#finding-error").inner_text().startswith(line)
        assert page.locator("#finding-says").inner_text() == ""
    page.get_by_label("Find among these").fill("a boat")
    page.keyboard.press("Enter")
    page.get_by_text("2 pictures, the nearest first").wait_for()
    assert page.locator("#finding-error").inner_text() == ""


# ---- What is seen: places and lengths, in pixels ----


def box(page: Page, selector: str) -> Any:
    """Return left, top, right and bottom of an element within the window."""
    return page.locator(selector).evaluate(
        "each => { const { left, top, right, bottom } = each.getBoundingClientRect();"
        " return [left, top, right, bottom]; }"
    )


def plain(name: str, width: int, height: int) -> File:
    """Return a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#467").save(file, "PNG")
    return name, file.getvalue()


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
@pytest.mark.parametrize("size", [(900, 300), (300, 900)])
def test_a_picture_stands_in_the_middle(
    visit: Visit, viewport: dict[str, int], size: tuple[int, int]
) -> None:
    page = visit(viewport=viewport)
    drop(page, plain("a.png", *size))
    page.locator("#picture").wait_for()
    stage, frame = box(page, "#stage"), box(page, "#frame")
    for first, last in ((0, 2), (1, 3)):
        assert frame[first] - stage[first] == pytest.approx(stage[last] - frame[last], abs=1)


def test_a_phone_shows_the_choice_of_lists_before_there_is_a_picture(visit: Visit) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    for selector in ("#invite", "#lists label:first-child", "#lists label:last-child"):
        left, top, right, bottom = box(page, selector)
        assert 0 <= left < right <= PHONE["width"]
        assert 0 <= top < bottom <= PHONE["height"]


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_adding_stays_in_reach_with_many_pictures_and_lists(
    visit: Visit, viewport: dict[str, int]
) -> None:
    page = visit(viewport=viewport)
    drop(page, *(plain(f"{at}.png", 40 + at, 40) for at in range(30)))
    settings(page)
    for name in ("genres", "periods", "photography", "tools"):
        chip(page, name).click()
    page.locator("#add").wait_for()
    for scroll in ("0", "document.body.scrollHeight / 2"):
        page.evaluate(f"scrollTo(0, {scroll})")
        left, top, right, bottom = box(page, "#add")
        assert 0 <= left < right <= viewport["width"]
        assert 0 <= top < bottom <= viewport["height"]
        at = [(left + right) / 2, (top + bottom) / 2]
        assert page.evaluate("at => document.elementFromPoint(...at).id", at) == "add"


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_figures_of_a_comparison_stand_on_one_line(
    visit: Visit, files: list[File], viewport: dict[str, int]
) -> None:
    page = visit(viewport=viewport)
    drop(page, *files[:2])
    answered(page)
    pairs = [(0.9995, 0.9994), (0.568, 1e-6), (0.9, 9.5e-6), (0.1, 0.9999), (0.2, 0.0004)]
    changes = [
        {"phrase": f"by a {'very ' * 9}long name {at}", "before": before, "after": after,
         "difference": after - before}
        for at, (before, after) in enumerate(
            sorted((tuple(map(logit, pair)) for pair in pairs), key=lambda pair: pair[0] - pair[1])
        )
    ]  # fmt: skip
    both = {"lists": {"movements": changes[::-1]}, "same": False, "status": "ok", "error": None}
    answer = {"images": [{"image": files[1][0], **both}]}
    page.route("**/api/compare", lambda route: route.fulfill(json=answer))
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.get_by_role("table").first.wait_for()
    cells = page.locator("#changes td, #changes thead th")
    assert re.search(TIMES + r"\d{3},000", " ".join(cells.all_text_contents()))
    too_long = cells.evaluate_all("all => all.filter(each => each.scrollWidth > each.clientWidth)")
    assert too_long == []
    lines = page.locator("#changes tbody tr").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().height)"
    )
    assert max(lines) == pytest.approx(min(lines), abs=STEP)
    assert page.evaluate("document.scrollingElement.scrollWidth") == viewport["width"]
    bars = page.locator("#changes .track i").evaluate_all(WIDTHS)
    longest = [long / track for long, track in bars]
    expected = [max(pair) for pair in pairs]
    assert sorted(longest) == pytest.approx(sorted(expected), abs=STEP / min(bars)[1] + 1e-9)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_a_comparison_is_saved_as_the_api_answers(
    visit: Visit, files: list[File], viewport: dict[str, int]
) -> None:
    page = visit(viewport=viewport)
    drop(page, *files[:2])
    answered(page)
    page.get_by_label("Compare with").select_option("tonalism.png")
    page.get_by_role("table").first.wait_for()
    saved = {}
    for button, ending in (("Both with bars", "png"), ("Table", "csv"), ("Data", "json")):
        page.locator("#two-save summary").click()
        with page.expect_download() as download:
            page.locator("#two-save").get_by_role("button", name=button).click()
        assert download.value.suggested_filename == f"cubism and tonalism.{ending}"
        saved[ending] = Path(download.value.path()).read_bytes()
    assert Image.open(io.BytesIO(saved["png"])).format == "PNG"
    found = json.loads(saved["json"])
    assert [found["reference"], found["images"][0]["image"]] == ["cubism.png", "tonalism.png"]
    rows = list(csv.DictReader(io.StringIO(saved["csv"].decode("utf-8-sig"))))
    changes = [each for listed in found["images"][0]["lists"].values() for each in listed]
    assert [row["phrase"] for row in rows] == [change["phrase"] for change in changes]


def test_a_broken_picture_offers_no_save(visit: Visit, files: list[File]) -> None:
    page = visit()
    drop(page, files[0])
    answered(page)
    assert page.locator("#save").is_visible()
    drop(page, ("broken.png", b"no picture"))
    page.locator("#unseen", has_text="broken.png").wait_for()
    page.locator("#save").wait_for(state="hidden")
    assert page.get_by_role("button", name="Remove").is_visible()


def test_the_font_that_ships_is_loaded(visit: Visit) -> None:
    page = visit()
    states = "document.fonts.ready.then(() => [...document.fonts].map(font => font.status))"
    assert page.evaluate(states) == ["loaded", "loaded"]
    sizes = page.evaluate(
        "() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.otf'))"
        ".map(({ name, decodedBodySize }) => [name.split('/').pop(), decodedBodySize])"
    )
    assert dict(sizes) == {file.name: file.stat().st_size for file in typeface.FILES}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_and_sizes_are_those_of_drawings(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    colours = look.LIGHT if scheme == "light" else look.DARK
    read = "name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)"
    assert {name: page.evaluate(read, name) for name in colours} == colours
    text = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert text == look.TEXT
