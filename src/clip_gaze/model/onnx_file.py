"""Find the files that a graph's weights lie in, and cut graphs, without the package onnx.

ONNX is Protocol Buffers: a message is fields, each with a number and, here, the length of what it
holds (https://protobuf.dev/programming-guides/encoding). Numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    Data = bytes | mmap.mmap

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
_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 7, 1, 5, 11, 12, 13
# Types as ONNX Runtime calls them, and their elements as onnx.proto numbers them.
_ELEMENTS = {
    "tensor(float)": 1, "tensor(uint8)": 2, "tensor(int8)": 3, "tensor(int32)": 6,
    "tensor(int64)": 7, "tensor(bool)": 9, "tensor(float16)": 10,
}  # fmt: skip
# How far from its share of the work, as a share of all, a part may end.
_OFF = 0.06


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


def parts(
    model: bytes,
    most: int,
    work: Callable[[bytes], int],
    types: Callable[[bytes], Mapping[str, str]],
) -> list[bytes]:
    """Cut a graph where few values go from one part to others, each part a graph of its own.

    The first part has all inputs of the whole, and the last one its outputs. Whatever a part gives,
    and each input of the whole, may be an input of any later part, by the same name.

    Args:
        model: the content of a .onnx file, whose nodes stand in the order in which they can run.
        most: how many parts are wanted.
        work: how much an initializer, given as its message, counts; parts have about as much each.
        types: says what a part gives: names, and types as ONNX Runtime calls them.

    Returns:
        The parts in the order in which they run; the whole alone where there is no place to cut.
    """
    graph = _Graph(model)
    places = [0, *graph.places(most, work), len(graph.nodes)]
    known = dict(graph.inputs)
    made = []
    for begin, end in pairwise(places):
        nodes = graph.nodes[begin:end]
        needed = {name for node in nodes for name in node.takes}
        inputs = [message for name, message in known.items() if not begin or name in needed]
        last = end == len(graph.nodes)
        gives = [] if last else sorted(graph.crossing(end).difference(known))
        outputs = graph.outputs.values() if last else map(_value, gives)
        made.append(graph.part(nodes, inputs, outputs))
        if not last:
            found = types(made[-1])
            elements = [_ELEMENTS.get(found.get(name.decode(), "")) for name in gives]
            if None in elements:
                return [model]
            known |= zip(gives, map(_value, gives, elements), strict=True)
    return made if len(made) > 1 else [model]


class _Node(NamedTuple):
    """A node's message, and the names of what it takes and gives."""

    message: bytes
    takes: list[bytes]
    gives: list[bytes]


class _Graph:
    """A model's graph: nodes; and initializers, inputs and outputs, messages by their names."""

    def __init__(self, model: bytes) -> None:
        """Read a model."""
        self.nodes: list[_Node] = []
        self.initializers: dict[bytes, bytes] = {}
        self.inputs: dict[bytes, bytes] = {}
        self.outputs: dict[bytes, bytes] = {}
        self._model = self._rest = b""  # all other fields
        for number, start, at, end in _fields(model, 0, len(model)):
            if number == _GRAPH:
                self._read(model[at:end])
            else:
                self._model += model[start:end]

    def places(self, most: int, work: Callable[[bytes], int]) -> Iterator[int]:
        """Yield before which nodes to cut; see `parts`."""
        counts = {name: work(message) for name, message in self.initializers.items()}
        total, done = sum(counts.values()), 0
        candidates: list[list[tuple[int, float, int]]] = [[] for _ in range(most - 1)]
        for at, node in enumerate(self.nodes, 1):
            done += sum(counts.pop(name, 0) for name in node.takes)
            for number, found in enumerate(candidates, 1):
                off = abs(done - total * number / most)
                if off <= _OFF * total:
                    crossing = self.crossing(at)
                    if not crossing & self.outputs.keys():
                        found.append((len(crossing), off, at))
        # A graph inside a node may need any value.
        if not any(map(_nested, self.nodes)):
            yield from (min(found)[-1] for found in candidates if found)

    def crossing(self, at: int) -> set[bytes]:
        """Return the names of what later nodes need of earlier ones, or of the graph's inputs."""
        there = {*self.inputs, *(name for node in self.nodes[:at] for name in node.gives)}
        needed = {*self.outputs, *(name for node in self.nodes[at:] for name in node.takes)}
        return there & needed - {b""}

    def part(
        self, nodes: Sequence[_Node], inputs: Iterable[bytes], outputs: Iterable[bytes]
    ) -> bytes:
        """Return a model of some nodes, with the initializers that they need."""
        needed = {name for node in nodes for name in node.takes}
        weights = [self.initializers[name] for name in self.initializers if name in needed]
        fields = {
            _NODE: [node.message for node in nodes],
            _INITIALIZER: weights,
            _INPUT: inputs,
            _OUTPUT: outputs,
        }
        graph = [_field(number, each) for number, messages in fields.items() for each in messages]
        return self._model + _field(_GRAPH, self._rest + b"".join(graph))

    def _read(self, graph: bytes) -> None:
        for number, start, at, end in _fields(graph, 0, len(graph)):
            message = graph[at:end]
            if number == _NODE:
                self.nodes.append(_Node(message, _held(message, 1), _held(message, 2)))
            elif number == _INITIALIZER:
                self.initializers[_held(message, 8)[0]] = message
            elif number in (_INPUT, _OUTPUT):
                named = self.inputs if number == _INPUT else self.outputs
                named[_held(message, 1)[0]] = message
            elif number != _VALUE_INFO:
                self._rest += graph[start:end]


def _held(message: bytes, wanted: int) -> list[bytes]:
    """Return what the fields of one number hold, in a message."""
    found = _fields(message, 0, len(message))
    return [message[at:end] for number, _, at, end in found if number == wanted]


def _value(name: bytes, element: int | None = None) -> bytes:
    """Return the message of a value: its name, and its type with any number of axes."""
    kind = b"" if element is None else _field(2, _field(1, b"\x08" + bytes([element])))
    return _field(1, name) + kind


def _nested(node: _Node) -> bool:
    """Return whether a node has a graph of its own, or several."""
    attributes = _held(node.message, 5)
    return any(_held(attribute, 6) or _held(attribute, 11) for attribute in attributes)


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return _encoded(number << 3 | _LENGTH_DELIMITED) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    """Return a variable-length integer."""
    low = value & 127
    return bytes([low]) if value < 128 else bytes([low | 128]) + _encoded(value >> 7)


def _locations(data: Data, kind: str, start: int, end: int) -> Iterator[str]:
    """Yield the names of files in a message."""
    for number, _, at, stop in _fields(data, start, end):
        inside = _INSIDE[kind].get(number)
        if inside == "external_data":
            entry = {number: data[at:stop] for number, _, at, stop in _fields(data, at, stop)}
            if entry.get(1) == b"location":
                yield str(PurePosixPath(entry.get(2, b"").decode("utf-8", "replace")))
        elif inside is not None:
            yield from _locations(data, inside, at, stop)


def _fields(data: Data, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of a message: its number, its start, and start and end of what it holds.

    What is not length-delimited holds nothing here.
    """
    while at < end:
        start = at
        key, at = _varint(data, at)
        size = 0
        if key & 7 == _LENGTH_DELIMITED:
            size, at = _varint(data, at)
        elif key & 7 in _SIZES:
            at += _SIZES[key & 7]
        else:
            _, at = _varint(data, at)
        yield key >> 3, start, at, min(at + size, end)
        at += size


def _varint(data: Data, at: int) -> tuple[int, int]:
    """Read a variable-length integer; return it and the position behind it."""
    value = shift = 0
    while True:
        digit = data[at]
        value |= (digit & 127) << shift
        at, shift = at + 1, shift + 7
        if digit < 128:
            return value, at
