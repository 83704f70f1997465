"""Read and write the rows of the store's file."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_PER_QUERY = 500


def select(
    encoder: str, contents: Sequence[str], today: int, file: sqlite3.Connection
) -> tuple[dict[str, bytes], set[int]]:
    """Return the sound vectors among those asked for, by content.

    Return also the ids of those entries that were not used today before.
    """
    query = (
        "SELECT content, embeds, checksum, id, used < ? FROM entry JOIN vector USING (id) "
        "WHERE encoder = (SELECT id FROM encoder WHERE digest = ?) AND content IN"
    )
    found, used = {}, set()
    for content, embeds, known, entry, old in _rows(file, query, (today, encoder), contents):
        if isinstance(embeds, bytes) and known == checksum(content, embeds):
            found[content] = embeds
            if old:
                used.add(entry)
    return found, used


def insert(vectors: Mapping[tuple[str, str], bytes], day: int, file: sqlite3.Connection) -> bool:
    """Insert vectors by encoder and content, all or none of them."""
    rows = [
        {"encoder": encoder, "content": content, "day": day, "embeds": embeds,
         "checksum": checksum(content, embeds)}
        for (encoder, content), embeds in vectors.items()
    ]  # fmt: skip
    with file:
        file.execute("BEGIN IMMEDIATE")
        file.executemany("INSERT OR IGNORE INTO encoder (digest) VALUES (:encoder)", rows)
        # Replaced, an entry keeps its id, and so its vector is replaced too.
        file.executemany(
            "INSERT OR REPLACE INTO entry (id, encoder, content, used) "
            "SELECT entry.id, encoder.id, :content, :day FROM encoder LEFT JOIN entry "
            "ON encoder = encoder.id AND content = :content WHERE digest = :encoder",
            rows,
        )
        file.executemany(
            "INSERT OR REPLACE INTO vector SELECT entry.id, :checksum, :embeds FROM entry "
            "JOIN encoder ON encoder.id = encoder WHERE digest = :encoder AND content = :content",
            rows,
        )
    return True


def digests(stamps: Mapping[Path, str], file: sqlite3.Connection) -> dict[Path, str]:
    """Return the digests of the files that still have the stamps that they had."""
    names = {os.fsencode(path.absolute()): path for path in stamps}
    return {
        names[name]: digest
        for name, stamp, digest in _rows(
            file, "SELECT path, stamp, digest FROM file WHERE path IN", (), list(names)
        )
        if name in names and stamps[names[name]] == stamp and isinstance(digest, str)
    }


def _rows(
    file: sqlite3.Connection, query: str, first: tuple[object, ...], many: Sequence[str | bytes]
) -> Iterator[Any]:
    """Yield the rows of a query that ends in `IN`, for any number of values."""
    for at in range(0, len(many), _PER_QUERY):
        some = many[at : at + _PER_QUERY]
        marks = ",".join("?" * len(some))
        yield from file.execute(f"{query} ({marks})", (*first, *some))


def checksum(content: str, embeds: bytes) -> int:
    """Return what a vector is checked by: CRC-32 over its content and itself."""
    return zlib.crc32(embeds, zlib.crc32(content.encode("utf-8", "surrogatepass")))


def use(entries: Iterable[int], today: int, file: sqlite3.Connection) -> None:
    """Note that entries were used today."""
    with file:
        file.execute("BEGIN IMMEDIATE")
        rows = [(today, each) for each in entries]
        file.executemany("UPDATE entry SET used = ? WHERE id = ?", rows)
