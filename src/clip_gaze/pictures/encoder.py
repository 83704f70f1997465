"""Pictures to vectors, in order: known ones from the store, others in threads, one in each."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import Image

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import ClosedError, PictureError
from clip_gaze.model import verify
from clip_gaze.pictures import neutral
from clip_gaze.pictures.load import most_pixels, upright
from clip_gaze.pictures.preprocess import normalised, pixel_values, seen, square
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.store import Store

    Picture = Image.Image | str | os.PathLike[str]
    Vector = NDArray[np.float32]

# What decides pixels beside the model: a change of ours needs another number, and Pillow 13 resizes
# in another order than 12.
_PREPROCESSING = f"preprocessing 1, Pillow {PIL.__version__.partition('.')[0]}"
# Files that are under way for each that is looked at; a vector takes no room to speak of.
_AHEAD = 2
# The store is asked for so many paths at once, in the end; at first for fewer, so that the first
# result does not wait for the last path.
_PER_QUERY = 256


class Pools:
    """The thread pools that work for one `Clip`, to be stopped before the store is closed."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._open: set[ThreadPoolExecutor] = set()
        self._closed = False

    @contextmanager
    def pool(self, workers: int) -> Iterator[ThreadPoolExecutor]:
        """Yield a pool; what has not begun when its user leaves is never done.

        Raises:
            ClosedError: the pools were closed, before or meanwhile.

        """
        with self._lock:
            if self._closed:
                raise ClosedError
            pool = ThreadPoolExecutor(workers)
            self._open.add(pool)
        try:
            yield pool
        except (CancelledError, RuntimeError) as error:
            if self._closed:
                raise ClosedError from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            self._open.discard(pool)

    def close(self) -> None:
        """Let what has begun come to its end, and begin nothing more."""
        with self._lock:
            self._closed = True
            pools = list(self._open)
        for pool in pools:
            pool.shutdown(cancel_futures=True)


class Pictures:
    """Encodes pictures with one model, and remembers those that are files."""

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        store: Store | None,
        tower: Callable[[], Tower],
        pools: Pools,
        workers: int,
        max_pixels: int | None,
    ) -> None:
        """Prepare to encode.

        Args:
            manifest: of the model.
            digest: of the vision tower, see `download.Files.digest`.
            store: where vectors are kept; None: nowhere, and files are not even hashed.
            tower: returns the vision tower; called only if a picture is not known.
            pools: where the threads come from.
            workers: how many files are looked at side by side, each in a thread.
            max_pixels: larger files are refused; None: see `opening.most_pixels`.
        """
        self._manifest = manifest
        self._encoder = f"vision:{digest}:{astuple(manifest.image)}:{_PREPROCESSING}"
        self._store = store
        self._tower = tower
        self._pools = pools
        self._workers = workers
        self._max_pixels = max_pixels or most_pixels(workers)

    def encode(self, images: Iterable[Picture]) -> Iterator[Vector | PictureError]:
        """Yield for each picture its (d,) float32 vector, L2-normalised, or what is wrong with it.

        PIL images are asked for one after the other, and turned into pixels at once. Paths are
        asked for up to 256 at a time, and looked at side by side, a few ahead of what is taken.
        """
        waiting: deque[Callable[[], Vector | PictureError]] = deque()
        with self._pools.pool(self._workers) as pool:
            for chunk in _chunks(images):
                if isinstance(chunk[0], Image.Image):
                    while waiting:
                        yield waiting.popleft()()
                    yield self._from_image(chunk)
                    continue
                paths = [Path(path) for path in chunk if not isinstance(path, Image.Image)]
                known = self._known(paths)
                for path in paths:
                    if path in known:
                        waiting.append(partial(known.__getitem__, path))
                    else:
                        waiting.append(pool.submit(self._from_file, path).result)
                    if len(waiting) > _AHEAD * self._workers:
                        yield waiting.popleft()()
            while waiting:
                yield waiting.popleft()()

    def neutral(self) -> Vector:
        """Return the mean vector of the neutral pictures, (d,) float32, not normalised."""
        encoder = f"neutral:{self._encoder}"
        known = self._store and self._store.get(
            encoder, [neutral.NAME], self._manifest.embedding_dim
        )
        if known:
            return known[neutral.NAME]
        vectors = []
        for outcome in self.encode(neutral.pictures()):
            if isinstance(outcome, PictureError):
                raise outcome
            vectors.append(outcome)
        mean = np.asarray(np.mean(vectors, axis=0, dtype=np.float64), np.float32)
        if self._store is not None:
            self._store.put(encoder, {neutral.NAME: mean})
        return mean

    def square(self, image: Picture) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
        """Return what the graph sees of a picture, and which part of it that is.

        Args:
            image: a PIL image, taken as it is, or a path, opened upright.

        Returns:
            (size, size, 3) uint8; left, top, right and bottom from 0 to 1.

        Raises:
            PictureError: it cannot be read.

        """
        if not isinstance(image, Image.Image):
            image = upright(image, self._max_pixels)
        size = self._manifest.image.size
        return square(image, size), seen(*image.size, size)

    def encode_squares(self, squares: NDArray[np.uint8]) -> Vector:
        """Return the vectors of (n, size, size, 3) uint8, (n, d), L2-normalised; keep none."""
        pixels = (normalised(each, self._manifest.image) for each in squares)
        with self._pools.pool(self._workers) as pool:
            return np.stack(list(pool.map(self._vector, pixels)))

    def _known(self, paths: list[Path]) -> dict[Path, Vector]:
        """Return the vectors of files that have not changed since they were encoded."""
        if self._store is None:
            return {}
        stamps = {path: found for path in paths if (found := stamp(path)) is not None}
        digests = self._store.digests(stamps)
        vectors = self._store.get(
            self._encoder, list(digests.values()), self._manifest.embedding_dim
        )
        return {path: vectors[digest] for path, digest in digests.items() if digest in vectors}

    def _from_image(self, alone: list[Picture]) -> Vector | PictureError:
        """Take the PIL image out of its list, so that nothing keeps it once it is pixels."""
        image = alone.pop()
        assert isinstance(image, Image.Image)  # noqa: S101 - `_chunks` puts it there
        try:
            pixels = pixel_values(image, self._manifest.image)
        except PictureError as error:
            return error
        del image
        return self._vector(pixels)

    def _from_file(self, path: Path) -> Vector | PictureError:
        """Look at a file; one whose content was seen before is not decoded."""
        try:
            if self._store is None or (before := stamp(path)) is None:
                return self._look(path)
            digest = verify.sha256(path)
            found = self._store.get(self._encoder, [digest], self._manifest.embedding_dim)
            vector = found[digest] if found else self._look(path)
        except PictureError as error:
            return error
        except OSError as error:
            return PictureError(f"{path}: cannot be read ({error.strerror})")
        # Where it was written to meanwhile, the digest may not be that of the pixels.
        if stamp(path) == before:
            if not found:
                self._store.put(self._encoder, {digest: vector})
            self._store.stamp(path, before, digest)
        return vector

    def _look(self, path: Path) -> Vector:
        """Decode a file, and load the graph meanwhile if it is not there yet."""
        beside = ThreadPoolExecutor(1)
        try:
            load = partial(beside.submit, self._tower)
            pixels = pixel_values(upright(path, self._max_pixels, load), self._manifest.image)
        finally:
            beside.shutdown(wait=False)  # what is wrong with a picture is said at once
        return self._vector(pixels)

    def _vector(self, pixels: NDArray[np.float32]) -> Vector:
        """Return the vector of one picture's (3, size, size) float32, (d,), L2-normalised."""
        (vector,) = normalise(self._tower().images(pixels[None]))
        return np.asarray(vector)


def label_of(image: Picture) -> str:
    """Return what a picture is called in results: its path, or nothing for a PIL image."""
    return "" if isinstance(image, Image.Image) else os.fspath(image)


def _chunks(images: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Yield each PIL image alone, and paths in growing groups."""
    chunk: list[Picture] = []
    size = 1
    for image in images:
        if isinstance(image, Image.Image):
            if chunk:
                yield chunk
            chunk = []
            alone: list[Picture] = [image]
            del image  # the list is emptied by its reader; nothing here may keep the picture
            yield alone
            continue
        chunk.append(image)
        if len(chunk) >= size:
            yield chunk
            chunk, size = [], min(2 * size, _PER_QUERY)
    if chunk:
        yield chunk
