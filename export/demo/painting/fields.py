"""Fields of figures or colours over a picture's frame, and how they are mixed.

Lengths are in shorter edges of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.floating]  # one figure a pixel, or red, green and blue from 0 to 1
Point = tuple[float, float]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's size in pixels, and where its pixels are: x in a row, y in a column."""

    width: int
    height: int
    short: int
    x: Field
    y: Field

    @property
    def right(self) -> float:
        """The width in shorter edges."""
        return self.width / self.short

    @property
    def bottom(self) -> float:
        """The height in shorter edges."""
        return self.height / self.short


def frame(width: int, height: int) -> Frame:
    """Lay out a frame."""
    short = min(width, height)
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / short
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / short
    return Frame(width, height, short, x.astype(np.float32), y.astype(np.float32))


def luminance(colour: Field) -> Field:
    """Return the brightness of each pixel."""
    return colour @ LUMA


def smoothstep(low: float, high: float, value: Field) -> Field:
    """Rise softly from 0 at low to 1 at high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Field, b: Field, share: Field | float) -> Field:
    """Mix a and b; a share for each pixel applies to all three channels."""
    if isinstance(share, np.ndarray) and share.ndim == 2 and not a.ndim == b.ndim == 2:
        share = share[..., None]
    return a + (b - a) * share


def to_image(colour: Field) -> Image.Image:
    """Convert an array of colours to a picture."""
    return Image.fromarray((np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8))


def to_field(image: Image.Image) -> Field:
    """Convert a picture to an array of colours."""
    return np.asarray(image, np.float32) / 255
