"""Results, comparisons and heat maps as text and JSON, piece by piece; tables.py has the rest."""

from __future__ import annotations

import json
import math
import string
from dataclasses import asdict
from typing import TYPE_CHECKING

from clip_gaze.output.terminal import BLOCKS, clean, headed, pad, shorten, titled, width_of
from clip_gaze.results import CorrectedScore, PhraseScore
from clip_gaze.wording import CLEAR, factor, is_clear, made_by, no_winner, per_cent, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clip_gaze.results import Bias, Change, Comparison, HeatMap, PictureResult, Score

_WIDEST_BAR = 40
_NARROWEST_BAR = 6
_NARROWEST_PHRASE = 16  # beside a bar
_INDENT = "  "
_NARROWEST_COMPARED = 12  # cells for a phrase of a comparison


def text(results: Iterable[PictureResult], columns: int | None = None) -> Iterator[str]:
    """Yield each result as lines for people to read.

    Args:
        results: pictures that could not be read are left out.
        columns: width of the terminal, for bars and emphasis that fit; None: plain text.

    """
    for at, result in enumerate(each for each in results if each.status != "error"):
        if at:
            yield "\n"
        by = made_by(result.model, result.variant, result.templates)
        yield headed(result.image, by, columns, at_start=True)  # the name says more than folders
        phrases = [score.phrase for scores in result.lists.values() for score in scores]
        widest = max((width_of(clean(phrase)) for phrase in phrases), default=0)
        for name, scores in result.lists.items():
            yield titled(f"{name}: corrected, and plain" if result.corrected else name, columns)
            if scores and not is_clear(scores[0].probability):
                said = no_winner(clean(scores[0].phrase), scores[0].probability)
                yield f"{_INDENT}{said if columns is None else shorten(said, columns - 3)}\n"
                continue
            for score in scores:
                yield _line(score, widest, columns)


def bias(found: Bias, columns: int | None = None) -> Iterator[str]:
    """Yield what a list favours as lines for people to read; see `text`."""
    by = made_by(found.model, found.variant, found.templates)
    yield headed(f"{found.pictures} neutral pictures", by, columns, at_start=True)
    yield titled(f"{found.list}: {rounded(100 / found.total)} if all were equal", columns)
    widest = max((width_of(clean(each.phrase)) for each in found.phrases), default=0)
    for each in found.phrases:
        yield _line(PhraseScore(each.phrase, each.probability), widest, columns)


def comparison(found: Comparison, columns: int | None = None) -> Iterator[str]:
    """Yield a comparison as tables for people to read; at most 26 pictures have letters.

    In a terminal of so many columns, phrases give way to the figures.
    """
    others = [each for each in found.images if each.status == "ok"]
    letters = string.ascii_uppercase
    by = made_by(found.model, found.variant, found.templates)
    yield _lettered("A", found.reference, by, columns)
    for letter, each in zip(letters[1:], others, strict=False):
        note = "the same as A: all differences are 0" if each.same else ""
        yield _lettered(letter, each.image, note, columns)
    for name in others[0].lists:
        groups = [each.lists[name] for each in others]
        title = f"{clean(name)}: how likely, and how far log-odds are from those in A"
        yield titled(title if columns is None or width_of(title) < columns else name, columns)
        if not groups[0]:
            yield "  no phrase differs\n"
            continue
        wide = max(width_of(clean(change.phrase)) for change in groups[0])
        if columns is not None:
            figures = 10 + 17 * len(groups) + (9 if len(groups) == 1 else 0)  # see `_compared`
            wide = min(wide, max(_NARROWEST_COMPARED, columns - 1 - figures))
        heads = "".join(
            f"{letter:>9}{'':8}" for _, letter in zip(groups, letters[1:], strict=False)
        )
        yield f"  {'':{wide}} {'A':>7}{heads}".rstrip() + "\n"
        rows = list(zip(*groups, strict=True))
        small = [row for row in rows if _is_small(row)]
        for changes in rows:
            if len(small) == len(rows) or changes not in small:
                yield _compared(changes, wide)
        if 0 < len(small) < len(rows):
            yield f"  and {len(small)} more, below {CLEAR:.0%} in each\n"


def json_array(results: Iterable[PictureResult | HeatMap], indent: int | None = 1) -> Iterator[str]:
    """Yield one JSON array, or with None as indent one result a line; numbers are not rounded."""
    before = "[\n"
    for result in results:
        yield before + json.dumps(asdict(result), ensure_ascii=False, indent=indent)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def json_lines(results: Iterable[PictureResult]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for result in results:
        yield json.dumps(asdict(result), ensure_ascii=False) + "\n"


def json_maps(maps: Iterable[HeatMap]) -> Iterator[str]:
    """Yield one JSON array, a map a line; numbers are not rounded."""
    return json_array(maps, indent=None)


def json_object(found: Comparison | Bias) -> str:
    """Return one JSON object; numbers are not rounded."""
    return json.dumps(asdict(found), ensure_ascii=False, indent=1) + "\n"


def _lettered(letter: str, image: str, note: str, columns: int | None) -> str:
    """Return a picture of a comparison with its letter: two lines where one is too short."""
    line, note = f"{letter}  {clean(image)}", f"({clean(note)})" if note else ""
    whole = f"{line}  {note}".rstrip()
    if columns is None or width_of(whole) < columns:
        return f"{whole}\n"
    room = columns - 4
    under = f"   {shorten(note, room)}\n" if note else ""
    return f"{letter}  {shorten(clean(image), room, at_start=True)}\n{under}"


def _line(score: Score, widest: int, columns: int | None) -> str:
    """Return one line: the phrase, its per cents (two where corrected) and a bar if it fits."""
    phrase, shares = clean(score.phrase), f"{rounded(100 * score.probability):>6}"
    if isinstance(score, CorrectedScore):
        shares += f" {rounded(100 * score.plain):>6}"
    if columns is None:
        return f"{_INDENT}{pad(phrase, widest)}  {shares}\n"
    alone = columns - 1 - len(f"{_INDENT}  {shares}")
    bar = min(_WIDEST_BAR, alone - 2 - widest)
    if bar < _NARROWEST_BAR:  # a narrow terminal: the phrase gives way, then the bar
        bar = _NARROWEST_BAR if alone - 2 - _NARROWEST_BAR >= _NARROWEST_PHRASE else 0
        widest = max(1, min(widest, alone - 2 - bar if bar else alone))
    phrase = pad(shorten(phrase, widest), widest)
    return f"{_INDENT}{phrase}  {shares}  {_bar(score.probability, bar)}".rstrip() + "\n"


def _bar(share: float, room: int) -> str:
    """Return a bar of at most `room` cells, to an eighth of a cell."""
    eighths = max(1, round(share * room * 8)) if room else 0  # what is there can be seen
    full, rest = divmod(eighths, 8)
    return BLOCKS[8] * full + (BLOCKS[rest] if rest else "")


def _is_small(changes: Sequence[Change]) -> bool:
    """Return whether a phrase is below CLEAR in all pictures."""
    least = math.log(CLEAR / (1 - CLEAR))
    return max(changes[0].before, *(change.after for change in changes)) < least


def _compared(changes: Sequence[Change], wide: int) -> str:
    """Return a phrase with its figures; with one picture there is room for the factor too."""
    phrase = pad(shorten(clean(changes[0].phrase), wide), wide)
    cells = [f"  {phrase} {per_cent(changes[0].before):>7}"]
    # Adding 0 makes -0.00 a plain zero.
    cells += [
        f"{per_cent(change.after):>9} {round(change.difference, 2) + 0:>+7.2f}"
        for change in changes
    ]
    if len(changes) == 1:
        cells.append(f"  {factor(changes[0].difference)}")
    return "".join(cells) + "\n"
