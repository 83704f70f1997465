"""Hold folders that can be made again to a size: the least recently used go first."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from clip_gaze.system import files

if TYPE_CHECKING:
    from pathlib import Path


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
