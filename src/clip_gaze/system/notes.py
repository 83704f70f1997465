"""Keep small notes in the cache folder, as JSON files that may fail without harm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING

from clip_gaze.errors import GazeError
from clip_gaze.system.files import whole
from clip_gaze.system.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MOST = 1000  # in one folder; each is some hundred bytes long


def about(path: Path, folder: str) -> Path:
    """Return where a note about a file lies: in that folder of the cache, under the file's path."""
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return cache_folder() / folder / f"{key}.json"


def read(note: Path) -> dict[str, object]:
    """Return what a note says; nothing where there is none, or it is damaged."""
    try:
        data = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write(note: Path, data: Mapping[str, object]) -> None:
    """Write a note whole or not at all, and remove the oldest ones where there are too many."""
    with contextlib.suppress(OSError, GazeError):  # the second where too many write it at once
        note.parent.mkdir(parents=True, exist_ok=True)
        with whole(note, direct=False) as part:
            part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        others = list(note.parent.glob("*.json"))
        if len(others) > _MOST:
            others.sort(key=lambda other: other.stat().st_mtime_ns)
            for other in others[:-_MOST]:
                other.unlink(missing_ok=True)
