"""Render the movements that keep the scene and change the brushwork."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from demo.painting.fields import Field, Frame, luminance, mix, smoothstep
from demo.painting.filters import blur, edges, sample, soften
from demo.painting.sheets import sheet
from demo.painting.textures import cells, clouds, noise

if TYPE_CHECKING:
    from demo.painting.plans import Plan

INK = np.array([0.05, 0.04, 0.07], np.float32)


def vivid(colour: Field, by: float) -> Field:
    """Make colours more saturated."""
    grey = luminance(colour)[..., None]
    return np.clip(grey + (colour - grey) * by, 0, 1)


def outlines(frame: Frame, plan: Plan, width: float) -> Field:
    """Return how much of each pixel a contour between the plan's regions covers."""
    border = (edges(frame, plan.labels.astype(np.float32)) > 0.5).astype(np.float32)
    return smoothstep(0.1, 0.32, soften(frame, border, width))


def pointillism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Round dots of unmixed colour on a pale ground."""
    ground = 0.72 + 0.25 * blur(frame, vivid(plan.colour, 0.6), 0.05)
    out = ground
    across = rng.uniform(17, 22)
    for _ in range(2):
        dots = cells(rng, frame, across, jitter=0.45)
        shift = (rng.random((64 * 64, 3), dtype=np.float32) - 0.5) * rng.uniform(0.5, 0.75)
        paint = vivid(sample(frame, plan.colour, dots.x, dots.y), 1.5) + shift[dots.key]
        out = mix(out, np.clip(paint, 0, 1) * 0.86, smoothstep(0.45, 0.36, dots.near))
    return out


def impressionism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Short broken dabs that follow a wind."""
    page = sheet(frame, blur(frame, plan.colour, 0.04))
    count, long = 520, rng.uniform(0.07, 0.09)
    x, y = rng.random(count) * 4 / 3, rng.random(count) * 4 / 3
    turn = (
        rng.uniform(0, math.pi)
        + np.cumsum(rng.normal(0, 0.06, count))
        + 1.2 * np.sin(3 * x + 4 * y)
    )
    shift = rng.normal(0, 0.24, (count, 1)) + rng.normal(0, 0.07, (count, 3))
    paint = vivid(sample(frame, plan.colour, x, y), 1.25) + shift
    dx, dy = long * np.cos(turn) / 2, long * np.sin(turn) / 2
    wide = rng.uniform(0.023, 0.029)
    for i in np.flatnonzero((x < frame.right) & (y < frame.bottom)):
        page.line([(x[i] - dx[i], y[i] - dy[i]), (x[i] + dx[i], y[i] + dy[i])], paint[i], wide)
    return page.field()


def tonalism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Sink everything in a dim haze of one tone that swallows outlines."""
    hazy = blur(frame, vivid(plan.colour, 0.45), rng.uniform(0.028, 0.042))
    mood = np.array([0.34, 0.31, 0.24], np.float32) + rng.uniform(-0.05, 0.05, 3).astype(np.float32)
    x, y = plan.focus(frame)
    lamp = np.exp(-((frame.x - x) ** 2 + (frame.y - y) ** 2) / 0.25)
    return (
        mix(hazy * 0.8, mood, 0.62) * (0.62 + 0.5 * lamp + 0.08 * clouds(rng, frame, 2))[..., None]
    )


def color_field(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Wide soft bands, in which the subject is no more than a breath."""
    rows = np.sort(rng.uniform(0.16, 0.84, int(rng.integers(1, 3)))) * frame.bottom
    rows = np.concatenate([[0.07 * frame.bottom], rows, [0.93 * frame.bottom]])
    palette = vivid(plan.colour[rng.integers(0, 9, 4) * frame.height // 9, frame.width // 2], 1.5)
    fuzz = 0.012 * clouds(rng, frame, 7)
    out = np.broadcast_to(palette[3] * 0.62 + 0.1, plan.colour.shape)
    inset = np.minimum(frame.x - 0.07, frame.right - 0.07 - frame.x) + fuzz
    for i, (top, bottom) in enumerate(pairwise(rows)):
        inside = np.minimum(np.minimum(frame.y - top, bottom - frame.y) - 0.014 + fuzz, inset)
        lift = (0.2, -0.22, 0.12)[(i + int(rng.integers(2))) % 3]
        band = np.clip(palette[i] + lift, 0.05, 0.95) * (1 + 0.08 * noise(rng, frame, 3))[..., None]
        out = mix(out, band, smoothstep(-0.012, 0.022, inside))
    ghost = soften(frame, plan.mask, 0.02) * 0.16
    return mix(out, 1 - out, ghost)


def action_painting(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Paint flung over everything: loops, splashes and drips."""
    page = sheet(frame, mix(plan.colour, np.full(3, 0.75, np.float32), 0.55))
    throws = [
        INK,
        np.full(3, 0.97, np.float32),
        *vivid(plan.colour[:: frame.height // 2, frame.width // 2], 1.8),
    ]
    for i in range(19):
        colour = throws[int(rng.integers(2 if i % 2 else len(throws)))]
        heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(rng.normal(0, 0.3), 0.4, 18))
        strides = np.stack([np.cos(heading), np.sin(heading)], -1) * rng.uniform(0.03, 0.075)
        path = rng.random(2) * (1.3, 1.3) + np.cumsum(strides, 0)
        wide = rng.uniform(0.009, 0.028)
        for k in range(0, 17, 3):
            page.line([(a, b) for a, b in path[k : k + 4]], colour, wide * rng.uniform(0.5, 1.6))
        for a, b in path[::2] + rng.normal(0, 0.05, (9, 2)):
            page.dot((a, b), 0.006 + 0.026 * rng.random() ** 3, colour)
        if rng.random() < 0.5:
            a, b = path[int(rng.integers(18))]
            page.line([(a, b), (a, b + rng.uniform(0.08, 0.35))], colour, 0.012)
    return page.field()


def cubism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Facets that each see the scene from elsewhere, shaded along their edges."""
    facets = cells(rng, frame, rng.uniform(4.6, 6.2), angle=rng.uniform(0, 3), jitter=1.0)
    kind = rng.normal(0, 1, (64 * 64, 4)).astype(np.float32)[facets.key]
    shift = rng.uniform(0.035, 0.055)
    seen = sample(
        frame, plan.colour, frame.x + shift * kind[..., 0], frame.y + shift * kind[..., 1]
    )
    turn = 3 * kind[..., 2]
    lit = (frame.x - facets.x) * np.cos(turn) + (frame.y - facets.y) * np.sin(turn)
    muted = vivid(seen, 0.6) * 0.85 + np.array([0.09, 0.07, 0.03], np.float32)
    out = muted * (1 + 3.6 * lit + 0.2 * kind[..., 3])[..., None]
    crease = smoothstep(0.12, 0.04, facets.second - facets.near)
    return mix(out, INK, 0.4 * crease)


def cloisonnism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Flat cells of strong colour behind heavy, winding dark contours."""
    bend = (0.07 * noise(rng, frame, 4), 0.07 * noise(rng, frame, 4))
    panes = cells(rng, frame, rng.uniform(3.6, 4.8), jitter=0.9, bend=bend)
    shift = rng.uniform(-0.16, 0.16, (64 * 64, 3)).astype(np.float32)[panes.key]
    flat = vivid(plan.colour, 1.6) + shift
    lead = smoothstep(0.15, 0.09, panes.second - panes.near)
    contour = np.maximum(outlines(frame, plan, 0.012), lead)
    return mix(np.clip(flat, 0.08, 1), INK, contour)


def pop_art(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Flat printed colour, fat outlines, and a screen of halftone dots."""
    steps = np.round(vivid(plan.colour, 1.8) * 2) / 2
    across, turn = rng.uniform(15, 19) * math.pi, rng.uniform(0.5, 1.0)
    u = frame.x * math.cos(turn) + frame.y * math.sin(turn)
    v = frame.y * math.cos(turn) - frame.x * math.sin(turn)
    screen = np.sin(u * across) ** 2 * np.sin(v * across) ** 2
    tone = np.clip(0.95 - 0.75 * luminance(steps), 0.25, 0.8)
    dots = smoothstep(-0.1, 0.1, screen - 1 + tone)
    paper = 1 - 0.18 * (1 - steps)
    strong = np.where(luminance(steps)[..., None] > 0.75, steps * 0.55, steps)
    printed = mix(paper, strong, dots)
    solid = np.isin(plan.labels, rng.permutation(np.arange(16, 27))[:3])
    return mix(np.where(solid[..., None], steps, printed), INK, outlines(frame, plan, 0.014))
