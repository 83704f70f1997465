"""Use the store's file in the best way that its place allows."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from clip_gaze.store import layout
from clip_gaze.store.layout import FAILURES, FILE, is_damage, is_lock, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

# How long an action waits for another process.
SECONDS = 1.0
# To set up a new file, processes that start at the same moment take their turns.
CREATE_SECONDS = 10


class StoreFile:
    """A SQLite file that is opened when it is needed, and anew where that helps; not thread-safe.

    A damaged file is set aside. One that can only be read without a lock is read again if
    somebody wrote to it meanwhile.
    """

    def __init__(self, path: Path, begin: Callable[[sqlite3.Connection], object]) -> None:
        """Name the file; `begin` is called with each connection before it is used."""
        self.path = path
        self._begin = begin
        self._connection: sqlite3.Connection | None = None
        self._immutable = False
        self._opened: os.stat_result | None = None  # the file as it was when it was opened
        self._patient = True  # whether a lock is waited for; not again where that was in vain

    def use(self, action: Callable[[sqlite3.Connection], _T], seconds: float | None = None) -> _T:
        """Return what an action on the file gives; it is tried again where that may help.

        A lock is waited for so many seconds; None: one, but not twice in vain.

        Raises:
            sqlite3.Error, OSError, UnicodeError: the file cannot be used, or not now.

        """
        try:
            return self._use_once(action, seconds)
        except FAILURES as error:
            if not self._mended(error):
                raise
            return self._use_once(action, seconds)

    def close(self) -> None:
        """Close the file; another use opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._immutable = None, False

    def __del__(self) -> None:
        """Close what nobody has closed: Python warns of it since 3.13."""
        if hasattr(self, "_connection"):
            self.close()

    def _use_once(self, action: Callable[[sqlite3.Connection], _T], seconds: float | None) -> _T:
        if seconds is None:
            seconds = SECONDS if self._patient else 0
        self._patient = False
        if self._connection is None:
            self._opened = _stat(self.path)
            self._connection, self._immutable = _open(self.path, seconds)
            self._opened = _stat(self.path)
            self._begin(self._connection)
        self._connection.execute(f"PRAGMA busy_timeout = {1000 * seconds:.0f}")
        result = action(self._connection)
        if self._torn():
            raise sqlite3.OperationalError("it was written to meanwhile")
        self._patient = True
        return result

    def _torn(self) -> bool:
        """Return whether somebody wrote to the file while it was read without a lock."""
        return self._immutable and _state(_stat(self.path)) != _state(self._opened)

    def _mended(self, error: Exception) -> bool:
        """Return whether another try may help, as after a damaged file was set aside."""
        torn = self._torn()
        if not torn and not is_damage(error):
            return False
        self.close()
        now = _stat(self.path)
        # Another process may have set it aside meanwhile; what stands there now is not damaged.
        if not torn and now and self._opened and os.path.samestat(now, self._opened):
            try:
                set_aside(self.path, error)
            except OSError:
                return False
        return True


def _open(path: Path, seconds: float) -> tuple[sqlite3.Connection, bool]:
    """Open the file, or make it; say whether it is taken for granted that nobody writes to it."""
    layout.check_regular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path, seconds), False
    except sqlite3.OperationalError as error:
        reason = str(error)
    if "I/O" in reason or "protocol" in reason:
        # WAL needs memory that processes share, which drives on a network do not give.
        return _connect(path, seconds, wal=False), False
    if "readonly" in reason and not path.with_name(f"{FILE}-wal").exists():
        # Nor can that memory be had in a folder that is read-only.
        return _connect(f"{path.as_uri()}?immutable=1", seconds), True
    raise sqlite3.OperationalError(reason)


def _connect(database: Path | str, seconds: float, *, wal: bool = True) -> sqlite3.Connection:
    """Connect to a path or URI, and make sure that the tables can be read."""
    connection = sqlite3.connect(
        database, timeout=seconds, isolation_level=None, check_same_thread=False,
        uri=isinstance(database, str),
    )  # fmt: skip
    # A damaged text equals no other, so that it counts as missing.
    connection.text_factory = lambda stored: stored.decode("utf-8", "replace")
    try:
        if not wal:
            # A mark for later connections, and the mode, are set while no memory is shared.
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "user_version = 1",
                           "locking_mode = NORMAL"):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            connection.execute(f"PRAGMA busy_timeout = {1000 * CREATE_SECONDS}")
            connection.execute(f"PRAGMA page_size = {layout.PAGE_SIZE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.executescript(f"BEGIN IMMEDIATE; {layout.SCHEMA} COMMIT;")
        # Before anything of a file that is somebody else's is changed.
        connection.execute(layout.PROBE)
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            _begin_wal(connection, seconds)
        connection.execute("PRAGMA synchronous = NORMAL")
        # What is forgotten goes without being overwritten, which would need as much room again.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(layout.PROBE)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Let readers and writers not wait for one another, from now on or from a later time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait for its turn to change the journal's mode.
            if is_lock(error) and time.monotonic() < deadline:
                time.sleep(0.01)
                continue
        return


def _stat(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.stat()
    return None


def _state(found: os.stat_result | None) -> object:
    return found and (found.st_ino, found.st_size, found.st_mtime_ns)
