"""Heat maps are drawn over their picture, with words below."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from clip_gaze.drawing import canvas, heatmap
from clip_gaze.drawing.canvas import SCALE, Photo, Words
from clip_gaze.errors import GazeError
from clip_gaze.pictures.preprocess import seen
from clip_gaze.results import HeatMap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePicture = Callable[..., Image.Image]

COLD = ((0.0,) * 16,) * 16
FLAT = HeatMap("a/sea.jpg", "demo", "fp32", "a seascape", "genres", 0.0, 0.5, COLD, (0, 0, 1, 1), 9)


def heated(value: float) -> HeatMap:
    """Return a map that has one strength in its left upper quarter."""
    row = (value,) * 8 + (0.0,) * 8
    return replace(FLAT, grid=(row,) * 8 + COLD[:8])


def over(image: Image.Image, heat: HeatMap, edge: int = 320) -> np.ndarray:
    """Return the pixels of a map over its picture."""
    shown = image.resize((edge, edge * image.height // image.width))
    return np.asarray(heatmap.over(shown.convert("RGB"), heat)).astype(int)


def words(image: Image.Image, *maps: HeatMap) -> list[str]:
    """Return all that is written on a sheet."""
    return [mark.text for mark in heatmap.sheet(image, maps).marks if isinstance(mark, Words)]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_heat_is_orange_and_cold_is_blue_on_any_ground(level: int) -> None:
    image = Image.new("RGB", (100, 100), (level,) * 3)
    for value, warm in ((0.1, True), (-0.1, False)):
        found = over(image, heated(value))
        red, _, blue = found[80, 80]
        assert (red - blue > 100) if warm else (blue - red > 100)
        assert np.ptp(found[240, 240]) < 5  # where nothing counts, the picture stays grey


def test_chance_does_not_look_like_heat() -> None:
    found = over(Image.new("RGB", (100, 100), "grey"), heated(1e-5))
    assert np.ptp(found, axis=-1).max() < 5


def test_what_the_model_never_saw_is_faded() -> None:
    image = Image.new("RGB", (200, 100), "black")
    found = over(image, replace(FLAT, box=(0.25, 0, 0.75, 1)))
    assert found[80, 20].min() > found[80, 160].max() + 80


def test_panels_stand_side_by_side_and_then_below(picture: MakePicture) -> None:
    sheets = [heatmap.sheet(picture(), [FLAT] * count, gap=7) for count in (1, 3, 4)]
    one, three, four = ((sheet.width, sheet.height) for sheet in sheets)
    assert three == (2 * one[0] - 7, one[1])
    assert four == (three[0], 2 * one[1])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_every_picture_can_be_drawn(mode: str, size: tuple[int, int]) -> None:
    sheet = heatmap.sheet(Image.new(mode, size), [heated(1.0)], edge=100)
    assert canvas.picture(sheet).size == (SCALE * sheet.width, SCALE * sheet.height)


def test_a_map_says_what_it_shows(picture: MakePicture) -> None:
    found = words(picture(), heated(0.25), replace(FLAT, list=None, log_odds=3.0))
    assert found[:2] == ["sea.jpg", "demo, fp32"]
    assert found[2:6] == ["a seascape", "50% of genres", "\N{MINUS SIGN}0.25 against", "for +0.25"]
    assert found[7] == "95% of the phrases given"


def test_a_long_phrase_is_cut(picture: MakePicture) -> None:
    found = words(picture(), replace(FLAT, phrase="a very long phrase " * 20))
    assert found[2].startswith("a very long phrase")
    assert found[2].endswith("…")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP")]
)
def test_the_name_says_what_is_written(
    picture: MakePicture, tmp_path: Path, name: str, kind: str
) -> None:
    heatmap.write(picture(), [FLAT], tmp_path / name, edge=100)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["map.gif", "map", "missing/map.png"])
def test_other_names_are_refused(picture: MakePicture, tmp_path: Path, name: str) -> None:
    with pytest.raises(GazeError, match="name"):
        heatmap.write(picture(), [FLAT], tmp_path / name)


@pytest.mark.parametrize("size", [(6000, 30), (40, 900), (900, 300), (200, 90), (1, 1)])
def test_of_a_long_picture_the_square_that_was_seen_stays_large(size: tuple[int, int]) -> None:
    heat = replace(FLAT, grid=((1.0,) * 16,) * 16, box=seen(*size, 96))
    drawn = heatmap.sheet(Image.new("RGB", size, "teal"), [heat], edge=300)
    plain, mapped, _ = (mark.image for mark in drawn.marks if isinstance(mark, Photo))
    longer = min(3, max(size) / min(size))
    assert max(plain.size) == 300
    assert min(plain.size) == pytest.approx(300 / longer, abs=2)
    hot = np.asarray(mapped, np.int64)
    share = (hot[..., 0] - hot[..., 2] > 60).mean()
    assert share == pytest.approx(1 / longer, abs=0.03)


def test_no_map_is_nothing_to_draw(picture: MakePicture, tmp_path: Path) -> None:
    with pytest.raises(GazeError, match="no map"):
        heatmap.write(picture(), [], tmp_path / "map.png")


def test_a_sheet_can_be_svg(picture: MakePicture, tmp_path: Path) -> None:
    heatmap.write(picture(), [FLAT], tmp_path / "map.svg", edge=100)
    root = ET.parse(tmp_path / "map.svg").getroot()
    assert root.tag.endswith("svg")
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 3  # two panels, one scale


def test_a_failure_leaves_the_old_file(
    picture: MakePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "map.png"
    out.write_text("old", encoding="utf-8")

    def fail(_: Image.Image, path: Path, *__: object, **___: object) -> None:
        path.write_text("half", encoding="utf-8")
        raise OSError("the disk is full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk is full"):
        heatmap.write(picture(), [FLAT], out)
    assert out.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [out]
