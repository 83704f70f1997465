"""Cut a collection into partitions, each named by the pictures that it holds."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clip_gaze.datasets.listing import Named

# Pictures in a partition, on an average: seconds of work, and half a megabyte.
USUAL = 256
_FILE = re.compile(r"part-[0-9a-f]{32}-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class Partition:
    """Pictures that become one part of a dataset.

    Attributes:
        file: name of the part.
        pictures: the pictures; none where `dataset` has their vectors.
        dataset: the folder or URL of a dataset of vectors, in which the part has the same name.

    """

    file: str
    pictures: tuple[Named, ...] = ()
    dataset: str | None = None

    @property
    def count(self) -> int:
        """How many pictures it has."""
        return count(self.file)


def count(file: str) -> int:
    """Return how many pictures a part has, by its name."""
    found = _FILE.fullmatch(file)
    return int(found[1]) if found else 0


def parts(files: Iterable[str]) -> list[str]:
    """Return which files of a folder are parts of a dataset."""
    return [file for file in files if _FILE.fullmatch(file)]


def partitions(pictures: Iterable[Named], usual: int = USUAL) -> Iterator[Partition]:
    """Yield pictures in partitions, of which one more or less picture changes one or two.

    Where a partition ends is decided by the name of its last picture, if it is not too small or
    too large: thus most of a collection that has grown is cut where it was before.

    Args:
        pictures: in an order that stays.
        usual: how many a partition has on an average; at most it has twice as many.

    """
    least = max(1, usual // 2)
    group: list[Named] = []
    for each in pictures:
        group.append(each)
        last = int.from_bytes(_digest([each.name]).digest()[:8], "big")
        if len(group) >= 2 * usual or (len(group) >= least and last % least == 0):
            yield _named(group)
            group = []
    if group:
        yield _named(group)


def _named(group: Sequence[Named]) -> Partition:
    key = _digest(f"{name}\0{stamp}" for name, stamp in group).hexdigest()[:32]
    return Partition(f"part-{key}-{len(group)}.parquet", tuple(group))


def _digest(texts: Iterable[str]) -> hashlib._Hash:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(os.fsencode(text) + b"\n")
    return digest
