"""Which pictures are meant: files as they are named, and what lies in folders."""

from __future__ import annotations

import logging
import os
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

logger = logging.getLogger(__name__)

# What Pillow opens by itself; HEIC needs the extra `heic`.
_PLAIN = ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"
SUFFIXES = frozenset((*_PLAIN, ".heic", ".heif"))


def pictures(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
) -> list[Path]:
    """Return the pictures in files and folders, each folder's in the order of their names.

    A file that is named is taken whatever it is called. In folders, hidden files and folders are
    passed over, and so is what has no picture's suffix. Links to folders are not followed.

    Args:
        paths: files and folders.
        recursive: go into folders inside the folders.
        exclude: patterns such as "*_small.*" or "drafts"; what a file's or folder's name, or its
            path below the named folder, matches is passed over.

    Raises:
        PictureError: folders were named, and there is no picture in any of them, nor a file.
    """
    found: list[Path] = []
    empty = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = list(_walk(path, recursive=recursive, exclude=exclude))
        found += inside
        if not inside:
            empty.append(path)
    if empty and not found:
        msg = f"{empty[0]}: no picture in this folder; {', '.join(sorted(SUFFIXES))} are taken"
        raise PictureError(msg)
    for path in empty:
        logger.warning("%s: no picture in this folder", path)
    return found


def _walk(top: Path, *, recursive: bool, exclude: Sequence[str]) -> Iterator[Path]:
    def wanted(entry: os.DirEntry[str]) -> bool:
        below = Path(entry.path).relative_to(top).as_posix()
        return not _hidden(entry) and not any(
            fnmatch(name, pattern) for pattern in exclude for name in (entry.name, below)
        )

    def entries(folder: Path) -> Iterator[Path]:
        try:
            with os.scandir(folder) as listed:
                kept = sorted(filter(wanted, listed), key=lambda entry: entry.name)
        except OSError as error:
            logger.warning("%s: this folder cannot be read (%s)", folder, error.strerror)
            return
        for entry in kept:
            if entry.is_dir(follow_symlinks=False):
                if recursive:
                    yield from entries(Path(entry.path))
            elif Path(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir():
                yield Path(entry.path)

    yield from entries(top)


def _hidden(entry: os.DirEntry[str]) -> bool:
    """Return whether a file is hidden: by its name, or on Windows by its attribute."""
    if entry.name.startswith("."):
        return True
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
