"""Keep vectors that were computed once; the answer never depends on the file that holds them."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from clip_gaze.errors import ClosedError, GazeError
from clip_gaze.store import rows
from clip_gaze.store.file import StoreFile
from clip_gaze.store.layout import FAILURES, FILE, is_lock, is_spare, others, take_over
from clip_gaze.store.prune import clear, prune, used_bytes
from clip_gaze.system.shelf import size_limit

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_T = TypeVar("_T")

logger = logging.getLogger(__name__)

# How long to wait for another process when nobody waits for an answer any more.
LAST_SECONDS = 3.0
# Vectors in one transaction: where a disk is full, so many are tried in vain each time.
_PER_WRITE = 250
# Vectors that wait in memory to be written, or cannot be: 64 MB where each has 512 numbers.
_MOST_WAITING = 2**15
# What bytes of the old layout a vector took, or more.
_BYTES_EACH = 2000


class Store:
    """Vectors by encoder and content; safe to share between threads and processes.

    An encoder is named by a digest of everything that decides its vectors. Each vector carries
    a checksum, so that a damaged one counts as missing. What cannot be written to the file now
    waits in memory for a better moment; a file that is no database is set aside. The file is held
    to a size: when the store is closed, what was used least recently is forgotten, but nothing
    that was used since it was opened.
    """

    def __init__(self, folder: Path | None) -> None:
        """Name the store in `folder`, to be opened or made at first use; None: only in memory.

        Raises:
            GazeError: CLIP_GAZE_STORE_SIZE holds no size.

        """
        self._most = size_limit()
        self._since = _today()
        self._lock = threading.Lock()
        self._closed = False
        self._file: StoreFile | None = None
        if folder is not None:
            folder = folder.absolute()
            most = self._most // _BYTES_EACH
            begin = partial(take_over, folder=folder, day=self._since - 1, most=most)
            self._file = StoreFile(folder / FILE, begin)
        self._said = False
        self._wrote = False
        self._waiting: dict[tuple[str, str], bytes] = {}
        self._used: set[int] = set()  # entries that were read today for the first time

    def get(
        self, encoder: str, contents: Sequence[str], dim: int
    ) -> dict[str, NDArray[np.float32]]:
        """Return the known, sound vectors among those asked for.

        Args:
            encoder: the encoder's digest.
            contents: what was encoded: phrases, or digests of files.
            dim: length that a vector must have.

        Returns:
            content -> (dim,) float32, all finite; arrays of their own.
        """
        with self._in_use():
            found = {c: blob for c in contents if (blob := self._waiting.get((encoder, c)))}
            others = [content for content in contents if content not in found]
            found |= self._try(partial(self._select, encoder, others)) or {}
        sound = {content: blob for content, blob in found.items() if len(blob) == 4 * dim}
        if not sound:
            return {}
        vectors = np.frombuffer(b"".join(sound.values()), "<f4").reshape(-1, dim)
        finite = np.asarray(np.isfinite(vectors).all(axis=1))
        # Copies: whoever keeps a row of an array keeps all of it.
        return {
            content: vector.astype(np.float32)
            for content, vector, good in zip(sound, vectors, finite, strict=True)
            if good
        }

    def put(self, encoder: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors; when this returns they outlive the process, where the file can be written.

        Args:
            encoder: the encoder's digest.
            vectors: content -> (dim,) float32; what is not finite is not kept.
        """
        with self._in_use():
            for content, vector in vectors.items():
                if np.isfinite(vector).all():
                    self._waiting[encoder, content] = vector.astype("<f4").tobytes()
            self._write()
            for key in list(self._waiting)[:-_MOST_WAITING]:
                del self._waiting[key]

    def digests(self, stamps: Mapping[Path, str]) -> dict[Path, str]:
        """Return the digests of the files that have the same stamp as when they were hashed.

        Args:
            stamps: path -> what changes with the file's content (`system.stamps`), as it is now.
        """
        with self._in_use():
            return self._try(partial(rows.digests, stamps)) or {}

    def stamp(self, path: Path, stamp: str, digest: str) -> None:
        """Keep a file's digest together with its stamp."""
        insert = "INSERT OR REPLACE INTO file VALUES (?, ?, ?)"
        row = (os.fsencode(path.absolute()), stamp, digest)
        with self._in_use():
            self._try(lambda file: file.execute(insert, row))

    def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Return what a query of the file gives (`store.pictures` has some); None where none can.

        Vectors that wait to be written are not in the file.
        """
        with self._in_use():
            return self._try(query)

    def hold(self) -> None:
        """Close the file and let nobody use the store until `let_go`; for the moment of a fork."""
        self._lock.acquire()
        if self._file is not None:
            self._file.close()

    def let_go(self) -> None:
        """End what `hold` began; the file is opened again when it is needed."""
        self._lock.release()

    def counts(self) -> dict[str, int]:
        """Return how many vectors the file has, by the kind of their encoder: "text", "vision".

        Raises:
            GazeError: the file cannot be read, or not now.

        """
        query = (
            "SELECT substr(digest, 1, instr(digest, ':') - 1), count(*) "
            "FROM entry JOIN encoder ON encoder.id = encoder GROUP BY 1 ORDER BY 1"
        )
        with self._in_use():
            return self._must("read", lambda file: dict(file.execute(query).fetchall())) or {}

    def clear(self) -> None:
        """Forget everything, and give the room on disk back.

        Raises:
            GazeError: the file cannot be written, or not now.

        """
        with self._in_use():
            self._waiting.clear()
            self._must("cleared", clear)
            self._must("cleared", lambda _: self._remove())

    def prune(self, most: int | None = None) -> int:
        """Forget what was used least recently, vectors of files that are gone first.

        Args:
            most: bytes that the file may keep; None: CLIP_GAZE_STORE_SIZE, or 1 GB.

        Returns:
            How many vectors were forgotten.

        Raises:
            GazeError: the file cannot be written, or not now.

        """
        most = self._most if most is None else most
        with self._in_use():
            today = self._today()
            self._must("pruned", lambda _: self._remove(is_spare))
            return self._must("pruned", lambda file: prune(file, most, today, today + 1)) or 0

    def close(self) -> None:
        """Close the file; to ask for more, or to keep more, is a `ClosedError` from then on."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._write(LAST_SECONDS)
            if self._file is None:
                return
            if self._waiting and not self._said:
                logger.warning(
                    "%s: is locked by another process; %s new vectors are not kept",
                    self._file.path, f"{len(self._waiting):,}",
                )  # fmt: skip
            if self._wrote or self._used:
                with suppress(*FAILURES):
                    self._file.use(self._tidy)
            self._file.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Let no other thread use the store meanwhile; one that was closed is a `ClosedError`."""
        with self._lock:
            if self._closed:
                raise ClosedError
            yield

    def _write(self, seconds: float | None = None) -> None:
        """Write what waits, the oldest first, as far as that is possible now."""
        while self._waiting:
            some = dict(islice(self._waiting.items(), _PER_WRITE))
            if not self._try(partial(rows.insert, some, self._today()), seconds):
                return
            self._wrote = True
            for key in some:
                del self._waiting[key]

    def _try(
        self, action: Callable[[sqlite3.Connection], _T], seconds: float | None = None
    ) -> _T | None:
        """Return what an action on the file gives; None where the file cannot be used now."""
        if self._file is not None:
            try:
                return self._file.use(action, seconds)
            except FAILURES as error:
                if not is_lock(error) and not self._said:
                    self._said = True
                    logger.warning(
                        "%s: cannot be used fully (%s); new vectors are kept for this run alone",
                        self._file.path, error,
                    )  # fmt: skip
        return None

    def _must(self, done: str, action: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Return what an action on the file gives; where there is none, there is nothing to do."""
        if self._file is None:
            return None
        try:
            return self._file.use(action, LAST_SECONDS)
        except FAILURES as error:
            if is_lock(error):
                why = "another process is using it; try again when that has ended"
            else:
                why = f"{error}; remove it, or name another folder with CLIP_GAZE_CACHE"
            msg = f"{self._file.path}: cannot be {done}: {why}"
            raise GazeError(msg) from error

    def _remove(self, which: Callable[[str], bool] = bool) -> None:
        """Remove files that lie beside the store's own, by their names; else all of them."""
        if self._file is not None:
            for path in others(self._file.path.parent):
                if which(path.name):
                    path.unlink(missing_ok=True)

    def _today(self) -> int:
        """Return the day, counted from 1970; never one before the store was opened."""
        return max(self._since, _today())

    def _select(
        self, encoder: str, contents: Sequence[str], file: sqlite3.Connection
    ) -> dict[str, bytes]:
        """Return the vectors in the file among those asked for, and note that they were used."""
        found, used = rows.select(encoder, contents, self._today(), file)
        self._used |= used
        return found

    def _tidy(self, file: sqlite3.Connection) -> None:
        """Write down what was used, and hold the file to its size if it has grown."""
        today = self._today()
        if self._used:
            rows.use(self._used, today, file)
        if self._wrote and used_bytes(file) > self._most:
            prune(file, self._most * 9 // 10, today, self._since)


def _today() -> int:
    return int(time.time()) // 86400
