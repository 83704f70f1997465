"""Palettes: the colour scripts that photographs lend to a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np

from demo.painting.fields import Field, Frame, luminance, mix, smoothstep
from demo.painting.textures import clouds, noise

Grade = Callable[[np.random.Generator, Frame, Field], Field]


def hue(turn: float, full: float, bright: float) -> Field:
    """Mix a colour from its hue, saturation and brightness."""
    return np.array(colorsys.hsv_to_rgb(turn % 1, full, bright), np.float32)


def ramp(light: Field, *stops: Field) -> Field:
    """Colour each brightness along evenly spaced stops."""
    at = np.linspace(0, 1, len(stops))
    parts = [np.interp(light, at, [stop[i] for stop in stops]) for i in range(3)]
    return np.stack(parts, axis=-1).astype(np.float32)


def saturate(colour: Field, by: float) -> Field:
    """Push colours away from their grey, or towards it."""
    grey = luminance(colour)[..., None]
    return np.clip(grey + (colour - grey) * by, 0, 1)


def enliven(colour: Field) -> Field:
    """Spread colours about their mean where they are too much alike."""
    spread = max(float(luminance(colour).std()), 0.02)
    middle = colour.mean(axis=(0, 1))
    return np.clip(middle + (colour - middle) * np.clip(0.2 / spread, 1, 1.8), 0, 1)


def glow(rng: np.random.Generator, frame: Frame) -> Field:
    """Return light that falls in from near an upper corner."""
    x, y = frame.right * rng.integers(2), rng.uniform(-0.1, 0.5)
    return np.exp(-((frame.x - x) ** 2 + (frame.y - y) ** 2) / rng.uniform(0.5, 1.0))


def golden_hour(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Low sun: everything turns orange and gold, brightest at one side."""
    warm = mix(
        colour,
        ramp(luminance(colour), hue(0.03, 0.8, 0.22), hue(0.08, 0.8, 0.85), hue(0.13, 0.4, 1)),
        0.6,
    )
    return warm + glow(rng, frame)[..., None] * hue(0.1, 0.7, rng.uniform(0.2, 0.4))


def blue_hour(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Dusk: deep blue light with a violet rest of day."""
    dusk = ramp(
        luminance(colour), hue(0.66, 0.8, 0.12), hue(0.62, 0.65, 0.5), hue(0.57, 0.35, 0.85)
    )
    rest = glow(rng, frame)[..., None] * hue(0.8, 0.5, 0.18)
    return mix(colour * 0.7, dusk, rng.uniform(0.65, 0.8)) + rest


def high_key(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Flooded with light: hardly any shade is left."""
    lifted = 1 - (1 - colour) * rng.uniform(0.5, 0.62)
    return lifted + 0.04 * clouds(rng, frame, 2)[..., None]


def low_key(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """One lamp in the dark."""
    x, y = frame.right * rng.uniform(0.3, 0.7), frame.bottom * rng.uniform(0.3, 0.65)
    lamp = np.exp(-((frame.x - x) ** 2 + (frame.y - y) ** 2) / rng.uniform(0.14, 0.3))
    return colour**1.3 * (0.16 + 1.0 * lamp)[..., None]


def neon(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Tubes of magenta and cyan over a violet dark."""
    light = luminance(colour)
    side = smoothstep(-0.3, 0.3, frame.x / frame.right - 0.5 + 0.3 * noise(rng, frame, 2))
    a, b = hue(rng.uniform(0.84, 0.92), 0.85, 1), hue(rng.uniform(0.48, 0.55), 0.9, 1)
    pair = mix(*((a, b) if rng.random() < 0.5 else (b, a)), side[..., None])
    tubes = pair * smoothstep(0.1, 0.8, light)[..., None] + 0.12 * hue(0.75, 0.8, 1)
    return mix(tubes, saturate(colour, 2.2), 0.25)


def sepia(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Brown print on yellowed paper, paler towards its edges."""
    light = luminance(colour) + 0.06 * clouds(rng, frame, 2)
    turn = rng.uniform(0.075, 0.1)
    return ramp(light, hue(turn, 0.75, 0.16), hue(turn, 0.52, 0.58), hue(turn + 0.03, 0.24, 0.96))


def cyanotype(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Prussian blue and white."""
    light = luminance(colour) * 1.1 - 0.04 + 0.05 * clouds(rng, frame, 3)
    turn = rng.uniform(0.57, 0.61)
    return ramp(
        light, hue(turn + 0.02, 0.95, 0.24), hue(turn, 0.8, 0.62), hue(turn - 0.03, 0.1, 0.97)
    )


def infrared(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Greens burn red or pink, and blues go dark."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    leafy = np.clip(0.35 + 1.8 * (green - blue) + 0.9 * (green - red), 0, 1)
    base = np.stack([0.3 * red + 0.45 * green, 0.5 * blue + 0.2 * red, 0.75 * blue + 0.15], -1)
    pink = hue(rng.uniform(0.92, 0.99), rng.uniform(0.6, 0.8), 1)
    lit = (0.35 + 0.75 * luminance(colour))[..., None] * pink
    return mix(base, lit, leafy) + 0.03 * noise(rng, frame, 3)[..., None]


def autochrome(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Dim pastel colour through grains of orange, green and violet starch."""
    grains = np.stack([noise(rng, frame, rng.uniform(42, 54)) for _ in range(3)], -1)
    soft = 0.08 + 0.8 * saturate(colour, 0.75)
    return soft * np.array([1.02, 0.97, 0.86], np.float32) + 0.1 * grains


def black_and_white(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Greys, with a filter's idea of which colours are bright."""
    weights = rng.dirichlet((4, 4, 2)).astype(np.float32)
    light = smoothstep(-0.05, 1.05, colour @ weights + 0.04 * clouds(rng, frame, 2))
    return np.repeat(light[..., None], 3, axis=-1)


def duotone(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Two inks that stand far apart."""
    turn = rng.choice([0.34, 0.78, 0.92, 0.99]) + rng.uniform(-0.03, 0.03)
    light = smoothstep(0.05, 0.9, luminance(colour) + 0.04 * noise(rng, frame, 3))
    return ramp(light, hue(turn, 0.85, 0.4), hue(turn + 0.4 + rng.uniform(-0.08, 0.08), 0.6, 1))


def cross_processed(rng: np.random.Generator, frame: Frame, colour: Field) -> Field:
    """Harsh contrast with yellow-green lights and blue-green shadows."""
    hard = smoothstep(0.05, 0.92, colour)
    red, green, blue = hard[..., 0], hard[..., 1], hard[..., 2]
    shifted = np.stack([red**1.15, green**0.8, 0.22 + 0.42 * blue], -1)
    return saturate(shifted, 1.35) + rng.uniform(0, 0.08) * glow(rng, frame)[..., None]


GRADES: dict[str, Grade] = {
    "golden hour light": golden_hour,
    "blue hour light": blue_hour,
    "high-key lighting": high_key,
    "low-key lighting": low_key,
    "neon lighting": neon,
    "sepia toning": sepia,
    "cyanotype": cyanotype,
    "infrared film": infrared,
    "autochrome": autochrome,
    "black and white photography": black_and_white,
    "duotone": duotone,
    "cross-processed film": cross_processed,
}
