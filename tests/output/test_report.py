"""The page over a collection: what it holds, and what it does in a browser."""

from __future__ import annotations

import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from browsing import PATIENCE, until
from clip_gaze.drawing import look
from clip_gaze.errors import GazeError, PictureError
from clip_gaze.output import report
from clip_gaze.results import HeatMap, PhraseScore, PictureResult
from clip_gaze.wording import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

    MakePicture = Callable[..., Image.Image]

MARKUP = "<img src=x onerror=alert(1)>"
LISTS = {
    "movements": [f"{name} movement" for name in ("tonalism", "cubism", "fauvism", "pop art")],
    "artists_by_name": [f"by artist {number:03}" for number in range(300)] + ["by paul cézanne"],
    f"{MARKUP}_list": [
        MARKUP,
        "</script><script>alert(2)</script>",
        "{{ 7 * 7 }}",
        "&amp; on silk",
    ],
}
NOTE = f"A small model & no expert {MARKUP}"
ARE_THERE = """(selector) => {
  const images = [...document.querySelectorAll(selector)];
  return images.length && images.every((image) => image.complete && image.naturalWidth);
}"""
# So high that all pictures of the collection are drawn.
WIDE, PHONE = {"width": 1280, "height": 2000}, {"width": 390, "height": 844}


def looked(path: object, seed: int, lists: Mapping[str, list[str]] = LISTS) -> PictureResult:
    """Return a result with random probabilities, all phrases, best first."""
    rng = np.random.default_rng(seed)
    scores = {}
    for name, phrases in lists.items():
        odds = np.exp(rng.normal(0, 2, len(phrases)))
        pairs = zip(phrases, (odds / odds.sum()).tolist(), strict=True)
        ranked = sorted(pairs, key=lambda pair: -pair[1])
        scores[name] = tuple(PhraseScore(*pair) for pair in ranked)
    return PictureResult(str(path), "demo", "fp32", scores)


def failed(path: object, reason: str) -> PictureResult:
    return PictureResult(str(path), "demo", "fp32", status="error", error=f"{path}: {reason}")


class Planted:
    """A ranking that knows the answers: a picture's embedding is its place among the results."""

    def __init__(self, lists: Mapping[str, list[str]]) -> None:
        self.lists = {name: (tuple(phrases), None) for name, phrases in lists.items()}
        self.rows: list[PictureResult] = []

    def embedded(
        self, results: Iterable[PictureResult]
    ) -> Iterator[tuple[str, NDArray[np.float32] | PictureError]]:
        """Yield results as a `Clip` yields pictures."""
        for result in results:
            self.rows.append(result)
            at = np.array([len(self.rows) - 1], np.float32)
            yield result.image, PictureError(result.error) if result.error else at

    def probabilities(self, embeds: NDArray[np.float32], name: str) -> NDArray[np.float64]:
        """Return a picture's row, as a `Ranking` does."""
        scores = {each.phrase: each for each in self.rows[int(embeds[0, 0])].lists[name]}
        return np.array([[scores[phrase].probability for phrase in self.lists[name][0]]])


def written(
    results: Iterable[PictureResult],
    out: Path,
    lists: Mapping[str, list[str]] = LISTS,
    title: str = "Pictures and phrases",
    note: str = "",
    **options: Any,
) -> int:
    """Write a page of results that were made up."""
    ranking: Any = Planted(lists)
    heading = report.Heading("demo", "fp32", title=title, note=note)
    return report.write(ranking.embedded(results), ranking, heading, out, **options)


@dataclass
class Collection:
    """A page, and what went into it."""

    path: Path
    results: list[PictureResult]
    size: int

    def names(self) -> list[str]:
        """Return the file names of the good pictures."""
        return [Path(result.image).name for result in self.results]

    def column(self, name: str, phrase: str) -> NDArray[np.float64]:
        """Return the probabilities of a phrase, one a picture."""
        return self.table(name)[:, LISTS[name].index(phrase)]

    def table(self, name: str) -> NDArray[np.float64]:
        """Return (pictures, phrases) probabilities."""
        rows = [
            {score.phrase: score.probability for score in result.lists[name]}
            for result in self.results
        ]
        return np.array([[row[phrase] for phrase in LISTS[name]] for row in rows])


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Return a page over 24 painted pictures, one with markup for a name, and three bad ones."""
    from demo.painter import paint

    folder = tmp_path_factory.mktemp("collection")
    (folder / "<").mkdir()
    paths = [folder / f"picture {number}.png" for number in range(23)]
    paths.append(folder / "<" / f"script>{MARKUP}#?%41.png")
    for seed, path in enumerate(paths):
        paint(seed, 96).image.save(path)
    results = [looked(path, seed) for seed, path in enumerate(paths)]
    bad = [
        failed(folder / f"{MARKUP}.jpg", f"is damaged {MARKUP}"),
        looked(folder / "gone.png", 99),
        failed("", "has nothing to see"),
    ]
    page = folder / "report.html"
    given = [*results[:3], bad[0], *results[3:9], bad[1], *results[9:], bad[2]]
    size = written(given, page, title=f"Studio & {MARKUP}", note=NOTE, edge=120)
    return Collection(page, results, size)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page, which must not complain.

    It must ask for nothing but itself, and the files of pictures that are opened.
    """
    contexts: list[BrowserContext] = []
    folders: list[str] = []
    complaints: list[str] = []
    expected: list[str] = []
    asked: list[str] = []

    def open_page(path: Path, *complaint: str, empty: bool = False, **options: object) -> Page:
        expected.extend(complaint)
        context = browser.new_context(**{"viewport": WIDE, "offline": True} | options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        folders.append(path.parent.as_uri())
        page.goto(path.as_uri())
        if not empty:
            drawn(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in complaints if not any(one in each for one in expected)] == []
    elsewhere = [url for url in asked if not url.startswith("data:image/webp;base64,")]
    assert [url for url in elsewhere if not url.startswith(tuple(folders))] == []
    assert sum(url.endswith(".html") for url in elsewhere) == len(contexts)


def drawn(page: Page) -> None:
    """Wait until the pictures that are in sight are there."""
    until(page, ARE_THERE, ".card img")


def cards(page: Page) -> list[str]:
    """Return the names of the pictures on the wall, in order."""
    drawn(page)
    return [text or "" for text in page.locator(".card .name").all_text_contents()]


def texts(found: Locator) -> list[str]:
    return found.all_text_contents()


def pick(page: Page, phrase: str) -> None:
    """Find a phrase with the search box."""
    page.get_by_label("Find a phrase").fill(phrase)
    page.get_by_role("option").filter(has=page.get_by_text(phrase, exact=True)).click()
    until(page, "(phrase) => heading.textContent === phrase", phrase)


def test_it_opens_from_disk_and_says_what_it_shows(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    assert page.title() == f"Studio & {MARKUP}"
    made = page.locator(".made").inner_text()
    assert re.search(r"24 pictures\s+seen by demo, fp32\s+3 could not be read", made)
    assert page.get_by_role("note").inner_text() == NOTE
    assert cards(page) == collection.names()
    assert page.get_by_role("status").first.inner_text() == "24 pictures, as given"
    assert collection.size == collection.path.stat().st_size


def assert_written(found: Locator, shares: Iterable[float]) -> None:
    """Per cents are those of the shares, or of what the page keeps, to within 0.02 % of them."""
    for text, share in zip(texts(found), shares, strict=True):
        assert text in {rounded(100 * share * near) for near in (0.9998, 1, 1.0002)}


def test_cards_show_the_best_phrases_of_the_list_that_is_chosen(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    for name, label in (("movements", "Movements"), ("artists_by_name", "Artists by name")):
        page.get_by_label(label, exact=True).check(force=True)
        page.locator("#chart-says", has_text=label).wait_for()
        drawn(page)
        for card, result in zip(page.locator(".card").all(), collection.results, strict=True):
            best = result.lists[name][:3]
            assert texts(card.locator(".mark > span:first-child")) == [s.phrase for s in best]
            assert_written(card.locator(".mark b"), [s.probability for s in best])


def test_where_nothing_wins_the_page_says_so(
    visit: Callable[..., Page], picture: MakePicture, tmp_path: Path
) -> None:
    lists = {"artists": [f"by artist {number:03}" for number in range(200)]}
    picture().save(tmp_path / "a.png")
    scores = (PhraseScore(phrase, 1 / 200) for phrase in lists["artists"])
    result = PictureResult(str(tmp_path / "a.png"), "demo", "fp32", {"artists": tuple(scores)})
    written([result], tmp_path / "page.html", lists)
    page = visit(tmp_path / "page.html")
    card = page.locator(".card")
    assert texts(card.locator(".marks > span")) == ["no clear winner", "by artist 0000.5%"]
    page.get_by_label("Contact sheet").check(force=True)
    page.locator(".sheet .mark").wait_for()
    assert texts(card.locator(".mark > *")) == ["0.5%", "no clear winner"]
    card.click()
    head = page.locator("#closer-lists .head")
    assert texts(head.locator("> *")) == ["Artists", "no clear winner"]


@pytest.mark.parametrize("phrase", ["tonalism movement", "pop art movement"])
def test_a_contact_sheet_is_in_numpys_order(
    visit: Callable[..., Page], collection: Collection, phrase: str
) -> None:
    page = visit(collection.path)
    pick(page, phrase)
    values = collection.column("movements", phrase)
    order = np.argsort(-values, kind="stable")
    assert cards(page) == [collection.names()[at] for at in order]
    assert_written(page.locator(".card .mark b"), values[order])
    assert page.get_by_role("status").first.inner_text() == "24 pictures, likeliest first"


def test_pictures_sort_by_name_and_by_how_sure_the_model_is(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    sort = page.get_by_label("Sort")
    sort.select_option("by name")
    page.get_by_text("24 pictures, by name").wait_for()
    by_name = cards(page)
    assert by_name == collection.names()  # "picture 2" stands before "picture 10"
    sort.select_option("surest first")
    page.get_by_text("24 pictures, surest first").wait_for()
    best = collection.table("movements").max(axis=1)
    shown = best[[collection.names().index(name) for name in cards(page)]]
    assert (np.diff(shown) <= 4e-4 * shown[1:]).all()  # what a step of the levels cannot tell apart
    assert len(shown) == 24
    page.go_back()
    page.get_by_text("24 pictures, by name").wait_for()
    assert cards(page) == by_name


def test_the_chart_counts_first_places_and_a_bar_filters(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    first = collection.table("movements").argmax(axis=1)
    counts = np.bincount(first, minlength=4)
    rows = page.locator("#bars button")
    shown = {
        row.locator("> span").first.inner_text(): int(row.locator("b").inner_text().split()[0])
        for row in rows.all()
    }
    assert shown == {LISTS["movements"][at]: counts[at] for at in range(4) if counts[at]}
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    wanted = LISTS["movements"][int(counts.argmax())]
    page.get_by_role("button", name=wanted).first.click()
    page.get_by_text(f"{counts.max()} of 24 pictures").wait_for()
    values = collection.column("movements", wanted)
    mine = [at for at in np.argsort(-values, kind="stable") if first[at] == counts.argmax()]
    assert cards(page) == [collection.names()[at] for at in mine]
    assert page.locator("#bars [aria-pressed=true]").count() == 1
    page.get_by_role("button", name="Show all pictures").click()
    page.get_by_text("24 pictures, as given").wait_for()


def test_pictures_with_a_phrase_among_the_best_five(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    table = collection.table("artists_by_name")
    at = int(np.argsort(-table, axis=1)[:, :5].ravel()[0])
    pick(page, LISTS["artists_by_name"][at])
    page.locator("#only").select_option("where it is among the best five")
    among = (table > table[:, [at]]).sum(axis=1) < 5
    page.get_by_text(f"{among.sum()} of 24 pictures").wait_for()
    assert set(cards(page)) == {collection.names()[i] for i in np.flatnonzero(among)}


def test_it_works_by_keyboard(visit: Callable[..., Page], collection: Collection) -> None:
    page = visit(collection.path)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the pictures"
    page.get_by_label("Find a phrase").focus()
    page.keyboard.type("CEZANNE by")
    page.keyboard.press("ArrowDown")
    active = page.get_by_label("Find a phrase").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="by paul cézanne").wait_for()
    order = np.argsort(-collection.column("artists_by_name", "by paul cézanne"), kind="stable")
    page.locator(".card").first.focus()
    page.keyboard.press("Enter")
    name = page.locator("#closer-name")
    assert name.inner_text() == collection.names()[order[0]]
    page.keyboard.press("ArrowRight")
    assert name.inner_text() == collection.names()[order[1]]
    page.keyboard.press("Escape")
    assert not name.is_visible()
    until(
        page,
        "(name) => document.activeElement.querySelector('.name')?.textContent === name",
        collection.names()[order[1]],
    )


def test_a_picture_is_found_by_its_name_and_links_to_its_file(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path)
    page.get_by_label("Find a phrase").fill("script>")
    page.get_by_role("option", name="Picture").click()
    link = page.get_by_role("link", name="Open the file")
    assert Path(collection.results[-1].image).as_uri() == link.evaluate("(link) => link.href")
    assert page.get_by_role("dialog").get_by_role("button", name="tonalism").count() == 1
    page.get_by_role("button", name="Close").click()


def test_markup_shows_as_text(visit: Callable[..., Page], collection: Collection) -> None:
    page = visit(collection.path)
    assert page.get_by_role("heading", level=1).inner_text() == f"Studio & {MARKUP}"
    assert cards(page)[-1] == Path(collection.results[-1].image).name
    page.locator(".lists label").last.click()
    page.locator("#chart-says", has_text="alert").wait_for()
    shown = set(texts(page.locator("#bars .row > span:first-child")))
    assert shown <= set(LISTS[f"{MARKUP}_list"])
    for phrase in LISTS[f"{MARKUP}_list"]:
        pick(page, phrase)
    errors = page.locator("#errors")
    assert texts(errors.locator("dd")) == [
        f"is damaged {MARKUP}",
        "no such file; check the name and the folder",
        "has nothing to see",
    ]
    assert errors.locator("dt").first.inner_text().endswith(f"{MARKUP}.jpg")
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.querySelectorAll('script:not([type])').length") == 1


def test_its_policy_forbids_what_it_does_not_need(browser: Browser, collection: Collection) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(collection.path.as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = [];
          const note = (event) => refused.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", note);
          const script = document.createElement("script");
          try { script.textContent = "window.ran = true"; } catch { refused.push("trusted-types"); }
          document.body.append(script);
          const image = new Image();
          image.src = "https://example.org/x.png";
          await new Promise((done) => (image.onerror = done));
          const fetched = new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => {
              if (event.effectiveDirective === "connect-src") done();
            });
          });
          await fetch("https://example.org/").catch(() => {});
          await fetched;
          return [refused, window.ran];
        }"""
    )
    page.close()
    assert {"trusted-types", "img-src", "connect-src"} <= set(refused[0])
    assert refused[1] is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["bars", "sheet", "closer"])
def test_axe_finds_nothing_that_is_hard_to_read_or_to_reach(
    visit: Callable[..., Page], collection: Collection, scheme: str, view: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(collection.path, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) < 64) == (scheme == "dark")
    if view == "sheet":
        pick(page, "cubism movement")
    if view == "closer":
        page.locator(".card").first.click()
    drawn(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("view", ["bars", "sheet"])
def test_it_fits_a_phone(visit: Callable[..., Page], collection: Collection, view: str) -> None:
    page = visit(collection.path, viewport=PHONE, has_touch=True, is_mobile=True)
    assert not page.locator("#bars").is_visible()
    page.get_by_text("Which phrase comes first").click()
    page.locator("#bars").get_by_role("button").first.tap()
    page.locator("#only").select_option("every picture")
    if view == "bars":
        page.get_by_label("Bars").check(force=True)
    page.get_by_text("24 pictures, likeliest first").wait_for()
    assert len(cards(page)) >= 4
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.locator(".card").first.tap()
    assert page.locator("dialog").bounding_box()["width"] <= PHONE["width"]  # type: ignore[index]


@pytest.mark.parametrize("width", [390, 1280, 2560])
@pytest.mark.parametrize("view", ["bars", "sheet"])
def test_no_picture_is_cropped_or_out_of_shape(
    visit: Callable[..., Page], collection: Collection, width: int, view: str
) -> None:
    page = visit(collection.path, viewport={"width": width, "height": 900})
    page.get_by_label("Contact sheet" if view == "sheet" else "Bars").check(force=True)
    until(page, "(sheet) => gallery.classList.contains('sheet') === sheet", view == "sheet")
    drawn(page)
    off = page.locator(".card img").evaluate_all(
        """(images) => images.map((image) => {
          const box = image.getBoundingClientRect();
          const frame = image.parentElement.getBoundingClientRect();
          const inside = box.width <= frame.width + 0.5 && box.height <= frame.height + 0.5;
          const shape = image.naturalWidth / image.naturalHeight;
          return inside ? Math.abs(box.width / box.height / shape - 1) : 9;
        })"""
    )
    assert len(off) >= 4
    assert max(off) < 0.03  # a thumbnail's edges are whole pixels


def test_thousands_of_pictures_are_drawn_only_where_they_are_in_sight(
    visit: Callable[..., Page], picture: MakePicture, tmp_path: Path
) -> None:
    picture(40, 30).save(tmp_path / "a.png")
    lists = {"movements": LISTS["movements"]}
    count = 3000
    results = (looked(tmp_path / "a.png", seed, lists) for seed in range(count))
    written(results, tmp_path / "page.html", lists)
    page = visit(tmp_path / "page.html")
    assert page.evaluate("document.querySelectorAll('.card').length") < 200
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(f"[aria-posinset='{count}'] img").wait_for()
    assert page.evaluate("document.querySelectorAll('.card').length") < 200
    bottom, height = page.evaluate("[scrollY + innerHeight, document.documentElement.scrollHeight]")
    assert bottom == pytest.approx(height, abs=2)


def test_a_screenshot_has_pictures_in_it(
    visit: Callable[..., Page], collection: Collection, tmp_path: Path
) -> None:
    page = visit(collection.path)
    drawn(page)
    page.screenshot(path=tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.size == (WIDE["width"], WIDE["height"])
        assert len(shot.convert("RGB").getcolors(1 << 24) or []) > 1000


def test_a_page_of_errors_alone_says_so(visit: Callable[..., Page], tmp_path: Path) -> None:
    written([failed("a.png", "is no picture")], tmp_path / "page.html")
    page = visit(tmp_path / "page.html", empty=True)
    assert page.get_by_text("There is no picture to show.").is_visible()
    assert texts(page.locator("#errors dd")) == ["is no picture"]


# ---- What is seen: places and lengths, in pixels ----


def opened(page: Page, name: str) -> dict[str, float]:
    """Open a picture, and return how large it is shown, and how large the window lets it be."""
    page.get_by_role("button", name=name).click()
    found: dict[str, float] = page.locator("#closer-image").evaluate(
        """(image) => {
          const { width, height } = image.getBoundingClientRect();
          const high = getComputedStyle(closer).height;
          return { width, height, room: image.parentNode.clientWidth, window: parseFloat(high) };
        }"""
    )
    return found


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE])
@pytest.mark.parametrize("size", [(1600, 900), (700, 1600)])
def test_a_picture_that_is_opened_is_as_large_as_the_window_lets_it_be(
    visit: Callable[..., Page],
    picture: MakePicture,
    tmp_path: Path,
    viewport: dict[str, int],
    size: tuple[int, int],
) -> None:
    picture(*size).save(tmp_path / "a.png")
    picture(*size).save(tmp_path / "gone.png")
    results = [looked(tmp_path / name, 0) for name in ("a.png", "gone.png")]
    written(results, tmp_path / "page.html", edge=160)
    (tmp_path / "gone.png").rename(tmp_path / "elsewhere.png")
    for name in ("a.png", "gone.png"):
        page = visit(tmp_path / "page.html", "ERR_FILE_NOT_FOUND", viewport=viewport)
        seen = opened(page, name)
        # The shape is that of the thumbnail, whose edges are whole pixels.
        assert seen["width"] / seen["height"] == pytest.approx(size[0] / size[1], rel=0.02)
        wide, high = seen["width"] >= seen["room"] - 1, seen["height"] >= 0.6 * viewport["height"]
        assert wide or high
        assert seen["width"] <= seen["room"] + 1
        natural = "width => document.getElementById('closer-image').naturalWidth === width"
        until(page, natural, size[0] if name == "a.png" else round(160 * min(1, size[0] / size[1])))


def test_bars_are_as_long_as_probabilities(
    visit: Callable[..., Page], picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    shares = [0.9, 0.07, 0.0299, 0.0001, 0.0]
    lists = {"list": [f"phrase {at}" for at in range(len(shares))]}
    scores = tuple(map(PhraseScore, lists["list"], shares))
    result = PictureResult(str(tmp_path / "a.png"), "demo", "fp32", {"list": scores})
    written([result], tmp_path / "page.html", lists)
    page = visit(tmp_path / "page.html")
    page.locator(".card").click()
    found = page.locator("#closer-lists .track i").evaluate_all(
        """(bars) => bars.map((bar) => [
          bar.getBoundingClientRect().width, bar.parentNode.getBoundingClientRect().width])"""
    )
    assert len(found) == len(shares)
    for (long, track), share in zip(found, shares, strict=True):
        expected = max(look.LEAST, share * track) if share else 0
        assert long == pytest.approx(expected, rel=2e-4, abs=1 / 64)  # steps of levels, of pixels


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_map_has_its_scale_and_does_not_glare(
    visit: Callable[..., Page], tmp_path: Path, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    result = looked(tmp_path / "a.png", 0)
    grid = ((0.25, -0.5, *(0.0,) * 14), *(((0.0,) * 16,) * 15))

    def see(image: str, _: NDArray[np.float32]) -> list[HeatMap]:
        phrase = result.lists["movements"][0].phrase
        box = (0.25, 0.0, 0.75, 1.0)
        return [HeatMap(image, "demo", "fp32", phrase, "movements", 0.0, 0.5, grid, box, 50)]

    written([result], tmp_path / "page.html", see=see)
    page = visit(tmp_path / "page.html", color_scheme=scheme)
    page.locator(".card").click()
    until(page, ARE_THERE, ".map img")
    assert page.locator(".map .ends span").all_text_contents() == ["\u22120.5 against", "for +0.5"]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    strip = page.locator(".map .colours")
    assert strip.evaluate("image => image.naturalWidth") >= 200
    shot = page.locator(".map .mapped").screenshot()
    levels = np.asarray(Image.open(io.BytesIO(shot)).convert("L"), np.float64)
    width = levels.shape[1]
    aside = levels[:, 2 : width // 5].mean()
    assert aside < 90 if scheme == "dark" else aside > 225
    if scheme == "dark":
        assert levels.max() < 190


def test_on_paper_bars_stay_and_no_picture_is_cut(
    visit: Callable[..., Page], collection: Collection
) -> None:
    page = visit(collection.path, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    adjust = "all => [...new Set(all.map(each => getComputedStyle(each).printColorAdjust))]"
    assert page.locator(".track, .track i").evaluate_all(adjust) == ["exact"]
    broken = "all => [...new Set(all.map(each => getComputedStyle(each).breakInside))]"
    assert page.locator(".line > div").evaluate_all(broken) == ["avoid"]
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert ink == "rgb(29, 29, 29)"  # not the light ink of the dark
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_those_of_drawings(
    visit: Callable[..., Page], collection: Collection, scheme: str
) -> None:
    page = visit(collection.path, color_scheme=scheme)
    colours = look.LIGHT if scheme == "light" else look.DARK
    read = "name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)"
    assert {name: page.evaluate(read, name) for name in colours} == colours


# ---- Without a browser ----


@settings(deadline=None)  # a busy machine must not fail a test
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_levels_keep_order_and_value(values: list[float]) -> None:
    probabilities = np.array(values)
    levels = report.levels(probabilities)
    order = np.argsort(probabilities, kind="stable")
    assert (np.diff(levels[order].astype(int)) >= 0).all()
    back = np.where(levels == 0, 0, np.exp((levels - 65535.0) * report.STEP))
    assert np.allclose(back, probabilities, rtol=2e-4, atol=5e-11)


def test_a_failure_leaves_an_old_page_alone(picture: MakePicture, tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    page = tmp_path / "page.html"
    page.write_text("old", encoding="utf-8")

    def results() -> Iterator[PictureResult]:
        yield looked(tmp_path / "a.png", 0)
        raise GazeError("broken off")

    with pytest.raises(GazeError, match="broken off"):
        written(results(), page)
    assert page.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "page.html"]


def test_the_same_results_make_the_same_page(picture: MakePicture, tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    results = [looked(tmp_path / "a.png", seed) for seed in range(3)]
    sizes = [written(results, tmp_path / name) for name in ("1", "2")]
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert sizes == [(tmp_path / "1").stat().st_size] * 2


@pytest.mark.parametrize("name", ["", "missing/page.html"])
def test_a_folder_is_no_place_for_a_page(tmp_path: Path, name: str) -> None:
    for make in (lambda: report.check(tmp_path / name), lambda: written([], tmp_path / name)):
        with pytest.raises(GazeError, match="is no place for a file"):
            make()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_page_goes_into_no_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "page.html"
    os.mkfifo(pipe)
    for make in (lambda: report.check(pipe), lambda: written([], pipe)):
        with pytest.raises(GazeError, match="is not a file; name one for the page"):
            make()


@pytest.mark.parametrize("lists", [{}, {"movements": []}, LISTS | {"movements": []}])
def test_a_page_without_phrases_is_refused(lists: dict[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(GazeError, match="needs phrases"):
        written([], tmp_path / "page.html", lists)


def test_without_jinja2_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "clip_gaze.output.markup", raising=False)
    page = tmp_path / "page.html"
    for make in (lambda: report.check(page), lambda: written([], page)):
        with pytest.raises(GazeError, match=re.escape('pip install ".[report]"')):
            make()


def test_a_picture_on_another_drive_is_linked_by_its_whole_path(
    picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(tmp_path / "a.png")

    def relpath(*_: object) -> str:
        msg = "path is on mount 'C:', start on mount 'D:'"
        raise ValueError(msg)

    monkeypatch.setattr(os.path, "relpath", relpath)
    written([looked(tmp_path / "a.png", 0)], tmp_path / "page.html")
    assert (tmp_path / "a.png").as_uri() in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_name_that_is_no_text_makes_a_page(picture: MakePicture, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.png"  # Latin-1 on a disk of UTF-8
    picture().save(path)
    written([looked(path, 0), failed(path, "odd")], tmp_path / "page.html", title=str(path))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "caf%E9.png" in text


def test_a_picture_that_is_opened_shows_its_maps(
    visit: Callable[..., Page], tmp_path: Path, picture: MakePicture
) -> None:
    results: list[PictureResult] = []

    def see(image: str, embedding: NDArray[np.float32]) -> list[HeatMap]:
        """Return maps of all lists for the first picture, of the last list for the second."""
        name = {"a.png": list(LISTS), "b.png": list(LISTS)[2:]}[Path(image).name]
        result = results[int(embedding[0])]
        grid = ((0.5,) * 16,) * 16
        return [
            HeatMap(image, "demo", "fp32", result.lists[each][0].phrase, each, 0.0, 0.5,
                    grid, (0, 0, 1, 1), 50)
            for each in name
        ]  # fmt: skip

    for seed, name in enumerate(("a.png", "b.png")):
        picture(seed=seed).save(tmp_path / name)
        results.append(looked(tmp_path / name, seed))
    written(results, tmp_path / "page.html", see=see)
    page = visit(tmp_path / "page.html")
    page.get_by_role("button", name="a.png").click()
    for result, names in zip(results, (list(LISTS), list(LISTS)[2:]), strict=True):
        shown = page.locator("#closer-lists figcaption")
        wanted = [result.lists[name][0].phrase for name in names]
        assert texts(shown) == [f"Orange speaks for “{each}”, blue against it" for each in wanted]
        until(page, ARE_THERE, ".map img")
        page.get_by_role("button", name="Next picture").click()
