"""Tell from a file's status whether it may have changed, without reading it."""

from __future__ import annotations

import os
import stat as modes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def stamp(path: Path) -> str | None:
    """Return a text that changes whenever a regular file does; None for anything else.

    It has the size, the time of the last change to the content, and which file it is. Programs
    can set that time back, but not the time of the last change to content or status, which POSIX
    keeps too; on Windows the field of that name holds when the file was made.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not modes.S_ISREG(found.st_mode):
        return None
    changed = found.st_ctime_ns if os.name == "posix" else 0
    return f"{found.st_size} {found.st_mtime_ns} {changed} {found.st_ino}"
