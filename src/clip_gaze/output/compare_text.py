"""A comparison as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import string
from dataclasses import asdict
from typing import TYPE_CHECKING

from clip_gaze.output.render import clean, pad, shorten, width_of
from clip_gaze.wording import factor, made_by, per_cent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.results import Change, Comparison

COLUMNS = (
    "reference", "image", "model", "variant", "templates", "status", "list", "phrase",
    "before", "after", "difference", "error",
)  # fmt: skip
_NARROWEST = 12  # cells for a phrase


def text(comparison: Comparison, columns: int | None = None) -> Iterator[str]:
    """Yield a comparison as tables for people to read; at most 26 pictures have letters.

    Args:
        comparison: what to show.
        columns: width of the terminal: phrases give way to the figures; None: as wide as it gets.

    """
    others = [each for each in comparison.images if each.status == "ok"]
    letters = string.ascii_uppercase
    by = made_by(comparison.model, comparison.variant, comparison.templates)
    yield f"A  {clean(comparison.reference)}  ({clean(by)})\n"
    for letter, each in zip(letters[1:], others, strict=False):
        note = "  (the same as A: all differences are 0)" if each.same else ""
        yield f"{letter}  {clean(each.image)}{note}\n"
    for name in others[0].lists:
        groups = [each.lists[name] for each in others]
        yield f"\n{clean(name)}: how likely, and how far log-odds are from those in A\n"
        if not groups[0]:
            yield "  no phrase differs\n"
            continue
        wide = max(width_of(clean(change.phrase)) for change in groups[0])
        if columns is not None:
            wide = min(wide, max(_NARROWEST, columns - 1 - _figures(len(groups))))
        heads = "".join(
            f"{letter:>9}{'':8}" for _, letter in zip(groups, letters[1:], strict=False)
        )
        yield f"  {'':{wide}} {'A':>7}{heads}".rstrip() + "\n"
        for changes in zip(*groups, strict=True):
            yield _line(changes, wide)


def to_json(comparison: Comparison) -> str:
    """Return a comparison as one JSON object; figures are not rounded."""
    return json.dumps(asdict(comparison), ensure_ascii=False, indent=1) + "\n"


def to_csv(comparison: Comparison) -> Iterator[str]:
    """Yield CSV with one row for each picture and phrase; a bad picture has one row."""
    yield _row(COLUMNS)
    for each in comparison.images:
        start = [
            comparison.reference, each.image, comparison.model, comparison.variant,
            " | ".join(comparison.templates), each.status,
        ]  # fmt: skip
        if each.status == "error":
            yield _row([*start, "", "", "", "", "", each.error])
        for name, changes in each.lists.items():
            for change in changes:
                figures = (change.before, change.after, change.difference)
                yield _row([*start, name, change.phrase, *figures, ""])


def _figures(pictures: int) -> int:
    """Return how many cells of a line are not its phrase's, see `_line`."""
    return 10 + 17 * pictures + (9 if pictures == 1 else 0)


def _line(changes: Sequence[Change], wide: int) -> str:
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


def _row(cells: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
