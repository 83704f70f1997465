"""Write files atomically, and measure them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from clip_gaze.errors import GazeError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 255  # bytes, of a file's name
_PART = ".part"
_WRITERS = 100  # of one file at the same time
_CHUNK = 1 << 20
# Where a file is read to see how far it is, and in how many seconds what is near answers.
_PLACES, _NEAR = 5, 0.003


def sha256(file: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of a binary file, as 64 lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def size(path: Path) -> int:
    """Return the size of a file in bytes; 0 where there is none, or it goes at this moment."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def identity(path: str | os.PathLike[str]) -> object:
    """Return what tells a file from others, whatever it is called; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        found = Path(path).stat()
        if stat.S_ISREG(found.st_mode):
            # Some file systems of Windows have no such number.
            return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)
    return None


def check_place(target: Path) -> None:
    """Refuse a place where no file can be, before the work for it begins.

    Raises:
        GazeError: it is a folder, or its own folder is missing; a device or a pipe is a place too.

    """
    if target.is_dir() or not (target.exists() or _followed(target).parent.is_dir()):
        msg = f"{target}: is no place for a file; name one in a folder that is there"
        raise GazeError(msg)


@contextlib.contextmanager
def whole(target: Path, *, direct: bool = True) -> Iterator[Path]:
    """Yield a path to write to; the file becomes `target` if nothing fails.

    Until then an older file stays as it is, also if the power fails. After a failure nothing is
    left over; what a killed process left is taken over. Of a link, the file it leads to is
    replaced. The path is that of an empty file beside it, which must be written, not replaced.

    Args:
        target: the file.
        direct: whether a device or a pipe in its place is written to; else that is replaced.

    Raises:
        OSError: of the system's errors; its `filename` is `target`, the file that people know.

    """
    if direct and is_device(target):
        yield target
        return
    final = _followed(target)
    with named(target):
        part, descriptor = _begun(final)
        with os.fdopen(descriptor, "rb") as holder:
            try:
                yield part
                os.fsync(descriptor)
                if sys.platform == "win32":  # which renames and removes no file that is open
                    holder.close()
                part.replace(final)
            except BaseException:
                if sys.platform == "win32":
                    holder.close()
                part.unlink(missing_ok=True)
                raise
        _keep_names(final.parent)


@contextlib.contextmanager
def named(target: Path | str) -> Iterator[None]:
    """Put the file that people know into errors of the system that name none, or a part file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and str(error.filename or _PART).endswith(_PART):
            error.filename = str(target)
        raise


def is_device(path: Path) -> bool:
    """Return whether a path is a device or a pipe, or anything else that holds no data."""
    return path.exists() and not path.is_file()


def cut(stem: str, ending: str, longest: int = _LONGEST) -> str:
    """Return `stem + ending`, with so much of the stem as a file's name may have bytes.

    >>> cut("sea", "_map.png"), len(cut("é" * 200, "_map.png").encode())
    ('sea_map.png', 254)
    """
    while len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return stem + ending


def _followed(target: Path) -> Path:
    """Return the file that a link leads to, whether it is there or not."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target.absolute()


def _begun(final: Path) -> tuple[Path, int]:
    """Return an empty part file that nobody else writes, and the descriptor that holds it."""
    # No longer than the file's own name, if that is a long one: some systems take less.
    longest = max(100, len(os.fsencode(final.name)))
    mine = None
    for number in range(_WRITERS):
        part = final.with_name(cut(final.name, f".{number}{_PART}", longest))
        if mine and not part.exists():
            return mine
        try:
            descriptor = held(part)
        except (BlockingIOError, FileExistsError):
            continue
        except PermissionError:
            if part.exists():  # left by somebody else
                continue
            raise
        if not mine:
            mine = part, descriptor
        elif sys.platform == "win32":  # left by a killed process, like the next one
            os.close(descriptor)
            part.unlink()
        else:
            part.unlink()
            os.close(descriptor)
    if mine:
        return mine
    msg = f"{final}: is being written by {_WRITERS} others; wait for them"
    raise GazeError(msg)


def held(part: Path) -> int:
    """Open a file, which a killed process may have left, empty, so that nobody else does.

    Raises:
        BlockingIOError, FileExistsError: somebody else writes it, or has just done so.

    """
    if sys.platform == "win32":  # where a file that is open cannot be deleted
        with contextlib.suppress(PermissionError):
            part.unlink(missing_ok=True)
        return os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        # Between opening and locking it, its writer may have finished: it is another file now.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), part.stat()):
                os.truncate(descriptor, 0)
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise BlockingIOError


def _keep_names(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system lets folders be opened."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def seeks_fast(path: Path) -> bool:
    """Return whether distant places of a file can be read in turns: it is in memory, or near it.

    A disk that turns needs 5 to 15 ms to get to each place, others a fraction of one.
    """
    moments = []
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for number in range(_PLACES):
            started = time.perf_counter()
            file.seek(size * number // _PLACES)
            file.read(1)
            moments.append(time.perf_counter() - started)
    return sorted(moments)[_PLACES // 2] < _NEAR
