"""Draw random textures that look the same at every resolution: noise, streaks, cells.

A texture draws the same random numbers whatever the picture's size and ratio, so that a picture
of a seed is the same picture at every size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from demo.painting.fields import Field, Frame

MAX_RATIO = 4 / 3
SITES = 64  # cells repeat after so many rows and columns


@dataclass(frozen=True, slots=True)
class Cells:
    """Which of many scattered sites is nearest: its place, its number, and how near it is."""

    x: Field
    y: Field
    key: npt.NDArray[np.int32]
    near: Field
    second: Field


def noise(rng: np.random.Generator, frame: Frame, cells: float) -> Field:
    """Return smooth noise from about -1 to 1 with `cells` bumps along the shorter edge."""
    n = math.ceil(cells * MAX_RATIO) + 3
    grid = rng.random((n, n), dtype=np.float32) * 2 - 1
    step = cells / frame.short
    box = (0.5, 0.5, 0.5 + frame.width * step, 0.5 + frame.height * step)
    size = (frame.width, frame.height)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC, box))


def clouds(rng: np.random.Generator, frame: Frame, cells: float) -> Field:
    """Return noise with finer noise added to it."""
    coarse, middle, fine = (noise(rng, frame, cells * k) for k in (1, 2.3, 5.1))
    return (coarse + 0.5 * middle + 0.3 * fine) / 1.3


def streaks(
    rng: np.random.Generator, frame: Frame, angle: float, along: float, across: float
) -> Field:
    """Return noise stretched along an angle, with so many cells along it and across it."""
    nu, nv = math.ceil(along * 3.2) + 4, math.ceil(across * 3.2) + 4
    grid = rng.random((nv, nu), dtype=np.float32) * 2 - 1
    c, s = math.cos(angle), math.sin(angle)
    a, b = along / frame.short, across / frame.short
    # The rotated picture reaches from -4/3 to 5/3: shift it into the grid.
    turn = (c * a, s * a, 1.4 * along + 2, -s * b, c * b, 1.4 * across + 2)
    size = (frame.width, frame.height)
    return np.asarray(
        Image.fromarray(grid).transform(
            size, Image.Transform.AFFINE, turn, Image.Resampling.BICUBIC
        )
    )


def cells(
    rng: np.random.Generator,
    frame: Frame,
    across: float,
    *,
    angle: float = 0.0,
    jitter: float = 0.8,
    stretch: float = 1.0,
    bend: tuple[Field, Field] | None = None,
) -> Cells:
    """Scatter sites, so many along the shorter edge, and find each pixel's nearest.

    stretch draws the cells out along the angle; bend shifts the pixels before the search.
    """
    offsets = (rng.random((SITES, SITES, 2), dtype=np.float32) - 0.5) * jitter + 0.5
    c, s = math.cos(angle), math.sin(angle)
    x, y = (frame.x, frame.y) if bend is None else (frame.x + bend[0], frame.y + bend[1])
    u = ((x * c + y * s) * np.float32(across / stretch)).astype(np.float32)
    v = ((y * c - x * s) * np.float32(across)).astype(np.float32)
    column, row = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    rows = [(row + down) % SITES * SITES for down in (-1, 0, 1)]
    columns = [(column + right) % SITES for right in (-1, 0, 1)]
    to_u, to_v = [u - column - i for i in (-1, 0, 1)], [v - row - i for i in (-1, 0, 1)]
    flat_u, flat_v = offsets[..., 0].ravel(), offsets[..., 1].ravel()
    near = np.full(u.shape, 9, np.float32)
    second = near.copy()
    key, step = np.zeros(u.shape, np.int32), np.zeros(u.shape, np.int8)
    for number in range(9):
        down, right = number // 3 - 1, number % 3 - 1
        k = rows[down + 1] + columns[right + 1]
        far = (flat_u.take(k) - to_u[right + 1]) ** 2 + (flat_v.take(k) - to_v[down + 1]) ** 2
        closer = far < near
        second = np.minimum(second, np.maximum(far, near))
        near = np.minimum(near, far)
        np.copyto(key, k, where=closer)
        np.copyto(step, number, where=closer)
    site_u = (flat_u.take(key) + column + (step % 3 - 1)) * (stretch / across)
    site_v = (flat_v.take(key) + row + (step // 3 - 1)) / across
    place = (site_u * c - site_v * s, site_u * s + site_v * c)
    return Cells(
        place[0].astype(np.float32),
        place[1].astype(np.float32),
        key,
        np.sqrt(near),
        np.sqrt(second),
    )
