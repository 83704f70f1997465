"""Opening picture files upright; one that cannot be opened says why in one line."""

from __future__ import annotations

import contextlib
import logging
import struct
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from clip_gaze.errors import PictureError, PictureSizeError
from clip_gaze.system.resources import free_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import IO

logger = logging.getLogger(__name__)

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


def upright(
    path: str | os.PathLike[str],
    max_pixels: int | None = None,
    found: Callable[[], object] = lambda: None,
) -> Image.Image:
    """Open a picture file and turn it as its EXIF orientation says.

    Args:
        path: the file; of an animation the first frame is taken.
        max_pixels: a larger picture is refused before it is decoded; Pillow has a limit too.
        found: called when the file has turned out to be a picture, before it is decoded.

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
            found()
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
