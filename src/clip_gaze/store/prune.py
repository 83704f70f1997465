"""Hold the store's file to a size: the least recently used vectors are forgotten."""

from __future__ import annotations

import contextlib
import os
import sqlite3

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


def prune(connection: sqlite3.Connection, most: int, today: int, before: int) -> int:
    """Forget vectors until the file has at most so many bytes in use; return how many.

    Those of files that are gone go first, then the least recently used; what was used on the day
    `before`, counted from 1970 like `today`, or later stays.
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
