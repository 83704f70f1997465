"""Files that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import IO, TYPE_CHECKING

from clip_gaze.errors import GazeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_CHUNK = 1 << 20


def sha256(file: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of a binary file, as 64 lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def check_place(target: Path) -> None:
    """Find out whether a file can stand there, before anyone waits for what it will hold.

    Raises:
        GazeError: it is a folder, or its own folder is missing.

    """
    if target.is_dir() or not target.absolute().parent.is_dir():
        msg = f"{target}: is no place for a file; name one in a folder that is there"
        raise GazeError(msg)


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; it becomes `target` if nothing fails.

    Until then an older file stays as it is, and after a failure nothing is left over. An error
    of the system's names `target`, the file that people know.
    """
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    except OSError as error:
        if error.filename == str(part):
            error.filename = str(target)
        raise
    finally:
        part.unlink(missing_ok=True)
