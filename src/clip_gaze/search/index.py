"""Keep the vectors of pictures in a file that is mapped into memory, beside the store's."""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.errors import GazeError
from clip_gaze.store import pictures
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from clip_gaze.store import Store

    Digests = NDArray[np.bytes_]

SHA256 = "S32"
# Where more pictures are missing than this, and a part of those that are there, it is written anew.
_NEW, _PART = 1000, 64
_PER_WRITE = 4096


class Index:
    """The vectors of one encoder's pictures, found by the digests of their files.

    The file is a copy of what the store had, sorted by digest, and never changes: a newer one takes
    its place. As a vector belongs to its digest for ever, an old file is not wrong; what it lacks
    comes from the store.

    Attributes:
        path: of the file.
        store: where they come from.
        dim: length of a vector.
        digests: (n,) SHA-256, 32 bytes each, sorted.
        vectors: (n, d) float32, L2-normalised.

    """

    def __init__(self, store: Store, folder: Path, encoder: str, dim: int) -> None:
        """Name the file in `folder`, and map it if it is there; `encoder` is one of the store's."""
        self.store, self._encoder, self.dim = store, encoder, dim
        self._record = np.dtype([("digest", SHA256), ("vector", "<f4", (dim,))])
        name = hashlib.sha256(encoder.encode()).hexdigest()[:16]
        self.path = folder / f"{pictures.INDEX}{name}.f32"
        self._map()

    def stored(self) -> Digests:
        """Return the digests of all pictures that the store has vectors of, sorted."""
        found = self.store.read(partial(pictures.contents, encoder=self._encoder))
        return np.frombuffer(found or b"", SHA256)

    def rows(self, digests: Digests) -> NDArray[np.intp]:
        """Return where pictures stand in `vectors`, (m,) int; -1 for those that do not."""
        if not len(self.digests):
            return np.full(len(digests), -1)
        found = np.minimum(np.searchsorted(self.digests, digests), len(self.digests) - 1)
        return np.where(self.digests[found] == digests, found, -1)

    def lacking(self, digests: Digests) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors of pictures that the store has, by their digests."""
        hexed = [each.hex() for each in listed(digests)]
        found = self.store.get(self._encoder, hexed, self.dim)
        return {bytes.fromhex(digest): vector for digest, vector in found.items()}

    def renew(self, missing: int) -> bool:
        """Write the file anew if so many missing pictures are too many; return whether it was."""
        if missing <= _NEW + len(self.digests) // _PART:
            return False
        self._use(np.empty(0, self._record))  # Windows replaces no file that is mapped
        try:
            self._write()
        except (OSError, GazeError):
            # The first where the disk is full, or another process of Windows has the file open.
            return False
        finally:
            self._map()
        return True

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.path) as part, part.open("wb") as file:
            waiting = bytearray()

            def write(digest: bytes, vector: bytes) -> None:
                nonlocal waiting
                if len(vector) == 4 * self.dim:
                    waiting += digest + vector
                if len(waiting) >= _PER_WRITE * self._record.itemsize:
                    flush()

            def flush() -> None:
                nonlocal waiting
                block = np.frombuffer(bytes(waiting), self._record)
                file.write(block[np.isfinite(block["vector"]).all(axis=1)].tobytes())
                waiting = bytearray()

            self.store.read(partial(pictures.sweep, encoder=self._encoder, write=write))
            flush()

    def _map(self) -> None:
        found = np.empty(0, self._record)
        with contextlib.suppress(OSError, ValueError):  # not there, empty, or cut short
            found = np.memmap(self.path, self._record, "r")
        self._use(found)

    def _use(self, found: NDArray[np.void]) -> None:
        self.digests, self.vectors = found["digest"], found["vector"]


def listed(digests: Digests) -> list[bytes]:
    """Return digests as bytes, of which numpy would drop zeros at the end."""
    data = digests.tobytes()
    return [data[at : at + 32] for at in range(0, len(data), 32)]
