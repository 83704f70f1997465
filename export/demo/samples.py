"""Make the demo model's training samples: painted pictures, captions, pictures of nothing."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip_gaze.pictures.preprocess import square
from demo.painter import paint

SIZE = 96
PAINTED_SIZES = (104, 128, 160)
STUDIES = 2  # one picture in so many is a study: it teaches what things look like, anywhere
NEUTRAL = 12  # so many pictures that show nothing go with each batch


def draw(seed: int) -> tuple[np.ndarray, dict[str, str]]:
    """Paint one training picture; returns (3, SIZE, SIZE) uint8 and its phrases."""
    size = PAINTED_SIZES[seed % len(PAINTED_SIZES)]
    painting = paint(seed, size, study=seed % STUDIES == 0)
    return square(painting.image, SIZE).transpose(2, 0, 1), painting.phrases


def draw_all(first: int, count: int) -> tuple[Tensor, list[dict[str, str]]]:
    """Paint the pictures of `count` seeds, on all processors."""
    pixels = torch.empty((count, 3, SIZE, SIZE), dtype=torch.uint8)
    labels = []
    with ProcessPoolExecutor() as pool:
        for row, (picture, names) in enumerate(
            pool.map(draw, range(first, first + count), chunksize=64)
        ):
            pixels[row] = torch.from_numpy(np.ascontiguousarray(picture))
            labels.append(names)
    return pixels, labels


def caption(labels: dict[str, str], rng: np.random.Generator) -> str:
    """Join two or three of a picture's phrases, in random order, to one caption."""
    names = rng.permutation(list(labels))[: rng.integers(2, 4)]
    return ", ".join(labels[name] for name in names)


def augment(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror half of the pictures; vary brightness, contrast and position a little."""
    mirrored = torch.from_numpy(rng.random(len(batch)) < 0.5)
    batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    gain = torch.from_numpy(rng.uniform(0.9, 1.1, (len(batch), 1, 1, 1)).astype(np.float32))
    lift = torch.from_numpy(rng.uniform(-0.04, 0.04, (len(batch), 1, 1, 1)).astype(np.float32))
    down, right = (int(shift) for shift in rng.integers(-3, 4, 2))
    padded = functional.pad(batch, (3, 3, 3, 3), mode="replicate")
    batch = padded[:, :, 3 + down : 3 + down + SIZE, 3 + right : 3 + right + SIZE]
    return (batch * gain + lift).clamp(0, 1)


def neutral(rng: np.random.Generator) -> Tensor:
    """Return (NEUTRAL, 3, SIZE, SIZE) pictures that show nothing, values 0 to 1.

    Greys, gradients, blurred fields of colour and noise, drawn at random: of the kinds that
    `clip_gaze.pictures.neutral` has, whose own pictures stay unseen.
    """
    pictures = []
    for number in range(NEUTRAL):
        kind = ("grey", "gradient", "field", "noise")[number % 4]
        cells = {
            "grey": 1,
            "gradient": 2,
            "field": int(rng.integers(2, 9)),
            "noise": int(rng.choice((2, 4, 7, 14, 28, 48, SIZE))),
        }[kind]
        channels = 1 if kind == "grey" else int(rng.choice((1, 3)))
        values = torch.from_numpy(rng.random((1, channels, cells, cells), dtype=np.float32))
        how = "nearest" if kind == "noise" else "bicubic"
        large = functional.interpolate(values, (SIZE, SIZE), mode=how).clamp(0, 1)
        pictures.append(large.expand(1, 3, SIZE, SIZE))
    return torch.cat(pictures)
