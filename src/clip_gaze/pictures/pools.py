"""The thread pools that one `Clip` looks at pictures in, and what all of its threads share."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clip_gaze.errors import ClosedError
from clip_gaze.pictures.memory import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pools:
    """The thread pools of one `Clip`, to be stopped before the store is closed.

    Attributes:
        room: the memory that decoded pictures share.
        answered: whether somebody has got a vector and asked for more.
    """

    def __init__(self) -> None:
        """Begin without a pool."""
        self.room = Room()
        self.answered = False
        self._under_way = 0
        self._lock = threading.Lock()
        self._open: set[ThreadPoolExecutor] = set()
        self._closed = False

    @contextmanager
    def pool(self, workers: int) -> Iterator[ThreadPoolExecutor]:
        """Yield a thread pool; tasks that have not begun at the end of the block are cancelled.

        Raises:
            ClosedError: the pools were closed, before or meanwhile.

        """
        with self._lock:
            if self._closed:
                raise ClosedError
            pool = ThreadPoolExecutor(workers)
            self._open.add(pool)
        try:
            yield pool
        except (CancelledError, RuntimeError) as error:
            if self._closed:
                raise ClosedError from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            self._open.discard(pool)

    @contextmanager
    def looking(self) -> Iterator[Callable[[], bool]]:
        """Count a picture; yield what says whether others are under way beside it."""
        with self._lock:
            self._under_way += 1
        try:
            yield lambda: self._under_way > 1
        finally:
            with self._lock:
                self._under_way -= 1

    def close(self) -> None:
        """Wait for the tasks that run, cancel the others, and open no more pools."""
        with self._lock:
            self._closed = True
            pools = list(self._open)
        for pool in pools:
            pool.shutdown(cancel_futures=True)
