"""Files that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
