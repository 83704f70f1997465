"""Find pictures in files and folders, here and at URLs, also by patterns."""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from clip_gaze.errors import GazeError, PictureError, StorageError
from clip_gaze.pictures.source import File, Remote
from clip_gaze.system import storage
from clip_gaze.wording import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Found = tuple[Path | Remote, PictureError | None]

logger = logging.getLogger(__name__)

# What `load.KINDS` are called; HEIC needs the extra `heic`.
SUFFIXES = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif",
        ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc", ".psd", ".tga",
        ".ppm", ".pgm", ".pbm", ".pnm",
    )
)  # fmt: skip
_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT, which `stat` has on Windows alone
_IN = "in this folder"


def pictures(
    paths: Iterable[str | os.PathLike[str] | File | Remote],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
    again: bool = False,
) -> Iterator[Found]:
    """Yield the pictures in files and folders, each folder's in the order of their names.

    A file that is named is taken whatever it is called. In folders, hidden files and folders are
    passed over, and so is what has no picture's suffix. Links to folders are not followed, nor are
    Windows' junctions. No file is opened, and of each folder only the names are in memory at once.

    Args:
        paths: files and folders; URLs of them, as strings, a folder's ending in "/" where its
            server tells no folders; files that are named as such; patterns such as
            "scans/*/*.jpg" or "s3://bucket/**", in which "**" goes into folders.
        recursive: go into folders inside the folders.
        exclude: patterns such as "*_small.*" or "drafts"; what a file's or folder's name, or its
            path below the named folder, matches is passed over. One with "/" at its end is for
            folders alone; one may begin with the named folder, or "./".
        again: whether they were listed before, so that nothing more is said of empty folders.

    Yields:
        A path, or what lies at a URL, with None; or with an error, for a folder or an entry of one
        that cannot be read.

    Raises:
        PictureError: folders were named, and there is no picture in any of them, nor a file.
        GazeError: a kind of URL is unknown, or needs a package that is not installed.
    """
    some = False
    empty = []
    for path in paths:
        inside = _inside(path, recursive=recursive, exclude=exclude)
        first = next(inside, None)
        if first is None:
            empty.append(path)
            continue
        some = True
        yield first
        yield from inside
    if empty and not some:
        msg = f"{empty[0]}: no picture {_IN}; {', '.join(sorted(SUFFIXES))} are taken"
        raise PictureError(msg)
    for path in () if again else empty:
        logger.warning("%s: no picture %s", path, _IN)


def _inside(
    path: str | os.PathLike[str] | File | Remote, *, recursive: bool, exclude: Sequence[str]
) -> Iterator[Found]:
    """Yield what a path, a URL or a pattern stands for."""
    if isinstance(path, File | Remote):
        return iter([(path.path if isinstance(path, File) else path, None)])
    if isinstance(path, str) and storage.is_url(path):
        return _remote(path, recursive=recursive, exclude=exclude)
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` fails where it may not look
        return _walk(path, recursive=recursive, exclude=exclude)
    if glob.has_magic(str(path)) and not os.path.lexists(path):
        return _matching(path, exclude)
    return iter([(path, None)])


def _matching(pattern: Path, exclude: Sequence[str]) -> Iterator[Found]:
    """Yield the pictures whose paths match a pattern."""
    parts = pattern.parts
    at = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    top, below = Path(*parts[:at]), "/".join(parts[at:])
    fits = _translated(below)
    for path, error in _walk(top, recursive="/" in below or "**" in below, exclude=exclude):
        if error or fits(Path(str(path)).relative_to(top).as_posix()):
            yield path, error


def _translated(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a path matches: "*" stays in a folder, and "**" does not.

    >>> [bool(_translated("*/**/a?.jpg")(path)) for path in ("x/a1.jpg", "x/y/z/a1.jpg", "a1.jpg")]
    [True, True, False]
    """
    pieces = re.split(r"(\*\*/?|\*|\?|\[!?[^\]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def translated(piece: str) -> str:
        inner = piece[1:-1].replace("\\", r"\\")
        if piece[:1] == "[" and inner:
            return f"[^{inner[1:]}]" if inner[0] == "!" else f"[{inner}]"
        return known.get(piece) or re.escape(piece)

    flags = re.IGNORECASE if os.name == "nt" else re.RegexFlag(0)  # as files there
    return re.compile("".join(map(translated, pieces)), flags).fullmatch


def _remote(url: str, *, recursive: bool, exclude: Sequence[str]) -> Iterator[Found]:
    """Yield the picture at a URL, or those in a folder or of a pattern there."""
    head, chain, tail = url.partition("::")
    folder, star, _ = head.partition("*")
    top, fits, excluded = url, None, _excluded(exclude)
    try:
        if star:
            base = folder.rpartition("/")[0] + "/"
            pattern = head.removeprefix(base)
            top, fits = base + chain + tail, _translated(pattern)
            recursive = "/" in pattern or "**" in pattern
        elif not _is_folder(url, head):
            yield Remote(url), None
            return
        fs, root = storage.opened(top)
        for entry in storage.entries(top, recursive=recursive):
            below = entry.path.removeprefix(root).lstrip("/")
            if (
                Path(below).suffix.lower() in SUFFIXES
                and not (fits and not fits(below))
                and not _passed_over(below, excluded)
            ):
                yield Remote(fs.unstrip_protocol(entry.path) + chain + tail, entry.stamp), None
    except (FileNotFoundError, NotADirectoryError):
        yield Remote(url), PictureError(f"{url}: no such file or folder; check the address")
    except (PermissionError, StorageError) as error:
        reason = str(error) if isinstance(error, GazeError) else f"{url}: may not be read"
        yield Remote(url), PictureError(reason)


def _is_folder(url: str, head: str) -> bool:
    """Return whether a URL is that of a folder, and ask its server only where it does not show."""
    if head.endswith("/"):
        return True
    if Path(head).suffix.lower() in SUFFIXES or head.lower().startswith(("http:", "https:")):
        return False
    fs, path = storage.opened(url)
    with storage.reached(url):
        return bool(fs.isdir(path))


def _passed_over(below: str, excluded: Callable[[str, bool], bool]) -> bool:
    """Return whether a path below a folder is hidden or excluded, or lies in a folder that is."""
    parts = below.split("/")
    return any(
        part.startswith(".") or excluded("/".join(parts[:at]), at < len(parts))
        for at, part in enumerate(parts, 1)
    )


def _excluded(patterns: Sequence[str], top: Path | None = None) -> Callable[[str, bool], bool]:
    """Return what tells whether something is left out: by its path below, and its kind."""
    named = "" if top is None else f"{composed(top.as_posix())}/"
    spelled = [
        (each.removeprefix("./").removeprefix(named).rstrip("/"), each.endswith("/"))
        for each in (composed(pattern).replace(os.sep, "/") for pattern in patterns)
    ]

    def excluded(below: str, is_folder: bool) -> bool:
        below = composed(below)
        name = below.rpartition("/")[2]
        return any(
            (is_folder or not folders) and (fnmatch(name, each) or fnmatch(below, each))
            for each, folders in spelled
        )

    return excluded


def _walk(top: Path, *, recursive: bool, exclude: Sequence[str]) -> Iterator[Found]:
    excluded = _excluded(exclude, top)

    def passed_over(entry: os.DirEntry[str]) -> bool:
        if _hidden(entry):
            return True
        below = Path(entry.path).relative_to(top).as_posix() if exclude else ""
        return bool(exclude) and excluded(below, entry.is_dir(follow_symlinks=False))

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
