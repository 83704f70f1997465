"""Fit text to a terminal: how wide it is, how it is cut, and which characters it may not have."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

_T = TypeVar("_T")

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
BLOCKS = " ▏▎▍▌▋▊▉█"
# A name or phrase must not move the cursor or start a line; bytes that are no text are shown.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), "\ufffd") | {
    0xDC00 + byte: f"%{byte:02X}" for byte in range(128, 256)
}
_EMPHASIS = re.compile("\x1b\\[[0-9;]*m")
_NO_WIDTH = "\u200b\u200c\u200d\u2060"


def clean(text: str) -> str:
    """Return a text of one line without control characters."""
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


def headed(heading: str, by: str, columns: int | None, *, at_start: bool = False) -> str:
    """Return what was looked at, and with what: two lines where one is too short."""
    heading, by = clean(heading), clean(by)
    if columns is None:
        return f"{heading}  ({by})\n"
    between = "  " if width_of(f"{heading}  {by}") < columns else "\n"
    heading = shorten(heading, columns - 1, at_start=at_start)
    return f"{BOLD}{heading}{PLAIN}{between}{DIM}{shorten(by, columns - 1)}{PLAIN}\n"


def titled(title: str, columns: int | None) -> str:
    """Return what stands above a list."""
    title = clean(title)
    if columns is not None:
        title = f"{BOLD}{shorten(title, columns - 1)}{PLAIN}"
    return f"\n{title}\n"


def wrapped(line: str, stream: TextIO) -> str:
    """Return a line as lines that a terminal shows without breaking a word, if it is one."""
    if not stream.isatty():
        return line
    room = max(20, _columns() - 1)
    indent = line[: len(line) - len(line.lstrip())] + "  "
    return textwrap.fill(
        line, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def is_plain() -> bool:
    """Return whether a terminal shall get text alone: https://no-color.org, or one that is dumb."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def columns() -> int | None:
    """Return the width of the terminal that standard output is; None where it is none."""
    return _columns() if sys.stdout.isatty() else None


def _columns() -> int:
    import shutil  # noqa: PLC0415 - loads three kinds of compression; completion does without

    return shutil.get_terminal_size().columns


def fitted(
    text: Callable[[_T, int | None], Iterator[str]], what: _T, path: Path | None = None
) -> Iterator[str]:
    """Yield `text(what, columns)`: the width of standard output, if this is a terminal.

    Bars are drawn with "#" where the terminal's encoding has no blocks. With a path, the text is
    for a file, and there are no columns.
    """
    width = columns() if path is None else None
    pieces = text(what, width)
    if width is None:
        return pieces
    if is_plain():
        pieces = (_EMPHASIS.sub("", piece) for piece in pieces)
    try:
        BLOCKS.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        signs = str.maketrans(dict.fromkeys(BLOCKS[1:], "#"))
        return (piece.translate(signs) for piece in pieces)
    return pieces
