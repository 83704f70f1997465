"""Find the files that a graph's weights lie in, without the package onnx.

ONNX is Protocol Buffers: a message is fields, each with a number and, here, the length of what it
holds (https://protobuf.dev/programming-guides/encoding). Numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LENGTH_DELIMITED = 2
_SIZES = {1: 8, 5: 4}  # of fixed-width fields, by their wire type
# Which messages a message has in which fields, as far as weights are in them.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external_data"},
}  # fmt: skip


def check(graph: Path, listed: Path | None) -> None:
    """Make sure that a graph's weights lie in no file but the one that the manifest lists.

    Args:
        graph: the .onnx file; one that is no graph passes, for ONNX Runtime says so better.
        listed: the file beside it that was verified, if there is one.

    Raises:
        ModelError: it names another file, which nobody has verified.

    """
    if foreign := locations(graph) - ({listed.name} if listed else set()):
        msg = (
            f"{graph}: has weights in {min(foreign)!r}, which the manifest does not list; export "
            "the model again"
        )
        raise ModelError(msg)


def locations(graph: Path) -> set[str]:
    """Return the names of the files that a graph's weights lie in; none if it is no graph."""
    try:
        with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return set(_locations(data, "model", 0, len(data)))
    except (OSError, ValueError, IndexError):
        return set()


def _locations(data: mmap.mmap, kind: str, start: int, end: int) -> Iterator[str]:
    """Yield the names of files in a message."""
    for number, at, stop in _fields(data, start, end):
        inside = _INSIDE[kind].get(number)
        if inside == "external_data":
            entry = {number: data[at:stop] for number, at, stop in _fields(data, at, stop)}
            if entry.get(1) == b"location":
                yield str(PurePosixPath(entry.get(2, b"").decode("utf-8", "replace")))
        elif inside is not None:
            yield from _locations(data, inside, at, stop)


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each length-delimited field of a message."""
    while at < end:
        key, at = _varint(data, at)
        if key & 7 == _LENGTH_DELIMITED:
            size, at = _varint(data, at)
            yield key >> 3, at, min(at + size, end)
            at += size
        elif key & 7 in _SIZES:
            at += _SIZES[key & 7]
        else:
            _, at = _varint(data, at)


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Read a variable-length integer; return it and the position behind it."""
    value = shift = 0
    while True:
        digit = data[at]
        value |= (digit & 127) << shift
        at, shift = at + 1, shift + 7
        if digit < 128:
            return value, at
