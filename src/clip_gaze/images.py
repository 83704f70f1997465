"""From a picture to pixel values, bit for bit as transformers' PIL image processor for CLIP."""

from __future__ import annotations

import contextlib
import logging
import struct
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from clip_gaze.errors import PictureError, PictureSizeError
from clip_gaze.memory import free_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import IO

    from numpy.typing import NDArray

    from clip_gaze.manifest import ImageSettings

logger = logging.getLogger(__name__)

# Where the longer edge is beyond this many short edges, only its middle is enlarged.
_SLENDER = 8
_RESCALE = 1 / 255
_HEIC = (".heic", ".heif")
# Kinds of picture that are read where anybody may send one, by their names in Pillow.
UPLOADS = (
    "AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP",
)  # fmt: skip
# Pillow keeps four bytes a pixel, and turning or converting a picture makes another one.
_BYTES_PER_PIXEL = 12


def most_pixels(workers: int = 1) -> int | None:
    """Return how large a picture may be: what fits in half the free memory.

    Args:
        workers: how many pictures may be open at the same time.

    Returns:
        Pixels; None where the system does not say how much memory is free.
    """
    free = free_bytes()
    return None if free is None else free // 2 // workers // _BYTES_PER_PIXEL


def upright(path: str | os.PathLike[str], max_pixels: int | None = None) -> Image.Image:
    """Open a picture file and turn it as its EXIF orientation says.

    Args:
        path: the file; of an animation the first frame is taken.
        max_pixels: a larger picture is refused before it is decoded; Pillow has a limit too.

    Returns:
        The decoded picture, in the file's own mode.

    Raises:
        PictureError: there is no such file, it is not a picture, or it is damaged or too large.

    """
    path = Path(path)
    try:
        if path.suffix.lower() in _HEIC:
            _open_heic()
        with _explained(str(path), max_pixels), Image.open(path) as image:
            return _loaded(image, str(path), max_pixels)
    except FileNotFoundError:
        msg = f"{path}: no such file; check the name and the folder"
        raise PictureError(msg) from None
    except IsADirectoryError:
        msg = f"{path}: is a folder; name the pictures in it"
        raise PictureError(msg) from None
    except PermissionError:
        # Windows answers so for a folder too.
        reason = "is a folder; name the pictures in it" if path.is_dir() else "may not be read"
        msg = f"{path}: {reason}"
        raise PictureError(msg) from None
    except UnidentifiedImageError:
        more = "; `pip install 'clip-gaze[heic]'`" if path.suffix.lower() in _HEIC else ""
        msg = f"{path}: is not a picture that Pillow can open{more}"
        raise PictureError(msg) from None


def upright_upload(file: IO[bytes], name: str, max_pixels: int | None = None) -> Image.Image:
    """Open a picture that somebody sent, held in memory; see `upright`.

    Args:
        file: the picture file, of one of the kinds of UPLOADS: for some of the others Pillow
            starts programs and writes files.
        name: what the picture is called in an error.
        max_pixels: a larger picture is refused before it is decoded; Pillow has a limit too.

    Raises:
        PictureError: it is not such a picture, or it is damaged or too large.

    """
    _open_heic()
    Image.init()
    kinds = [kind for kind in UPLOADS if kind in Image.OPEN]
    try:
        with _explained(name, max_pixels), Image.open(file, formats=kinds) as image:
            return _loaded(image, name, max_pixels)
    except UnidentifiedImageError:
        msg = f"{name}: is not a picture that is read here; send JPEG, PNG, WebP, TIFF or the like"
        raise PictureError(msg) from None


@contextlib.contextmanager
def _explained(name: str, max_pixels: int | None) -> Iterator[None]:
    """Say in one line what is wrong with a picture, but for what only a path can have."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError, UnidentifiedImageError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limits = [limit for limit in (max_pixels, Image.MAX_IMAGE_PIXELS) if limit is not None]
        msg = (
            f"{name}: has more than {min(limits) / 1e6:.3g} million pixels, which is the limit; "
            "raise it with --max-megapixels, or make the picture smaller"
        )
        raise PictureSizeError(msg) from None
    except MemoryError:
        msg = f"{name}: needs more memory than there is; make it smaller first"
        raise PictureError(msg) from None
    except Exception as error:
        # Pillow's decoders raise many kinds of error on damaged files (OSError, SyntaxError,
        # ValueError, struct.error, ...): each means that this file cannot be read.
        msg = f"{name}: the picture is damaged or cut short ({error})"
        raise PictureError(msg) from error


def _loaded(image: Image.Image, name: str, max_pixels: int | None) -> Image.Image:
    _hold(image, max_pixels)
    image.load()
    return _turned(image, name)


def _hold(image: Image.Image, max_pixels: int | None) -> None:
    if max_pixels is not None and image.width * image.height > max_pixels:
        raise Image.DecompressionBombError


def _turned(image: Image.Image, name: str) -> Image.Image:
    """Return the picture upright, or as it is stored where its EXIF data are damaged."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        logger.warning("%s: damaged EXIF data; the picture is taken as it is stored", name)
    return image


@lru_cache(maxsize=1)
def _open_heic() -> None:
    """Teach Pillow to open HEIC, where the extra `heic` is installed."""
    with contextlib.suppress(ImportError):
        # Needed for this one format.
        import pillow_heif  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

        pillow_heif.register_heif_opener()


def square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the shortest edge to `size` (Pillow's bicubic on uint8) and cut the centre square.

    Args:
        image: any mode that Pillow can convert to RGB.
        size: edge of the square, in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        PictureError: the picture has no pixels, or its mode cannot become RGB.

    """
    width, height = image.size
    if not width or not height:
        msg = f"a picture of {width} x {height} pixels has nothing to see"
        raise PictureError(msg)
    image = rgb(image)
    new, left, top = _layout(width, height, size)
    if min(width, height) < size and max(new) > _SLENDER * size:
        # The whole strip could take gigabytes (1 x 4000 becomes 224 x 896,000).
        return _square_of_strip(image, size, new)
    cut = image.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return np.asarray(cut)


def seen(width: int, height: int, size: int) -> tuple[float, float, float, float]:
    """Return which part of a picture `square` keeps: left, top, right, bottom, from 0 to 1.

    >>> seen(200, 100, 50)
    (0.25, 0.0, 0.75, 1.0)
    """
    (across, down), left, top = _layout(width, height, size)
    return left / across, top / down, (left + size) / across, (top + size) / down


def _layout(width: int, height: int, size: int) -> tuple[tuple[int, int], int, int]:
    """Return the size of the resized picture, and where its centre square begins."""
    new_long = int(size * max(width, height) / min(width, height))
    new = (size, new_long) if width <= height else (new_long, size)
    return new, (new[0] - size) // 2, (new[1] - size) // 2


def pixel_values(image: Image.Image, settings: ImageSettings) -> NDArray[np.float32]:
    """Return what the vision tower reads for one picture.

    Args:
        image: a PIL image, taken as it is (see `upright` for files).
        settings: size, mean and standard deviation of the model.

    Returns:
        (3, size, size) float32, scaled to 0..1 and then normalised.

    Raises:
        PictureError: see `square`.

    """
    return normalised(square(image, settings.size), settings)


def normalised(pixels: NDArray[np.uint8], settings: ImageSettings) -> NDArray[np.float32]:
    """Return (size, size, 3) uint8 as the (3, size, size) float32 that the vision tower reads."""
    table = _table(settings.mean, settings.std)
    return np.stack([table[channel][pixels[:, :, channel]] for channel in range(3)])


@lru_cache(maxsize=8)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the value of each level of each channel, (3, 256) float32.

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
            image = image.convert("RGBA")
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
