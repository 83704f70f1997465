"""Encode images in input order: cached embeddings from the store, the rest in a thread pool."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import astuple
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import PIL

from clip_gaze.errors import PictureError
from clip_gaze.pictures.source import (
    Content,
    Decoded,
    Embedded,
    File,
    Remote,
    check_offline,
    several,
    source,
)
from clip_gaze.system.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.pictures.pools import Pools
    from clip_gaze.pictures.source import Picture
    from clip_gaze.pictures.vision import Vision
    from clip_gaze.store import Store

    Vector = NDArray[np.float32]
    Outcome = Vector | PictureError
    # What may be asked for together with others.
    Named = File | Remote | Content | Embedded

# What decides pixels beside the model: a change of ours needs another number (2: pictures of more
# than 8 bits), and Pillow 13 resizes in another order than 12.
PREPROCESSING = f"preprocessing 2, Pillow {PIL.__version__.partition('.')[0]}"
# Files that are under way for each that is looked at; a vector takes no room to speak of.
_AHEAD = 2
# The store is asked for so many paths at once, in the end; at first for fewer, so that the first
# result does not wait for the last path.
_PER_QUERY = 256


class ImageEncoder:
    """Encodes pictures with one model, and keeps the vectors of files in the store under `key`."""

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        store: Store | None,
        tower: Callable[..., Tower],
        pools: Pools,
        workers: int,
        max_pixels: int | None,
        *,
        offline: bool,
    ) -> None:
        """Prepare to encode.

        Args:
            manifest: of the model.
            digest: of the vision tower's files.
            store: where vectors are kept; None: nowhere, and files are not even hashed.
            tower: `Towers.vision`; called only if a picture is not known.
            pools: where the threads come from.
            workers: how many files are decoded and encoded in parallel, each in a thread.
            max_pixels: larger files are refused; None: see `memory.most_pixels`.
            offline: whether URLs that lead to other machines are refused.
        """
        self._offline = offline
        self._manifest = manifest
        self.key = f"vision:{digest}:{astuple(manifest.image)}:{PREPROCESSING}"
        self._store = store
        self._tower = tower
        self._pools = pools
        self._workers = workers
        self._max_pixels = max_pixels

    @cached_property
    def _vision(self) -> Vision:
        """What looks at pictures that are not known."""
        from clip_gaze.pictures.vision import Vision  # noqa: PLC0415 - loads Pillow

        return Vision(self._manifest.image, self._tower, self._pools, self._max_pixels)

    @property
    def neutral_key(self) -> str:
        """What the mean of the neutral pictures is known by."""
        from clip_gaze.pictures import neutral  # noqa: PLC0415 - loads Pillow

        return f"{neutral.NAME}:{self.key}"

    def encode(self, images: Iterable[Picture]) -> Iterator[tuple[str, Outcome]]:
        """Encode pictures in threads and yield them in order, known ones from the store.

        Paths are asked for up to 256 at a time, other pictures one after the other: an open file
        is read before the next picture is asked for, and a decoded one is turned into pixels.

        Args:
            images: see `source.source`; one that is something else is yielded with that error.

        Yields:
            What the picture is called, "" if it has no path, and its (d,) float32 vector,
            L2-normalised, or what is wrong with it.

        """
        for found in self._stream(several(images)):
            yield found
            self._pools.answered = True

    def _stream(self, images: Iterable[Picture]) -> Iterator[tuple[str, Outcome]]:
        """Encode pictures; see `encode`."""
        waiting: deque[tuple[str, Outcome | Future[Outcome]]] = deque()

        def next_one() -> tuple[str, Outcome]:
            name, outcome = waiting.popleft()
            return name, outcome.result() if isinstance(outcome, Future) else outcome

        with self._pools.pool(self._workers) as pool:
            for taken in self._taken(images):
                if isinstance(taken, tuple):
                    name, pixels = taken
                    outcome = (
                        pixels if isinstance(pixels, PictureError) else self._vision.vector(pixels)
                    )
                    waiting.append((name, outcome))
                    while waiting:
                        yield next_one()
                    continue
                known = self._known(taken)
                for each in taken:
                    if isinstance(each, Embedded):
                        begun: Outcome | Future[Outcome] = each.outcome
                    elif (vector := known.get(each.name)) is not None:
                        begun = vector
                    else:
                        begun = pool.submit(self._from_file, each)
                    waiting.append((each.name, begun))
                    if len(waiting) > _AHEAD * self._workers:
                        yield next_one()
            while waiting:
                yield next_one()

    def neutral(self) -> Vector:
        """Return the mean vector of the neutral pictures, (d,) float32, not normalised."""
        from clip_gaze.pictures import neutral  # noqa: PLC0415 - loads Pillow

        encoder, dim = f"neutral:{self.key}", self._manifest.embedding_dim
        if self._store and (known := self._store.get(encoder, [neutral.NAME], dim)):
            return known[neutral.NAME]
        vectors = []
        for _, outcome in self._stream(neutral.pictures()):
            if isinstance(outcome, PictureError):
                raise outcome
            vectors.append(outcome)
        mean = np.asarray(np.mean(vectors, axis=0, dtype=np.float64), np.float32)
        if self._store is not None:
            self._store.put(encoder, {neutral.NAME: mean})
        return mean

    def square(self, image: Picture) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
        """Return the square of a picture that the vision tower sees, and where it lies.

        Returns:
            (size, size, 3) uint8; left, top, right and bottom from 0 to 1.

        Raises:
            PictureError: it cannot be read.

        """
        found = source(image)
        check_offline(found, offline=self._offline)
        return self._vision.square(found)

    def encode_squares(self, squares: NDArray[np.uint8]) -> Vector:
        """Return the vectors of (n, size, size, 3) uint8, (n, d), L2-normalised; keep none."""
        with self._pools.pool(self._workers) as pool:
            return np.stack(list(pool.map(self._vision.of_square, squares)))

    def _taken(
        self, images: Iterable[Picture]
    ) -> Iterator[list[Named] | tuple[str, NDArray[np.float32] | PictureError]]:
        """Yield files in growing groups, the content of one alone, and what is decoded as pixels.

        Nothing here keeps a decoded picture once it is pixels.
        """
        group: list[Named] = []
        size = 1
        for image in images:
            found = self._read(image)
            del image
            if isinstance(found, File | Remote | Embedded):
                group.append(found)
                if len(group) >= size:
                    yield group
                    group, size = [], min(2 * size, _PER_QUERY)
                continue
            if group:
                yield group
                group = []
            yield [found] if isinstance(found, Content) else found
            del found
        if group:
            yield group

    def _read(self, image: Picture) -> Named | tuple[str, NDArray[np.float32] | PictureError]:
        """Return what to read a picture from, or the pixels of one that is decoded already."""
        if isinstance(image, Embedded):
            return image
        name = ""
        try:
            found = source(image)
            name = found.name
            check_offline(found, offline=self._offline)
            if not isinstance(found, Decoded):
                return found
            return name, self._vision.pixels(found)
        except PictureError as error:
            return name, error

    def _known(self, sources: list[Named]) -> dict[str, Vector]:
        """Return the vectors of files that have not changed since they were encoded, by name."""
        if self._store is None:
            return {}
        files = [each for each in sources if isinstance(each, File)]
        stamps = {each.path: stamp for each in files if (stamp := each.stamp())}
        digests = self._store.digests(stamps)
        vectors = self._store.get(self.key, list(digests.values()), self._manifest.embedding_dim)
        return {
            each.name: vectors[digest]
            for each in files
            if (digest := digests.get(each.path)) in vectors
        }

    def _from_file(self, file: File | Remote | Content) -> Outcome:
        """Return the vector of a file, from the store where its content was encoded before."""
        from clip_gaze.pictures.load import explained  # noqa: PLC0415 - loads Pillow

        before = file.stamp() if isinstance(file, File) else None
        try:
            with file.open() as stream:
                if self._store is None or before is None or not isinstance(file, File):
                    return self._vision.of_file(stream, file.name)
                with explained(file.name):
                    digest = sha256(stream)
                    stream.seek(0)
                found = self._store.get(self.key, [digest], self._manifest.embedding_dim)
                vector = found[digest] if found else self._vision.of_file(stream, file.name)
        except PictureError as error:
            return error
        # Where it was written to meanwhile, the digest may not be that of the pixels.
        if file.stamp() == before:
            if not found:
                self._store.put(self.key, {digest: vector})
            self._store.stamp(file.path, before, digest)
        return vector
