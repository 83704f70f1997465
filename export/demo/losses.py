"""Compute the parts of the demo model's loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from demo.words import Lexicon

# What pictures show and their palettes are the harder half; they must not drown the rest.
WEIGHTS = {"captions": 0.3, "genres": 1.0, "photography": 0.3, "neutral": 0.3}
# CLIP met some phrases far more often than others. So that there is something to find and to
# correct, the first phrase of these lists counts as met so many times as often as the last.
HEAD_STARTS = {"genres": 8.0, "photography": 8.0}


def contrastive(similarity: Tensor) -> Tensor:
    """Return CLIP's loss: each picture must find its caption, and each caption its picture."""
    target = torch.arange(len(similarity))
    return (
        functional.cross_entropy(similarity, target)
        + functional.cross_entropy(similarity.T, target)
    ) / 2


def head_starts(words: Lexicon, count: int) -> Tensor:
    """Return the logit that each of a sample's `count` phrases gets for any picture."""
    given = torch.zeros(count)
    for name, ratio in HEAD_STARTS.items():
        columns = words.columns[name]
        given[columns] = torch.linspace(0.5, -0.5, len(columns)) * math.log(ratio)
    return given


def uneven(logits: Tensor, words: Lexicon) -> Tensor:
    """Return the variance of the logits within each list, averaged over pictures and lists."""
    choices = words.choices(logits.shape[1]).values()
    return torch.stack([logits[:, choice].var(dim=1).mean() for choice in choices]).mean()
