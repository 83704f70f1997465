"""A probability is written, and called clear, alike in the terminal, on drawings and on pages."""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clip_gaze import wording
from clip_gaze.output import render
from clip_gaze.results import PhraseScore, PictureResult

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CASES: list[tuple[float, str, bool]] = json.loads(
    Path(__file__).with_name("figures.json").read_text(encoding="utf-8")
)
SHARES = [share for share, _, _ in CASES]
TEXTS = [text for _, text, _ in CASES]
CLEAR = [clear for _, _, clear in CASES]


def test_in_python() -> None:
    assert [wording.rounded(100 * share) for share in SHARES] == TEXTS
    assert [wording.is_clear(share) for share in SHARES] == CLEAR


def test_of_log_odds() -> None:
    inside = [share for share in SHARES if 0 < share < 1]
    odds = [math.log(share / (1 - share)) for share in inside]
    # A figure that lies on an edge may fall to either side of it.
    found = zip(map(wording.per_cent, odds), inside, strict=True)
    edges = {0.001, 0.0025, 0.0095, 0.0995, 0.105, 0.625, 0.995, 0.999}
    assert [text for text, share in found if share not in edges] == [
        text for share, text, _ in CASES if share in inside and share not in edges
    ]


def test_in_the_terminal() -> None:
    scores = tuple(PhraseScore(f"phrase {at}", share) for at, share in enumerate(SHARES))
    scores = (PhraseScore("the winner", 1.0), *scores)
    shown = "".join(render.text([PictureResult("", "", "", {"list": scores})]))
    lines = [line for line in shown.splitlines() if line.startswith("  phrase")]
    assert [line.split()[-1] for line in lines] == TEXTS
    assert len({len(line) for line in lines}) == 1


def test_where_nothing_wins_one_line_says_so() -> None:
    scores = tuple(PhraseScore(f"by {at}", 0.0094 - at / 1000) for at in range(5))
    shown = "".join(render.text([PictureResult("", "", "", {"list": scores})]))
    assert shown.splitlines()[-1] == "  no clear winner; the first, with 0.9%: by 0"
    assert "by 1" not in shown


@pytest.mark.parametrize("file", ["web/static/words.js", "output/templates/report_data.js"])
def test_in_a_browser(file: str, browser: Browser) -> None:
    source = resources.files("clip_gaze").joinpath(file).read_text(encoding="utf-8")
    page = browser.new_page()
    for name, expected in (("perCent", TEXTS), ("isClear", CLEAR)):
        start = source.index(f"function {name}(")
        function = source[start : source.index("\n}\n", start) + 2]
        assert page.evaluate(f"shares => shares.map({function})", SHARES) == expected
    page.close()
