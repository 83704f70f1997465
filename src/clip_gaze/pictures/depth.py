"""Bring pictures of 16 bits, 32 bits or floats to 8 bits a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What white is, where neither the mode nor the file says it; floats may end at 1 too.
_USUAL_WHITES = (255, 65535)
# Tags of TIFF 6.0, and the value of the second one where 0 is white.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def eight_bits(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits a channel; one that has no more is returned itself.

    Black and white are the ends of the range that the mode or the file states: 0 and 65,535 for
    16 bits, or as many bits as a TIFF says. Where nothing is stated (32 bits, floats), white is
    the first of 1 (of floats alone), 255 and 65,535 that no level is above; where there is one, or
    one below 0, black and white are the lowest and the highest level. Levels are rounded to the
    nearest; what is no number is black.

    Args:
        image: of any mode; of one channel if it has more than 8 bits, as Pillow opens no others.

    Returns:
        Mode L, or LA where a level is transparent; or the picture itself.

    """
    if not image.mode.startswith(("I", "F")):
        return image
    levels = np.asarray(image)
    black, white = _range(image, levels)
    scaled = levels.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled -= np.float32(black)
        scaled *= np.float32(255 / (white - black or 1))
    np.nan_to_num(scaled, copy=False, nan=0, posinf=255, neginf=0)
    np.rint(scaled, out=scaled).clip(0, 255, out=scaled)
    made = Image.fromarray(scaled.astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        made.putalpha(Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8)))
    made.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return made


def _range(
    image: Image.Image, levels: NDArray[np.uint16 | np.int32 | np.float32]
) -> tuple[float, float]:
    """Return the levels of black and of white."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.mode.startswith("I;16"):
        (bits,) = tags.get(_BITS_PER_SAMPLE, (16,))
        black, white = 0.0, 2.0**bits - 1
    elif image.mode == "I" and image.format in ("PNG", "PPM"):  # so Pillow has their 16 bits
        black, white = 0, 65535
    else:
        finite = levels[np.isfinite(levels)]
        black, white = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        usual = (1, *_USUAL_WHITES) if image.mode == "F" else _USUAL_WHITES
        for each in usual if black >= 0 else ():
            if white <= each:
                black, white = 0.0, float(each)
                break
    return (white, black) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else (black, white)
