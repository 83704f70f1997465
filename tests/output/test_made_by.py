"""Whoever sees figures sees what they were made with: model, variant, templates, correction."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

from clip_gaze.cli.main import main
from clip_gaze.drawing import card
from clip_gaze.drawing.canvas import svg
from clip_gaze.results import PhraseScore, PictureResult
from clip_gaze.system.paths import shipped

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = str(shipped("models") / "demo" / "demo.jpg")
TEMPLATE = "a painting, {}"
GAZE = ["gaze", PICTURE, "--list", "surfaces"]
SEE = ["see", PICTURE, "on canvas", "--quality", "quick"]
COMPARE = ["compare", PICTURE, "--edits", "--list", "surfaces"]


def said(arguments: list[str], out: Path | None = None) -> str:
    """Return what a command writes, to a file or to standard output."""
    to_file = [] if out is None else ["-o", str(out)]
    options = ["--model", "demo", "--template", TEMPLATE, *to_file]
    done = CliRunner().invoke(main, [*arguments, *options])
    assert done.exit_code == 0, done.stderr
    return done.stdout if out is None else out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        *([*GAZE, "--format", kind] for kind in ("text", "json", "jsonl", "csv")),
        [*SEE, "--format", "json"],
        *([*COMPARE, "--format", kind] for kind in ("text", "json", "csv")),
        *(["lists", "bias", "surfaces", "--format", kind] for kind in ("text", "json")),
    ],
)
def test_text_and_data_name_the_templates(arguments: list[str]) -> None:
    assert TEMPLATE in said(arguments)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (SEE, "map.svg"),
        (COMPARE, "chart.svg"),
        (["report", PICTURE, "--list", "surfaces"], "page.html"),
    ],
)
def test_drawings_and_pages_name_the_templates(
    arguments: list[str], name: str, tmp_path: Path
) -> None:
    text = said(arguments, tmp_path / name)
    assert TEMPLATE in text
    assert "demo" in text
    assert "fp32" in text


def test_a_card_names_the_templates() -> None:
    scores = {"surfaces": (PhraseScore("on canvas", 0.9),)}
    result = PictureResult("a.png", "demo", "fp32", scores, templates=(TEMPLATE,))
    image = Image.new("RGB", (90, 60))
    assert TEMPLATE in svg(card.draw(image, result))
    assert TEMPLATE not in svg(card.draw(image, replace(result, templates=())))


def test_a_corrected_map_is_another_map_and_says_so(tmp_path: Path) -> None:
    (plain,) = json.loads(said([*SEE, "--format", "json"]))
    (corrected,) = json.loads(said([*SEE, "--corrected"], tmp_path / "map.json"))
    assert not plain["corrected"]
    assert corrected["corrected"]
    assert corrected["log_odds"] != plain["log_odds"]
    assert "corrected" in said([*SEE, "--corrected"], tmp_path / "map.svg")


def test_maps_of_corrected_results_are_corrected() -> None:
    """What leads after the correction is asked the corrected question, not the plain one."""
    from clip_gaze import Clip
    from clip_gaze.texts import phrases
    from clip_gaze.texts.questions import of_first

    lists = {"genres": phrases.load("genres")}
    with Clip("demo") as clip:
        (result,) = clip.gaze_many([PICTURE], lists, 1, corrected=True)
        (score,) = result.lists["genres"]
        asked = of_first({"genres": score.phrase}, lists)
        (heat,) = clip.heat_maps(PICTURE, asked, runs=50, corrected=True)
    assert heat.corrected
    assert heat.phrase == score.phrase
    assert heat.probability == pytest.approx(score.probability, abs=1e-9)
