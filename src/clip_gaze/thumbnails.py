"""From a picture file to a small WebP for a page, in the colours that browsers assume."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from PIL import Image, ImageCms

from clip_gaze.errors import PictureError
from clip_gaze.images import upright

if TYPE_CHECKING:
    import os

_QUALITY = 60


def webp(path: str | os.PathLike[str], edge: int) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as a small WebP.

    Args:
        path: the file; it is turned as its EXIF orientation says.
        edge: what its longer edge is at most, in pixels.

    Returns:
        The WebP file, and its width and height.

    Raises:
        PictureError: it cannot be opened, or cannot be made a WebP.

    """
    image = upright(path)
    profile = image.info.get("icc_profile")
    image.thumbnail((edge, edge), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    try:
        image = _in_srgb(image, profile)
        image.save(file, "WEBP", quality=_QUALITY)
    except (OSError, ValueError) as error:
        msg = f"{path}: a picture in mode {image.mode} cannot be made a thumbnail ({error})"
        raise PictureError(msg) from error
    return file.getvalue(), image.size


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
