"""Compute cosine logits, softmax and log-odds, and find the best N."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW = 32  # so many highest values are found one by one sooner than by sorting


def normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row at length 1 (L2); a row of zeros stays as it is.

    Args:
        vectors: (n, d) float32.

    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.where(lengths > 0, lengths, 1).astype(np.float32)
    return np.asarray(vectors / scale)


def logits(
    image_embeds: NDArray[np.float32], text_embeds: NDArray[np.float32], logit_scale: float
) -> NDArray[np.float32]:
    """Return logit_scale times the cosine of each picture and phrase.

    Args:
        image_embeds: (n, d) float32, L2-normalised.
        text_embeds: (m, d) float32, L2-normalised.
        logit_scale: CLIP's learned factor, already exponentiated.

    Returns:
        (n, m) float32.

    """
    # einsum without optimisation sums each cell by itself: a matrix product's blocks, and so its
    # last bits, would depend on how many phrases stand beside this one.
    cosine = np.einsum("nd,md->nm", image_embeds, text_embeds, optimize=False)
    return np.asarray(cosine * np.float32(logit_scale), dtype=np.float32)


def softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities over the last axis; float64, so that they sum to 1.

    They do not depend on the order of the values, to the last bit.

    >>> softmax(np.array([0.0, 0.0], dtype=np.float32)).tolist()
    [0.5, 0.5]
    """
    if values.shape[-1] == 0:
        return values.astype(np.float64)
    shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / np.sort(powers, axis=-1).sum(axis=-1, keepdims=True))


def best(values: NDArray[np.float64], top: int | None) -> list[int]:
    """Return the positions of the `top` highest values, highest first, equal ones in order.

    Args:
        values: (n,) float64.
        top: how many; None or 0 for all.

    >>> best(np.array([0.2, 0.5, 0.2, 0.1]), 3)
    [1, 0, 2]

    """
    order: list[int] = np.argsort(-values, kind="stable")[: top or None].tolist()
    return order


def softmax_at(values: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the softmax over the last axis at some places alone, with powers in float32.

    Args:
        values: (n, m) float32.
        places: (n, k), where in a row.

    >>> softmax_at(np.array([[0, 0, -900]], dtype=np.float32), np.array([[1, 2]])).tolist()
    [[0.5, 0.0]]

    """
    powers = np.exp(values - values.max(axis=-1, keepdims=True, initial=-np.inf))
    total = powers.sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(np.take_along_axis(powers, places, axis=-1) / total)


def best_of_each(values: NDArray[np.float32], top: int | None) -> NDArray[np.intp]:
    """Return what `best` does for each row, (n, top), without sorting all of it.

    Args:
        values: (n, m) float32.
        top: how many, m at most; None or 0 for all.

    >>> best_of_each(np.array([[0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]), 2).tolist()
    [[1, 0], [3, 2]]

    """
    if not top or top >= min(values.shape[1], _FEW):
        return np.argsort(-values, axis=1, kind="stable")[:, : top or None]
    left, rows = values.copy(), np.arange(len(values))
    order = np.empty((len(values), top), np.intp)
    for at in range(top):
        order[:, at] = left.argmax(axis=1)  # the first of several that are equal
        left[rows, order[:, at]] = -np.inf
    return order


def probability(log_odds: float) -> float:
    """Return the probability p of log-odds log(p / (1 - p)), without overflow, never rounded to 0.

    >>> probability(0.0), probability(-700.0) > 0, probability(9999.0)
    (0.5, True, 1.0)
    """
    odds = math.exp(-abs(log_odds))
    return (1 if log_odds > 0 else odds) / (1 + odds)


def log_odds(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) of each probability of a softmax over the last axis.

    It is a phrase's logit less the logarithm of the sum of exp over all others, and is never
    computed from p itself: where p rounds to 0 or 1, log-odds stay finite and still differ. They
    do not depend on the order of the values, to the last bit.

    Args:
        logits: (..., m) float32.

    Returns:
        (..., m) float64, natural logarithms: 0 is an even chance; infinite for a phrase alone.

    Source:
        The logit of Berkson (1944), "Application of the logistic function to bio-assay".

    >>> values = np.array([0, np.log(3)], dtype=np.float32)
    >>> np.exp(log_odds(values)).round(6).tolist()
    [0.333333, 3.0]
    >>> log_odds(np.array([2000, 0], dtype=np.float32)).tolist()
    [2000.0, -2000.0]

    """
    values = logits.astype(np.float64)
    if values.shape[-1] < 2:
        return np.full_like(values, np.inf)
    ordered = np.sort(values, axis=-1)
    highest, second = ordered[..., -1:], ordered[..., -2:-1]
    # The highest is left out of its sum, not taken off it: what is left may be too small for that.
    rest = second + np.log(np.exp(ordered[..., :-1] - second).sum(axis=-1, keepdims=True))
    total = np.exp(ordered - highest).sum(axis=-1, keepdims=True)
    is_highest = values == highest
    powers = np.where(is_highest, 0, np.exp(values - highest))
    return np.asarray(values - np.where(is_highest, rest, highest + np.log(total - powers)))
