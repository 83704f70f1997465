"""Filter fields: blur them, and find their slopes and edges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from demo.painting.fields import to_field, to_image

if TYPE_CHECKING:
    from demo.painting.fields import Field, Frame

FINE = 128  # details are one pixel wide in a picture of this size


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
