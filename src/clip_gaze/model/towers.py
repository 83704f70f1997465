"""Load a model's two towers when they are needed, and free the one that is not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from clip_gaze.errors import ClosedError
from clip_gaze.model import external
from clip_gaze.model.session import Tower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Towers:
    """Both encoders of a model; safe to share between threads.

    The one that was asked for last is kept: on a small machine both would not fit, and one is
    loaded in tenths of a second. Where another thread runs the other one meanwhile, both are kept
    until the next time, so that threads with phrases and threads with pictures do not make each
    other load again and again. There is never a second copy of a tower.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        threads: int | None,
        width: int,
        others: Sequence[str] = (),
    ) -> None:
        """Remember what to load.

        Args:
            paths: the graphs' files, of "vision" and "text", and those of their weights, of
                "vision_data" and "text_data", where they are not inside.
            threads: how many CPU threads a run uses; None: all that this process may use.
            width: how many numbers a vector must have.
            others: variants of the model that may do where these graphs overflow.

        """
        self._paths = paths
        instead = f"use another variant: {', '.join(others)}" if others else "export it again"
        self._options = (threads, width, instead)
        self._lock = threading.Lock()
        self._kept: set[Tower] = set()
        # Those that are kept, and those that a caller still holds.
        self._alive: WeakValueDictionary[str, Tower] = WeakValueDictionary()
        self._closed = False

    def vision(self) -> Tower:
        """Return the vision tower; whoever holds it longer than for a run keeps it in memory.

        Raises:
            ClosedError: the towers were closed.
            ModelError: the graph cannot be loaded.

        """
        return self._asked("vision")

    def text(self) -> Tower:
        """Return the text tower; see `vision`."""
        return self._asked("text")

    def close(self) -> None:
        """Free both."""
        with self._lock:
            self._kept.clear()
            self._closed = True

    def _asked(self, role: str) -> Tower:
        with self._lock:
            if self._closed:
                raise ClosedError
            tower = self._alive.get(role)
            # What nobody runs is freed here, before anything is loaded.
            self._kept.clear()
            running = list(self._alive.values())
            if tower is None:
                external.check(self._paths[role], self._paths.get(f"{role}_data"))
                tower = Tower(self._paths[role], *self._options)
                self._alive[role] = tower
            self._kept.update(running, [tower])
            return tower
