"""A contact sheet as a drawing: pictures in rows, each with a figure and its name below it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from clip_gaze.drawing.canvas import SCALE, Box, Drawing, Photo, Words, cut, width
from clip_gaze.drawing.look import HEADING, INK, LINE, QUIET, SMALL, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.drawing.canvas import Mark

MOST = 400  # pictures; more would be a file that few programs open
EDGE = 168  # of a picture, in units
_MARGIN, _GAP = 32, 20
_CELL, _HIGH = EDGE, 150
_CAPTION = 40
_WIDEST = 6  # pictures in a row

# A title, and figure, name and picture of each of a group.
Group = tuple[str, "Sequence[tuple[str, str, Image.Image]]"]


def thumbnail(image: Image.Image) -> Image.Image:
    """Return an RGB picture at the sheet's size."""
    size = _CELL * SCALE, _HIGH * SCALE
    return ImageOps.contain(image, size, Image.Resampling.LANCZOS)


def draw(title: str, about: str, note: str, groups: Sequence[Group]) -> Drawing:
    """Return the sheet.

    Args:
        title: heading of the sheet.
        about: the line below it.
        note: the line below that: what the model's manifest says that each result must carry.
        groups: pictures as `thumbnail` makes them.

    """
    most = max((len(rows) for _, rows in groups), default=1)
    columns = max(3, min(_WIDEST, most))
    wide = 2 * _MARGIN + columns * _CELL + (columns - 1) * _GAP
    room = wide - 2 * _MARGIN
    marks: list[Mark] = [
        Words(_MARGIN, _MARGIN + 14, cut(title, HEADING, room), HEADING, INK, bold=True),
        Words(_MARGIN, _MARGIN + 36, cut(about, SMALL, room), SMALL, QUIET),
    ]
    y = _MARGIN + 60
    if note:
        said = note[:1].upper() + note[1:]
        marks.append(Words(_MARGIN, y - 4, cut(said, SMALL, room), SMALL, QUIET))
        y += 20
    for name, rows in groups:
        if name:
            marks.append(Words(_MARGIN, y + 12, cut(name, TEXT, room), TEXT, INK, bold=True))
            y += 30
        for at in range(0, len(rows), columns):
            for column, (figure, path, image) in enumerate(rows[at : at + columns]):
                marks += _cell(figure, path, image, _MARGIN + column * (_CELL + _GAP), y)
            y += _HIGH + _CAPTION
    return Drawing(wide, y + _MARGIN - 16, title, marks)


def _cell(figure: str, path: str, image: Image.Image, x: float, y: float) -> Iterator[Mark]:
    """Yield a picture that stands on a line, its figure and its name."""
    high = image.height / SCALE
    top = y + _HIGH - high
    yield Box(x - 1, top - 1, image.width / SCALE + 2, high + 2, LINE)
    yield Photo(x, top, image, path)
    base = y + _HIGH + 18
    yield Words(x, base, figure, SMALL, INK, bold=True)
    start = width(figure, SMALL, bold=True) + 8 if figure else 0
    label = cut(PurePath(path).name, SMALL, _CELL - start, at_start=True)
    yield Words(x + start, base, label, SMALL, QUIET)
