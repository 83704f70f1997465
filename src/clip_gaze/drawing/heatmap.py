"""Heat maps as a picture to look at: panels side by side, with a scale of colours below."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clip_gaze.drawing import canvas
from clip_gaze.drawing.canvas import SCALE, Drawing, Photo, Words
from clip_gaze.drawing.look import AGAINST, FOR, INK, QUIET, SMALL, TEXT
from clip_gaze.errors import GazeError
from clip_gaze.pictures.load import upright
from clip_gaze.pictures.preprocess import cropped, rgb, within
from clip_gaze.wording import made_by, per_cent

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from clip_gaze.drawing.canvas import Mark
    from clip_gaze.pictures.source import Picture
    from clip_gaze.results import HeatMap

EDGE = 640

_GROUND = 255
# Heat below the first share of the scale is not shown; from the second on it is as opaque as it
# gets.
_FIRST, _FULL, _OPAQUE = 0.08, 0.8, 0.84
# How much colour and contrast the picture keeps under the map, and what is added to each level.
_COLOURED, _CONTRAST, _LIFTED = 0.12, 0.62, 69
# How far what the model never saw is faded into the ground.
_FADED = 0.72
# The scale ends here at least: where nothing counts, chance must not look like heat.
_LEAST = 0.004

# Measures of a sheet, in a drawing's units.
_IN_A_ROW = 4
_GAP, _CAPTION, _FOOT = 16, 70, 30
_SCALE, _NARROWEST = 5, 200


def write(
    image: Picture,
    maps: Sequence[HeatMap],
    out: str | os.PathLike[str],
    *,
    edge: int = EDGE,
) -> None:
    """Draw maps into a file, whole or not at all.

    Args:
        image: the picture that the maps are of; see `source.source`.
        maps: see `sheet`.
        out: a PNG, JPEG, WebP or SVG file, as its name ends.
        edge: see `sheet`.

    Raises:
        GazeError: the name ends in something else, its folder is missing, or there are no maps.
        PictureError: the picture cannot be read.

    """
    canvas.check(Path(out))
    canvas.write(sheet(image, maps, edge=edge), Path(out))


def sheet(
    image: Picture,
    maps: Sequence[HeatMap],
    *,
    edge: int = EDGE,
    gap: int = _GAP,
) -> Drawing:
    """Return the picture, and beside it each map over the picture, with its scale of colours.

    Args:
        image: the picture that the maps are of; see `source.source`.
        maps: one or more. The scale of each ends where its strongest cell is.
        edge: longer edge of the picture in each panel, in pixels.
        gap: room between panels and around them, in a drawing's units.

    Raises:
        GazeError: there are no maps.
        PictureError: the picture cannot be read.

    """
    if not maps:
        msg = "there is no map to draw; ask for a phrase"
        raise GazeError(msg)
    opened = upright(image)
    part = _part(maps[0].box)
    edges = zip(part, opened.size * 2, strict=True)
    left, top, right, bottom = (round(share * length) for share, length in edges)
    kept = cropped(opened, (left, top, right, bottom))
    width, height = (max(1, round(length * edge / max(kept.size))) for length in kept.size)
    shown = rgb(kept).resize((width, height), Image.Resampling.LANCZOS)
    maps = [replace(heat, box=within(heat.box, part)) for heat in maps]
    name = Path(maps[0].image).name or "the picture"
    wide, high = -(-shown.width // SCALE), -(-shown.height // SCALE)
    room = max(wide, _NARROWEST)
    count = 1 + len(maps)
    columns = min(count, _IN_A_ROW)

    def corner(at: int) -> tuple[int, int]:
        row, column = divmod(at, columns)
        return gap + column * (room + gap), gap + row * (high + _CAPTION + gap)

    first = maps[0]
    by = made_by(first.model, first.variant, first.templates, corrected=first.corrected)
    fits = canvas.width(by, SMALL) <= room
    note = by if fits else f"{first.model}, {first.variant}"
    marks = [*_panel(shown, name, note, corner(0), room)]
    for at, heat in enumerate(maps, start=1):
        share = f"{per_cent(heat.log_odds)} of {heat.list or 'the phrases given'}"
        marks += _panel(over(shown, heat), heat.phrase, share, corner(at), room)
        marks += _legend(heat, corner(at), high, room)
    width, height = corner(columns - 1)[0] + room + gap, corner(count - 1)[1] + high + _CAPTION
    if not fits:
        foot = canvas.cut(f"Model: {by}", SMALL, width - 2 * gap)
        marks.append(Words(gap, height + _FOOT - SMALL, foot, SMALL, QUIET))
        height += _FOOT
    return Drawing(width, height, f"Where {name} speaks for a phrase", marks)


def _panel(
    shown: Image.Image, title: str, note: str, corner: tuple[int, int], room: int
) -> Iterator[Mark]:
    """Yield a picture with two lines below it."""
    left, top = corner
    under = top + -(-shown.height // SCALE)
    yield Photo(left, top, shown, title)
    yield Words(left, under + 17, canvas.cut(title, TEXT, room), TEXT, INK)
    yield Words(left, under + 32, canvas.cut(note, SMALL, room), SMALL, QUIET)


def _legend(heat: HeatMap, corner: tuple[int, int], high: int, room: int) -> Iterator[Mark]:
    """Yield a map's scale of colours, with what its ends stand for."""
    left, under = corner[0], corner[1] + high
    end = f"{limit(heat):.2g}"
    yield Photo(left, under + 40, scale(room * SCALE), "scale of colours")
    yield Words(left, under + 57, f"\u2212{end} against", SMALL, QUIET)
    yield Words(left + room, under + 57, f"for +{end}", SMALL, QUIET, "end")


def limit(heat: HeatMap) -> float:
    """Return the largest value of a map's scale of colours; the least is its negative."""
    return max(_LEAST, *(abs(value) for row in heat.grid for value in row))


def _part(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return what is shown of a picture: at most a square on each side of the one that was seen.

    More of a very long picture would leave nothing to see of that square.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    left, top = max(0.0, box[0] - width), max(0.0, box[1] - height)
    return left, top, min(1.0, box[2] + width), min(1.0, box[3] + height)


def over(shown: Image.Image, heat: HeatMap) -> Image.Image:
    """Return the picture with a map over the square that was seen, and the rest faded."""
    pixels = np.asarray(shown, np.float64)
    grey = (pixels @ (0.299, 0.587, 0.114))[..., None]
    calm = (grey + _COLOURED * (pixels - grey)) * _CONTRAST + _LIFTED
    mixed = calm + _FADED * (_GROUND - calm)
    width, height = shown.size
    left, right = round(heat.box[0] * width), round(heat.box[2] * width)
    top, bottom = round(heat.box[1] * height), round(heat.box[3] * height)
    size = max(1, right - left), max(1, bottom - top)
    colours, opacity = _painted(_enlarged(heat, size))
    seen = np.s_[top : top + size[1], left : left + size[0]]
    mixed[seen] = calm[seen] + opacity * (colours - calm[seen])
    return Image.fromarray(np.rint(mixed).clip(0, 255).astype(np.uint8))


def overlay(heat: HeatMap, edge: int) -> Image.Image:
    """Return the colours of a map, RGBA, to be laid over the square that was seen.

    Args:
        heat: the map.
        edge: pixels of a side.

    """
    colours, opacity = _painted(_enlarged(heat, (edge, edge)))
    return Image.fromarray(np.rint(np.dstack([colours, 255 * opacity])).astype(np.uint8))


def _enlarged(heat: HeatMap, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return a map's values as shares of its scale, (height, width), bicubic."""
    grid = Image.fromarray((np.array(heat.grid) / limit(heat)).astype(np.float32))
    return np.asarray(grid.resize(size, Image.Resampling.BICUBIC), np.float64)


def _painted(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return colour (..., 3) and opacity (..., 1) of heat, of which 1 is the end of the scale."""
    strength = np.abs(values).clip(0, 1)
    steps = np.linspace(0, 1, len(FOR))
    warm, cool = (
        np.stack([np.interp(strength, steps, levels) for levels in zip(*ramp, strict=True)], -1)
        for ramp in (FOR, AGAINST)
    )
    rise = ((strength - _FIRST) / (_FULL - _FIRST)).clip(0, 1)
    # Level at both ends, so that no edge shows where the map begins.
    opacity = _OPAQUE * rise * rise * (3 - 2 * rise)
    return np.where((values > 0)[..., None], warm, cool), opacity[..., None]


def scale(width: int) -> Image.Image:
    """Return the scale of colours as a strip, `width` pixels long, over a middle grey."""
    colours, opacity = _painted(np.linspace(-1, 1, width))
    middle = 127.5 * _CONTRAST + _LIFTED
    bar = np.rint(middle + opacity * (colours - middle)).astype(np.uint8)
    return Image.fromarray(np.repeat(bar[None], _SCALE * SCALE, axis=0))
