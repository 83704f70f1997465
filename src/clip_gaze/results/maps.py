"""Which parts of a picture speak for a phrase."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A phrase whose heat map is asked for, and what it is weighed against.

    Attributes:
        phrase: the phrase.
        list: name of the list; None for phrases without a name.
        phrases: all of them, the phrase among them.

    """

    phrase: str
    list: str | None
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A heat map: how much each part of a picture speaks for a phrase.

    Attributes:
        image: the picture's path, or "" for a picture in memory.
        model: the model's name.
        variant: the variant's name.
        phrase: the phrase.
        list: the list that it is weighed against; None for phrases without a name.
        log_odds: log(p / (1 - p)) of the phrase within its list, of the whole picture.
        probability: p, 0 to 1, not rounded.
        grid: rows from top to bottom: how much of the log-odds is lost when a cell is covered,
            natural logarithms; less than 0 where the picture speaks against the phrase.
        box: left, top, right and bottom of the grid in the upright picture, 0 to 1.
        runs: how many versions of the picture were looked at.
        templates: the sentences that phrases were put into; empty where they stood alone.
        corrected: whether each phrase's mean logit over neutral pictures was subtracted.

    """

    image: str
    model: str
    variant: str
    phrase: str
    list: str | None
    log_odds: float
    probability: float
    grid: tuple[tuple[float, ...], ...]
    box: tuple[float, float, float, float]
    runs: int
    templates: tuple[str, ...] = ()
    corrected: bool = False
