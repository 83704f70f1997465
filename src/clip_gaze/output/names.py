"""Name files in answers so that the names read back, and name the files of heat maps."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from clip_gaze.system.files import cut
from clip_gaze.system.storage import is_url
from clip_gaze.wording import composed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clip_gaze.results import Compared, Comparison, HeatMap, PictureResult, PromptLine

_T = TypeVar("_T", "PictureResult", "HeatMap", "Compared", "PromptLine")

# Halves of surrogate pairs, which stand for bytes that are no text, and what looks like an escape.
_ESCAPED = re.compile("[\ud800-\udfff]+|%(?=[0-9A-Fa-f]{2})")


def as_text(name: str) -> str:
    """Return a file's name as text that UTF-8 can hold.

    Bytes of the name that are no text become "%FF", and a "%" that stands before two hexadecimal
    digits becomes "%25"; other names stay as they are. The way back is
    `urllib.parse.unquote(text, errors=sys.getfilesystemencodeerrors())`. A URL stays as it is.

    >>> as_text("café 50%.jpg"), as_text("a%41.jpg")
    ('café 50%.jpg', 'a%2541.jpg')
    """
    if is_url(name):  # which has escapes of its own
        return name
    errors = sys.getfilesystemencodeerrors()
    return _ESCAPED.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", errors)), name
    )


def is_relative(name: str) -> bool:
    """Return whether a picture's name is a path that leads elsewhere from another folder."""
    return not (is_url(name) or os.path.isabs(name))  # noqa: PTH117 - a text


def spelled(result: _T) -> _T:
    """Return a result in which the file's name is one that UTF-8 can hold; see `as_text`."""
    values = ((name, getattr(result, name, None)) for name in ("image", "error"))
    changes: dict[str, Any] = {name: as_text(value) for name, value in values if value}
    return replace(result, **changes)


def spelled_all(found: Comparison) -> Comparison:
    """Return a comparison in which all names of files are ones that UTF-8 can hold."""
    images = tuple(map(spelled, found.images))
    return replace(found, reference=as_text(found.reference), images=images)


def of_maps(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a file name for the maps of each picture; no two are alike, even on Windows.

    >>> from pathlib import Path
    >>> list(of_maps([Path("a/sea.jpg"), Path("b/Sea.png"), Path("c/boat.jpg")]).values())
    ['sea_map.png', 'Sea_map-2.png', 'boat_map.png']
    """
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        name, number = cut(path.stem, "_map.png"), 1
        while _folded(name) in taken:
            number += 1
            name = cut(path.stem, f"_map-{number}.png")
        taken.add(_folded(name))
        found[path] = name
    return found


def _folded(name: str) -> str:
    """Return what names share that are one for some system, by capitals or ways of accents."""
    return composed(name).casefold()
