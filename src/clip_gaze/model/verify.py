"""A file against the size and SHA-256 it should have, with stamps that spare a second hashing."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.system import files
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    import os
    from pathlib import Path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return files.sha256(file)


def check(
    path: Path,
    size: int | None,
    digest: str | None,
    *,
    stamped: bool = True,
    advice: str = "copy or export the model again",
) -> str:
    """Make sure that a file is the expected one, and return its SHA-256.

    A file that passed is stamped in the cache folder with its size, modification time and
    digest; while these stay the same, it is not hashed again.

    Args:
        path: the file.
        size: expected size in bytes, where known.
        digest: expected SHA-256, where known.
        stamped: whether a stamp is enough; False always hashes.
        advice: what to do about a file that is not the expected one, for the message.

    Raises:
        ModelError: the file is missing or unreadable, or size or digest differ.

    """
    try:
        found = path.stat()
    except OSError:
        msg = f"{path}: this file of the model is missing; {advice}"
        raise ModelError(msg) from None
    if size is not None and found.st_size != size:
        msg = (
            f"{path}: this file of the model has {found.st_size:,} bytes where {size:,} "
            f"were expected; {advice}"
        )
        raise ModelError(msg)
    actual = known(path) if stamped else None
    if actual is None or digest not in (None, actual):  # a damaged stamp condemns no file
        try:
            actual = sha256(path)
        except OSError as error:
            msg = f"{path}: this file of the model cannot be read ({error.strerror})"
            raise ModelError(msg) from error
        # Of a wrong file too: an older stamp, of the same size and time, must not outlive this.
        _write(_stamp(path), {**_state(found), "sha256": actual})
    if digest not in (None, actual):
        msg = (
            f"{path}: this file of the model was altered: SHA-256 {digest} was expected, "
            f"{actual} was found; {advice}"
        )
        raise ModelError(msg)
    return actual


def known(path: Path) -> str | None:
    """Return the SHA-256 that a file had when it was last hashed, if it has not changed since."""
    try:
        data = json.loads(_stamp(path).read_text(encoding="utf-8"))
        digest = data.pop("sha256")
        unchanged = data == _state(path.stat())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return digest if unchanged and isinstance(digest, str) else None


def _stamp(path: Path) -> Path:
    key = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return cache_folder() / "verified" / f"{key}.json"


def _state(found: os.stat_result) -> dict[str, int]:
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _write(stamp: Path, data: dict[str, object]) -> None:
    """Write a stamp whole or not at all; without a writable cache the file is hashed next time."""
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(stamp) as part:
            part.write_text(json.dumps(data), encoding="utf-8")
