"""Turn an image into pixel values, bit for bit as transformers' PIL image processor for CLIP."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clip_gaze.errors import PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_gaze.model.manifest import ImageSettings

# Where the longer edge is beyond this many short edges, only its middle is enlarged.
_SLENDER = 8
_RESCALE = 1 / 255


def square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the shortest edge to `size` (Pillow's bicubic on uint8) and cut the centre square.

    Args:
        image: any mode of 8 bits that Pillow can convert to RGB (see `depth.eight_bits`).
        size: edge of the square, in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        PictureError: the picture has no pixels, or its mode cannot become RGB.

    """
    width, height = image.size
    if not width or not height:
        msg = f"a picture of {width} x {height} pixels has no pixels"
        raise PictureError(msg)
    image = rgb(image)
    new, left, top = _layout(width, height, size)
    if min(width, height) < size and max(new) > _SLENDER * size:
        # The whole strip could take gigabytes (1 x 4000 becomes 224 x 896,000).
        return _square_of_strip(image, size, new)
    cut = image.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return np.asarray(cut)


def cropped(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return a part of a picture: left, top, right, bottom, in pixels.

    `Image.crop` does the same, but holds parts to a limit that is set for the whole process.
    """
    left, top, right, bottom = box
    return image.transform((right - left, bottom - top), Image.Transform.EXTENT, box)


def seen(width: int, height: int, size: int) -> tuple[float, float, float, float]:
    """Return which part of a picture `square` keeps: left, top, right, bottom, from 0 to 1.

    >>> seen(200, 100, 50)
    (0.25, 0.0, 0.75, 1.0)
    """
    (across, down), left, top = _layout(width, height, size)
    return left / across, top / down, (left + size) / across, (top + size) / down


def within(box: tuple[float, ...], part: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return a box of a picture as a box of a part of it: left, top, right, bottom, 0 to 1.

    >>> within((0.5, 0.25, 0.75, 0.5), (0.5, 0.0, 1.0, 0.5))
    (0.0, 0.5, 0.5, 1.0)
    """
    width, height = part[2] - part[0], part[3] - part[1]
    left, right = ((box[at] - part[0]) / width for at in (0, 2))
    top, bottom = ((box[at] - part[1]) / height for at in (1, 3))
    return left, top, right, bottom


def _layout(width: int, height: int, size: int) -> tuple[tuple[int, int], int, int]:
    """Return the size of the resized picture, and where its centre square begins."""
    new_long = int(size * max(width, height) / min(width, height))
    new = (size, new_long) if width <= height else (new_long, size)
    return new, (new[0] - size) // 2, (new[1] - size) // 2


def pixel_values(image: Image.Image, settings: ImageSettings) -> NDArray[np.float32]:
    """Return what the vision tower reads for a picture that is upright; see `square`.

    Returns:
        (3, size, size) float32, scaled to 0..1 and then normalised.

    """
    return normalised(square(image, settings.size), settings)


def normalised(pixels: NDArray[np.uint8], settings: ImageSettings) -> NDArray[np.float32]:
    """Return (size, size, 3) uint8 as the (3, size, size) float32 that the vision tower reads."""
    table = _table(settings.mean, settings.std)
    return np.stack([table[channel][pixels[:, :, channel]] for channel in range(3)])


@lru_cache(maxsize=8)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the normalised value of each level of each channel, (3, 256) float32.

    A pixel has 256 levels, so the arithmetic (transformers': scale in float64, round to float32,
    subtract, divide) is done once for each instead of once for each pixel.
    """
    levels = (np.arange(256, dtype=np.float64) * _RESCALE).astype(np.float32)
    means, stds = np.array(mean, np.float32)[:, None], np.array(std, np.float32)[:, None]
    return ((levels[None] - means) / stds).astype(np.float32)


def rgb(image: Image.Image) -> Image.Image:
    """Return the picture in RGB; where it is transparent, it lies on white."""
    try:
        if "A" in image.getbands() or image.info.get("transparency") is not None:
            image = image if image.mode == "RGBA" else image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except (ValueError, OSError) as error:
        msg = f"a picture in mode {image.mode} cannot be turned into RGB ({error})"
        raise PictureError(msg) from error


def _square_of_strip(image: Image.Image, size: int, new: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the centre square of `image` enlarged to `new`, without making the rest.

    Pillow enlarges rows first, then columns, each into uint8 (since Pillow 13 it may reduce in
    the other order). The short axis goes through Pillow; the long one is computed here for the
    square alone, with Pillow's own fixed-point weights.
    """
    taps, weights = _taps(max(image.size), max(new), size)
    first, end = int(taps.min()), int(taps.max()) + 1
    if new[0] > new[1]:
        columns = np.asarray(image.crop((first, 0, end, image.height))).transpose(1, 0, 2)
        middle = _weighed(columns, taps - first, weights).transpose(1, 0, 2)
        strip = Image.fromarray(np.ascontiguousarray(middle))
        return np.asarray(strip.resize((size, size), Image.Resampling.BICUBIC))
    rows = image.crop((0, first, image.width, end))
    strip = rows.resize((size, rows.height), Image.Resampling.BICUBIC)
    return _weighed(np.asarray(strip), taps - first, weights)


def _taps(edge: int, length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what makes the middle `size` of an `edge` enlarged to `length`.

    The filter is Keys' cubic convolution (a = -0.5); weights are rounded to 22 bits after the
    point, as in Pillow's Resample.c.

    Returns:
        Positions on the edge and their weights, (size, n) each.

    """
    scale = edge / length
    centre = ((length - size) // 2 + np.arange(size) + 0.5) * scale
    first = np.maximum((centre - 2.0 + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + 2.0 + 0.5).astype(np.int64), edge)
    taps = first[:, None] + np.arange((last - first).max())
    x = np.abs(taps - centre[:, None] + 0.5)
    near, far = ((1.5 * x) - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    weights = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    weights[taps >= last[:, None]] = 0.0
    weights /= np.cumsum(weights, axis=1)[:, -1:]
    fixed = np.trunc(weights * (1 << 22) + np.copysign(0.5, weights)).astype(np.int64)
    return np.minimum(taps, edge - 1), fixed


def _weighed(
    pixels: NDArray[np.uint8], taps: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return weighted sums of rows of `pixels`, each rounded to the nearest level."""
    sums = np.full((len(taps), *pixels.shape[1:]), 1 << 21, dtype=np.int64)
    for tap, weight in zip(taps.T, weights.T, strict=True):
        sums += weight[:, None, None] * pixels[tap]
    levels: NDArray[np.uint8] = np.clip(sums >> 22, 0, 255).astype(np.uint8)
    return levels
