"""Make content-free images, which measure the bias of each phrase (contextual calibration)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Another set of pictures needs another name: stored results are kept under it.
NAME = "neutral-1"
COUNT = 48
_SIZE = 224
_GREYS = 8
_NOISE_CELLS = (4, 8, 16, 32, 64, 112, 224)


def pictures() -> Iterator[Image.Image]:
    """Yield the same 48 pictures of 224 x 224 pixels on every machine.

    Eight greys; grey and coloured noise at seven scales; gradients between two colours in eight
    directions; and blurred fields of colour, coarse to fine.
    """
    for level in np.linspace(0, 255, _GREYS).astype(np.uint8):
        yield Image.new("RGB", (_SIZE, _SIZE), (int(level),) * 3)
    for cells in _NOISE_CELLS:
        for channels in (1, 3):
            yield _enlarged(_chance(f"noise {channels}", cells, channels), Image.Resampling.NEAREST)
    for direction in range(8):
        yield _gradient(direction)
    for cells in (2, 3, 4, 5, 6, 8):
        for number in range(3):
            pixels = _chance(f"field {number}", cells, 3)
            yield _enlarged(pixels, Image.Resampling.BICUBIC)


def _chance(name: str, cells: int, channels: int) -> NDArray[np.uint8]:
    """Return (cells, cells, 3) random values that no library's version can change."""
    count = cells * cells * channels
    drawn = hashlib.shake_256(f"{NAME} {name} {cells}".encode()).digest(count)
    values = np.frombuffer(drawn, np.uint8).reshape(cells, cells, channels)
    whole: NDArray[np.uint8] = np.broadcast_to(values, (cells, cells, 3)).copy()
    return whole


def _enlarged(pixels: NDArray[np.uint8], how: Image.Resampling) -> Image.Image:
    return Image.fromarray(pixels).resize((_SIZE, _SIZE), how)


def _gradient(direction: int) -> Image.Image:
    """Return a picture that goes from one colour to another."""
    colours = _chance(f"gradient {direction}", 2, 3).reshape(4, 3)[:2].astype(np.float64)
    down, across = np.mgrid[0:_SIZE, 0:_SIZE] / (_SIZE - 1)
    turn = np.pi * direction / 4
    along = (across - 0.5) * np.cos(turn) + (down - 0.5) * np.sin(turn)
    share = ((along - along.min()) / np.ptp(along))[..., None]
    return Image.fromarray(np.rint(colours[0] * (1 - share) + colours[1] * share).astype(np.uint8))
