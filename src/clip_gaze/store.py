"""Vectors that were computed once, in a SQLite file that may fail without harm."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import zlib
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# The layout's version stands in the file's name: another layout starts another file.
FILE = "vectors-1.sqlite"
_BUSY_SECONDS = 30
_PER_QUERY = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS encoder (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS vector (
    encoder INTEGER NOT NULL REFERENCES encoder,
    content TEXT NOT NULL,
    embeds BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (encoder, content)
) WITHOUT ROWID;
"""


class Store:
    """Vectors by encoder and content; safe to share between threads and processes.

    An encoder is named by a digest of everything that decides its vectors. Each vector carries
    a checksum, so that a damaged one counts as missing. A file that cannot be written is read
    into memory, one that is no database is set aside: the answer never depends on the file.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`, which is made where it can be."""
        self._path = folder / FILE
        self._lock = threading.Lock()
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            self._connection = self._in_memory(error)
        except sqlite3.DatabaseError as error:
            self._connection = self._set_aside(error)

    def get(
        self, encoder: str, contents: Sequence[str], dim: int
    ) -> dict[str, NDArray[np.float32]]:
        """Return the known, sound vectors among those asked for.

        Args:
            encoder: the encoder's digest.
            contents: what was encoded: phrases, or digests of files.
            dim: length that a vector must have.

        Returns:
            content -> (dim,) float32.

        """
        with self._lock:
            try:
                return self._get(encoder, contents, dim)
            except sqlite3.OperationalError as error:
                logger.warning("%s: not read this time (%s)", self._path, error)
            except sqlite3.DatabaseError as error:
                self._connection.close()
                self._connection = self._set_aside(error)
            return {}

    def put(self, encoder: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors, all or none of them; when this returns they outlive the process.

        Args:
            encoder: the encoder's digest.
            vectors: content -> (dim,) float32.

        """
        with self._lock:
            try:
                self._put(encoder, vectors)
            except sqlite3.OperationalError as error:
                # A store in memory cannot fail for want of disk or rights.
                self._connection.close()
                self._connection = self._in_memory(error)
                self._put(encoder, vectors)
            except sqlite3.DatabaseError as error:
                self._connection.close()
                self._connection = self._set_aside(error)
                self._put(encoder, vectors)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _get(
        self, encoder: str, contents: Sequence[str], dim: int
    ) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for at in range(0, len(contents), _PER_QUERY):
            some = contents[at : at + _PER_QUERY]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(
                "SELECT content, embeds, checksum FROM vector "  # noqa: S608 - puts in "?" alone
                f"WHERE encoder = (SELECT id FROM encoder WHERE digest = ?) "
                f"AND content IN ({marks})",
                (encoder, *some),
            )
            for content, embeds, checksum in rows:
                if len(embeds) == 4 * dim and checksum == _checksum(content, embeds):
                    found[content] = np.frombuffer(embeds, dtype="<f4").astype(np.float32)
        return found

    def _put(self, encoder: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        blobs = {content: vector.astype("<f4").tobytes() for content, vector in vectors.items()}
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO encoder (digest) VALUES (?)", (encoder,)
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO vector (encoder, content, embeds, checksum) "
                "SELECT id, ?, ?, ? FROM encoder WHERE digest = ?",
                [(c, blob, _checksum(c, blob), encoder) for c, blob in blobs.items()],
            )

    def _open(self) -> sqlite3.Connection:
        with suppress(OSError):  # without its folder, connecting fails and says so
            self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _in_memory(self, reason: Exception) -> sqlite3.Connection:
        """Return a store in memory, with what can still be read from the file."""
        logger.warning(
            "%s: cannot be written (%s); new vectors are kept for this run alone",
            self._path,
            reason,
        )
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        with suppress(sqlite3.DatabaseError, ValueError):
            # immutable: a folder that cannot be written has no place for WAL's shared memory.
            uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as file:
                file.backup(connection)
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.executescript(_SCHEMA)
        return connection

    def _set_aside(self, reason: Exception) -> sqlite3.Connection:
        """Move a damaged file out of the way and start a new one."""
        aside = self._path.with_suffix(f".damaged-{os.getpid()}")
        logger.warning("%s: is damaged (%s); moved to %s", self._path, reason, aside.name)
        with suppress(OSError):
            self._path.replace(aside)
            for tail in ("-wal", "-shm"):
                self._path.with_name(FILE + tail).unlink(missing_ok=True)
        try:
            return self._open()
        except sqlite3.DatabaseError as error:
            return self._in_memory(error)


def _checksum(content: str, embeds: bytes) -> int:
    return zlib.crc32(embeds, zlib.crc32(content.encode("utf-8", "surrogatepass")))
