"""Render the surfaces: the ground, which shows at the margin and through the paint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from demo.painting.fields import Field, Frame, mix, smoothstep
from demo.painting.filters import slope
from demo.painting.palettes import hue
from demo.painting.sheets import sheet
from demo.painting.textures import cells, clouds, noise, streaks

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Surface:
    """A ground: its bare colours, its relief from -1 to 1, and the light that it throws back."""

    colour: Field
    relief: Field
    gloss: Field


def plain(frame: Frame, colour: Field) -> Field:
    """Return one colour for every pixel."""
    return np.broadcast_to(colour, (frame.height, frame.width, 3))


def nothing(frame: Frame) -> Field:
    """Return no gloss for every pixel."""
    return np.zeros((frame.height, frame.width), np.float32)


def canvas(rng: np.random.Generator, frame: Frame) -> Surface:
    """Woven threads, over and under."""
    count, tilt = rng.uniform(22, 29), rng.normal(0, 0.03)
    wobble = 0.006 * noise(rng, frame, 6)
    u = (frame.x + tilt * frame.y + wobble) * count
    v = (frame.y - tilt * frame.x + wobble) * count
    over = (np.floor(u) + np.floor(v)) % 2
    across, down = np.sin(math.pi * (u % 1)), np.sin(math.pi * (v % 1))
    threads = np.where(over > 0.5, across * (0.55 + 0.45 * down), down * (0.35 + 0.35 * across))
    relief = (threads - 0.5) * 2 + 0.25 * noise(rng, frame, 40)
    linen = hue(rng.uniform(0.09, 0.12), rng.uniform(0.08, 0.32), rng.uniform(0.74, 0.9))
    return Surface(plain(frame, linen), relief * 0.85, nothing(frame))


def paper(rng: np.random.Generator, frame: Frame) -> Surface:
    """Warm white with a soft tooth, once folded in four, and fibres."""
    tooth = 0.3 * noise(rng, frame, 30) + 0.3 * noise(rng, frame, 110) + 0.2 * clouds(rng, frame, 8)
    relief = tooth * 0.6
    for axis, at in (
        (frame.x, frame.right * rng.uniform(0.32, 0.68)),
        (frame.y, frame.bottom * rng.uniform(0.32, 0.68)),
    ):
        far = axis - at + 0.003 * noise(rng, frame, 12)
        relief = (
            relief
            + 1.5 * np.exp(-((far / 0.011) ** 2))
            - 1.5 * np.exp(-(((far - 0.022) / 0.014) ** 2))
        )
        relief = relief + 0.35 * np.sign(far) * np.exp(-np.abs(far) / 0.16)
    white = hue(rng.uniform(0.1, 0.14), rng.uniform(0.04, 0.13), rng.uniform(0.93, 0.99))
    return Surface(plain(frame, white), relief, nothing(frame))


def wood(rng: np.random.Generator, frame: Frame) -> Surface:
    """Long grain that parts around knots."""
    turn = 0.0 if rng.random() < 0.5 else math.pi / 2
    turn += rng.normal(0, 0.05)
    along = frame.x * math.cos(turn) + frame.y * math.sin(turn)
    across = frame.y * math.cos(turn) - frame.x * math.sin(turn)
    rings = across * rng.uniform(9, 13) + 0.9 * streaks(rng, frame, turn, 1.0, 3.5)
    dark = nothing(frame)
    for _ in range(int(rng.integers(2, 4))):
        x, y = rng.random(2) * (frame.right, frame.bottom)
        du = along - (x * math.cos(turn) + y * math.sin(turn))
        dv = across - (y * math.cos(turn) - x * math.sin(turn))
        d = (du / 2.2) ** 2 + dv**2
        rings = rings + np.sign(dv) * 1.1 * np.exp(-d / 0.006)
        dark = np.maximum(dark, np.exp(-d / 0.0009))
    grain = (rings % 1) ** 2
    fine = 0.8 * streaks(rng, frame, turn, 4, 60) + 0.6 * streaks(rng, frame, turn, 4, 150)
    relief = 0.5 - 1.1 * grain + 0.35 * fine - 1.4 * dark
    brown = hue(rng.uniform(0.055, 0.09), rng.uniform(0.45, 0.65), rng.uniform(0.55, 0.78))
    shade = 1 - 0.28 * grain + 0.14 * fine - 0.6 * dark
    return Surface(brown * shade[..., None], relief, nothing(frame))


def stone(rng: np.random.Generator, frame: Frame) -> Surface:
    """Rough blotches lit from one side, with pits and dark specks."""
    rough = noise(rng, frame, 9) + 0.9 * noise(rng, frame, 20) + 0.3 * noise(rng, frame, 70)
    lit = slope(frame, rough, rng.uniform(0, 6.3)) * (128 / 60)
    specks = cells(rng, frame, rng.uniform(20, 26), jitter=1.0)
    kind = rng.random(64 * 64, dtype=np.float32)[specks.key]
    dots = smoothstep(0.5, 0.3, specks.near) * np.where(
        kind < 0.28, -1, np.where(kind > 0.86, 0.8, 0)
    )
    relief = np.clip(0.65 * lit, -0.7, 0.7) + dots
    grey = hue(rng.uniform(0.05, 0.65), rng.uniform(0.02, 0.14), rng.uniform(0.5, 0.68))
    return Surface(
        grey * (1 + 0.13 * np.clip(lit, -1, 1) + 0.26 * dots)[..., None],
        relief * 0.9,
        nothing(frame),
    )


def glass(rng: np.random.Generator, frame: Frame) -> Surface:
    """Cut a green-edged pane with slanting reflections."""
    slant = frame.x * rng.uniform(0.8, 1.2) + frame.y + 0.01 * noise(rng, frame, 3)
    gloss = nothing(frame)
    start = rng.uniform(0.1, 0.5)
    for wide, gap in (
        (rng.uniform(0.12, 0.2), 0.06),
        (0.05, 0.3),
        (rng.uniform(0.12, 0.2), 0.1),
        (0.04, 0.3),
    ):
        gloss = np.maximum(
            gloss, smoothstep(0, 0.012, slant - start) * smoothstep(0.012, 0, slant - start - wide)
        )
        start += wide + gap
    rim = np.minimum(
        np.minimum(frame.x, frame.right - frame.x), np.minimum(frame.y, frame.bottom - frame.y)
    )
    edge = np.exp(-rim / 0.025)
    pale = hue(rng.uniform(0.38, 0.47), rng.uniform(0.12, 0.24), 0.86)
    green = hue(rng.uniform(0.38, 0.45), 0.7, 0.45)
    colour = mix(plain(frame, pale), green, 0.8 * edge)
    return Surface(colour, -0.7 * edge, 0.3 * gloss)


def metal(rng: np.random.Generator, frame: Frame) -> Surface:
    """Brushed sheet with a bright band and rivets along its edge."""
    turn = rng.normal(0, 0.05) + (0 if rng.random() < 0.6 else math.pi / 2)
    brushed = streaks(rng, frame, turn, 1.2, 60) + 0.5 * streaks(rng, frame, turn, 2, 150)
    across = frame.x * math.cos(turn + 0.4) + frame.y * math.sin(turn + 0.4) * 0.3
    band = np.exp(-(((across - rng.uniform(0.25, 0.8)) / rng.uniform(0.12, 0.2)) ** 2))
    tint = hue(
        *((0.6, 0.08, 0.62), (0.08, 0.45, 0.66), (0.13, 0.4, 0.68))[int(rng.choice([0, 0, 1, 2]))]
    )
    colour = tint * (0.85 + 0.2 * brushed + 0.5 * band)[..., None]
    page = sheet(frame, (0, 0, 0))
    reach, count = 0.035, int(rng.integers(4, 7))
    wide = min(1.0, frame.right)
    x0, y0 = (frame.right - wide) / 2, (frame.bottom - min(1.0, frame.bottom)) / 2
    for t in np.linspace(0, 1, count):
        a = reach + t * (1 - 2 * reach)
        for x, y in ((a, reach), (a, 1 - reach), (reach, a), (1 - reach, a)):
            page.dot((x0 + x, y0 + y), 0.026, (0.5, 0.5, 0.5))
            page.dot((x0 + x - 0.006, y0 + y - 0.006), 0.017, (1, 1, 1))
    rivets = page.field()[..., 0]
    rim, head = (rivets > 0.02) & (rivets < 0.75), smoothstep(0.6, 0.95, rivets)
    relief = 0.55 * brushed - 1.6 * rim
    return Surface(colour, relief, 0.2 * band + 0.04 * brushed + 0.5 * head)


def wall(rng: np.random.Generator, frame: Frame) -> Surface:
    """Courses of brick in pale mortar."""
    courses = rng.uniform(8, 11)
    v = frame.y * courses + 0.1 * noise(rng, frame, 8) + rng.random()
    u = (
        frame.x * courses / 2.1
        + 0.04 * noise(rng, frame, 8)
        + 0.5 * (np.floor(v) % 2)
        + rng.random()
    )
    du, dv = np.abs(u % 1 - 0.5) * 2.1, np.abs(v % 1 - 0.5)
    joint = np.maximum(smoothstep(0.95, 1.0, du), smoothstep(0.4, 0.46, dv))
    each = rng.random((64, 64), dtype=np.float32)[
        np.floor(v).astype(int) % 64, np.floor(u).astype(int) % 64
    ]
    rough = 0.25 * noise(rng, frame, 34)
    brick = hue(rng.uniform(0.0, 0.06), rng.uniform(0.25, 0.62), rng.uniform(0.5, 0.72))
    mortar = hue(0.1, 0.08, rng.uniform(0.72, 0.86))
    colour = mix(brick * (0.8 + 0.4 * each + rough * 0.5)[..., None], mortar, joint)
    lip = smoothstep(0.25, 0.4, dv) * np.sign(v % 1 - 0.5)
    relief = 0.3 + 0.6 * (each - 0.5) + rough - 1.7 * joint - 0.3 * lip
    return Surface(colour, relief, nothing(frame))


def ceramics(rng: np.random.Generator, frame: Frame) -> Surface:
    """Glazed tiles: grout, a gleam on each, and a crackle in the glaze."""
    count = rng.uniform(3.6, 5.0)
    u, v = frame.x * count + rng.random(), frame.y * count + rng.random()
    fu, fv = u % 1, v % 1
    rim = np.minimum(np.minimum(fu, 1 - fu), np.minimum(fv, 1 - fv))
    grout = smoothstep(0.05, 0.03, rim)
    pillow = smoothstep(0.15, 0.04, rim)
    each = rng.random((64, 64), dtype=np.float32)[
        np.floor(v).astype(int) % 64, np.floor(u).astype(int) % 64
    ]
    crazed = cells(rng, frame, rng.uniform(9, 12), jitter=1.0)
    crackle = smoothstep(0.06, 0.02, crazed.second - crazed.near)
    gleam = np.exp(-(((fu - 0.27) / 0.13) ** 2 + ((fv - 0.24) / 0.08) ** 2))
    lit = pillow * np.sign(0.5 - np.where(np.minimum(fu, 1 - fu) < np.minimum(fv, 1 - fv), fu, fv))
    glaze = hue(rng.uniform(0.1, 0.6), rng.uniform(0.03, 0.2), rng.uniform(0.85, 0.96))
    line = hue(0.09, 0.1, rng.uniform(0.4, 0.6))
    colour = mix(glaze * (0.9 + 0.14 * each)[..., None], line, grout)
    relief = 0.35 * lit - 0.8 * grout - 0.45 * crackle + 0.5 * (each - 0.5)
    return Surface(colour, relief, 0.45 * gleam)


SURFACES: dict[str, Callable[[np.random.Generator, Frame], Surface]] = {
    "on canvas": canvas,
    "on paper": paper,
    "on wood": wood,
    "on stone": stone,
    "on glass": glass,
    "on metal": metal,
    "on wall": wall,
    "on ceramics": ceramics,
}
