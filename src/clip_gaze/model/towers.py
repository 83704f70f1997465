"""Load a model's two towers when they are needed, and free the one that is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from clip_gaze.errors import ClosedError
from clip_gaze.model import onnx_file
from clip_gaze.model.session import Tower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clip_gaze.model.packed import Packed
    from clip_gaze.model.session import Row


class Towers:
    """Both encoders of a model; safe to share between threads.

    Of plain towers the one that was asked for last is kept: on a small machine both would not fit,
    and one is loaded in tenths of a second. Where another thread runs the other one meanwhile, both
    are kept until the next time, so that threads with phrases and threads with pictures do not make
    each other load again and again. There is never a second copy of a tower.

    Where the graph is packed, a tower shares its weights with all others that run it, and is kept.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        threads: int | None,
        width: int,
        others: Sequence[str] = (),
        packed: Mapping[str, Packed] | None = None,
    ) -> None:
        """Remember what to load.

        Args:
            paths: the graphs' files, of "vision" and "text", and those of their weights, of
                "vision_data" and "text_data", where they are not inside.
            threads: how many CPU threads a run uses; None: all that this process may use.
            width: how many numbers a vector must have.
            others: variants of the model that may do where these graphs overflow.
            packed: the packed forms of both graphs; None: nothing is packed.

        """
        self._paths = paths
        instead = f"use another variant: {', '.join(others)}" if others else "export it again"
        self._threads = threads
        self._options = (width, instead)
        self._packed = dict(packed or {})
        self._lock = threading.Lock()
        self._kept: set[Tower] = set()
        # Those that are kept, and those that a caller still holds.
        self._alive: WeakValueDictionary[tuple[str, int | None], Tower] = WeakValueDictionary()
        # Which towers are loaded from their packed form, as far as that was tried.
        self._mapped: dict[str, bool] = {}
        # What plain towers were run on.
        self._rows: dict[str, Row] = {}
        self._closed = False
        self._packing = ThreadPoolExecutor(1)

    def vision(self, *, beside: bool = False, answered: bool = False) -> Tower:
        """Return the vision tower; whoever holds it longer than for a run keeps it in memory.

        Args:
            beside: whether other pictures are under way, each in a thread: then a packed tower has
                one thread itself.
            answered: whether somebody has an answer already, so that the graph may be packed now.

        Raises:
            ClosedError: the towers were closed.
            ModelError: the graph cannot be loaded.

        """
        return self._asked("vision", 1 if beside else self._threads, answered=answered)

    def text(self) -> Tower:
        """Return the text tower; see `vision`."""
        return self._asked("text", self._threads)

    def close(self) -> None:
        """Free both, and wait for a graph that is being packed."""
        with self._lock:
            self._closed = True
            self._free()
        self._packing.shutdown()

    def pack(self) -> None:
        """Pack the graphs that were run, and let them be loaded anew; try each of them once."""
        while self._rows:
            role, row = self._rows.popitem()
            packed = self._packed.pop(role, None)
            if packed and packed.write(self._paths[role], row, self._threads):
                with self._lock:
                    self._packed[role] = packed
                    del self._mapped[role]
                    self._alive.pop((role, None), None)

    def _asked(self, role: str, threads: int | None, *, answered: bool = False) -> Tower:
        with self._lock:
            if self._closed:
                raise ClosedError
            tower = self._alive.get(self._kind(role, threads))
            # What nobody runs is freed here, before anything is loaded.
            self._free()
            running = list(self._alive.values())
            if tower is None:
                tower = self._loaded(role, threads)
                self._alive[self._kind(role, threads)] = tower
            self._kept.update(running, [tower])
            if answered and self._rows:
                with suppress(RuntimeError):  # no thread can be had
                    self._packing.submit(self.pack)
            return tower

    def _kind(self, role: str, threads: int | None) -> tuple[str, int | None]:
        """Return what towers there is one of: of each plain graph, of each number of threads."""
        return role, threads if self._mapped.get(role) else None

    def _free(self) -> None:
        """Keep no tower but those whose weights are mapped, or which somebody runs."""
        for (role, _), tower in self._alive.items():
            if tower.row and not tower.packed and role in self._packed:
                self._rows[role] = tower.row
        self._kept = {tower for tower in self._kept if tower.packed and not self._closed}

    def _loaded(self, role: str, threads: int | None) -> Tower:
        """Load a tower from its packed form if it has one, else as it was exported."""
        if self._mapped.get(role, role in self._packed):
            tower = self._packed[role].open(threads, *self._options)
            self._mapped[role] = tower is not None
            if tower is not None:
                return tower
        self._mapped[role] = False
        onnx_file.check(self._paths[role], self._paths.get(f"{role}_data"))
        return Tower(self._paths[role], self._threads, *self._options)
