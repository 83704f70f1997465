"""Encode images in input order: cached embeddings from the store, the rest in a thread pool."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import astuple
from typing import IO, TYPE_CHECKING

import numpy as np
import PIL
from PIL import Image

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import PictureError
from clip_gaze.pictures import neutral
from clip_gaze.pictures.load import decoded, explained, most_pixels, upright
from clip_gaze.pictures.preprocess import normalised, pixel_values, seen, square
from clip_gaze.pictures.source import Content, Decoded, Embedded, File, Remote, source
from clip_gaze.system.files import sha256
from clip_gaze.system.storage import is_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from PIL import Image

    from clip_gaze.model.manifest import Manifest
    from clip_gaze.model.session import Tower
    from clip_gaze.pictures.pools import Pools
    from clip_gaze.pictures.source import Picture, Source
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
    """Encodes pictures with one model, and keeps the vectors of files in the store."""

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
            digest: of the vision tower's files, see `download.Files.digest`.
            store: where vectors are kept; None: nowhere, and files are not even hashed.
            tower: `Towers.vision`; called only if a picture is not known.
            pools: where the threads come from.
            workers: how many files are decoded and encoded in parallel, each in a thread.
            max_pixels: larger files are refused; None: see `load.most_pixels`.
            offline: whether URLs that lead to other machines are refused.
        """
        self._offline = offline
        self._manifest = manifest
        self._encoder = f"vision:{digest}:{astuple(manifest.image)}:{PREPROCESSING}"
        self._store = store
        self._tower = tower
        self._pools = pools
        self._workers = workers
        self._max_pixels = max_pixels or most_pixels()

    @property
    def key(self) -> str:
        """What the store knows this encoder by."""
        return self._encoder

    @property
    def neutral_key(self) -> str:
        """What the mean of the neutral pictures is known by."""
        return f"{neutral.NAME}:{self._encoder}"

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
        for found in self._stream(images):
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
                    outcome = pixels if isinstance(pixels, PictureError) else self._vector(pixels)
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
        encoder = f"neutral:{self._encoder}"
        known = self._store and self._store.get(
            encoder, [neutral.NAME], self._manifest.embedding_dim
        )
        if known:
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

        Args:
            image: see `source.source`.

        Returns:
            (size, size, 3) uint8; left, top, right and bottom from 0 to 1.

        Raises:
            PictureError: it cannot be read.

        """
        found = self._source(image)
        opened = upright(found, self._max_pixels)
        size = self._manifest.image.size
        with explained(found.name):
            return square(opened, size), seen(*opened.size, size)

    def encode_squares(self, squares: NDArray[np.uint8]) -> Vector:
        """Return the vectors of (n, size, size, 3) uint8, (n, d), L2-normalised; keep none."""
        pixels = (normalised(each, self._manifest.image) for each in squares)
        with self._pools.pool(self._workers) as pool:
            return np.stack(list(pool.map(self._vector, pixels)))

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
            found = self._source(image)
            if not isinstance(found, Decoded):
                return found
            name = found.name
            return name, self._pixels(upright(found), name)
        except PictureError as error:
            return name, error

    def _source(self, image: Picture) -> Source:
        """Return what a picture is read from, if it may be.

        Raises:
            PictureError: it is no picture, or lies on another machine, which must not be asked.

        """
        found = source(image)
        if self._offline and isinstance(found, Remote) and not is_here(found.name):
            msg = f"{found.name}: --offline forbids to fetch it"
            raise PictureError(msg)
        return found

    def _known(self, sources: list[Named]) -> dict[str, Vector]:
        """Return the vectors of files that have not changed since they were encoded, by name."""
        if self._store is None:
            return {}
        files = [each for each in sources if isinstance(each, File)]
        stamps = {each.path: stamp for each in files if (stamp := each.stamp())}
        digests = self._store.digests(stamps)
        vectors = self._store.get(
            self._encoder, list(digests.values()), self._manifest.embedding_dim
        )
        return {
            each.name: vectors[digest]
            for each in files
            if (digest := digests.get(each.path)) in vectors
        }

    def _from_file(self, file: File | Remote | Content) -> Outcome:
        """Return the vector of a file, from the store where its content was encoded before."""
        before = file.stamp() if isinstance(file, File) else None
        try:
            with file.open() as stream:
                if self._store is None or before is None or not isinstance(file, File):
                    return self._look(stream, file.name)
                with explained(file.name):
                    digest = sha256(stream)
                    stream.seek(0)
                found = self._store.get(self._encoder, [digest], self._manifest.embedding_dim)
                vector = found[digest] if found else self._look(stream, file.name)
        except PictureError as error:
            return error
        # Where it was written to meanwhile, the digest may not be that of the pixels.
        if file.stamp() == before:
            if not found:
                self._store.put(self._encoder, {digest: vector})
            self._store.stamp(file.path, before, digest)
        return vector

    def _look(self, stream: IO[bytes], name: str) -> Vector:
        """Decode and encode a file; wait for memory, and let the graph load meanwhile."""
        with self._pools.looking() as beside:
            with ExitStack() as stack:
                loading = ThreadPoolExecutor(1)
                # What is wrong with a picture is said at once.
                stack.callback(loading.shutdown, wait=False)

                def found(pixels: int) -> None:
                    with suppress(RuntimeError):  # no thread can be had: the graph is loaded later
                        loading.submit(self._tower, beside=beside())
                    stack.enter_context(self._pools.room.take(pixels))

                pixels = self._pixels(decoded(stream, name, self._max_pixels, found), name)
            return self._run(pixels, beside=beside())

    def _pixels(self, image: Image.Image, name: str) -> NDArray[np.float32]:
        with explained(name):
            return pixel_values(image, self._manifest.image)

    def _vector(self, pixels: NDArray[np.float32]) -> Vector:
        """Return the vector of pixels that are ready; see `_run`."""
        with self._pools.looking() as beside:
            return self._run(pixels, beside=beside())

    def _run(self, pixels: NDArray[np.float32], *, beside: bool) -> Vector:
        """Return the vector of one picture's (3, size, size) float32, (d,), L2-normalised.

        Args:
            pixels: of the picture.
            beside: whether other pictures are under way.
        """
        tower = self._tower(beside=beside, answered=self._pools.answered)
        (vector,) = normalise(tower.images(pixels[None]))
        return np.asarray(vector)
