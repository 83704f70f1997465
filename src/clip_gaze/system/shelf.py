"""Hold folders or files that can be made again to a size: the least recently used go first."""

from __future__ import annotations

import contextlib
import os
import re
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


def sizes(shelf: Path, ending: str = "") -> dict[Path, int]:
    """Return how many bytes each thing on a shelf takes.

    Args:
        shelf: where the things are.
        ending: of the files that are meant; "": folders are meant, with the files in them.

    """
    if ending:
        return {file: files.size(file) for file in shelf.glob(f"*{ending}")}
    folders = [folder for folder in shelf.glob("*") if folder.is_dir()]
    return {folder: sum(map(files.size, folder.glob("*"))) for folder in folders}


def prune(shelf: Path, most: int, keep: Path | None = None, ending: str = "") -> int:
    """Remove folders or files until all take few enough bytes, first those of the oldest time.

    Args:
        shelf: where they are.
        most: how many bytes may stay.
        keep: a folder that stays.
        ending: see `sizes`.

    Returns:
        How many bytes were freed.
    """
    found = sizes(shelf, ending)
    before = total = sum(found.values())
    for each in sorted(found, key=_time):
        if each != keep and total > most:
            remove(each)
            total -= found[each]
    return before - total


def remove(path: Path) -> None:
    """Remove a folder or a file, as far as nobody has it open (Windows)."""
    if path.is_dir():
        import shutil  # noqa: PLC0415 - loads much

        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _time(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0
