"""Compare the answers of two variants, or of one variant on two processors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a variant's answers for one list differ from those of fp32.

    Attributes:
        top1: share of pictures (0 to 1) with the same first phrase.
        top5: share of the first five phrases that are the same in any order, the mean.
        first_difference: of the probability of the phrase that fp32 puts first: its absolute
            value, the mean.
        batch_change: the largest change of a probability between a picture alone and among eight.

    """

    top1: float
    top5: float
    first_difference: float
    batch_change: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How a variant's answers for one list differ between this processor and another.

    Attributes:
        top1: share of pictures (0 to 1) with the same first phrase.
        order: share of pictures with the same order of all phrases.
        largest: the largest difference of a probability.

    """

    top1: float
    order: float
    largest: float


def agreement(
    wanted: NDArray[np.float64], found: NDArray[np.float64], batched: NDArray[np.float64]
) -> Agreement:
    """Compare the probabilities of a variant with those of fp32.

    Args:
        wanted: (pictures, phrases) float64, of fp32.
        found: of the variant, each picture alone.
        batched: of the variant, eight pictures at a time.

    """
    ours, theirs = (np.argsort(-each, axis=1, kind="stable")[:, :TOP] for each in (found, wanted))
    shared = (ours[:, :, None] == theirs[:, None, :]).any(axis=2)
    rows, first = np.arange(len(wanted)), theirs[:, 0]
    return Agreement(
        top1=float((ours[:, 0] == first).mean()),
        top5=float(shared.mean()),
        first_difference=float(np.abs(found[rows, first] - wanted[rows, first]).mean()),
        batch_change=float(np.abs(found - batched).max()),
    )


def elsewhere(here: NDArray[np.float64], there: NDArray[np.float64]) -> Elsewhere:
    """Compare a variant's (pictures, phrases) probabilities on two processors."""
    ours, theirs = (np.argsort(-each, axis=1, kind="stable") for each in (here, there))
    return Elsewhere(
        top1=float((ours[:, 0] == theirs[:, 0]).mean()),
        order=float((ours == theirs).all(axis=1).mean()),
        largest=float(np.abs(here - there).max()),
    )
