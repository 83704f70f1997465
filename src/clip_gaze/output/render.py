"""Results to text, JSON and JSON Lines, piece by piece as they come; tables.py has the rest."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict
from typing import TYPE_CHECKING

from clip_gaze.results import CorrectedScore, PhraseScore
from clip_gaze.wording import made_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clip_gaze.results import Bias, HeatMap, PictureResult, Score

BLOCKS = " ▏▎▍▌▋▊▉█"
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_WIDEST_BAR = 40
_NARROWEST_BAR = 6
_NARROWEST_PHRASE = 16  # beside a bar
_INDENT = "  "
# A name or phrase must not move the cursor, or start a line.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), "\ufffd")
_NO_WIDTH = "\u200b\u200c\u200d\u2060"


def text(results: Iterable[PictureResult], columns: int | None = None) -> Iterator[str]:
    """Yield each result as lines for people to read.

    Args:
        results: pictures that could not be read are left out.
        columns: width of the terminal, for bars and emphasis that fit; None: plain text.

    """
    first = True
    for result in results:
        if result.status == "error":
            continue
        if not first:
            yield "\n"
        first = False
        by = made_by(result.model, result.variant, result.templates)
        yield _heading(result.image, by, columns)
        phrases = [score.phrase for scores in result.lists.values() for score in scores]
        widest = max((width_of(clean(phrase)) for phrase in phrases), default=0)
        for name, scores in result.lists.items():
            title = clean(name)
            if result.corrected:
                title += ": corrected, and plain"
            yield _title(title, columns)
            for score in scores:
                yield _line(score, widest, columns)


def bias(found: Bias, columns: int | None = None) -> Iterator[str]:
    """Yield what a list favours as lines for people to read; see `text`."""
    by = made_by(found.model, found.variant, found.templates)
    yield _heading(f"{found.pictures} neutral pictures", by, columns)
    yield _title(f"{clean(found.list)}: {1 / found.total:.1%} if all were equal", columns)
    widest = max((width_of(clean(each.phrase)) for each in found.phrases), default=0)
    for each in found.phrases:
        yield _line(PhraseScore(each.phrase, each.probability), widest, columns)


def json_array(results: Iterable[PictureResult]) -> Iterator[str]:
    """Yield one JSON array; probabilities are not rounded."""
    before = "[\n"
    for result in results:
        yield before + json.dumps(asdict(result), ensure_ascii=False, indent=1)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def json_lines(results: Iterable[PictureResult]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for result in results:
        yield json.dumps(asdict(result), ensure_ascii=False) + "\n"


def json_maps(maps: Iterable[HeatMap]) -> Iterator[str]:
    """Yield one JSON array, a map a line; numbers are not rounded."""
    before = "[\n"
    for heat in maps:
        yield before + json.dumps(asdict(heat), ensure_ascii=False)
        before = ",\n"
    yield "\n]\n"


def _title(title: str, columns: int | None) -> str:
    """Return what stands above a list."""
    if columns:
        title = f"{_BOLD}{shorten(title, columns - 1)}{_PLAIN}"
    return f"\n{title}\n"


def _heading(image: str, by: str, columns: int | None) -> str:
    """Return what was looked at, and with which model: two lines where one is too short."""
    image, by = clean(image), clean(by)
    if columns is None:
        return f"{image}  ({by})\n"
    between = "  " if width_of(f"{image}  {by}") < columns else "\n"
    image = shorten(image, columns - 1, at_start=True)  # the file's name says more than folders
    by = shorten(by, columns - 1)
    return f"{_BOLD}{image}{_PLAIN}{between}{_DIM}{by}{_PLAIN}\n"


def _line(score: Score, widest: int, columns: int | None) -> str:
    """Return one line: the phrase, its per cents (two where corrected) and a bar if it fits."""
    phrase, per_cent = clean(score.phrase), f"{100 * score.probability:5.1f}%"
    if isinstance(score, CorrectedScore):
        per_cent += f" {100 * score.plain:5.1f}%"
    if columns is None:
        return f"{_INDENT}{pad(phrase, widest)}  {per_cent}\n"
    alone = columns - 1 - len(f"{_INDENT}  {per_cent}")
    bar = min(_WIDEST_BAR, alone - 2 - widest)
    if bar < _NARROWEST_BAR:  # a narrow terminal: the phrase gives way, then the bar
        bar = _NARROWEST_BAR if alone - 2 - _NARROWEST_BAR >= _NARROWEST_PHRASE else 0
        widest = max(1, min(widest, alone - 2 - bar if bar else alone))
    phrase = pad(shorten(phrase, widest), widest)
    return f"{_INDENT}{phrase}  {per_cent}  {_bar(score.probability, bar)}".rstrip() + "\n"


def _bar(share: float, room: int) -> str:
    """Return a bar of at most `room` cells, to an eighth of a cell."""
    eighths = round(share * room * 8)
    full, rest = divmod(eighths, 8)
    return BLOCKS[8] * full + (BLOCKS[rest] if rest else "")


def clean(text: str) -> str:
    """Return a text that keeps to its line."""
    return text.translate(_CONTROLS)


def width_of(text: str) -> int:
    """Return how many cells a terminal uses for a text."""
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, width: int) -> str:
    """Return a text with spaces behind it, up to `width` cells."""
    return text + " " * (width - width_of(text))


def shorten(text: str, width: int, *, at_start: bool = False) -> str:
    """Return a text that takes at most `width` cells, with "…" where it was cut."""
    if width_of(text) <= width:
        return text
    kept, room = "", width - 1
    for character in reversed(text) if at_start else text:
        room -= _cells(character)
        if room < 0:
            break
        kept = character + kept if at_start else kept + character
    return "…" + kept if at_start else kept + "…"
