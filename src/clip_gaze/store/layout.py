"""The layout of the store's file, and what a damaged file or one of the former layout becomes."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from typing import TYPE_CHECKING

from clip_gaze.store.pictures import INDEX
from clip_gaze.system import files

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

# The layout's version stands in the file's name: another layout starts another file.
FILE = "vectors-2.sqlite"
_OLD = "vectors-1.sqlite"
_ANY = "vectors-*"
_DAMAGED = ".damaged-"
TAILS = ("-journal", "-shm", "-wal", "")
# A wrecked schema can make sqlite3 fail while it decodes, with no error of its own.
FAILURES = (sqlite3.Error, OSError, UnicodeError)
# Vectors lie apart from the small rows that are searched and sorted. Several fit in a page of this
# size: 2 KB each in pages of 4 KB would leave half of the room empty.
PAGE_SIZE = 16384
SCHEMA = """
CREATE TABLE IF NOT EXISTS encoder (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    encoder INTEGER NOT NULL REFERENCES encoder,
    content TEXT NOT NULL, -- a phrase, or the digest of a file
    used INTEGER NOT NULL, -- the day, counted from 1970
    UNIQUE (encoder, content)
);
CREATE TABLE IF NOT EXISTS vector (
    id INTEGER PRIMARY KEY REFERENCES entry,
    checksum INTEGER NOT NULL,
    embeds BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS file (
    path BLOB PRIMARY KEY, -- as the system spells it: a file's name need not be text
    stamp TEXT NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
"""
PROBE = """
SELECT encoder.id, encoder.digest, entry.id, entry.encoder, entry.content, entry.used, vector.id,
    vector.checksum, vector.embeds, file.path, file.stamp, file.digest
FROM encoder, entry, vector, file LIMIT 0
"""
# Vectors of pictures are not taken: layout 1 did not say how the pictures had been prepared.
_TAKE_OVER = """
INSERT OR IGNORE INTO main.encoder (digest)
    SELECT digest FROM old.encoder WHERE digest LIKE 'text:%';
INSERT OR IGNORE INTO main.entry (encoder, content, used)
    SELECT new.id, content, {day} FROM main.encoder AS new JOIN old.encoder AS former USING (digest)
    JOIN old.vector ON vector.encoder = former.id LIMIT {most};
INSERT OR IGNORE INTO main.vector
    SELECT entry.id, checksum, embeds
    FROM main.encoder AS new JOIN old.encoder AS former USING (digest)
    JOIN main.entry ON entry.encoder = new.id JOIN old.vector AS v
    ON v.encoder = former.id AND v.content = entry.content;
"""


def take_over(connection: sqlite3.Connection, folder: Path, day: int, most: int) -> None:
    """Move the phrases' vectors of the former layout into this one; both stay where that fails.

    At most so many are moved; they count as last used on `day`, counted from 1970.
    """
    old = folder / _OLD
    if not old.is_file():
        return
    try:
        check_regular(old)
        connection.execute("ATTACH ? AS old", (os.fspath(old),))
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in _TAKE_OVER.format(day=day, most=most).split(";"):
                    connection.execute(statement)
        finally:
            connection.execute("DETACH old")
    except FAILURES as error:
        if is_damage(error):
            set_aside(old, error)
        else:
            logger.info("%s: not taken over this time (%s)", old, error)
    else:
        with contextlib.suppress(OSError):
            for tail in TAILS:
                old.with_name(old.name + tail).unlink(missing_ok=True)


def used_by(folder: Path) -> int:
    """Return how many bytes the store takes in a folder, with what it left there."""
    return sum(map(files.size, folder.glob(_ANY)))


def others(folder: Path) -> list[Path]:
    """Return the files in a folder that a store left there but does not use."""
    return [path for path in folder.glob(_ANY) if not path.name.startswith(FILE)]


def is_spare(name: str) -> bool:
    """Return whether a file of that name is damaged, or only copies what the store has."""
    return _DAMAGED in name or name.startswith(INDEX)


def set_aside(path: Path, reason: Exception) -> None:
    """Move a damaged file out of the way; an `OSError` says that this cannot be done."""
    aside = path.with_suffix(f"{_DAMAGED}{os.getpid()}")
    for tail in TAILS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).replace(aside.with_name(aside.name + tail))
    logger.warning("%s: is damaged (%s); moved to %s", path, reason, aside.name)


def is_damage(error: Exception) -> bool:
    """Return whether SQLite says that the file is corrupt or no database.

    Everything else, such as a full disk, a lock or a mistake of ours, leaves the file in place.
    The words go with the result codes SQLITE_CORRUPT and SQLITE_NOTADB, which Python hands on
    since 3.11 alone (https://sqlite.org/rescode.html).
    """
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in ("malformed", "not a database")
    )


def is_lock(error: Exception) -> bool:
    """Return whether somebody else has the file, so that another try may help."""
    return isinstance(error, sqlite3.OperationalError) and "is locked" in str(error)


def check_regular(path: Path) -> None:
    """Refuse what SQLite would wait for without end, such as a named pipe.

    Raises:
        OSError: the file, or one that SQLite keeps beside it, is there but no regular file.

    """
    for tail in TAILS:
        place = path.with_name(path.name + tail)
        if os.path.exists(place) and not os.path.isfile(place):  # noqa: PTH110, PTH113 - never raise
            msg = f"{place.name} is no regular file"
            raise OSError(msg)
