"""Draw polygons, lines and dots on a sheet, with smooth edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from demo.painting.fields import Field, Frame, to_field, to_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo.painting.fields import Point


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
