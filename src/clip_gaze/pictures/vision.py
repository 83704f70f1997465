"""Look at pictures: decode them, preprocess them, and run the vision tower."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import IO, TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.pictures.load import decoded, explained, upright
from clip_gaze.pictures.memory import most_pixels
from clip_gaze.pictures.preprocess import normalised, pixel_values, seen, square

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

    from clip_gaze.model.manifest import ImageSettings
    from clip_gaze.model.session import Tower
    from clip_gaze.pictures.pools import Pools
    from clip_gaze.pictures.source import Decoded, Source

    Vector = NDArray[np.float32]


class Vision:
    """Turns pictures into vectors, (d,) float32, L2-normalised; safe to share between threads."""

    def __init__(
        self,
        preprocessing: ImageSettings,
        tower: Callable[..., Tower],
        pools: Pools,
        max_pixels: int | None,
    ) -> None:
        """Prepare to look; see `ImageEncoder` for the arguments."""
        self._preprocessing = preprocessing
        self._tower = tower
        self._pools = pools
        self._max_pixels = max_pixels or most_pixels()

    def of_file(self, file: IO[bytes], name: str) -> Vector:
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

                pixels = self._pixels(decoded(file, name, self._max_pixels, found), name)
            return self._run(pixels, beside=beside())

    def pixels(self, picture: Decoded) -> NDArray[np.float32]:
        """Return the (3, size, size) float32 of a picture that is decoded, as the tower has it."""
        return self._pixels(upright(picture), picture.name)

    def vector(self, pixels: NDArray[np.float32]) -> Vector:
        """Return the vector of a picture's (3, size, size) float32."""
        with self._pools.looking() as beside:
            return self._run(pixels, beside=beside())

    def square(
        self, picture: Source
    ) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
        """Return the square of a picture that the tower sees, and where; see `ImageEncoder`."""
        opened = upright(picture, self._max_pixels)
        size = self._preprocessing.size
        with explained(picture.name):
            return square(opened, size), seen(*opened.size, size)

    def of_square(self, square: NDArray[np.uint8]) -> Vector:
        """Return the vector of a square that the tower sees, (size, size, 3)."""
        return self.vector(normalised(square, self._preprocessing))

    def _pixels(self, image: Image.Image, name: str) -> NDArray[np.float32]:
        with explained(name):
            return pixel_values(image, self._preprocessing)

    def _run(self, pixels: NDArray[np.float32], *, beside: bool) -> Vector:
        """Run the tower; `beside`: whether other pictures are under way."""
        tower = self._tower(beside=beside, answered=self._pools.answered)
        (vector,) = normalise(tower.images(pixels[None]))
        return np.asarray(vector)
