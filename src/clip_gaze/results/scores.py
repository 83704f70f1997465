"""How likely phrases are for a picture, and which phrases a model favours by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PhraseScore:
    """A phrase and its probability within its list, 0 to 1, not rounded.

    >>> str(PhraseScore("by paul cézanne", 0.8204))
    'by paul cézanne (82%)'
    """

    phrase: str
    probability: float

    def __str__(self) -> str:
        """Return the phrase with whole per cents, at least two digits wide."""
        return _spoken(self)


@dataclass(frozen=True, slots=True)
class CorrectedScore:
    """A phrase's probability with its mean logit over neutral pictures subtracted.

    Attributes:
        phrase: the phrase.
        probability: corrected, within its list, 0 to 1, not rounded.
        plain: what it is without the correction.

    """

    phrase: str
    probability: float
    plain: float

    def __str__(self) -> str:
        """Return the phrase with whole per cents (corrected), at least two digits wide."""
        return _spoken(self)


Score = PhraseScore | CorrectedScore


def _spoken(score: Score) -> str:
    return f"{score.phrase} ({100 * score.probability:02.0f}%)"


@dataclass(frozen=True, slots=True)
class PictureResult:
    """The best phrases of each list for one picture, or the reason why there are none.

    Attributes:
        image: the picture's path, or "" for a picture in memory.
        model: the model's name.
        variant: the variant's name.
        lists: list name -> scores, best first; empty where status is "error".
        status: "ok", or "error" for a picture that could not be read.
        error: the reason, for status "error".
        templates: the sentences that phrases were put into; empty where they stood alone.
        corrected: whether scores are `CorrectedScore`s.

    """

    image: str
    model: str
    variant: str
    lists: Mapping[str, tuple[Score, ...]] = field(default_factory=dict)
    status: Literal["ok", "error"] = "ok"
    error: str | None = None
    templates: tuple[str, ...] = ()
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class FavouredPhrase:
    """A phrase's mean logit and probability over neutral pictures, which show nothing.

    Attributes:
        phrase: the phrase.
        logit: its mean logit over the neutral pictures.
        probability: the softmax of these over its list, 0 to 1, not rounded.

    """

    phrase: str
    logit: float
    probability: float


@dataclass(frozen=True, slots=True)
class Bias:
    """Which phrases of a list a model favours before it has seen anything.

    Attributes:
        list: the list's name.
        model: the model's name.
        variant: the variant's name.
        templates: the sentences that phrases were put into; empty where they stood alone.
        pictures: how many neutral pictures were looked at.
        total: how many phrases the list has.
        phrases: the most favoured ones, in that order.

    """

    list: str
    model: str
    variant: str
    templates: tuple[str, ...]
    pictures: int
    total: int
    phrases: tuple[FavouredPhrase, ...]
