"""Recipes for quantising the weights of a variant, and the arithmetic of blocks of weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FLOAT = 32
# Layers that a recipe for 4 bits keeps in 8 are only stored so, and made float32 while loading:
# ONNX Runtime before 1.22 has no MatMulNBits of 8 bits.
STORED = 8
# Two products of a level that enters a layer (to 255) and of a weight (to 63) fit into the 16 bits
# that old processors add them up in, so that all processors get the same sum.
MOST_LEVEL = 63
LEVELS = 2 * MOST_LEVEL + 1
REFERENCE = "fp32"
# A block's range is shrunk by each of these, and the one with the least squared error is kept: in 4
# bits a finer step is worth more than the few weights that it clips. In 8 bits it never is.
SHRINK = {4: (1.0, 0.95, 0.9, 0.85, 0.8, 0.75), 8: (1.0,)}
IN_CACHE = 1 << 15
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the weights of a tower are quantised. The token table always has 8 bits.

    Attributes:
        bits: of each weight of a linear layer: 4, 8, or 32 for float32 as it was.
        block_size: how many weights share a scale and a zero point, in MatMulNBits; 0: all of an
            output do, without a zero point, and each row of numbers that enters a layer is
            quantised to 8 bits with a scale of its own (`graphs.by_row`).
        accuracy_level: of MatMulNBits: 4 multiplies in int8, which differs between processors; 0
            multiplies in float32, with the same result on all of them.
        symmetric: whether zero is always in the middle, so that no zero points are kept.
        projection: bits of the last layer, which makes the vector.
        patches: bits of the convolution that makes a picture's patches vectors: 8 or 32.
        ends: bits of the linear layers of the first and the last block.
        down: bits of the linear layers that have more inputs than outputs.

    """

    bits: int
    block_size: int
    accuracy_level: int = 0
    symmetric: bool = False
    projection: int = 8
    patches: int = 8
    ends: int | None = None
    down: int | None = None

    def __str__(self) -> str:
        """Return the recipe as the manifest states it."""
        others = {
            "projection": self.projection, "patches": self.patches, "ends": self.ends,
            "down": self.down,
        }  # fmt: skip
        exceptions = "".join(f", {name} {bits} bit" for name, bits in others.items() if bits)
        layers = (
            f"MatMulNBits {self.bits} bit, block {self.block_size}, "
            f"{'symmetric' if self.symmetric else 'with zero points'}, "
            f"accuracy_level {self.accuracy_level}"
            if self.block_size
            else f"MatMulInteger, weights {LEVELS} levels by output, inputs 8 bit by row"
        )
        return f"{layers}{exceptions}; token table 8 bit by row"


Q8 = Recipe(bits=8, block_size=0)
Q4 = Recipe(bits=4, block_size=32)
# By variant and tower; docs/export.md has what others cost and keep.
RECIPES = {
    "q8": {"vision": Q8, "text": Q8},
    # A projection in 8 bits is computed otherwise in a larger batch: up to 1.1e-6 in a
    # probability. The text tower's zero points are what brings it above 50 MB.
    "q4": {"vision": replace(Q4, projection=FLOAT), "text": replace(Q4, symmetric=True)},
}


def pack(weights: Floats, bits: int, size: int, *, symmetric: bool) -> tuple[Bytes, Floats, Bytes]:
    """Quantise the weights of a linear layer to what MatMulNBits reads.

    Args:
        weights: (k, n) float32.
        bits: 4 or 8.
        size: how many weights of a column make a block.
        symmetric: whether zero is the middle level.

    Returns:
        Levels (n, blocks, size * bits / 8), two to a byte in 4 bits, the first in the lower half;
        scales (n, blocks); zero points (n, blocks * bits / 8 rounded up), packed likewise.

    Source:
        https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md (MatMulNBits)

    """
    rows, columns = weights.shape
    blocks = np.pad(weights.T, ((0, 0), (0, -rows % size))).reshape(columns, -1, size)
    spread = _symmetric if symmetric else _ranged
    # A few columns at a time stay in the processor's cache: three times as quick.
    step = max(1, IN_CACHE // blocks[0].size)
    some = (spread(blocks[at : at + step], bits) for at in range(0, columns, step))
    levels, scales, zeros = (np.concatenate(part) for part in zip(*some, strict=True))
    if bits == 4:
        levels, zeros = _pairs(levels), _pairs(zeros)
    return levels, scales, zeros


def table(rows: Floats, most: int = 127) -> tuple[NDArray[np.int8], Floats]:
    """Quantise to int8 with one scale for each run of the last axis.

    Args:
        rows: (..., d) float32.
        most: the highest level.

    Returns:
        Levels, of the same shape; scales (..., 1).

    """
    scales = np.maximum(
        np.abs(rows).max(axis=-1, keepdims=True) / np.float32(most), np.float32(1e-12)
    )
    return np.rint(rows / scales).astype(np.int8), scales.astype(np.float32)


def _pairs(values: Bytes) -> Bytes:
    """Put two 4-bit values of the last axis into a byte; a missing last one is 0."""
    even = np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, values.shape[-1] % 2)])
    return np.ascontiguousarray(even[..., ::2] | even[..., 1::2] << 4)


def _ranged(blocks: Floats, bits: int) -> tuple[Bytes, Floats, Bytes]:
    """Quantise each block between its lowest and highest weight, with zero as one level."""
    low = np.minimum(blocks.min(axis=-1), 0)
    high = np.maximum(blocks.max(axis=-1), 0)
    most = 2**bits - 1
    tries = []
    for share in SHRINK[bits]:
        scales = _never_zero((high - low) * np.float32(share / most))
        tries.append((scales, np.clip(np.rint(-low * np.float32(share) / scales), 0, most)))
    return _best(blocks, tries, most)


def _symmetric(blocks: Floats, bits: int) -> tuple[Bytes, Floats, Bytes]:
    """Quantise each block with zero in the middle; its largest weight gets the lowest level.

    There is one more level below zero than above.
    """
    middle = 2 ** (bits - 1)
    at = np.abs(blocks).argmax(axis=-1)[..., None]
    furthest = np.take_along_axis(blocks, at, axis=-1)[..., 0]
    tries = [
        (
            _never_zero(furthest * np.float32(-share / middle)),
            np.full_like(furthest, middle),
        )
        for share in SHRINK[bits]
    ]
    return _best(blocks, tries, 2 * middle - 1)


def _best(
    blocks: Floats, tries: list[tuple[Floats, Floats]], most: int
) -> tuple[Bytes, Floats, Bytes]:
    """Return levels, scales and zero points: for each block the try with least squared error."""
    least, best, zero = np.full(blocks.shape[:-1], np.inf, np.float32), *map(np.copy, tries[0])
    for scales, zeros in tries if len(tries) > 1 else ():
        off = _levels(blocks, scales, zeros, most)
        off -= zeros[..., None]
        off *= scales[..., None]
        off -= blocks
        error = np.einsum("nbs,nbs->nb", off, off)
        better = error < least
        for kept, new in ((least, error), (best, scales), (zero, zeros)):
            np.copyto(kept, new, where=better)
    return _levels(blocks, best, zero, most).astype(np.uint8), best, zero.astype(np.uint8)


def _levels(blocks: Floats, scales: Floats, zeros: Floats, most: int) -> Floats:
    levels = blocks / scales[..., None]
    np.rint(levels, out=levels)
    levels += zeros[..., None]
    return np.clip(levels, 0, most, out=levels)


def _never_zero(scales: Floats) -> Floats:
    return np.where(np.abs(scales) > 1e-12, scales, np.float32(1e-12)).astype(np.float32)
