"""Render the movements that rebuild the scene out of geometric shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from demo.painting.fields import Field, Frame, luminance, mix, smoothstep, to_field, to_image
from demo.painting.filters import sample, soften
from demo.painting.sheets import sheet

if TYPE_CHECKING:
    from demo.painting.plans import Plan

BLACK = np.array([0.06, 0.06, 0.07], np.float32)
OFF_WHITE = np.array([0.93, 0.91, 0.86], np.float32)
PRIMARIES = np.array(
    [[0.85, 0.13, 0.1], [0.12, 0.22, 0.66], [0.97, 0.82, 0.12], [0.08, 0.08, 0.09]], np.float32
)
# Glyphs of five by seven dots, one row a number, from the lightest to the heaviest.
GLYPHS = (
    (0, 0, 0, 0, 0, 4, 0),
    (0, 4, 0, 0, 0, 4, 0),
    (0, 0, 0, 31, 0, 0, 0),
    (0, 4, 4, 31, 4, 4, 0),
    (1, 2, 2, 4, 8, 8, 16),
    (0, 31, 0, 0, 31, 0, 0),
    (14, 17, 1, 2, 4, 0, 4),
    (14, 17, 16, 16, 16, 17, 14),
    (17, 17, 10, 4, 10, 17, 17),
    (31, 16, 16, 30, 16, 16, 31),
    (14, 17, 17, 31, 17, 17, 17),
    (10, 31, 10, 10, 10, 31, 10),
    (17, 27, 21, 21, 17, 17, 17),
    (14, 17, 23, 21, 23, 16, 14),
)


def pixel_art(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Square blocks of few colours."""
    across = rng.uniform(11, 15)
    x, y = (np.floor(frame.x * across) + 0.5) / across, (np.floor(frame.y * across) + 0.5) / across
    step = 1 / across
    size = (math.ceil(frame.right * across), math.ceil(frame.bottom * across))
    box = (
        0,
        0,
        min(frame.width, size[0] * step * frame.short),
        min(frame.height, size[1] * step * frame.short),
    )
    blocks = to_image(plan.colour).resize(size, Image.Resampling.HAMMING, box)
    few = blocks.quantize(int(rng.integers(5, 9)), Image.Quantize.MEDIANCUT).convert("RGB")
    column, row = np.floor(frame.x * across).astype(int), np.floor(frame.y * across).astype(int)
    out = to_field(few)[row, column]
    # A bevel: each block is lit at its upper left, as in a mosaic of lamps.
    u, v = (frame.x - x) * across, (frame.y - y) * across
    gap = np.maximum(np.abs(u), np.abs(v)) > 0.5 - 0.07
    return out * np.where(gap, 0.35, 1 - 0.12 * (u + v))[..., None]


def ascii_art(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Characters on a grid, heavier where the scene is brighter, or darker."""
    across = rng.uniform(10.5, 13)
    u, v = frame.x * across, frame.y * across * 0.8
    column, row = np.floor(u), np.floor(v)
    x, y = (column + 0.5) / across, (row + 0.5) / across / 0.8
    colour = sample(frame, plan.colour, x, y)
    light = np.clip(1.15 * luminance(colour), 0, 0.999)
    on_dark = rng.random() < 0.6
    weight = light if on_dark else 0.999 - light
    flat = np.array(GLYPHS)[:, :, None] >> np.arange(4, -1, -1) & 1
    tiles = np.pad(flat, ((0, 0), (1, 1), (1, 1))).astype(np.uint8) * 255
    k = 4
    large = [
        np.asarray(Image.fromarray(t).resize((7 * k, 9 * k), Image.Resampling.BICUBIC))
        for t in tiles
    ]
    atlas = np.stack(large).astype(np.float32) / 255
    jumble = rng.integers(-1, 2, (64, 64))[row.astype(int) % 64, column.astype(int) % 64]
    which = np.clip((weight * len(GLYPHS)).astype(int) + jumble, 0, len(GLYPHS) - 1)
    stroke = atlas[which, ((v - row) * 9 * k).astype(int), ((u - column) * 7 * k).astype(int)]
    stroke = smoothstep(0.2, 0.65, stroke)
    if on_dark:
        return mix(np.broadcast_to(BLACK, colour.shape), colour * 0.5 + 0.5, stroke)
    return mix(np.broadcast_to(OFF_WHITE, colour.shape), colour * 0.55, stroke)


def glitch_art(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Torn rows, parted colour channels, and bars of broken data."""
    rows = (frame.y[:, 0] * rng.uniform(9, 13)).astype(int)
    torn = np.where(rng.random(64) < 0.55, rng.normal(0, 0.2, 64), 0)[rows][:, None]
    part = rng.uniform(0.025, 0.045)
    y = frame.y + 0 * frame.x
    wrap = frame.right
    channels = [
        sample(frame, plan.colour[..., i], (frame.x + torn + part * (i - 1)) % wrap, y)
        for i in range(3)
    ]
    # A torn row also comes out too bright or too dark, so that tears show without colour.
    out = np.stack(channels, -1) + 1.1 * torn[..., None]
    for _ in range(int(rng.integers(9, 14))):
        top, left = rng.uniform(0, 1.2), rng.uniform(-0.2, 1)
        high, wide, which = rng.uniform(0.03, 0.07), rng.uniform(0.2, 0.7), int(rng.integers(3))
        bar = (np.abs(frame.y - top) < high / 2) & (frame.x > left) & (frame.x < left + wide)
        data = (np.sin(frame.x * rng.uniform(50, 110) + top) > 0).astype(np.float32)
        noise_bar = np.zeros((*data.shape, 3), np.float32) + 0.08
        noise_bar[..., which] = data
        noise_bar[..., (which + 1) % 3] = 1 - data * rng.uniform(0, 1)
        out = np.where(bar[..., None], noise_bar, out)
    lines = 0.82 + 0.18 * np.cos(frame.y * (2 * math.pi * 42))
    return out * lines[..., None]


def de_stijl(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Black rules, white planes and a few primary ones, most of them on the subject."""
    tall = frame.bottom
    xs = np.concatenate(
        [[-0.1], np.sort(rng.uniform(0.08, 0.92, 4)) * frame.right, [frame.right + 0.1]]
    )
    ys = np.concatenate([[-0.1], np.sort(rng.uniform(0.08, 0.92, 4)) * tall, [tall + 0.1]])
    left, top, right, bottom = plan.box
    xs[1 + int(rng.integers(2))] = left * frame.right
    xs[3 + int(rng.integers(2))] = right * frame.right
    ys[1 + int(rng.integers(2))] = top * tall
    ys[3 + int(rng.integers(2))] = bottom * tall
    xs.sort()
    ys.sort()
    page = sheet(frame, OFF_WHITE)
    thick = rng.uniform(0.03, 0.046)
    chance = rng.random((5, 5))
    colours = rng.choice([0, 1, 2, 0, 1, 2, 3], (5, 5))
    joined = rng.random((5, 5)) < 0.25
    for i in range(5):
        for j in range(5):
            x0, y0, x1, y1 = xs[i], ys[j], xs[i + 1], ys[j + 1]
            inside = left * frame.right < (x0 + x1) / 2 < right * frame.right
            inside &= bool(top * tall < (y0 + y1) / 2 < bottom * tall)
            fill = (
                PRIMARIES[colours[i, j]] if chance[i, j] < (0.5 if inside else 0.25) else OFF_WHITE
            )
            page.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)
            if not joined[i, j]:
                page.line([(x1, y0), (x1, y1)], BLACK, thick)
            page.line([(x0, y1), (x1 + thick / 2, y1)], BLACK, thick)
    return mix(page.field(), plan.colour, 0.1 * plan.mask)


def suprematism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Tilted bars, squares and circles that float on off-white."""
    page = sheet(frame, OFF_WHITE)
    tilt = rng.uniform(0.25, 0.9) * rng.choice([-1, 1])
    fx, fy = plan.focus(frame)
    palette = [*PRIMARIES, BLACK, *plan.colour[:: frame.height // 2, frame.width // 2]]
    for i in range(int(rng.integers(10, 15))):
        spread = 0.1 if i < 2 else 0.34
        x, y = fx + rng.normal(0, spread), fy + rng.normal(0, spread)
        colour = palette[int(rng.integers(len(palette)))]
        long = rng.uniform(0.2, 0.34) if i < 2 else rng.uniform(0.08, 0.42)
        wide = long * rng.uniform(0.5, 1) if i < 2 else rng.uniform(0.02, 0.07)
        turn = tilt + (math.pi / 2 if rng.random() < 0.3 else 0)
        c, s = math.cos(turn), math.sin(turn)
        if i % 5 == 4:
            page.dot((x, y), rng.uniform(0.05, 0.12), colour)
            continue
        corners = [(long, wide), (-long, wide), (-long, -wide), (long, -wide)]
        page.polygon(
            [(x + (a * c - b * s) / 2, y + (a * s + b * c) / 2) for a, b in corners], colour
        )
    return mix(page.field(), plan.colour, 0.12 * plan.mask)


def minimalism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Leave the subject as one flat shape, alone in an even emptiness."""
    row, column = np.argwhere(plan.labels == np.bincount(plan.labels[plan.mask > 0.5]).argmax())[0]
    shape = plan.colour[row, column]
    empty = OFF_WHITE if luminance(shape) < 0.62 or rng.random() < 0.3 else BLACK + 0.1
    if abs(float(luminance(shape) - luminance(empty))) < 0.35:
        shape = shape * 0.35
    # The silhouette shrinks towards its foot: emptiness is what the picture is about.
    x, y = plan.focus(frame)
    grow = 1 / rng.uniform(0.42, 0.55)
    far = sample(
        frame,
        plan.mask,
        np.clip(x + (frame.x - x) * grow, 0, frame.right) + 0 * frame.y,
        np.clip(y + (frame.y - y) * grow, 0, frame.bottom) + 0 * frame.x,
    )
    inside = smoothstep(0.3, 0.7, soften(frame, far, 0.008))
    # A copy at the picture's edge is the clipped border, not the subject.
    left, top, right, bottom = plan.box
    near = (np.abs(frame.x - x) * grow < (right - left) * frame.right / 2 + 0.02) & (
        np.abs(frame.y - y) * grow < (bottom - top) * frame.bottom / 2 + 0.02
    )
    return mix(np.broadcast_to(empty, plan.colour.shape), shape, inside * near)


def op_art(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Black and white stripes that swell and slip where the subject is."""
    turn = rng.uniform(0, math.pi)
    along = frame.x * math.cos(turn) + frame.y * math.sin(turn)
    across = frame.y * math.cos(turn) - frame.x * math.sin(turn)
    wave = rng.uniform(0.02, 0.05) * np.sin(across * rng.uniform(4, 9) + rng.uniform(0, 6))
    swell = 0.05 * soften(frame, plan.mask, 0.07) + 0.03 * soften(frame, plan.light, 0.04)
    phase = (along + wave + swell) * rng.uniform(9, 13) + 0.5 * (plan.mask > 0.5)
    stripes = smoothstep(-0.22, 0.22, np.sin(2 * math.pi * phase))
    return mix(np.broadcast_to(BLACK, plan.colour.shape), OFF_WHITE + 0.05, stripes)


def orphism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Discs of rings, each ring broken into arcs of other colours."""
    out = plan.colour
    wheel = np.clip(
        rng.permutation(
            np.stack(np.meshgrid([0.1, 0.55, 0.95], [0.15, 0.85], [0.15, 0.8]), -1).reshape(-1, 3)
        ),
        0,
        1,
    )
    fx, fy = plan.focus(frame)
    for i in range(3):
        x, y = (fx, fy) if i == 2 else rng.uniform(0, 1, 2) * (frame.right, frame.bottom)
        dx, dy = frame.x - x, frame.y - y
        radius = np.sqrt(dx * dx + dy * dy)
        ring = np.floor(radius / rng.uniform(0.065, 0.085)).astype(int)
        turn = np.arctan2(dy, dx) / (2 * math.pi) + rng.random(64)[ring % 64] * 0.25
        arc = np.floor(turn * (4 + 2 * (i % 2))).astype(int)
        colour = wheel[rng.integers(0, len(wheel), (64, 8))[ring % 64, arc % 8]].astype(np.float32)
        # Every other ring is darker, so that rings show without colour.
        lit = colour * ((0.45 + 0.8 * plan.light) * (0.55 + 0.5 * (ring % 2)))[..., None]
        reach = 9 if i == 0 else rng.uniform(0.36, 0.5)
        out = np.where((radius < reach)[..., None], mix(lit, plan.colour, 0.25), out)
    return out


def rayonism(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Sheaves of sharp rays that cross and carry the subject's colours outward."""
    page = sheet(frame, plan.colour * 0.7)
    base = rng.uniform(0, math.pi)
    sheaves = base + np.array([0, 0.75, 1.6, 2.4]) + rng.normal(0, 0.12, 4)
    for i in range(74):
        x, y = rng.random(2) * (frame.right, frame.bottom)
        turn = sheaves[i % 4] + rng.normal(0, 0.06)
        column, row = int(x * frame.short), int(y * frame.short)
        colour = plan.colour[min(row, frame.height - 1), min(column, frame.width - 1)]
        colour = np.clip(colour + rng.normal(0, 0.1) + (0.5 if i % 2 else -0.4), 0, 1)
        c, s, long, wide = (
            math.cos(turn),
            math.sin(turn),
            rng.uniform(0.25, 0.8),
            rng.uniform(0.01, 0.028),
        )
        tip, tail = (x + c * long, y + s * long), (x - c * long, y - s * long)
        page.polygon(
            [tip, (x - s * wide, y + c * wide), tail, (x + s * wide, y - c * wide)], colour
        )
    return mix(page.field(), plan.colour, 0.18)


def art_deco(rng: np.random.Generator, frame: Frame, plan: Plan) -> Field:
    """Rows of overlapping fans with gilt rims behind and through a flat subject."""
    across = rng.uniform(3.2, 4.4)
    u, v = frame.x * across + rng.random(), frame.y * across * 2
    out, best = (
        np.full((frame.height, frame.width), 9, np.float32),
        np.zeros((frame.height, frame.width), np.float32),
    )
    # A fan is a disc; the lowest row that reaches a pixel lies on top.
    for step in (2, 1, 0):
        row = np.floor(v) + step
        offset = 0.5 * (row % 2)
        column = np.round(u - offset) + offset
        dx, dy = u - column, (v - row) * 0.5
        radius = np.sqrt(dx * dx + dy * dy)
        covers = (radius < 0.5) & (out > 1)
        out, best = np.where(covers, radius, out), np.where(covers, np.arctan2(dx, -dy), best)
    rings = np.cos(out * 2 * math.pi * 5) * 0.5 + 0.5
    ribs = smoothstep(-0.2, 0.2, np.cos(best * rng.integers(7, 10)))
    pattern = smoothstep(0.3, 0.7, rings) if rng.random() < 0.5 else np.where(out > 0.42, 1, ribs)
    gilt = np.array([0.88, 0.68, 0.28], np.float32)
    deep = plan.colour * 0.34
    ground = mix(deep, gilt * (0.55 + 0.6 * plan.light[..., None]), pattern * 0.95)
    flat = mix(plan.colour, ground, 0.42)
    return np.where(plan.mask[..., None] > 0.5, flat, ground)
