"""A comparison as a chart: a bar for each phrase, to the right where it is likelier."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from clip_gaze.drawing.canvas import SCALE, Box, Drawing, Photo, Words, cut, width
from clip_gaze.drawing.look import EDGE, INK, LIGHT, LINE, QUIET, SMALL, TEXT, TITLE
from clip_gaze.wording import factor, made_by, per_cent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.drawing.canvas import Mark
    from clip_gaze.results import Change, Compared, Comparison

MOST = 6  # pictures

_RISE, _FALL, _STRIPE = LIGHT["rise"], LIGHT["fall"], LIGHT["ground"]
_MARGIN, _GAP = 28, 30
_THUMB = (168, 132)
_LONGEST = 4  # times as long as it is wide: more of a picture would be a thread
_ROW, _BAR = 26, 15
_PHRASE_ROOM = (150, 300)  # at least, at most
_SLACK = 1.06  # another font may be wider
_PER_CENT_ROOM = 58
_BESIDE_NAME = 40  # of a list stands "in A"
_COLUMN = {1: 440, 2: 330, 3: 270}
_NARROW = 240  # of more columns
_TICK_ROOM = 50
_NOTE = (
    "Bars: by what factor the odds p / (1 - p) of a phrase within its list differ from those in A,",
    "and the logarithm of it. Per cents: the probability p itself. Each list has its own scale.",
)
# Of a scale, as factors: the first that leaves room between its ticks is taken.
_STEPS = (1.01, 1.1, 1.5, 2.0, 10.0, 100.0, 1e3, 1e4, 1e6, 1e8, 1e12, 1e20, 1e40, 1e80, 1e160)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where things stand.

    Attributes:
        room: width for a phrase.
        column: width of a picture's column.
        centres: x of no difference in each column.
        width: of the whole chart.

    """

    room: int
    column: int
    centres: tuple[float, ...]
    width: float

    @property
    def end(self) -> float:
        """Where the per cents of the reference end."""
        return _MARGIN + self.room + _PER_CENT_ROOM


def draw(comparison: Comparison, images: Sequence[Image.Image]) -> Drawing:
    """Return the chart of a comparison.

    Args:
        comparison: of at most MOST pictures; those that could not be read are left out.
        images: RGB, the reference and then the others that could be read; see `thumbnail`.

    """
    others = [each for each in comparison.images if each.status == "ok"]
    frame = _frame(others)
    labels = _short([comparison.reference, *(each.image for each in others)])
    middle = _MARGIN + _THUMB[0] / 2
    marks = list(_head("A", labels[0], middle, frame.end - _MARGIN, images[0]))
    for at, (each, centre) in enumerate(zip(others, frame.centres, strict=True), start=1):
        letter = string.ascii_uppercase[at]
        marks += _head(letter, labels[at], centre, frame.column, images[at])
        marks += _sides(each, centre, _MARGIN + _THUMB[1] + 48)
    y: float = _MARGIN + _THUMB[1] + 80
    for name in others[0].lists:
        groups = [each.lists[name] for each in others]
        marks += _table(name, groups, y, frame)
        y += 66 + _ROW * max(1, len(groups[0]))
    by = made_by(comparison.model, comparison.variant, comparison.templates)
    for line in (*_NOTE, f"Model: {by}."):
        marks.append(Words(_MARGIN, y, cut(line, SMALL, frame.width - 2 * _MARGIN), SMALL, QUIET))
        y += 17
    title = f"{', '.join(labels[1:])} compared with {labels[0]}"
    return Drawing(round(frame.width), round(y - 17 + _MARGIN), title, marks)


def thumbnail(image: Image.Image) -> Image.Image:
    """Return an RGB picture at the chart's size; of one that is very long, the middle."""
    width, height = image.size
    kept = min(width, _LONGEST * height), min(height, _LONGEST * width)
    middle = ImageOps.fit(image, kept, Image.Resampling.NEAREST)  # cuts, and scales nothing
    size = _THUMB[0] * SCALE, _THUMB[1] * SCALE
    return ImageOps.contain(middle, size, Image.Resampling.LANCZOS)


def _frame(others: Sequence[Compared]) -> _Frame:
    every = [change for each in others for group in each.lists.values() for change in group]
    longest = max((width(change.phrase, TEXT) for change in every), default=0.0)
    names = max(width(_titled(name), TITLE, bold=True) for name in others[0].lists)
    least, most = _PHRASE_ROOM
    wanted = max(longest, names + _BESIDE_NAME - _PER_CENT_ROOM) * _SLACK
    room = round(min(max(wanted, least), most))
    column = _COLUMN.get(len(others), _NARROW)
    first = _MARGIN + room + _PER_CENT_ROOM + _GAP
    lefts = [first + at * (column + _GAP) for at in range(len(others))]
    centres = tuple(left + column / 2 for left in lefts)
    return _Frame(room, column, centres, lefts[-1] + column + _MARGIN)


def _titled(name: str) -> str:
    return name.replace("_", " ")


def _short(labels: Sequence[str]) -> list[str]:
    """Return names without their folders, where that tells them apart."""
    names = [PurePath(label).name for label in labels]
    return names if len(set(names)) == len(set(labels)) else list(labels)


def _head(
    letter: str, label: str, centre: float, room: float, image: Image.Image
) -> Iterator[Mark]:
    """Yield a picture and, below it, its letter and name."""
    wide, high = (edge / SCALE for edge in image.size)
    left, top = round(centre - wide / 2), round(_MARGIN + _THUMB[1] - high)
    yield Box(left - 1, top - 1, wide + 2, high + 2, LINE)  # a pale picture has an edge too
    yield Photo(left, top, image, label)
    label = cut(label, TEXT, room - 24, at_start=True)
    start = max(_MARGIN, centre - (width(label, TEXT) + 20) / 2)
    y = _MARGIN + _THUMB[1] + 25
    yield Words(start, y, letter, TITLE, INK, bold=True)
    yield Words(start + 20, y, label, TEXT, INK)


def _table(
    name: str, groups: Sequence[Sequence[Change]], y: float, frame: _Frame
) -> Iterator[Mark]:
    """Yield the phrases of a list with their bars; `groups` has the changes of each column."""
    name = cut(_titled(name), TITLE, frame.end - _MARGIN - _BESIDE_NAME, bold=True)
    yield Words(_MARGIN, y, name, TITLE, INK, bold=True)
    top = y + 26
    if not groups[0]:
        yield Words(_MARGIN, top, "no phrase differs", TEXT, QUIET)
        return
    yield Words(frame.end, y, "in A", SMALL, QUIET, "end")
    rows = list(zip(*groups, strict=True))
    for at in range(0, len(rows), 2):
        wide = frame.width - 2 * _MARGIN + 16
        yield Box(_MARGIN - 8, top + at * _ROW, wide, _ROW, _STRIPE)
    half = frame.column / 2 - _PER_CENT_ROOM
    limit, ticks = _scale(max(abs(change.difference) for row in rows for change in row), half)
    scale = half / limit
    for centre in frame.centres:
        for tick in ticks:
            yield from _tick(tick, centre + tick * scale, y, top + len(rows) * _ROW)
    for at, changes in enumerate(rows):
        yield from _row(changes, top + at * _ROW, frame, scale)


def _sides(each: Compared, centre: float, y: float) -> Iterator[Mark]:
    """Yield what left and right mean."""
    if each.same:
        yield Words(centre, y, "the same as A: all differences are 0", SMALL, INK, "middle")
        return
    yield Words(centre - 12, y, "less likely than in A", SMALL, _FALL, "end")
    yield Words(centre + 12, y, "more likely", SMALL, _RISE)


def _tick(tick: float, x: float, y: float, bottom: float) -> Iterator[Mark]:
    """Yield a mark of the scale, as a factor and as log-odds, and its line down the rows."""
    yield Box(x - 0.5, y + 21, 1, bottom - y - 21, LINE if tick else EDGE)
    yield Words(x, y, factor(tick) if tick else "same", SMALL, INK, "middle")
    odds = f"{tick:+.3g}".replace("-", "\N{MINUS SIGN}") if tick else "0"
    yield Words(x, y + 15, odds, SMALL - 2, QUIET, "middle")


def _row(changes: Sequence[Change], y: float, frame: _Frame, scale: float) -> Iterator[Mark]:
    """Yield a phrase, its probability in the reference, and its bar in each column."""
    base = y + _ROW / 2 + 5
    yield Words(_MARGIN, base, cut(changes[0].phrase, TEXT, frame.room), TEXT, INK)
    yield Words(frame.end, base, per_cent(changes[0].before), SMALL, QUIET, "end")
    for change, centre in zip(changes, frame.centres, strict=True):
        share = per_cent(change.after)
        colour = QUIET if share.startswith("<") else INK
        long = abs(change.difference) * scale
        top = y + (_ROW - _BAR) / 2
        if change.difference < 0:
            yield Box(centre - long, top, long, _BAR, _FALL)
            yield Words(centre - long - 6, base, share, SMALL, colour, "end")
        else:
            if long:
                yield Box(centre, top, long, _BAR, _RISE)
            yield Words(centre + long + 6, base, share, SMALL, colour)


def _scale(largest: float, half: float) -> tuple[float, list[float]]:
    """Return the log-odds at the end of a scale, and its ticks, which are round factors."""
    for step in map(math.log, _STEPS):
        limit = max(largest, step)
        if half * step >= _TICK_ROOM * limit:
            count = math.floor(limit / step + 1e-9)
            return limit, [at * step for at in range(-count, count + 1)]
    return largest, [0.0]
