"""Draw the regions of a picture, each by its number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import ImageDraw

    from demo.painting.fields import Point

SKY, SKY_LOW, CLOUD, GROUND, GROUND_FAR, WATER, WAVE, WALL, TABLE, NIGHT, NIGHT_GROUND = range(11)
FIRST_OF_SUBJECT = 16
BODY, SHADE, ACCENT, SECOND, DARK, PALE, LEAF, LEAF_DARK, SKIN, GLOW, STONE = range(16, 27)
LABELS = 27


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws labels at twice the picture's size, in a square that stands at `origin`."""

    draw: ImageDraw.ImageDraw
    unit: float
    origin: Point
    scale: float
    mirror: bool

    def place(self, points: Iterable[Point]) -> list[Point]:
        """Find where points of the square are on the doubled picture."""
        x0, y0 = self.origin
        return [
            (
                (x0 + (1 - x if self.mirror else x) * self.scale) * self.unit,
                (y0 + y * self.scale) * self.unit,
            )
            for x, y in points
        ]

    def poly(self, label: int, *points: Point) -> None:
        """Fill a polygon."""
        self.draw.polygon(self.place(points), fill=label)

    def rect(self, label: int, left: float, top: float, right: float, bottom: float) -> None:
        """Fill a rectangle."""
        self.poly(label, (left, top), (right, top), (right, bottom), (left, bottom))

    def oval(self, label: int, centre: Point, rx: float, ry: float, turn: float = 0.0) -> None:
        """Fill an ellipse."""
        c, s = math.cos(turn), math.sin(turn)
        ring = [(rx * math.cos(a), ry * math.sin(a)) for a in np.linspace(0, 6.1, 26)]
        self.poly(label, *((centre[0] + x * c - y * s, centre[1] + x * s + y * c) for x, y in ring))

    def line(self, label: int, width: float, *points: Point) -> None:
        """Draw a line."""
        wide = max(1, round(width * self.scale * self.unit))
        self.draw.line(self.place(points), fill=label, width=wide, joint="curve")
