"""Keep one model open between the calls of old scripts."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from functools import lru_cache

from clip_gaze.clip import Clip

_opening = threading.Lock()
_kept: dict[str | None, Clip] = {}


def opened(model: str | os.PathLike[str] | None, device: str) -> Clip:
    """Return the open model of that name; the last one is kept, so that scripts load it once.

    Args:
        model: a model's name or folder; None: clip-vit-base-patch32.
        device: anything but "cpu" warns once.

    Raises:
        GazeError: the model cannot be used.

    """
    if device != "cpu":
        _warn_of_device()
    key = None if model is None else os.fspath(model)
    with _opening:
        if key not in _kept:
            atexit.unregister(_close)
            atexit.register(_close)  # before others that were registered for Clip's own parts
            _kept.clear()
            _kept[key] = Clip(key)
        return _kept[key]


@lru_cache(maxsize=1)
def _warn_of_device() -> None:
    """Warn that `device` is ignored; the cache makes it once a process."""
    warnings.warn("clip-gaze runs on the CPU alone; device is ignored", stacklevel=4)


def _close() -> None:
    """Close the model that is kept, so that its store is put in order."""
    for clip in _kept.values():
        clip.close()
    _kept.clear()


def _after_fork() -> None:
    """Make the lock anew in a forked process: another thread may have held it."""
    global _opening  # noqa: PLW0603
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
