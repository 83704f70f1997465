"""Keep graphs whose weights are mapped in the layout that ONNX Runtime computes with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import platform
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.errors import GazeError, ModelError
from clip_gaze.model import onnx_file
from clip_gaze.model.session import PACKED_DATA, Tower, build, can_pack, output_types
from clip_gaze.system import files, notes, shelf
from clip_gaze.system.malloc import give_back
from clip_gaze.system.processor import boot, features
from clip_gaze.system.resources import free_bytes
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clip_gaze.model.session import Row

    Note = dict[str, Any]

logger = logging.getLogger(__name__)

# The whole graph, or its first part; and the others.
GRAPH, REST = "graph.onnx", "graph_{}.onnx"
NOTE, REFUSED = "note.json", ".refused"
# A change of what is kept, or of how, needs another number.
_LAYOUT = 2
# Loading a smaller graph takes hundredths of a second, and its weights no memory to speak of.
SMALLEST = 16 * 2**20
# What a packed graph takes on the disk: the weights twice, since ONNX Runtime knows a packed weight
# by what it packs again from the plain one.
_TIMES = 2.2
PART = ".part"
# Starts of machines that a folder remembers to have been tried in.
_MOST_BOOTS = 16
# Releases before 1.28 pack float32 weights alone; a graph without them would gain nothing.
_PREPACKED = re.compile(rb"\|\d+;(\d+);\d+")
_LEAST_SHARE = 0.25
LOCK = "lock"
# Each part takes some milliseconds of its own: few, and more only where each has many weights.
_FEW_PARTS, _MANY_PARTS, _MANY_WEIGHTS = 2, 3, 80 * 2**20
# Numbers in a batch of phrases, see `texts.tokenizer`.
_BATCH = 128
# Of the length of a vector: what the number of threads may change.
_CLOSE = 1e-6


class _RefusedError(Exception):
    """A graph that is not to be packed, and not to be tried again."""


class Packed:
    """The packed form of one graph on this processor.

    Packed by another processor it would give wrong numbers without an error. So its folder's name
    is a digest of all that decides the layout; its files are held to checksums; and when the
    system has been started anew, a run is compared with what the plain weights gave. Nothing waits
    for the disk: after the first start since then, when they may be torn, the files are read again.
    """

    def __init__(self, folder: Path, digest: str, most: int) -> None:
        """Name the folder; nothing is read.

        Args:
            folder: where all packed graphs are.
            digest: of the graph's files, see `download.Files.digest`.
            most: how many bytes all packed graphs may take.
        """
        self._shelf = folder
        self._digest = digest
        self._most = most

    def open(self, threads: int | None, width: int, instead: str) -> Tower | None:
        """Load the packed graph, if there is one and it is right.

        Args:
            threads: see `Tower`, like the others.
            width: of the vectors.
            instead: what to do about a graph that overflows.
        """
        if not can_pack():
            return None
        folder = self._folder()
        note: Note = notes.read(folder / NOTE)
        if not note:
            return None
        try:
            new = _boot() not in note["boots"]
            changed = _check(folder, note, again=new and len(note["boots"]) == 1)
            rest = [folder / name for name in note["files"] if name not in (GRAPH, PACKED_DATA)]
            tower = Tower(folder / GRAPH, threads, width, instead, packed=True, rest=rest)
            if new:
                _try(tower, note)
                note["boots"] = [*note["boots"], _boot()][-_MOST_BOOTS:]
        except Exception as error:  # noqa: BLE001 - whatever is in the folder, there is another way
            logger.info("%s: is not used (%s)", folder, error)
            shelf.remove(folder)
            return None
        with contextlib.suppress(OSError, GazeError):
            if new or changed:
                with files.whole(folder / NOTE) as part:
                    part.write_text(json.dumps(note), encoding="utf-8")
            os.utime(folder)  # it was used now
        return tower

    def wanted(self, graph: Path) -> bool:
        """Return whether the graph should be packed: it is worth it, and was not tried in vain.

        Args:
            graph: the plain .onnx file.
        """
        size = _weight(graph)
        if not can_pack() or size < SMALLEST or size * _TIMES > self._most:
            return False
        folder = self._folder()
        return not (folder.with_suffix(REFUSED).exists() or notes.read(folder / NOTE))

    def write(self, graph: Path, row: Row, threads: int | None) -> bool:
        """Pack a graph, unless there is too little memory or room, or another process packs one.

        Whatever goes wrong, what was there before stays as it was.

        Args:
            graph: the plain .onnx file.
            row: what the tower was run on, `Tower.row`.
            threads: see `Tower`.

        Returns:
            Whether there is a packed form now.
        """
        if not can_pack():
            return False
        folder = self._folder()
        if not self.wanted(graph):
            return bool(notes.read(folder / NOTE))
        try:
            self._shelf.mkdir(parents=True, exist_ok=True)
            with _alone(self._shelf):
                for left in self._shelf.glob(f"*{PART}"):
                    shelf.remove(left)
                if self.wanted(graph) and _affordable(graph, self._shelf):
                    part = folder.with_name(folder.name + PART)
                    shelf.remove(folder)
                    part.mkdir()
                    try:
                        note = _packed(graph, part, row, threads)
                        (part / NOTE).write_text(json.dumps(note), encoding="utf-8")
                        part.rename(folder)
                    except _RefusedError as reason:
                        folder.with_suffix(REFUSED).write_text(f"{reason}\n", encoding="utf-8")
                    finally:
                        shelf.remove(part)
                    shelf.prune(self._shelf, self._most, folder)
        except (OSError, GazeError, MemoryError) as error:
            logger.info("%s: the weights of %s are not kept packed (%s)", folder, graph, error)
        return bool(notes.read(folder / NOTE))

    def _folder(self) -> Path:
        key = f"{_LAYOUT} {self._digest} {build()} {features()}"
        return self._shelf / hashlib.sha256(key.encode()).hexdigest()[:32]


def _packed(graph: Path, part: Path, row: Row, threads: int | None) -> Note:
    """Pack a graph into an empty folder, make sure that it gives the same numbers, return its note.

    Where it gives others or is not worth its room, a _RefusedError is raised.
    """
    plain = Tower(graph, threads, into=part / GRAPH)
    # One row, few, and as many as a batch of phrases has: kernels differ by them.
    counts = (1, 3, max(3, _BATCH // math.prod(row[0])))
    wanted = [plain.probe(row, count) for count in counts]
    del plain
    give_back()
    share = _prepacked((part / GRAPH).read_bytes()) / _weight(graph)
    if share < _LEAST_SHARE:
        msg = f"only {share:.0%} would be mapped"
        raise _RefusedError(msg)
    rest = _cut(part)
    try:
        mapped = Tower(part / GRAPH, threads, packed=True, rest=rest)
        found = [mapped.probe(row, count) for count in counts]
        same = all(map(np.array_equal, wanted, found))
    except ModelError as error:
        raise _RefusedError(str(error)) from error
    del mapped  # Windows moves no folder with an open file
    if not same:
        raise _RefusedError("it gives other numbers")
    known = {}
    for path in sorted(part.iterdir()):
        with path.open("r+b") as file:
            if boot() is None:
                os.fsync(file.fileno())
            known[path.name] = [stamp(path), files.sha256(file)]
    return {"files": known, "boots": [_boot()], "row": row, "vector": wanted[0][0].tolist()}


def _cut(folder: Path) -> list[Path]:
    """Cut a packed graph, whose parts are loaded side by side; return all paths but the first one.

    Where there is no place to cut, the graph stays whole.
    """
    path = folder / GRAPH
    whole = path.read_bytes()
    most = max(_FEW_PARTS, min(_MANY_PARTS, _prepacked(whole) // _MANY_WEIGHTS))

    def types(part: bytes) -> dict[str, str]:
        path.write_bytes(part)
        return output_types(path)

    try:
        first, *others = onnx_file.parts(whole, most, _prepacked, types)
    except ModelError as error:
        logger.info("%s: stays whole (%s)", path, error)
        first, others = whole, []
    path.write_bytes(first)
    rest = [folder / REST.format(number) for number in range(2, len(others) + 2)]
    for each, part in zip(rest, others, strict=True):
        each.write_bytes(part)
    return rest


def _prepacked(message: bytes) -> int:
    """Return how many bytes of packed weights a graph names, or an initializer."""
    return sum(int(length) for length in _PREPACKED.findall(message))


def _check(folder: Path, note: Note, *, again: bool) -> bool:
    """Make sure that the files are those that were written; bring the note's stamps up to date.

    They are read if their stamps are others, or `again`. Returns whether a stamp was another one.
    """
    changed = False
    for name, (known, digest) in note["files"].items():
        now = stamp(folder / name)
        if again or now is None or now != known:
            with (folder / name).open("rb") as file:
                if files.sha256(file) != digest:
                    msg = f"{name} was altered"
                    raise ModelError(msg)
            note["files"][name] = [now, digest]
            changed |= now != known
    return changed


def _boot() -> str:
    """Return which start of which machine this is, as far as the system says."""
    return boot() or f"{platform.node()} {platform.release()}"


def _try(tower: Tower, note: Note) -> None:
    """Make sure that a tower gives the vector that its plain weights gave."""
    wanted = np.asarray(note["vector"], np.float32)
    found = tower.probe(note["row"], 1)[0]
    if np.abs(found - wanted).max() > _CLOSE * np.linalg.norm(wanted):
        msg = "it gives other numbers on this machine"
        raise ModelError(msg)


def _affordable(graph: Path, folder: Path) -> bool:
    """Return whether there is the memory to pack a graph, and twice the room that it needs."""
    import shutil  # noqa: PLC0415 - loads much

    give_back()
    free, size = free_bytes(), _weight(graph)
    # Inside the graph the plain weights are read to memory too.
    times = 1.1 if files.size(graph) < size / 2 else _TIMES
    return (free is None or free >= times * size) and (
        shutil.disk_usage(folder).free >= 2 * _TIMES * size
    )


def _weight(graph: Path) -> int:
    """Return the size of a graph with what lies beside it; 0 where there is none."""
    beside = graph.with_name(PACKED_DATA if graph.name == GRAPH else f"{graph.name}_data")
    return files.size(graph) + files.size(beside)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time pack; where another one does, raise what `files.held` raises."""
    descriptor = files.held(folder / LOCK)
    try:
        yield
    finally:
        os.close(descriptor)
