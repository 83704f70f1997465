"""Find pictures in files and folders."""

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
_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT, which `stat` has on Windows alone


def pictures(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
) -> Iterator[tuple[Path, PictureError | None]]:
    """Yield the pictures in files and folders, each folder's in the order of their names.

    A file that is named is taken whatever it is called. In folders, hidden files and folders are
    passed over, and so is what has no picture's suffix. Links to folders are not followed, nor are
    Windows' junctions. No file is opened, and of each folder only the names are in memory at once.

    Args:
        paths: files and folders.
        recursive: go into folders inside the folders.
        exclude: patterns such as "*_small.*" or "drafts"; what a file's or folder's name, or its
            path below the named folder, matches is passed over.

    Yields:
        A path with None; or with an error, for a folder or an entry of one that cannot be read.

    Raises:
        PictureError: folders were named, and there is no picture in any of them, nor a file.
    """
    some = False
    empty = []
    for path in map(Path, paths):
        if not os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` fails where it may not look
            some = True
            yield path, None
            continue
        inside = _walk(path, recursive=recursive, exclude=exclude)
        first = next(inside, None)
        if first is None:
            empty.append(path)
            continue
        some = True
        yield first
        yield from inside
    if empty and not some:
        msg = f"{empty[0]}: no picture in this folder; {', '.join(sorted(SUFFIXES))} are taken"
        raise PictureError(msg)
    for path in empty:
        logger.warning("%s: no picture in this folder", path)


def _walk(
    top: Path, *, recursive: bool, exclude: Sequence[str]
) -> Iterator[tuple[Path, PictureError | None]]:
    def passed_over(entry: os.DirEntry[str]) -> bool:
        names = (entry.name, Path(entry.path).relative_to(top).as_posix()) if exclude else ()
        return _hidden(entry) or any(
            fnmatch(name, pattern) for pattern in exclude for name in names
        )

    # What comes next stands last.
    waiting: list[Path | os.DirEntry[str]] = [top]
    while waiting:
        entry = waiting.pop()
        below: list[os.DirEntry[str]] = []
        try:
            if not isinstance(entry, Path) and passed_over(entry):
                continue
            if isinstance(entry, Path) or (
                entry.is_dir(follow_symlinks=False) and not _junction(entry)
            ):
                if recursive or entry is top:
                    with os.scandir(entry) as listed:
                        below.extend(listed)
            elif Path(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir():
                yield Path(entry.path), None
        except OSError as error:
            path = Path(entry)
            yield path, PictureError(f"{path}: cannot be read ({error.strerror})")
        waiting += sorted(below, key=lambda each: each.name, reverse=True)


def _hidden(entry: os.DirEntry[str]) -> bool:
    """Return whether a file is hidden: by its name, or on Windows by its attribute."""
    if entry.name.startswith("."):
        return True
    if os.name != "nt":
        return False
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def _junction(entry: os.DirEntry[str]) -> bool:
    """Return whether a folder is another one, as junctions of Windows are; they may make loops."""
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return bool(tag == _MOUNT_POINT)
