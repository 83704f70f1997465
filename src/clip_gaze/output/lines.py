"""A line of phrases that was made for a picture, as text and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from clip_gaze.output.terminal import DIM, PLAIN, clean, pad, shorten, titled, width_of
from clip_gaze.wording import made_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clip_gaze.results import PromptLine

_OWN = "your words"


def text(found: PromptLine, columns: int | None = None) -> Iterator[str]:
    """Yield a line and what it is worth as lines for people to read; see `render.text`.

    The line itself stands first and alone, whole and without emphasis: people copy it.
    """
    yield f"{clean(found.line)}\n"
    yield titled(f"What each part adds ({made_by(found.model, found.variant, ())})", columns)
    rows = [(part.adds, part.phrase, (part.list or _OWN).replace("_", " ")) for part in found.parts]
    widest = max((width_of(clean(phrase)) for _, phrase, _ in rows), default=0)
    for adds, phrase, name in rows:
        yield _row(f"{adds + 0:+.3f}", phrase, name, widest, columns)
    far = "Farthest" if found.negative else "Closest"
    yield titled(f"{far} to the picture", columns)
    most = len("first of each list")
    for value, what, line in (
        (found.similarity, "this line", ""),
        (found.best_phrase_similarity, "one phrase", found.best_phrase),
        (found.naive_similarity, "first of each list", found.naive),
    ):
        yield _row(f"{value:6.3f}", what, line, most, columns)


def json_object(found: PromptLine) -> str:
    """Return one JSON object; numbers are not rounded."""
    return json.dumps(asdict(found), ensure_ascii=False, indent=1) + "\n"


def _row(figure: str, first: str, second: str, widest: int, columns: int | None) -> str:
    """Return a figure, what it is of, and more about that, as far as there is room."""
    first, second = clean(first), clean(second)
    if columns is None:
        return f"  {figure}  {pad(first, widest)}  {second}".rstrip() + "\n"
    room = columns - 1 - len(figure) - 4
    widest = min(widest, room)
    first = pad(shorten(first, widest), widest)
    left = room - widest - 2
    second = f"  {DIM}{shorten(second, left)}{PLAIN}" if second and left > 3 else ""
    return f"  {figure}  {first}{second}".rstrip() + "\n"
