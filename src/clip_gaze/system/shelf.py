"""Hold what can be made again to a size: of folders, the least recently used go first."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from clip_gaze.errors import GazeError
from clip_gaze.system import files

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "CLIP_GAZE_STORE_SIZE"
_DEFAULT, _DEFAULT_PACKED = "1 GB", "2 GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str) -> int:
    """Return bytes.

    >>> parse_size("1.5 GB"), parse_size("200m"), parse_size("0")
    (1500000000, 200000000, 0)

    Raises:
        GazeError: it is no size.

    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text.upper(), re.ASCII)
    if found is None:
        msg = f"{text!r} is no size; write it like 500MB or 2GB"
        raise GazeError(msg)
    return int(float(found[1]) * _UNITS[found[2]])


def size_limit(*, packed: bool = False) -> int:
    """Return how large the store's file may become, in bytes; CLIP_GAZE_STORE_SIZE says so.

    Args:
        packed: whether the limit of packed weights is meant, which is larger by default.

    Raises:
        GazeError: the variable holds no size.

    """
    try:
        return parse_size(os.environ.get(VARIABLE) or (_DEFAULT_PACKED if packed else _DEFAULT))
    except GazeError as error:
        msg = f"{VARIABLE}: {error}"
        raise GazeError(msg) from error


def sizes(shelf: Path) -> dict[Path, int]:
    """Return each folder on a shelf, and how many bytes the files in it take."""
    folders = [folder for folder in shelf.glob("*") if folder.is_dir()]
    return {folder: sum(map(files.size, folder.glob("*"))) for folder in folders}


def prune(shelf: Path, most: int, keep: Path | None = None) -> int:
    """Remove folders until all take few enough bytes, first those of the oldest time.

    Args:
        shelf: where the folders are.
        most: how many bytes may stay.
        keep: a folder that stays.

    Returns:
        How many bytes were freed.
    """
    found = sizes(shelf)
    before = total = sum(found.values())
    for folder in sorted(found, key=_time):
        if folder != keep and total > most:
            remove(folder)
            total -= found[folder]
    return before - total


def remove(folder: Path) -> None:
    """Remove a folder, as far as nobody has its files open (Windows)."""
    shutil.rmtree(folder, ignore_errors=True)


def _time(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0
