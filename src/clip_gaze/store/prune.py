"""Hold the store's file to a size: the least recently used vectors are forgotten."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3

from clip_gaze.errors import GazeError

VARIABLE = "CLIP_GAZE_STORE_SIZE"
_DEFAULT, _DEFAULT_PACKED = "1 GB", "2 GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# Other processes get their turn between two batches.
_BATCH = 1000
# Of files that are gone, those that lie elsewhere now, and those that were the last of their kind.
_ORDER = """
CREATE TEMP TABLE missing AS SELECT path, digest FROM file WHERE NOT there(path);
CREATE TEMP TABLE gone AS SELECT digest FROM missing
    EXCEPT SELECT digest FROM file WHERE path NOT IN (SELECT path FROM missing);
CREATE TEMP TABLE doomed AS SELECT id FROM entry WHERE used < {before}
    ORDER BY content NOT IN (SELECT digest FROM gone), used, id;
"""
_FORGET = """
DELETE FROM entry WHERE used < :before
    AND id IN (SELECT id FROM doomed WHERE rowid > :first AND rowid <= :last)
"""
_FORGET_VECTORS = """
DELETE FROM vector WHERE id NOT IN (SELECT id FROM entry)
    AND id IN (SELECT id FROM doomed WHERE rowid > :first AND rowid <= :last)
"""


def parse_size(text: str) -> int:
    """Return bytes.

    >>> parse_size("1.5 GB"), parse_size("200m"), parse_size("0")
    (1500000000, 200000000, 0)

    Raises:
        GazeError: it is no size.

    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text.upper(), re.ASCII)
    if found is None:
        msg = f"{text!r} is no size; write it like 500MB or 2GB"
        raise GazeError(msg)
    return int(float(found[1]) * _UNITS[found[2]])


def size_limit(*, packed: bool = False) -> int:
    """Return how large the store's file may become, in bytes; CLIP_GAZE_STORE_SIZE says so.

    Args:
        packed: whether the limit of packed weights is meant, which is larger by default.

    Raises:
        GazeError: the variable holds no size.

    """
    try:
        return parse_size(os.environ.get(VARIABLE) or (_DEFAULT_PACKED if packed else _DEFAULT))
    except GazeError as error:
        msg = f"{VARIABLE}: {error}"
        raise GazeError(msg) from error


def prune(connection: sqlite3.Connection, most: int, today: int, before: int) -> int:
    """Forget vectors until the file is small enough.

    Those of files that are gone go first, then the least recently used.

    Args:
        connection: to the file.
        most: bytes that it may keep.
        today: the day, counted from 1970.
        before: what was used on this day or later stays.

    Returns:
        How many vectors were forgotten.

    """
    if used_bytes(connection) <= most:
        return 0
    # Days that have not come yet are from a clock that was wrong; they must not stay for ever.
    connection.execute("UPDATE entry SET used = ? WHERE used > ?", (today, today))
    if not _value(connection, "SELECT EXISTS (SELECT 1 FROM entry WHERE used < ?)", before):
        return 0
    connection.create_function("there", 1, os.path.exists)
    try:
        connection.executescript(_ORDER.format(before=before))
        connection.execute(
            "DELETE FROM file WHERE path IN (SELECT path FROM missing) "
            "AND digest NOT IN (SELECT digest FROM gone)"
        )
        forgotten = _forget(connection, most, before)
        connection.execute("DELETE FROM file WHERE digest NOT IN (SELECT content FROM entry)")
        connection.execute("DELETE FROM encoder WHERE id NOT IN (SELECT encoder FROM entry)")
    finally:
        for table in ("missing", "gone", "doomed"):
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    shrink(connection)
    return forgotten


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in ("vector", "entry", "encoder", "file"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand in the line above
    shrink(connection)


def shrink(connection: sqlite3.Connection) -> None:
    """Give what is free in the file back to the disk, or keep it for later where that cannot be."""
    with contextlib.suppress(sqlite3.OperationalError):
        # A script goes through all steps of this pragma, each of which frees a page.
        connection.executescript("PRAGMA incremental_vacuum")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _forget(connection: sqlite3.Connection, most: int, before: int) -> int:
    """Forget what is doomed, in its order, until the file is small enough; return how many."""
    forgotten = first = 0
    doomed = _value(connection, "SELECT count(*) FROM doomed")
    while first < doomed and (excess := (size := used_bytes(connection)) - most) > 0:
        entries = _value(connection, "SELECT count(*) FROM entry")
        last = first + max(1, min(_BATCH, entries * excess // size))
        batch = {"first": first, "last": last, "before": before}
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            forgotten += connection.execute(_FORGET, batch).rowcount
            connection.execute(_FORGET_VECTORS, batch)
        first = last
    return forgotten


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return how many bytes of the file are in use."""
    pages, free, page_size = (
        _value(connection, f"PRAGMA {name}")
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_size


def _value(connection: sqlite3.Connection, query: str, *parameters: object) -> int:
    (value,) = connection.execute(query, parameters).fetchone()
    return int(value)
