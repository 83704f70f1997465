"""Draw the subjects of pictures as numbered regions, at random within limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from demo.painting.pens import (
    ACCENT,
    BODY,
    DARK,
    GLOW,
    LEAF,
    LEAF_DARK,
    PALE,
    SECOND,
    SHADE,
    SKIN,
    STONE,
    Pen,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def portrait(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a head and shoulders."""
    hair, coat = rng.choice([DARK, SHADE, ACCENT]), rng.choice([BODY, SECOND, SHADE])
    wide, long = rng.uniform(0.17, 0.21), rng.uniform(0.3, 0.7)
    pen.poly(
        int(hair), (0.27, 0.3), (0.73, 0.3), (0.75, 0.35 + long * 0.6), (0.25, 0.35 + long * 0.6)
    )
    pen.poly(int(coat), (0.08, 1), (0.12, 0.82), (0.36, 0.7), (0.64, 0.7), (0.88, 0.82), (0.92, 1))
    pen.poly(SKIN, (0.42, 0.5), (0.58, 0.5), (0.61, 0.74), (0.5, 0.84), (0.39, 0.74))
    pen.oval(int(hair), (0.5, 0.29), wide + 0.06, 0.25)
    pen.oval(SKIN, (0.5, 0.37), wide, 0.25)
    pen.poly(int(hair), (0.31, 0.28), (0.5, 0.07), (0.69, 0.28), (0.56, 0.19), (0.4, 0.21))
    for x in (0.43, 0.57):
        pen.oval(PALE, (x, 0.35), 0.042, 0.025)
        pen.oval(DARK, (x, 0.35), 0.022, 0.026)
        pen.line(DARK, 0.016, (x - 0.05, 0.3), (x, 0.285), (x + 0.05, 0.3))
    pen.line(SHADE, 0.014, (0.5, 0.36), (0.525, 0.45), (0.49, 0.455))
    pen.oval(ACCENT, (0.5, 0.525), 0.06, 0.02)
    if rng.random() < 0.35:
        pen.poly(SECOND, (0.2, 0.2), (0.8, 0.2), (0.68, 0.15), (0.64, 0), (0.36, 0), (0.32, 0.15))


def seascape(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a sailing boat."""
    mast = rng.uniform(0.44, 0.56)
    pen.line(DARK, 0.025, (mast, 0), (mast, 0.75))
    pen.poly(PALE, (mast - 0.02, 0.04), (mast - 0.02, 0.68), (0.06, 0.66))
    pen.poly(
        int(rng.choice([ACCENT, PALE])), (mast + 0.03, 0.12), (mast + 0.03, 0.66), (0.86, 0.66)
    )
    pen.poly(int(rng.choice([BODY, DARK])), (0, 0.72), (1, 0.7), (0.84, 0.88), (0.16, 0.88))
    pen.line(ACCENT, 0.03, (0.02, 0.745), (0.97, 0.725))
    for i in range(3):
        y, half = 0.91 + 0.04 * i, 0.34 - 0.09 * i
        pen.line(PALE, 0.016, (0.5 - half, y), (0.5 + half, y))


def flowers(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a vase with flowers."""
    heads = [
        (0.5 + rng.uniform(0.06, 0.36) * math.sin(a), 0.3 - rng.uniform(0.08, 0.2) * math.cos(a))
        for a in np.linspace(-2.0, 2.0, int(rng.integers(5, 9)))
    ]
    for x, y in heads:
        pen.line(LEAF, 0.022, (0.5, 0.68), (0.5 + (x - 0.5) * 0.6, 0.45), (x, y))
    for side in (-1, 1):
        pen.oval(LEAF_DARK, (0.5 + side * 0.2, 0.5), 0.14, 0.05, side * -0.6)
    for i, (x, y) in enumerate(heads):
        petal, size = (ACCENT, SECOND, PALE)[i % 3], rng.uniform(0.045, 0.07)
        for a in np.arange(5) * 1.2566 + rng.uniform(0, 1):
            pen.oval(petal, (x + size * math.cos(a), y + size * math.sin(a)), size, size * 0.8)
        pen.oval(GLOW, (x, y), size * 0.5, size * 0.5)
    neck = rng.uniform(0.07, 0.12)
    pen.poly(
        BODY, (0.5 - neck - 0.03, 0.6), (0.5 + neck + 0.03, 0.6), (0.5 + neck, 0.66), (0.69, 0.8),
        (0.6, 1), (0.4, 1), (0.31, 0.8), (0.5 - neck, 0.66),
    )  # fmt: skip
    pen.oval(PALE, (0.41, 0.81), 0.025, 0.07)


def fruit(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bowl with fruit."""
    kinds = rng.permutation([ACCENT, SECOND, GLOW, LEAF, SKIN, ACCENT, GLOW])
    spots = [
        (0.36, 0.22),
        (0.6, 0.2),
        (0.2, 0.42),
        (0.82, 0.42),
        (0.34, 0.46),
        (0.52, 0.42),
        (0.68, 0.46),
    ]
    for label, (x, y) in zip(kinds, spots, strict=True):
        r = rng.uniform(0.13, 0.165)
        pen.oval(int(label), (x, y), r, r * rng.uniform(0.9, 1.1))
        pen.oval(PALE, (x - r * 0.35, y - r * 0.4), r * 0.22, r * 0.16)
        pen.line(DARK, 0.018, (x, y - r * 0.8), (x + 0.03, y - r * 1.25))
    pen.poly(
        BODY,
        (0, 0.5),
        (1, 0.5),
        (0.93, 0.72),
        (0.72, 0.9),
        (0.66, 1),
        (0.34, 1),
        (0.28, 0.9),
        (0.07, 0.72),
    )
    pen.line(SHADE, 0.035, (0, 0.51), (1, 0.51))


def bird(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a bird on a branch."""
    pen.line(DARK, 0.05, (0, 0.92), (0.5, 0.86), (1, 0.9))
    for x in (0.44, 0.54):
        pen.line(DARK, 0.022, (x, 0.66), (x + 0.02, 0.87))
    pen.poly(SHADE, (0.62, 0.5), (1, 0.72), (0.96, 0.84), (0.56, 0.66))
    pen.oval(BODY, (0.46, 0.5), 0.29, 0.2, 0.45)
    pen.oval(int(rng.choice([PALE, ACCENT])), (0.38, 0.54), 0.17, 0.14, 0.7)
    pen.oval(BODY, (0.27, 0.25), 0.155, 0.145)
    pen.poly(GLOW, (0.15, 0.2), (0, 0.28), (0.15, 0.31))
    pen.poly(SECOND, (0.4, 0.36), (0.66, 0.4), (0.9, 0.66), (0.6, 0.64), (0.46, 0.54))
    pen.oval(PALE, (0.24, 0.22), 0.042, 0.042)
    pen.oval(DARK, (0.235, 0.22), 0.026, 0.026)
    if rng.random() < 0.4:
        pen.poly(SECOND, (0.2, 0.14), (0.34, 0), (0.38, 0.16))


def fish(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a fish on a dish."""
    pen.oval(PALE, (0.5, 0.5), 0.5, 0.34)
    pen.oval(STONE, (0.5, 0.5), 0.43, 0.27)
    pen.poly(SECOND, (0.72, 0.5), (0.99, 0.26), (0.93, 0.5), (0.99, 0.74))
    pen.poly(SECOND, (0.34, 0.36), (0.52, 0.2), (0.64, 0.38))
    pen.poly(SECOND, (0.44, 0.62), (0.56, 0.76), (0.6, 0.6))
    top = [
        (0.06 + 0.74 * t, 0.5 - 0.19 * math.sin(math.pi * t**0.75)) for t in np.linspace(0, 1, 14)
    ]
    pen.poly(BODY, *top, *((x, 1 - y) for x, y in reversed(top)))
    for x in np.linspace(0.34, 0.68, int(rng.integers(3, 6))):
        pen.line(SHADE, 0.028, (x, 0.4), (x + 0.03, 0.5), (x, 0.6))
    pen.line(SHADE, 0.024, (0.24, 0.37), (0.28, 0.5), (0.24, 0.63))
    pen.oval(PALE, (0.16, 0.46), 0.042, 0.042)
    pen.oval(DARK, (0.16, 0.46), 0.024, 0.024)


def horse(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a standing or trotting horse."""
    stride = rng.uniform(-0.08, 0.08)
    for x, label in ((0.36, SHADE), (0.78, SHADE), (0.3, BODY), (0.7, BODY)):
        sway = stride if label == BODY else -stride
        pen.line(label, 0.075, (x, 0.58), (x + sway, 0.78), (x + sway * 0.6, 0.98))
        pen.line(DARK, 0.08, (x + sway * 0.6, 0.95), (x + sway * 0.6 - 0.02, 1))
    pen.line(DARK, 0.06, (0.84, 0.42), (0.95, 0.52), (0.96, 0.76))
    pen.oval(BODY, (0.56, 0.5), 0.31, 0.17)
    pen.oval(BODY, (0.74, 0.46), 0.14, 0.15)
    pen.poly(BODY, (0.26, 0.52), (0.46, 0.38), (0.3, 0.08), (0.17, 0.12))
    pen.poly(BODY, (0.26, 0.02), (0.32, 0.16), (0.1, 0.36), (0.01, 0.3), (0.14, 0.1))
    pen.poly(BODY, (0.21, 0.1), (0.25, 0), (0.28, 0.1))
    pen.line(DARK, 0.06, (0.26, 0.05), (0.36, 0.16), (0.46, 0.38))
    pen.oval(DARK, (0.17, 0.15), 0.018, 0.018)
    if rng.random() < 0.5:
        pen.poly(ACCENT, (0.46, 0.35), (0.64, 0.34), (0.66, 0.52), (0.48, 0.54))


def tree(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a leafy tree."""
    pen.poly(DARK, (0.45, 0.5), (0.55, 0.5), (0.58, 0.9), (0.64, 1), (0.36, 1), (0.42, 0.9))
    for x in (0.24, 0.76):
        pen.line(DARK, 0.045, (0.5, 0.72), (x, 0.45))
    count = int(rng.integers(8, 13))
    for i in range(count):
        a = i * 2.4
        r = 0.1 + 0.22 * math.sqrt(i / count)
        spot = (0.5 + r * 1.15 * math.cos(a), 0.33 + r * 0.75 * math.sin(a))
        pen.oval((LEAF, LEAF_DARK)[i % 2], spot, rng.uniform(0.13, 0.18), rng.uniform(0.1, 0.14))
    for _ in range(int(rng.integers(0, 8))):
        pen.oval(ACCENT, (rng.uniform(0.2, 0.8), rng.uniform(0.12, 0.5)), 0.03, 0.03)


def moonlit(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a moon over pines."""
    pen.oval(GLOW, (0.62, 0.24), 0.23, 0.23)
    for _ in range(3):
        pen.oval(PALE, (rng.uniform(0.5, 0.74), rng.uniform(0.12, 0.36)), 0.045, 0.035)
    for x, tall in (
        (0.16, rng.uniform(0.7, 0.9)),
        (0.36, rng.uniform(0.4, 0.6)),
        (0.9, rng.uniform(0.3, 0.5)),
    ):
        pen.line(DARK, 0.035, (x, 1), (x, 0.9))
        for step in range(3):
            y, half = 0.96 - tall * step * 0.28, (0.15 - 0.035 * step) * (0.5 + tall * 0.6)
            pen.poly(DARK, (x - half, y), (x + half, y), (x, y - tall * 0.44))
    for i in range(5):
        half = rng.uniform(0.04, 0.13)
        pen.line(GLOW, 0.022, (0.62 - half, 0.78 + i * 0.05), (0.62 + half, 0.78 + i * 0.05))


def house(pen: Pen, x: float, wide: float, top: float, walls: int, roof: int) -> None:
    """Draw one house of a village."""
    pen.rect(DARK, x + wide * 0.72, top - 0.24, x + wide * 0.84, top)
    pen.rect(walls, x, top, x + wide, 1)
    pen.poly(
        roof, (x - 0.04, top + 0.02), (x + wide * 0.5, top - 0.28), (x + wide + 0.04, top + 0.02)
    )
    pen.rect(DARK, x + wide * 0.4, top + 0.26, x + wide * 0.6, 1)
    for at in (0.1, 0.68):
        left, y = x + wide * at, top + 0.1
        pen.rect(GLOW, left, y, left + wide * 0.2, y + 0.13)


def village(pen: Pen, rng: np.random.Generator) -> None:
    """Draw houses with roofs, and at times a church tower."""
    if rng.random() < 0.5:
        pen.rect(SKIN, 0.42, 0.3, 0.56, 1)
        pen.poly(SHADE, (0.4, 0.3), (0.49, 0), (0.58, 0.3))
    house(pen, 0.58, 0.38, rng.uniform(0.5, 0.62), SKIN, SECOND)
    house(pen, 0.06, 0.44, rng.uniform(0.44, 0.56), PALE, ACCENT)


def city(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a skyline with lit windows."""
    count = int(rng.integers(5, 8))
    for i in range(count):
        x, wide, top = i / count, 1 / count, rng.uniform(0.04, 0.6)
        pen.rect((DARK, SHADE, BODY)[int(rng.integers(3))], x, top, x + wide, 1)
        if rng.random() < 0.4:
            pen.line(DARK, 0.02, (x + wide / 2, top), (x + wide / 2, top - 0.1))
        for y in np.arange(top + 0.05, 0.92, 0.11):
            for at in (0.14, 0.58):
                if rng.random() < 0.7:
                    left = x + wide * at
                    pen.rect(GLOW, left, y, left + wide * 0.28, y + 0.055)


def mountain(pen: Pen, rng: np.random.Generator) -> None:
    """Draw snowy peaks."""
    for x, top, half in (
        (0.24, rng.uniform(0.25, 0.4), 0.3),
        (0.8, rng.uniform(0.2, 0.4), 0.28),
        (0.5, 0.0, 0.42),
    ):
        lean, low = x + rng.uniform(-0.04, 0.04), 1.0
        left, right = max(0.0, x - half), min(1.0, x + half)
        pen.poly(STONE, (left, low), (lean, top), (right, low))
        pen.poly(SHADE, (lean, top), (right, low), (lean + 0.05, low), (lean - 0.03, top + 0.4))
        cap = [(0.34, 1.0), (0.26, 0.45), (0.36, 0.15), (0.28, -0.15), (0.38, -0.5), (0.3, -1.0)]
        pen.poly(PALE, (lean, top), *(
            (lean + (right - lean if k > 0 else lean - left) * d * k * 0.95, top + (low - top) * d)
            for d, k in cap
        ))  # fmt: skip


DRAWINGS: dict[str, Callable[[Pen, np.random.Generator], None]] = {
    "a portrait": portrait,
    "a seascape": seascape,
    "a flower still life": flowers,
    "a fruit still life": fruit,
    "a bird painting": bird,
    "a fish still life": fish,
    "a horse painting": horse,
    "a tree study": tree,
    "a moonlit landscape": moonlit,
    "a village scene": village,
    "a cityscape": city,
    "a mountain landscape": mountain,
}
