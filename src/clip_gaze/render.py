"""Results to text, JSON, JSON Lines and CSV, piece by piece as they come."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clip_gaze.results import PhraseScore, PictureResult

CSV_COLUMNS = ("image", "model", "variant", "status", "list", "phrase", "probability", "error")
BLOCKS = " ▏▎▍▌▋▊▉█"
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_WIDEST_BAR = 40
_NARROWEST_BAR = 6
_INDENT = "  "


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
        yield _heading(result, columns)
        phrases = [score.phrase for scores in result.lists.values() for score in scores]
        widest = max(map(_width, phrases), default=0)
        for name, scores in result.lists.items():
            title = f"{_BOLD}{name}{_PLAIN}" if columns else name
            yield f"\n{title}\n"
            for score in scores:
                yield _line(score, widest, columns)


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


def csv_rows(results: Iterable[PictureResult]) -> Iterator[str]:
    """Yield a header, then one row for each picture and phrase, and one for each bad picture."""
    yield _row(CSV_COLUMNS)
    for result in results:
        start = (result.image, result.model, result.variant, result.status)
        if result.status == "error":
            yield _row((*start, "", "", "", result.error or ""))
        for name, scores in result.lists.items():
            for score in scores:
                yield _row((*start, name, score.phrase, repr(score.probability), ""))


def _row(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _heading(result: PictureResult, columns: int | None) -> str:
    made_by = f"{result.model}, {result.variant}"
    if columns:
        return f"{_BOLD}{result.image}{_PLAIN}  {_DIM}{made_by}{_PLAIN}\n"
    return f"{result.image}  ({made_by})\n"


def _line(score: PhraseScore, widest: int, columns: int | None) -> str:
    """Return one line: the phrase, its per cents and, on a terminal, a bar."""
    per_cent = f"{100 * score.probability:5.1f}%"
    if columns is None:
        return f"{_INDENT}{_pad(score.phrase, widest)}  {per_cent}\n"
    taken = len(_INDENT) + 2 + len(per_cent) + 2
    room = min(_WIDEST_BAR, columns - 1 - taken - widest)
    if room < _NARROWEST_BAR:  # a narrow terminal: the phrase gives way, then the bar
        widest = max(1, min(widest, columns - 1 - taken - _NARROWEST_BAR))
        room = max(0, min(_NARROWEST_BAR, columns - 1 - taken - widest))
    phrase = _pad(_shorten(score.phrase, widest), widest)
    return f"{_INDENT}{phrase}  {per_cent}  {_bar(score.probability, room)}".rstrip() + "\n"


def _bar(share: float, room: int) -> str:
    """Return a bar of at most `room` cells, to an eighth of a cell."""
    eighths = round(share * room * 8)
    full, rest = divmod(eighths, 8)
    return BLOCKS[8] * full + (BLOCKS[rest] if rest else "")


def _width(phrase: str) -> int:
    """Return how many cells a terminal uses for a phrase."""
    return sum(map(_cells, phrase))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad(phrase: str, width: int) -> str:
    return phrase + " " * (width - _width(phrase))


def _shorten(phrase: str, width: int) -> str:
    if _width(phrase) <= width:
        return phrase
    while phrase and _width(phrase) >= width:
        phrase = phrase[:-1]
    return phrase + "…"
