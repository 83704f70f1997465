"""The contact sheet of what was found, in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clip_gaze.output import sheet
from clip_gaze.pictures import thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image
    from playwright.sync_api import Browser

    MakePicture = Callable[..., Image.Image]

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
NOTE = "this is a small model; it knows nothing of real art"


@pytest.fixture
def page_of(picture: MakePicture, tmp_path: Path) -> Callable[[bool], str]:
    """Return a function that makes a sheet of what was found, or of groups; it returns its URL."""

    def make(groups: bool) -> str:
        names = [tmp_path / f"{'a long name ' * at}{at}.png" for at in range(4)]
        for at, name in enumerate(names):
            picture(120, 40 + 60 * at).save(name)
        rows = [("0.312", str(names[0])), ("equal", str(names[1]))]
        more = [("2 files", rows), ("2 files", [("", str(names[2])), ("0.97", str(names[3]))])]
        out = tmp_path / "sheet.html"
        sheet.write(
            "a harbour", "4 pictures, demo", NOTE, more if groups else [("", rows)], out,
            lambda name: thumbnails.made(name, sheet.EDGE),
        )  # fmt: skip
        return out.as_uri()

    return make


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE])
@pytest.mark.parametrize("groups", [False, True])
def test_axe_finds_nothing_that_is_hard_to_read_or_to_reach(
    page_of: Callable[[bool], str],
    browser: Browser,
    scheme: str,
    viewport: dict[str, int],
    groups: bool,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(page_of(groups))
    assert page.locator("img").count() == (4 if groups else 2)
    starts = page.locator("a").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().left"
        " - each.querySelector('span > :not(:empty)').getBoundingClientRect().left)"
    )
    assert not any(starts)  # a picture without a figure has its name at its left edge
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    context.close()
