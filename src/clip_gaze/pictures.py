"""Pictures to vectors, in order: known ones from the store, others decoded ahead of the graph."""

from __future__ import annotations

import stat
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clip_gaze import neutral, verify
from clip_gaze.errors import PictureError
from clip_gaze.images import normalised, pixel_values, seen, square
from clip_gaze.opening import most_pixels, upright
from clip_gaze.scoring import normalise

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from clip_gaze.manifest import Manifest
    from clip_gaze.session import Tower
    from clip_gaze.store import Stamp, Store

    Picture = Image.Image | str | os.PathLike[str]
    Vector = NDArray[np.float32]

# Pictures that one run of the graph takes, where there are many: more would only take memory.
_PER_RUN = 4
# The store is asked for so many paths at once, in the end; at first for fewer, so that the first
# result does not wait for the last path.
_PER_QUERY = 256


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture on its way: its vector, or else its pixels, or else what is wrong with it."""

    vector: Vector | None = None
    pixels: NDArray[np.float32] | None = None
    digest: str | None = None
    error: PictureError | None = None


class Pictures:
    """Encodes pictures with one model, and remembers those that are files."""

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        store: Store | None,
        tower: Callable[[], Tower],
        workers: int,
        max_pixels: int | None,
    ) -> None:
        """Prepare to encode.

        Args:
            manifest: of the model.
            digest: of the vision tower.
            store: where vectors are kept; None: nowhere, and files are not even hashed.
            tower: returns the vision tower; called only if a picture is not known.
            workers: how many threads decode and resize.
            max_pixels: larger files are refused; None: see `opening.most_pixels`.
        """
        self._manifest = manifest
        self._encoder = f"vision:{digest}:{astuple(manifest.image)}"
        self._store = store
        self._tower = tower
        self._workers = workers
        self._max_pixels = max_pixels or most_pixels(workers)

    def encode(self, images: Iterable[Picture]) -> Iterator[Vector | PictureError]:
        """Yield for each picture its (d,) float32 vector, L2-normalised, or what is wrong with it.

        PIL images are asked for one after the other, and turned into pixels at once. Paths are
        asked for up to 256 at a time, and opened a few ahead of the graph.
        """
        for chunk in _chunks(images):
            yield from self._encode_chunk(chunk)

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
        tower, settings = self._tower(), self._manifest.image
        rows = []
        for at in range(0, len(squares), _PER_RUN):
            part = squares[at : at + _PER_RUN]
            rows.append(tower.images(np.stack([normalised(each, settings) for each in part])))
        return normalise(np.concatenate(rows))

    def _encode_chunk(self, chunk: list[Picture]) -> Iterator[Vector | PictureError]:
        waiting: list[_Prepared] = []
        for prepared in self._prepared(chunk):
            waiting.append(prepared)
            if sum(each.pixels is not None for each in waiting) == _PER_RUN:
                yield from self._finished(waiting)
                waiting = []
        yield from self._finished(waiting)

    def _finished(self, waiting: list[_Prepared]) -> Iterator[Vector | PictureError]:
        """Run the graph on those that need it, keep the new vectors, and yield all in order."""
        pixels = [each.pixels for each in waiting if each.pixels is not None]
        rows = iter(normalise(self._tower().images(np.stack(pixels))) if pixels else ())
        new: dict[str, Vector] = {}
        results: list[Vector | PictureError] = []
        for each in waiting:
            if each.error is not None:
                results.append(each.error)
            elif each.vector is not None:
                results.append(each.vector)
            else:
                results.append(next(rows))
                if each.digest is not None:
                    new[each.digest] = results[-1]
        if new and self._store is not None:
            self._store.put(self._encoder, new)
        yield from results

    def _prepared(self, chunk: list[Picture]) -> Iterator[_Prepared]:
        """Yield the pictures of a chunk, ready for the graph, in order."""
        if isinstance(chunk[0], Image.Image):
            yield self._from_image(chunk)
            return
        paths = [Path(path) for path in chunk if not isinstance(path, Image.Image)]
        known = self._known(paths)
        unknown = [path for path in paths if path not in known]
        ready = _ahead(self._from_file, unknown, self._workers)
        for path in paths:
            yield _Prepared(vector=known[path]) if path in known else next(ready)

    def _known(self, paths: list[Path]) -> dict[Path, Vector]:
        """Return the vectors of files that have not changed since they were encoded."""
        if self._store is None:
            return {}
        stamps = {path: stamp for path in paths if (stamp := _stamp(path)) is not None}
        digests = self._store.digests(stamps)
        vectors = self._store.get(
            self._encoder, list(digests.values()), self._manifest.embedding_dim
        )
        return {path: vectors[digest] for path, digest in digests.items() if digest in vectors}

    def _from_image(self, alone: list[Picture]) -> _Prepared:
        """Take the PIL image out of its list, so that nothing keeps it once it is pixels."""
        image = alone.pop()
        assert isinstance(image, Image.Image)  # noqa: S101 - `_chunks` puts it there
        try:
            return _Prepared(pixels=pixel_values(image, self._manifest.image))
        except PictureError as error:
            return _Prepared(error=error)

    def _pixels(self, path: Path) -> NDArray[np.float32]:
        return pixel_values(upright(path, self._max_pixels), self._manifest.image)

    def _from_file(self, path: Path) -> _Prepared:
        """Prepare a file; one whose content was encoded before is not decoded."""
        try:
            if self._store is None or (before := _stamp(path)) is None:
                return _Prepared(pixels=self._pixels(path))
            digest = verify.sha256(path)
            found = self._store.get(self._encoder, [digest], self._manifest.embedding_dim)
            pixels = None if found else self._pixels(path)
        except PictureError as error:
            return _Prepared(error=error)
        except OSError as error:
            return _Prepared(error=PictureError(f"{path}: cannot be read ({error.strerror})"))
        if _stamp(path) != before:
            # Written to meanwhile: the digest may not be that of the pixels.
            return _Prepared(vector=found.get(digest), pixels=pixels)
        self._store.stamp(path, before, digest)
        return _Prepared(vector=found.get(digest), pixels=pixels, digest=digest)


def _stamp(path: Path) -> Stamp | None:
    """Return size and modification time of a regular file; None for anything else."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


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


def _ahead(
    function: Callable[[Path], _Prepared], paths: list[Path], workers: int
) -> Iterator[_Prepared]:
    """Map over paths in threads, in order, no more than a few ahead."""
    if len(paths) == 1:
        yield function(paths[0])
        return
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[_Prepared]] = deque()
        for path in paths:
            waiting.append(pool.submit(function, path))
            if len(waiting) >= workers + _PER_RUN:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
