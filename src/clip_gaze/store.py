"""Vectors that were computed once, in a SQLite file that may fail without harm."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clip_gaze.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

Stamp = tuple[int, int]
_T = TypeVar("_T")

logger = logging.getLogger(__name__)

# The layout's version stands in the file's name: another layout starts another file.
FILE = "vectors-1.sqlite"
# A wrecked schema can make sqlite3 fail while it decodes, with no error of its own.
_FAILURES = (sqlite3.DatabaseError, UnicodeError)
# In what SQLite says with the result codes SQLITE_CORRUPT and SQLITE_NOTADB, which Python hands on
# since 3.11 alone (https://sqlite.org/rescode.html).
_DAMAGED = ("malformed", "not a database")
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
CREATE TABLE IF NOT EXISTS file (
    path BLOB PRIMARY KEY, -- as the system spells it: a file's name need not be text
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
"""


class Store:
    """Vectors by encoder and content; safe to share between threads and processes.

    An encoder is named by a digest of everything that decides its vectors. Each vector carries
    a checksum, so that a damaged one counts as missing. A file that cannot be written is read
    into memory, one that is no database is set aside: the answer never depends on the file.
    """

    def __init__(self, folder: Path | None) -> None:
        """Open the store in `folder`, which is made where it can be; None: only in memory."""
        self._path = folder / FILE if folder else Path(":memory:")
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._connection = self._open()
        except _FAILURES as error:
            self._connection = self._recovered(error)

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
        return self._read(lambda: self._get(encoder, contents, dim)) or {}

    def put(self, encoder: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors, all or none of them; when this returns they outlive the process.

        Args:
            encoder: the encoder's digest.
            vectors: content -> (dim,) float32.
        """
        self._write(lambda: self._put(encoder, vectors))

    def digests(self, stamps: Mapping[Path, Stamp]) -> dict[Path, str]:
        """Return the digests of the files that have the same size and time as when hashed.

        Args:
            stamps: path -> (size in bytes, modification time in ns), as they are now.
        """
        return self._read(lambda: self._digests(stamps)) or {}

    def stamp(self, path: Path, stamp: Stamp, digest: str) -> None:
        """Keep a file's digest together with the size and time that it had."""
        row = (os.fsencode(path.absolute()), *stamp, digest)
        self._write(lambda: self._stamp(row))

    def counts(self) -> dict[str, int]:
        """Return how many vectors there are, by the kind of their encoder: "text", "vision"."""
        query = (
            "SELECT substr(digest, 1, instr(digest, ':') - 1), count(*) "
            "FROM vector JOIN encoder ON id = encoder GROUP BY 1 ORDER BY 1"
        )
        return self._read(lambda: dict(self._connection.execute(query).fetchall())) or {}

    def clear(self) -> None:
        """Forget everything, and give the room on disk back."""

        def forget() -> None:
            with self._connection:
                for table in ("vector", "encoder", "file"):
                    self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand in the line above
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        self._write(forget)

    def close(self) -> None:
        """Close the file; to ask for more, or to keep more, is a `ClosedError` from then on."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _read(self, query: Callable[[], _T]) -> _T | None:
        with self._lock:
            self._check_open()
            try:
                return query()
            except _FAILURES as error:
                if _is_damage(error):
                    self._connection.close()
                    self._connection = self._recovered(error)
                else:
                    logger.warning("%s: not read this time (%s)", self._path, error)
            return None

    def _write(self, change: Callable[[], None]) -> None:
        with self._lock:
            self._check_open()
            try:
                change()
            except _FAILURES as error:
                self._connection.close()
                self._connection = self._recovered(error)
                change()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError

    def _rows(
        self, query: str, first: tuple[object, ...], many: Sequence[str | bytes]
    ) -> Iterator[Any]:
        """Yield the rows of a query that ends in `IN`, for any number of values."""
        for at in range(0, len(many), _PER_QUERY):
            some = many[at : at + _PER_QUERY]
            marks = ",".join("?" * len(some))
            yield from self._connection.execute(f"{query} ({marks})", (*first, *some))

    def _get(
        self, encoder: str, contents: Sequence[str], dim: int
    ) -> dict[str, NDArray[np.float32]]:
        query = (
            "SELECT content, embeds, checksum FROM vector "
            "WHERE encoder = (SELECT id FROM encoder WHERE digest = ?) AND content IN"
        )
        return {
            content: np.frombuffer(embeds, dtype="<f4").astype(np.float32)
            for content, embeds, checksum in self._rows(query, (encoder,), contents)
            if len(embeds) == 4 * dim and checksum == _checksum(content, embeds)
        }

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

    def _digests(self, stamps: Mapping[Path, Stamp]) -> dict[Path, str]:
        names = {os.fsencode(path.absolute()): path for path in stamps}
        query = "SELECT path, size, mtime_ns, digest FROM file WHERE path IN"
        return {
            names[name]: digest
            for name, size, mtime_ns, digest in self._rows(query, (), list(names))
            if stamps[names[name]] == (size, mtime_ns)
        }

    def _stamp(self, row: tuple[object, ...]) -> None:
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", row)

    def _open(self) -> sqlite3.Connection:
        with suppress(OSError):  # without its folder, connecting fails and says so
            self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        connection.text_factory = _text
        try:
            _prepare(connection)
        except _FAILURES:
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
        with suppress(*_FAILURES):
            # immutable: a folder that cannot be written has no place for WAL's shared memory.
            uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as file:
                file.backup(connection)
        try:
            connection.executescript(_SCHEMA)
        except _FAILURES:
            connection.close()
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.executescript(_SCHEMA)
        return connection

    def _recovered(self, error: Exception) -> sqlite3.Connection:
        """Return a connection that works after one that failed."""
        return self._set_aside(error) if _is_damage(error) else self._in_memory(error)

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
        except _FAILURES as error:
            return self._in_memory(error)


def _prepare(connection: sqlite3.Connection) -> None:
    """Set the file up; of processes that do so at the same moment, each gets its turn."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            # SQLite does not wait for its turn to change the journal's mode.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _is_damage(error: Exception) -> bool:
    """Return whether SQLite says that the file is corrupt or no database.

    Everything else, such as a full disk, a lock or a mistake of ours, leaves the file in place.
    """
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in _DAMAGED
    )


def _text(stored: bytes) -> str:
    """Return a text of the file; a damaged one equals no other, so that it counts as missing."""
    return stored.decode("utf-8", "replace")


def _checksum(content: str, embeds: bytes) -> int:
    return zlib.crc32(embeds, zlib.crc32(content.encode("utf-8", "surrogatepass")))
