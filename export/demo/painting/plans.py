"""Lay out pictures: a subject in its surroundings, in natural colours, before it is painted."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from demo.painting import pens
from demo.painting.fields import LUMA, Field, Frame, Point, luminance
from demo.painting.subjects import DRAWINGS
from demo.painting.textures import clouds

Labels = npt.NDArray[np.uint8]

# Hue (None: any), saturation and brightness before chance shifts them.
NATURAL: dict[int, tuple[float | None, float, float]] = {
    pens.SKY: (0.57, 0.42, 0.82),
    pens.SKY_LOW: (0.10, 0.25, 0.92),
    pens.CLOUD: (0.60, 0.06, 0.96),
    pens.GROUND: (0.25, 0.45, 0.50),
    pens.GROUND_FAR: (0.38, 0.35, 0.55),
    pens.WATER: (0.55, 0.55, 0.55),
    pens.WAVE: (0.53, 0.30, 0.78),
    pens.WALL: (None, 0.35, 0.68),
    pens.TABLE: (0.07, 0.45, 0.45),
    pens.NIGHT: (0.63, 0.60, 0.24),
    pens.NIGHT_GROUND: (0.60, 0.50, 0.13),
    pens.BODY: (None, 0.65, 0.55),
    pens.SHADE: (None, 0.60, 0.32),
    pens.ACCENT: (None, 0.80, 0.85),
    pens.SECOND: (None, 0.75, 0.70),
    pens.DARK: (0.07, 0.45, 0.16),
    pens.PALE: (0.12, 0.12, 0.95),
    pens.LEAF: (0.29, 0.60, 0.52),
    pens.LEAF_DARK: (0.33, 0.60, 0.30),
    pens.SKIN: (0.07, 0.40, 0.82),
    pens.GLOW: (0.13, 0.45, 0.98),
    pens.STONE: (0.62, 0.20, 0.48),
}
LEAST_SPREAD = 0.2  # of the brightness in a plan
CONTRAST = 0.26  # the least difference in brightness between the subject and what is behind it


@dataclass(frozen=True, slots=True)
class Room:
    """Where a subject may stand: each span is drawn from evenly.

    Attributes:
        scale: the subject's share of the shorter edge.
        across: how far to the right, 0 to 1 of the free room.
        down: how far down, 0 to 1 of the free room.

    """

    scale: tuple[float, float]
    across: tuple[float, float]
    down: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """A laid-out subject: colours, brightness, region numbers, and where the subject stands."""

    colour: Field
    light: Field
    labels: Labels
    mask: Field
    box: tuple[float, float, float, float]

    def focus(self, frame: Frame) -> Point:
        """Find the middle of the subject, in shorter edges."""
        left, top, right, bottom = self.box
        return (left + right) / 2 * frame.right, (top + bottom) / 2 * frame.bottom


def bands(pen: pens.Pen, rng: np.random.Generator, rows: list[tuple[int, float]]) -> None:
    """Fill the picture with bands from given heights downward; their edges roll a little."""
    for label, top in rows:
        roll = rng.uniform(-0.05, 0.05, 5)
        ridge = [(x, top + dy) for x, dy in zip(np.linspace(-0.1, 1.5, 5), roll, strict=True)]
        pen.poly(label, *ridge, (1.5, 1.5), (-0.1, 1.5))


def outdoors(pen: pens.Pen, rng: np.random.Generator, foot: float) -> None:
    """Draw sky, hills and ground."""
    horizon = foot - rng.uniform(0.08, 0.3)
    bands(pen, rng, [(pens.SKY_LOW, horizon - rng.uniform(0.1, 0.3))])
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, 1.3), rng.uniform(0.02, 0.4)
        for dx in (-0.1, 0, 0.1):
            pen.oval(pens.CLOUD, (x + dx, y), 0.13, 0.05)
    bands(pen, rng, [(pens.GROUND_FAR, horizon), (pens.GROUND, foot - rng.uniform(0.02, 0.12))])


def at_sea(pen: pens.Pen, rng: np.random.Generator, foot: float) -> None:
    """Draw sky and water with waves."""
    horizon = foot - rng.uniform(0.12, 0.3)
    for _ in range(int(rng.integers(0, 4))):
        pen.oval(pens.CLOUD, (rng.uniform(0, 1.3), rng.uniform(0, horizon - 0.1)), 0.2, 0.04)
    pen.rect(pens.WATER, -0.1, horizon, 1.5, 1.5)
    for _ in range(int(rng.integers(5, 14))):
        x, y = rng.uniform(0, 1.3), horizon + 0.03 + 0.9 * rng.random() ** 2
        pen.line(pens.WAVE, 0.014, (x, y), (x + 0.07, y - 0.012), (x + 0.15, y))


def indoors(pen: pens.Pen, rng: np.random.Generator, foot: float) -> None:
    """Draw a wall, at times with a hanging or a stripe, and a table."""
    if rng.random() < 0.5:
        left = rng.uniform(0, 0.9)
        pen.rect(pens.SKY_LOW, left, -0.1, left + rng.uniform(0.2, 0.5), foot - 0.2)
    if rng.random() < 0.8:
        pen.rect(pens.TABLE, -0.1, foot - rng.uniform(0.05, 0.22), 1.5, 1.5)


def at_night(pen: pens.Pen, rng: np.random.Generator, foot: float) -> None:
    """Draw a dark sky with stars over dark ground."""
    pen.rect(pens.NIGHT, -0.1, -0.1, 1.5, 1.5)
    for _ in range(int(rng.integers(4, 16))):
        pen.oval(pens.CLOUD, (rng.uniform(0, 1.35), rng.uniform(0, 0.6)), 0.007, 0.007)
    bands(pen, rng, [(pens.NIGHT_GROUND, foot - rng.uniform(0.12, 0.25))])


Place = Callable[[pens.Pen, np.random.Generator, float], None]
PLACES: dict[str, tuple[tuple[Place, int], ...]] = {
    "a portrait": ((indoors, pens.WALL), (indoors, pens.WALL), (outdoors, pens.SKY)),
    "a seascape": ((at_sea, pens.SKY),),
    "a flower still life": ((indoors, pens.WALL),),
    "a fruit still life": ((indoors, pens.WALL),),
    "a bird painting": ((outdoors, pens.SKY), (indoors, pens.WALL), (at_sea, pens.SKY)),
    "a fish still life": ((indoors, pens.WALL), (indoors, pens.TABLE)),
    "a horse painting": ((outdoors, pens.SKY),),
    "a tree study": ((outdoors, pens.SKY),),
    "a moonlit landscape": ((at_night, pens.NIGHT),),
    "a village scene": ((outdoors, pens.SKY),),
    "a cityscape": ((outdoors, pens.SKY), (at_night, pens.NIGHT)),
    "a mountain landscape": ((outdoors, pens.SKY), (at_sea, pens.SKY)),
}


def colours(rng: np.random.Generator) -> Field:
    """Mix a colour for each label, at random; the subject contrasts with its surroundings."""
    table = np.zeros((pens.LABELS, 3), np.float32)
    tint, spread = rng.random(), rng.uniform(0.02, 0.06)
    for label, (hue, full, bright) in NATURAL.items():
        any_hue = tint + rng.uniform(-0.22, 0.22) + 0.5 * rng.integers(2)
        shifted = (any_hue if hue is None else hue + rng.normal(0, spread)) % 1
        strong = min(1.0, full * rng.uniform(0.65, 1.3))
        table[label] = colorsys.hsv_to_rgb(shifted, strong, min(1, bright * rng.uniform(0.8, 1.15)))
    body = float(table[pens.BODY] @ LUMA)
    darker = rng.random() < 0.5
    for label in (pens.SKY, pens.WALL, pens.GROUND, pens.TABLE, pens.SKY_LOW):
        here = float(table[label] @ LUMA)
        if abs(here - body) < CONTRAST:
            goal = body - CONTRAST if darker and body > 0.4 else body + CONTRAST
            table[label] = np.clip(table[label] * (goal / max(here, 0.05)), 0, 0.97)
    return table


def lay_out(rng: np.random.Generator, frame: Frame, genre: str, room: Room) -> Plan:
    """Draw a subject and its surroundings."""
    unit = 2.0 * frame.short
    size = (frame.width * 2, frame.height * 2)
    place, ground = PLACES[genre][int(rng.integers(len(PLACES[genre])))]
    image = Image.new("L", size, ground)
    scale, across, down = (rng.uniform(*span) for span in (room.scale, room.across, room.down))
    # The room left and right is that of the middle square, which is what CLIP sees.
    edge = 0.05
    left = (frame.right - 1) / 2 + edge + across * (1 - scale - 2 * edge)
    top = (frame.bottom - 1) / 2 + edge + down * (1 - scale - 2 * edge)
    if genre == "a portrait":
        scale, left = 0.9 * scale + 0.14, left - 0.02
        top = (frame.bottom + 1) / 2 - 0.03 - scale
    mirror = bool(rng.random() < 0.5)
    draw = ImageDraw.Draw(image)
    place(pens.Pen(draw, unit, (0, 0), 1, mirror=False), rng, top + scale)
    DRAWINGS[genre](pens.Pen(draw, unit, (left, top), scale, mirror), rng)
    covered = image.point([255 * (label >= pens.FIRST_OF_SUBJECT) for label in range(256)])
    labels = np.asarray(image)[::2, ::2]
    x0, y0, x1, y1 = covered.getbbox() or (0, 0, *size)
    table = colours(rng)
    image.putpalette((np.clip(table, 0, 1) * 255).astype(np.uint8).tobytes())
    shade = 1 + 0.1 * clouds(rng, frame, 2) + rng.uniform(-0.2, 0.2) * (frame.y - 0.5)
    colour = np.asarray(image.convert("RGB").reduce(2), np.float32) / 255 * shade[..., None]
    # Dull chance colours would leave the movement nothing to work with.
    spread = max(float(luminance(colour).std()), LEAST_SPREAD / 2)
    middle = colour.mean(axis=(0, 1))
    colour = np.clip(middle + (colour - middle) * max(1.0, LEAST_SPREAD / spread), 0.02, 0.98)
    return Plan(
        colour=np.clip(colour, 0, 1).astype(np.float32),
        light=luminance(colour).astype(np.float32),
        labels=labels,
        mask=np.asarray(covered.reduce(2), np.float32) / 255,
        box=(x0 / size[0], y0 / size[1], x1 / size[0], y1 / size[1]),
    )
