"""Drawing primitives that look the same at every resolution: noise, streaks, cells, blurs.

Lengths are in shorter edges of the picture. A primitive draws the same random numbers whatever
the picture's size and ratio, so that a picture of a seed is the same picture at every size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

Field = npt.NDArray[np.floating]  # one figure a pixel, or red, green and blue from 0 to 1
Point = tuple[float, float]

MAX_RATIO = 4 / 3
FINE = 128  # details are one pixel wide in a picture of this size
SITES = 64  # cells repeat after so many rows and columns
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


@dataclass(frozen=True, slots=True)
class Cells:
    """Which of many scattered sites is nearest: its place, its number, and how near it is."""

    x: Field
    y: Field
    key: npt.NDArray[np.int32]
    near: Field
    second: Field


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


def sample(frame: Frame, field: Field, x: Field, y: Field) -> Field:
    """Read a field at places; outside the picture, its edge is repeated."""
    column = np.clip((x * frame.short).astype(np.intp), 0, frame.width - 1)
    row = np.clip((y * frame.short).astype(np.intp), 0, frame.height - 1)
    return field[row, column]


def soften(frame: Frame, field: Field, radius: float) -> Field:
    """Blur a field with one value a pixel quickly, by shrinking and enlarging it."""
    step = frame.short * radius
    small = (max(2, round(frame.width / step)), max(2, round(frame.height / step)))
    shrunk = Image.fromarray(np.ascontiguousarray(field, np.float32)).resize(
        small, Image.Resampling.BILINEAR
    )
    return np.asarray(shrunk.resize((frame.width, frame.height), Image.Resampling.BICUBIC))


def blur(frame: Frame, colour: Field, radius: float) -> Field:
    """Blur a colour picture."""
    spread = ImageFilter.GaussianBlur(radius * frame.short)
    return to_field(to_image(colour).filter(spread))


def slope(frame: Frame, height: Field, angle: float) -> Field:
    """Return the slope of a relief towards an angle, to light it from there."""
    step = max(1, round(frame.short / FINE))
    dx = np.roll(height, -step, 1) - np.roll(height, step, 1)
    dy = np.roll(height, -step, 0) - np.roll(height, step, 0)
    return dx * math.cos(angle) + dy * math.sin(angle)


def edges(frame: Frame, field: Field) -> Field:
    """Return how much a field changes within one fine pixel; 0 at its border."""
    step = max(1, round(frame.short / FINE))
    out = np.zeros(field.shape, np.float32)
    out[step:] = np.abs(field[step:] - field[:-step])
    out[:, step:] = np.maximum(out[:, step:], np.abs(field[:, step:] - field[:, :-step]))
    return out


def to_image(colour: Field) -> Image.Image:
    """Convert an array of colours to a picture."""
    return Image.fromarray((np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8))


def to_field(image: Image.Image) -> Field:
    """Convert a picture to an array of colours."""
    return np.asarray(image, np.float32) / 255


def ink(colour: Iterable[float]) -> tuple[int, int, int]:
    """Turn a colour into what Pillow draws with."""
    red, green, blue = (min(255, max(0, round(float(part) * 255))) for part in colour)
    return red, green, blue


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture in the drawing, at twice its size so that edges come out smooth."""

    frame: Frame
    image: Image.Image
    draw: ImageDraw.ImageDraw

    def pixels(self, points: Iterable[Point]) -> list[Point]:
        """Find where points are on the doubled sheet."""
        scale = 2 * self.frame.short
        return [(x * scale, y * scale) for x, y in points]

    def polygon(self, points: Iterable[Point], colour: Iterable[float]) -> None:
        """Fill a polygon."""
        self.draw.polygon(self.pixels(points), fill=ink(colour))

    def line(self, points: Iterable[Point], colour: Iterable[float], width: float) -> None:
        """Draw a line of a width."""
        wide = max(1, round(2 * width * self.frame.short))
        self.draw.line(self.pixels(points), fill=ink(colour), width=wide, joint="curve")

    def dot(self, centre: Point, radius: float, colour: Iterable[float]) -> None:
        """Fill a circle."""
        x, y = centre
        corners = self.pixels([(x - radius, y - radius), (x + radius, y + radius)])
        self.draw.ellipse([*corners[0], *corners[1]], fill=ink(colour))

    def field(self) -> Field:
        """Read what has been drawn, at the picture's size."""
        return to_field(self.image.reduce(2))


def sheet(frame: Frame, ground: Iterable[float] | Field) -> Sheet:
    """Start to draw on a flat colour or on a picture."""
    size = (frame.width * 2, frame.height * 2)
    if isinstance(ground, np.ndarray) and ground.ndim == 3:
        image = to_image(ground).resize(size, Image.Resampling.BILINEAR)
    else:
        image = Image.new("RGB", size, ink(ground))
    return Sheet(frame, image, ImageDraw.Draw(image))
