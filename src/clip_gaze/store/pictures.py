"""Read what the store's file has of pictures in one sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.store.rows import checksum

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

INDEX = "vectors-index-"  # how files begin that copy vectors, to be searched quickly
_PER_QUERY = 500
# Of one encoder, all that has a SHA-256 for its content, in the order of these.
_OF = """
WHERE encoder = (SELECT id FROM encoder WHERE digest = ?) AND length(content) = 64
    AND content NOT GLOB '*[^0-9a-f]*' ORDER BY content
"""
_CONTENTS = "SELECT content FROM entry" + _OF  # noqa: S608 - of constants, like the next
_VECTORS = "SELECT content, embeds, checksum FROM entry JOIN vector USING (id)" + _OF  # noqa: S608


def contents(file: sqlite3.Connection, encoder: str) -> bytes:
    """Return the digests of all pictures that an encoder has vectors of: 32 bytes each, sorted."""
    # `content` and `encoder` stand in one index; nothing else of the file is read.
    rows = file.execute(_CONTENTS, (encoder,))
    found = bytearray()
    while some := rows.fetchmany(1000):
        found += bytes.fromhex("".join(content for (content,) in some))
    return bytes(found)


def sweep(file: sqlite3.Connection, encoder: str, write: Callable[[bytes, bytes], object]) -> None:
    """Call `write` with the digest and the vector of each picture, both as bytes, sorted."""
    for content, embeds, known in file.execute(_VECTORS, (encoder,)):
        if isinstance(embeds, bytes) and known == checksum(content, embeds):
            write(bytes.fromhex(content), embeds)


def files(file: sqlite3.Connection, digests: Collection[str]) -> list[tuple[bytes, str, str]]:
    """Return path, stamp and digest of all files that had one of these digests, by their paths."""
    query = "SELECT path, stamp, digest FROM file"
    if len(digests) > _PER_QUERY:
        wanted = frozenset(digests)
        return [row for row in file.execute(f"{query} ORDER BY path") if row[2] in wanted]
    marks = ",".join("?" * len(digests))
    return file.execute(
        f"{query} WHERE digest IN ({marks}) ORDER BY path", list(digests)
    ).fetchall()
