"""Own what a `Clip` has open in a process: towers, threads and the store; survive a fork."""

from __future__ import annotations

import ctypes
import os
import threading
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from clip_gaze.errors import ClosedError
from clip_gaze.model.packed import Packed
from clip_gaze.model.towers import Towers
from clip_gaze.pictures.pools import Pools
from clip_gaze.system.paths import cache_folder, packed_folder
from clip_gaze.system.shelf import size_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_gaze.model.verify import Files
    from clip_gaze.store import Store


class Runtime:
    """The towers, the threads and the store of one `Clip`; safe to share between threads.

    A process made by fork gets all of them anew.

    Attributes:
        towers: the model's two encoders, which are loaded when they are needed.
        pools: the threads that open pictures.

    """

    def __init__(
        self,
        files: Files,
        threads: int | None,
        width: int,
        others: Sequence[str],
        *,
        keep: bool | None,
        pack: bool,
    ) -> None:
        """Note what to open; nothing is loaded yet.

        Args:
            files: of the variant.
            threads: CPU threads for each graph; see `Towers`, as for `width` and `others`.
            width: how many numbers a vector must have.
            others: variants of the model that may do where these graphs overflow.
            keep: whether vectors are kept for later; False: as long as the object is open; None:
                there is no store.
            pack: whether packed graphs are kept for later.

        """
        packed = {}
        if pack:
            most = size_limit(packed=True)
            for role in files.paths.keys() & {"vision", "text"}:
                packed[role] = Packed(packed_folder(), files.digest(role), most)
        self._load = partial(Towers, files.paths, threads, width, others, packed)
        self._keep = keep
        self._closed = False
        self._begin()
        _OPEN.add(self)

    def _begin(self) -> None:
        self.towers = self._load()
        self.pools = Pools()
        self._lock = threading.Lock()
        self._store: Store | None = None

    def store(self) -> Store | None:
        """Return the store, which is opened at the first call; None: there is none.

        Raises:
            ClosedError: the object was closed.

        """
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._store is None and self._keep is not None:
                from clip_gaze.store import Store  # noqa: PLC0415 - loads SQLite

                self._store = Store(cache_folder() if self._keep else None)
            return self._store

    def close(self, *, pack: bool = True) -> None:
        """Let pictures that are under way come to their end, free the towers, close the store.

        Args:
            pack: whether graphs that were run for the first time are packed for later runs.

        """
        self.pools.close()
        self.towers.close()
        with self._lock:
            self._closed = True
            if self._store is not None:
                self._store.close()
        if pack:
            self.towers.pack()

    def hold(self) -> None:
        """Close the store's file, which a forked process must not share, till it is used again."""
        if self._store is not None:
            self._store.hold()  # waits where another thread forks, too
            _HELD.append(self._store)

    def begin(self) -> None:
        """Make all of it anew in a process made by fork, which has no thread of the first one.

        What there was is never freed here, not even at exit: a session would wait for its threads,
        and the connection to the store is the first process's own
        (https://sqlite.org/howtocorrupt.html, section 2.6).
        """
        if self._closed:
            self._lock = threading.Lock()
            return
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(dict(vars(self))))
        self._begin()


_OPEN: WeakSet[Runtime] = WeakSet()
_HELD: list[Store] = []


def _before_fork() -> None:
    for runtime in list(_OPEN):
        runtime.hold()


def _after_fork_here() -> None:
    """Let the first process go on with its stores."""
    while _HELD:
        _HELD.pop().let_go()


def _after_fork() -> None:
    _HELD.clear()
    for runtime in list(_OPEN):
        runtime.begin()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork
    )
