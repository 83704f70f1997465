"""Render the materials: how paint looks, and how much of the ground it leaves bare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from demo.painting.fields import Field, Frame, luminance, mix, smoothstep
from demo.painting.filters import blur, edges, slope, soften
from demo.painting.palettes import hue
from demo.painting.textures import cells, clouds, noise, streaks

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Layer:
    """Paint: its colours, how much of the ground it covers, and what the ground does to it.

    clear is how much the ground shines through the paint, primer how pale the ground was made
    before, so that thin marks show on dark ones too.
    """

    colour: Field
    cover: Field
    clear: float = 0.0
    primer: float = 0.0


def grey(light: Field, tint: Field) -> Field:
    """Tint a grey of each brightness."""
    return np.clip(light, 0, 1)[..., None] * tint


def stretched(colour: Field, spread: float = 0.26) -> Field:
    """Spread brightness over the scale, so that dark scripts are not lost in black."""
    light = luminance(colour)
    return np.clip(0.5 + (light - light.mean()) * (spread / max(0.11, float(light.std()))), 0, 1)


def watercolor(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Washes that pool dark at their edges and bloom where water ran back."""
    thin = 1 - (1 - colour) * 0.84
    flow = clouds(rng, frame, rng.uniform(3.5, 5))
    pools = flow * rng.uniform(1.7, 2.3)
    tide = pools - np.floor(pools)
    rim = smoothstep(0.16, 0.0, tide) * smoothstep(0.0, 0.03, tide)
    bloom = smoothstep(0.0, 0.75, tide)
    wet = smoothstep(0.02, 0.16, edges(frame, soften(frame, luminance(colour), 0.012)))
    depth = 0.16 * bloom + 0.45 * rim + 0.3 * wet
    washed = thin * (1.1 - depth)[..., None] ** np.array([1.3, 1.1, 0.8], np.float32)
    dry = smoothstep(
        0.6, 0.85, streaks(rng, frame, rng.normal(0, 0.3), 7, 22) + 0.2 * noise(rng, frame, 40)
    )
    return Layer(washed, 0.95 - 0.5 * dry, clear=0.8, primer=0.6)


def charcoal(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Burnt wood: smudged greys and coarse black grain."""
    light = stretched(colour)
    turn = rng.uniform(0.5, 1.1) * rng.choice([-1, 1])
    smudge = 0.7 * light + 0.3 * soften(frame, light, 0.02)
    smear = streaks(rng, frame, turn, 4, 18)
    outline = smoothstep(0.06, 0.3, edges(frame, light))
    dark = 1.02 - smudge * 1.15 + 0.12 * smear + 0.3 * outline
    grain = 0.8 * noise(rng, frame, 62) + 0.5 * noise(rng, frame, 34) + 0.7 * noise(rng, frame, 150)
    cover = smoothstep(-0.25, 0.35, dark - 0.46 + 0.2 * grain)
    soot = 0.1 + 0.2 * smudge + 0.06 * smear
    return Layer(grey(soot, hue(0.08, 0.06, 1)), 0.12 + 0.86 * cover, primer=0.65)


def ink(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Black or nothing: solid shadows, hatched half tones, blots."""
    light = soften(frame, stretched(colour, 0.34), 0.006)
    turn, count = rng.uniform(0.6, 0.95) * rng.choice([-1, 1]), rng.uniform(26, 31)
    wobble = 0.005 * noise(rng, frame, 9)
    one = (frame.x * math.cos(turn) + frame.y * math.sin(turn) + wobble) * count
    two = (frame.y * math.cos(turn) - frame.x * math.sin(turn) + wobble) * count
    thick = 0.3 * noise(rng, frame, 10)
    a, b = np.cos(2 * math.pi * one) + thick, np.cos(2 * math.pi * two) + thick
    lines = smoothstep(-0.25, 0.25, a - (light - 0.4) * 6.5)
    crossed = smoothstep(-0.25, 0.25, b - (light - 0.2) * 6.5)
    solid = smoothstep(0.26, 0.2, light)
    spots = cells(rng, frame, 7, jitter=1.0)
    blot = smoothstep(
        0.0, -0.05, spots.near - 0.2 * rng.random(64 * 64, dtype=np.float32)[spots.key] ** 2
    )
    black = np.maximum(np.maximum(lines, crossed), np.maximum(solid, blot))
    tint = hue(rng.choice([0.62, 0.07, 0.7]), 0.4, 0.09)
    return Layer(np.broadcast_to(tint, colour.shape), black * 0.97, primer=0.5)


def oil(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Ridges left by a loaded brush, lit from one side."""
    turn, light = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    first = streaks(rng, frame, turn, 5, 38)
    fine = 0.8 * streaks(rng, frame, turn, 6, 110)
    second = streaks(rng, frame, turn + rng.uniform(0.9, 1.6), 5, 38)
    patch = smoothstep(-0.1, 0.1, noise(rng, frame, 4))
    ridge = mix(first + fine, second, patch)
    body = ridge + 0.8 * noise(rng, frame, 7) + 2 * soften(frame, luminance(colour), 0.01)
    lit = slope(frame, body, light) * 0.62
    rich = np.clip(
        luminance(colour)[..., None] + (colour - luminance(colour)[..., None]) * 1.2, 0, 1
    )
    gleam = smoothstep(0.28, 0.75, lit)
    out = (0.06 + 0.88 * rich) * (1 + 0.12 * ridge + 0.6 * np.clip(lit, -0.6, 0.6))[..., None]
    out = out + (0.24 * gleam + 0.05 * lit)[..., None]
    return Layer(out, np.ones(lit.shape, np.float32))


def pastel(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Dusty light colour with chalky gaps."""
    soft = 0.75 * colour + 0.25 * blur(frame, colour, 0.012)
    dusty = 0.26 + 0.74 * soft + 0.05 * clouds(rng, frame, 5)[..., None]
    tooth = 0.8 * noise(rng, frame, 46) + 0.3 * noise(rng, frame, 24) + 0.9 * noise(rng, frame, 120)
    rub = streaks(rng, frame, rng.uniform(0, math.pi), 5, 14)
    cover = smoothstep(-0.62, -0.1, tooth + 0.35 * rub + 0.26)
    chalk = smoothstep(0.45, 0.9, tooth) * 0.2
    return Layer(dusty + chalk[..., None], 0.55 + 0.42 * cover)


def graphite(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Pale grey pencil, laid in fine parallel strokes."""
    light = stretched(colour)
    turn = rng.uniform(0.65, 0.95) * rng.choice([-1, 1])
    place = (frame.y * math.cos(turn) - frame.x * math.sin(turn)) * rng.uniform(27, 33)
    hatch = np.cos(2 * math.pi * (place + 0.5 * streaks(rng, frame, turn, 1.5, 9)))
    strokes = 0.45 * hatch + 0.35 * streaks(rng, frame, turn, 4, 52)
    outline = smoothstep(0.04, 0.2, edges(frame, light))
    tone = 0.06 + 0.8 * (1 - light)
    cover = np.clip(tone * (1 + 0.6 * strokes) + 0.4 * outline, 0, 0.92)
    lead = 0.3 - 0.1 * outline
    return Layer(grey(lead, hue(0.6, 0.07, 1)), np.clip(cover, 0.06, 0.92), primer=0.75)


def crayon(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Wax rubbed on in coarse, colourful streaks over bare ground."""
    turn = rng.uniform(0.5, 1.1) * rng.choice([-1, 1])
    bold = np.clip(
        luminance(colour)[..., None] * 0.95 + (colour - luminance(colour)[..., None]) * 1.6, 0, 1
    )
    scribble = streaks(rng, frame, turn, 3.5, 34) + 0.6 * streaks(rng, frame, turn + 0.25, 4, 40)
    wax = noise(rng, frame, 55) + 0.6 * noise(rng, frame, 140)
    cover = smoothstep(-0.2, 0.12, scribble + 0.3 * wax + 0.42)
    waxy = bold * (0.86 + 0.22 * scribble[..., None]) + 0.06 * wax[..., None]
    return Layer(waxy, 0.45 + 0.53 * cover)


def fresco(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Faded colour in old plaster, cracked, with pieces lost."""
    plaster = hue(rng.uniform(0.09, 0.12), rng.uniform(0.1, 0.2), rng.uniform(0.8, 0.9))
    faded = mix(colour, plaster, 0.34) + 0.05 * clouds(rng, frame, 4)[..., None]
    bend = (0.035 * noise(rng, frame, 16), 0.035 * noise(rng, frame, 16))
    flakes = cells(rng, frame, rng.uniform(4.5, 6), jitter=1.0, bend=bend)
    gap = flakes.second - flakes.near
    loss = clouds(rng, frame, 4.6) - rng.uniform(0.5, 0.62)
    lost = smoothstep(0.0, 0.03, loss)
    lip = smoothstep(-0.07, 0.0, loss) * (1 - lost)
    out = mix(faded, plaster * (1.02 + 0.08 * noise(rng, frame, 26))[..., None], lost)
    crack = smoothstep(0.04, 0.016, gap)
    out = out * (1 - 0.6 * crack - 0.4 * lip * smoothstep(-0.03, 0, loss))[..., None]
    return Layer(out, np.full(gap.shape, 0.97, np.float32))


def glitter(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Flakes that flash white or sink dark, and a few stars."""
    flakes = cells(rng, frame, rng.uniform(42, 50), jitter=1.0)
    spark = rng.random(64 * 64, dtype=np.float32)[flakes.key]
    tint = rng.normal(0, 0.05, (64 * 64, 3)).astype(np.float32)[flakes.key]
    base = (colour * 0.8 + 0.08) * (0.78 + 0.36 * spark)[..., None] + tint
    flash = (spark > 0.93).astype(np.float32)
    out = mix(base, np.array([1, 1, 0.96], np.float32), flash * 0.95)
    stars = cells(rng, frame, rng.uniform(5.5, 7), jitter=1.0)
    dx, dy = np.abs(frame.x - stars.x), np.abs(frame.y - stars.y)
    size = 0.012 + 0.035 * rng.random(64 * 64, dtype=np.float32)[stars.key] ** 2
    ray = np.exp(-(dx * dy) / (size * size * 0.02)) * np.exp(-(dx + dy) / size)
    return Layer(out + 1.2 * ray[..., None], np.ones(spark.shape, np.float32))


def blacklight(rng: np.random.Generator, frame: Frame, colour: Field) -> Layer:
    """Fluorescent edges that glow out of violet darkness."""
    light = luminance(colour)
    outline = edges(frame, soften(frame, light, 0.008)) * 5
    strength = np.clip(outline, 0, 1)
    halo = soften(frame, strength, 0.025)
    bright = colour - colour.min(axis=-1, keepdims=True)
    pick = smoothstep(-0.4, 0.4, noise(rng, frame, 3) + 1.2 * (light - 0.5))
    dyes = [hue(t, 0.95, 1) for t in rng.permutation([0.31, 0.48, 0.86, 0.08, 0.17])[:2]]
    dye = mix(np.broadcast_to(dyes[0], colour.shape), dyes[1], pick)
    dye = np.clip(0.7 * dye + 0.9 * bright, 0, 1)
    drops = cells(rng, frame, 11, jitter=1.0)
    size = 0.24 * rng.random(64 * 64, dtype=np.float32)[drops.key] ** 3
    splash = smoothstep(0.04, -0.04, drops.near - size)
    dark = hue(0.74, 0.85, 0.16) * (0.3 + 1.8 * light + 0.3 * clouds(rng, frame, 3))[..., None]
    shine = 0.5 * light**1.5 + 1.0 * strength + 0.7 * halo + 0.7 * splash
    return Layer(dark + dye * shine[..., None], np.full(light.shape, 0.97, np.float32))


MATERIALS: dict[str, Callable[[np.random.Generator, Frame, Field], Layer]] = {
    "watercolor medium": watercolor,
    "charcoal medium": charcoal,
    "ink medium": ink,
    "oil paint medium": oil,
    "pastel medium": pastel,
    "graphite medium": graphite,
    "crayon medium": crayon,
    "fresco medium": fresco,
    "glitter medium": glitter,
    "blacklight paint medium": blacklight,
}
