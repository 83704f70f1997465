"""A card to share: a picture, and beside or below it the phrases of its lists with their bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING

from PIL import Image

from clip_gaze.drawing import heatmap as maps
from clip_gaze.drawing.canvas import SCALE, Box, Drawing, Photo, Words, cut, width
from clip_gaze.drawing.look import BAR, INK, LEAST, LIGHT, LINE, QUIET, SMALL, TEXT, TITLE
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.results import CorrectedScore
from clip_gaze.wording import NO_WINNER, is_clear, made_by, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.drawing.canvas import Mark
    from clip_gaze.results import HeatMap, PictureResult, Score

_BEST, _BAR, _TRACK, _WARN = (LIGHT[name] for name in ("accent", "fill", "track", "warn"))
_MARGIN, _GAP = 36, 36
# A list: its heading, each of its rows, and the room below it.
_HEAD, _ROW, _AFTER = 34, 31, 22
_LINE = 17  # of small words
_COLUMN = 308
# What is wider than this, in heights, stands above its lists; the rest stands beside them.
_WIDE = 1.25
_BESIDE, _ABOVE = (308, 460), (652, 522)  # room for the picture
# Longer lists than these go into two columns, or into four, below the picture.
_SHORT, _LONG = 760, 2400


@dataclass(frozen=True, slots=True)
class _Block:
    """Marks, and how much room they take from the upper left corner."""

    marks: Sequence[Mark]
    width: float
    height: float

    def at(self, x: float, y: float) -> Iterator[Mark]:
        """Yield the marks, moved."""
        for mark in self.marks:
            yield replace(mark, x=mark.x + x, y=mark.y + y)


def draw(
    image: Image.Image, result: PictureResult, *, note: str = "", heat: HeatMap | None = None
) -> Drawing:
    """Return the card of a picture.

    Args:
        image: the picture, upright.
        result: what was found in it.
        note: what the model's manifest says that each result must carry.
        heat: where the picture speaks for a phrase, to be shown beside it.

    """
    lists = [_list(name, scores) for name, scores in result.lists.items()]
    total = sum(block.height for block in lists)
    image = rgb(image)
    beside = heat is None and image.width < _WIDE * image.height and total <= _SHORT
    if heat is not None:
        shown = _pair(image, heat)
    else:
        shown = _picture(image, result.image, _BESIDE if beside else _ABOVE, centred=not beside)
    if beside:
        body = _columns([shown, *lists], 2)
    else:
        listed = _columns(lists, min(len(lists), 2 if total <= _LONG else 4))
        wide = max(shown.width, listed.width)
        marks = [*shown.at((wide - shown.width) / 2, 0), *listed.at(0, shown.height)]
        body = _Block(marks, wide, shown.height + listed.height)
    foot = _foot(result, note, body.width)
    wide, high = body.width + 2 * _MARGIN, body.height + foot.height + 2 * _MARGIN
    marks = [*body.at(_MARGIN, _MARGIN), *foot.at(_MARGIN, _MARGIN + body.height)]
    return Drawing(round(wide), round(high), f"{result.image}: the likeliest phrases", marks)


def _picture(image: Image.Image, name: str, room: tuple[int, int], *, centred: bool) -> _Block:
    """Return a picture as large as the room allows, and its name below it."""
    scale = min(side * SCALE / edge for side, edge in zip(room, image.size, strict=True))
    size = max(SCALE, round(image.width * scale)), max(SCALE, round(image.height * scale))
    wide, high = (edge / SCALE for edge in size)
    left = round((room[0] - wide) / 2) if centred else 0
    label = cut(name, TEXT, room[0] - left, at_start=True)
    marks: list[Mark] = [
        Box(left - 1, -1, wide + 2, high + 2, LINE),  # a pale picture has an edge too
        Photo(left, 0, image.resize(size, Image.Resampling.LANCZOS), name),
        Words(left, high + 22, label, TEXT, QUIET),
    ]
    return _Block(marks, room[0], high + 30 + _AFTER)


def _pair(image: Image.Image, heat: HeatMap) -> _Block:
    """Return a picture, and beside it a map over it."""
    sheet = maps.sheet(image, [heat], edge=_COLUMN * SCALE, gap=_GAP)
    marks = _Block(sheet.marks, 0, 0).at(-_GAP, -_GAP)
    return _Block(list(marks), sheet.width - 2 * _GAP, sheet.height - _GAP + _AFTER)


def _list(name: str, scores: Sequence[Score]) -> _Block:
    """Return a list's heading and rows."""
    wins = bool(scores) and is_clear(scores[0].probability)
    title = cut(name.replace("_", " "), TITLE, _COLUMN, bold=True)
    marks: list[Mark] = [Words(0, 14, title, TITLE, INK, bold=True)]
    head = _HEAD
    if not wins and width(title, TITLE, bold=True) + 12 + width(NO_WINNER, SMALL) <= _COLUMN:
        marks.append(Words(_COLUMN, 14, NO_WINNER, SMALL, QUIET, "end"))
    elif not wins:
        marks.append(Words(0, 14 + _LINE, NO_WINNER, SMALL, QUIET))
        head += _LINE
    for at, score in enumerate(scores):
        marks += _row(score, head + at * _ROW, best=wins and at == 0)
    return _Block(marks, _COLUMN, head + len(scores) * _ROW + _AFTER)


def _row(score: Score, y: float, *, best: bool) -> Iterator[Mark]:
    """Yield a phrase, its probability, and a bar below both."""
    share = rounded(100 * score.probability)
    if isinstance(score, CorrectedScore):
        share += f"  (plain {rounded(100 * score.plain)})"
    room = _COLUMN - width(share, TEXT) - 12
    yield Words(0, y + 11, cut(score.phrase, TEXT, room), TEXT, INK)
    yield Words(_COLUMN, y + 11, share, TEXT, INK if best else QUIET, "end")
    yield Box(0, y + 17, _COLUMN, BAR, _TRACK)
    if score.probability:
        long = max(LEAST, round(score.probability * _COLUMN * SCALE) / SCALE)
        yield Box(0, y + 17, long, BAR, _BEST if best else _BAR)


def _columns(blocks: Sequence[_Block], count: int) -> _Block:
    """Return blocks below one another in columns, read one column after the other.

    They are cut into columns where the longest column is as short as it can be.
    """
    columns = min(_cuts(blocks, max(1, count)), key=lambda made: max(map(_height, made)))
    marks: list[Mark] = []
    for at, column in enumerate(columns):
        y = 0.0
        for block in column:
            marks += block.at(at * (_COLUMN + _GAP), y)
            y += block.height
    return _Block(marks, len(columns) * (_COLUMN + _GAP) - _GAP, max(map(_height, columns)))


def _cuts(blocks: Sequence[_Block], count: int) -> Iterator[list[Sequence[_Block]]]:
    """Yield each way to cut blocks into columns, their order kept."""
    for places in combinations_with_replacement(range(len(blocks) + 1), count - 1):
        edges = (0, *places, len(blocks))
        yield [blocks[start:end] for start, end in pairwise(edges)]


def _height(column: Sequence[_Block]) -> float:
    return sum(block.height for block in column)


def _foot(result: PictureResult, note: str, room: float) -> _Block:
    """Return what the figures are, and which model they are of."""
    y = 26
    marks: list[Mark] = [Box(0, 0, room, 1, LINE)]
    if note:
        marks.append(Words(0, y, cut(note[:1].upper() + note[1:], SMALL, room), SMALL, _WARN))
        y += _LINE
    by = made_by(result.model, result.variant, result.templates, corrected=result.corrected)
    of = f"How likely each phrase is within its list. Model: {by}."
    mine = "clip-gaze"
    left = room - width(mine, SMALL, bold=True) - 12
    marks.append(Words(0, y, cut(of, SMALL, left), SMALL, QUIET))
    marks.append(Words(room, y, mine, SMALL, QUIET, "end", bold=True))
    return _Block(marks, room, y)
