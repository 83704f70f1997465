"""Open picture files by their content, decode them upright, and say why one cannot be opened."""

from __future__ import annotations

import contextlib
import logging
import struct
from functools import lru_cache
from typing import IO, TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from clip_gaze.errors import PictureError, PictureSizeError
from clip_gaze.pictures import memory
from clip_gaze.pictures.depth import eight_bits
from clip_gaze.pictures.source import Decoded, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clip_gaze.pictures.source import Picture

logger = logging.getLogger(__name__)

# Kinds of picture that are read, by their names in Pillow, which for some of the others starts
# programs and writes files.
KINDS = (
    "JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "MPO", "PSD",
    "TGA",
)  # fmt: skip
_AVIF = (b"ftypavif", b"ftypavis")
# The brands of ISO media files that are HEIC: ISO/IEC 23008-12, and `mif1` for either.
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_NOT_SUCH = (SyntaxError, IndexError, TypeError, struct.error, UnidentifiedImageError)


def upright(picture: Picture, max_pixels: int | None = None) -> Image.Image:
    """Decode a picture, and turn it as its EXIF orientation says where it comes from a file.

    Args:
        picture: see `source.source`; of an animation the first frame is taken.
        max_pixels: a larger file is refused before it is decoded; None: nothing is.

    Returns:
        The decoded picture, in its own mode if that has 8 bits (see `depth.eight_bits`): a PIL
        image itself.

    Raises:
        PictureError: it cannot be read, is of a kind that is not read here, damaged or too large.

    """
    found = source(picture)
    if not isinstance(found, Decoded):
        with found.open() as file:
            return decoded(file, found.name, max_pixels)
    with explained(found.name):
        found.image.load()
        return eight_bits(found.image)


def decoded(
    file: IO[bytes],
    name: str,
    max_pixels: int | None = None,
    found: Callable[[int], object] = lambda _: None,
) -> Image.Image:
    """Decode an open picture file and turn it as its EXIF orientation says; see `upright`.

    `found` is called with the number of pixels before these are decoded; errors give the `name`.
    """
    if memory.alone:
        Image.MAX_IMAGE_PIXELS = None
    with explained(name), _identified(file) as image:
        pixels = image.width * image.height
        if max_pixels is not None and pixels > max_pixels:
            msg = (
                f"has more than {max_pixels / 1e6:.3g} million pixels, which is the limit; raise "
                "it with --max-megapixels (max_megapixels), or make the picture smaller"
            )
            raise PictureSizeError(msg)
        found(pixels)
        image.load()
        return eight_bits(_turned(image, name))


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Let any failure with a picture be a `PictureError` of one line that names it."""
    label = name or "picture in memory"
    try:
        yield
    except PictureError as error:
        msg = f"{label}: {error}"
        raise type(error)(msg) from error.__cause__
    except Image.DecompressionBombError as error:
        msg = f"{label}: {error}; Pillow's limit, raise PIL.Image.MAX_IMAGE_PIXELS"
        raise PictureSizeError(msg) from None
    except MemoryError:
        msg = f"{label}: needs more memory than there is; make it smaller first"
        raise PictureError(msg) from None
    except Exception as error:
        # Pillow's decoders raise many kinds of error on damaged files (OSError, SyntaxError,
        # ValueError, struct.error, ...): each means that this file cannot be read.
        reason = " ".join(str(error).split())
        what = "the picture is damaged or cut short"
        if isinstance(error, OSError) and error.strerror:  # the system's, not Pillow's
            what, reason = "cannot be read", error.strerror
        msg = f"{label}: {what} ({reason})"
        raise PictureError(msg) from error


def _identified(file: IO[bytes]) -> Image.Image:
    """Return a picture that is not decoded yet, by what its file begins with.

    `Image.open` does the same, but holds pictures to a limit that is set for the whole process,
    and leaves an unknown file to every kind that Pillow has.
    """
    head = file.read(16)
    heic = head[4:8] == b"ftyp" and head[8:12] in _HEIC
    if heic:
        _open_heic()
    tried: set[str] = set()
    for load in (Image.preinit, Image.init):  # first the usual kinds, which are quick to load
        load()
        known = Image.OPEN.copy()  # another thread may load more kinds meanwhile
        # What was registered by others than Pillow is there to be read. TGA has no mark that it
        # begins with: it is tried when the file is nothing else.
        others = [kind for kind, (make, _) in known.items() if make.__module__[:4] != "PIL."]
        for kind in (*KINDS[:-1], *others, KINDS[-1]):
            if kind in tried or kind not in known:
                continue
            tried.add(kind)
            make, accept = known[kind]
            fits = accept is None or accept(head)  # a text says that the kind's library is missing
            if fits and not isinstance(fits, str):
                file.seek(0)
                # What only looked so says it by one of these errors, as in `Image.open`.
                with contextlib.suppress(*_NOT_SUCH):
                    return make(file, "")
    advice = f"{', '.join(KINDS[:-1])} and {KINDS[-1]} are"
    if heic:
        advice = '`pip install ".[heic]"` in the folder of clip-gaze, for HEIC'
    elif head[4:12] in _AVIF and "AVIF" not in tried:
        advice = "install Pillow 11.3 or newer for AVIF"
    msg = f"is not a picture that is read here; {advice}"
    raise PictureError(msg)


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
