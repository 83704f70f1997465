"""A model's two towers: each is loaded when it is first needed, never twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clip_gaze.errors import GazeError
from clip_gaze.session import Tower

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Towers:
    """Both encoders of a model; safe to share between threads."""

    def __init__(self, paths: Mapping[str, Path], threads: int | None, width: int) -> None:
        """Remember what to load.

        Args:
            paths: the graphs' files, of "vision" and "text".
            threads: how many CPU threads a run uses; None: all that this process may use.
            width: how many numbers a vector must have.

        """
        self._paths = paths
        self._threads = threads
        self._width = width
        self._lock = threading.Lock()
        self._vision: Tower | None = None
        self._text: Tower | None = None
        self._closed = False

    def vision(self) -> Tower:
        """Return the vision tower; the text tower goes: on a small machine both would not fit.

        Raises:
            GazeError: the towers were closed.
            ModelError: the graph cannot be loaded.

        """
        with self._lock:
            if self._vision is None:
                self._check_open()
                self._text = None
                self._vision = self._load("vision")
            return self._vision

    def text(self) -> Tower:
        """Return the text tower; see `vision`."""
        with self._lock:
            if self._text is None:
                self._check_open()
                self._text = self._load("text")
            return self._text

    def close(self) -> None:
        """Free both."""
        with self._lock:
            self._vision = self._text = None
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            msg = "this Clip was closed; make a new one"
            raise GazeError(msg)

    def _load(self, role: str) -> Tower:
        return Tower(self._paths[role], self._threads, self._width)
