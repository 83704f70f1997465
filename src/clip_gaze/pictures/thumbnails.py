"""Make thumbnails for a page: small WebP files in sRGB, which browsers assume."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageCms

from clip_gaze.errors import PictureError
from clip_gaze.pictures.load import upright
from clip_gaze.pictures.source import Decoded, check_offline, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clip_gaze.pictures.source import Picture

_QUALITY = 60


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture: a WebP file, its width and height in pixels."""

    file: bytes
    size: tuple[int, int]


def made(
    picture: Picture, edge: int, max_pixels: int | None = None, *, offline: bool = False
) -> Thumbnail:
    """Return the thumbnail of a picture; see `small`, and `webp`."""
    found = source(picture)
    image = small(found, edge, max_pixels, offline=offline)
    return Thumbnail(webp(image, found.name), image.size)


def small(
    picture: Picture, edge: int, max_pixels: int | None = None, *, offline: bool = False
) -> Image.Image:
    """Return a picture made small, in sRGB: RGB, or RGBA where it is transparent.

    Its longer edge has `edge` pixels at most. A PIL image that is given stays as it is. For
    `max_pixels` see `load.upright`, for `offline` see `source.check_offline`.

    Raises:
        PictureError: it cannot be opened, or cannot be made small.

    """
    found = source(picture)
    check_offline(found, offline=offline)
    image = upright(found, max_pixels)
    if isinstance(found, Decoded):
        image = image.copy()
    profile = image.info.get("icc_profile")
    image.thumbnail((edge, edge), Image.Resampling.BICUBIC)
    with _named(found.name, image):
        return _in_srgb(image, profile)


def webp(image: Image.Image, name: str) -> bytes:
    """Return a small picture as a WebP file.

    Raises:
        PictureError: it cannot be written so; `name` says which one.

    """
    file = io.BytesIO()
    with _named(name, image):
        image.save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()


@contextlib.contextmanager
def _named(name: str, image: Image.Image) -> Iterator[None]:
    """Raise a failure of Pillow's as a `PictureError` that names the picture."""
    try:
        yield
    except (OSError, ValueError) as error:
        msg = f"{name}: a picture in mode {image.mode} cannot be made a thumbnail ({error})"
        raise PictureError(msg) from error


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB, which is what a page takes colours without a profile for."""
    if profile and image.mode in {"RGB", "CMYK"}:
        # A damaged profile, or one for another mode: the colours are taken as they are.
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            made = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            if made is not None:
                return made
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
