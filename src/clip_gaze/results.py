"""Frozen values that `Clip` returns; JSON is made of them by `asdict`."""

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


@dataclass(frozen=True, slots=True)
class Change:
    """A phrase's log-odds within its list, in the reference and in another picture.

    Attributes:
        phrase: the phrase.
        before: log(p / (1 - p)) in the reference, natural logarithm.
        after: the same in the other picture.
        difference: after - before; the odds change by the factor exp(difference).

    """

    phrase: str
    before: float
    after: float
    difference: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A picture compared with the reference, or the reason why it could not be.

    Attributes:
        image: the picture's path, an edit's name, or "" for a picture in memory.
        lists: list name -> changes; empty where status is "error".
        same: whether no phrase of any list differs at all.
        status: "ok", or "error" for a picture that could not be read.
        error: the reason, for status "error".

    """

    image: str
    lists: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    same: bool = False
    status: Literal["ok", "error"] = "ok"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pictures compared with the first of them that can be read, the reference.

    All pictures have the same phrases of a list, in one order: first what rises most in any of
    them, last what falls most.

    Attributes:
        reference: the reference's path, or "" for a picture in memory.
        model: the model's name.
        variant: the variant's name.
        templates: the sentences that phrases were put into; empty where they stood alone.
        images: the other pictures, in the order in which they were given.

    """

    reference: str
    model: str
    variant: str
    templates: tuple[str, ...]
    images: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query: words or a picture, wanted or not.

    Attributes:
        text: the words, or the picture's path; "" for a picture in memory.
        kind: which of these.
        wanted: False for what is taken away.

    """

    text: str
    kind: Literal["words", "picture"]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    Attributes:
        image: its path, or its place ("#1") among those that were given, for one in memory.
        similarity: cosine with the query, -1 to 1, not rounded.

    """

    image: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that could not be read, and the reason."""

    image: str
    error: str


@dataclass(frozen=True, slots=True)
class Search:
    """The pictures that are nearest to a query.

    Attributes:
        query: what was asked for.
        model: the model's name.
        variant: the variant's name.
        templates: the sentences that words were put into; empty where they stood alone.
        searched: how many pictures that differ were searched.
        gone: how many of the nearest ones are no longer there as they were, and are left out.
        images: the pictures, nearest first.
        unread: those that could not be read.

    """

    query: tuple[Term, ...]
    model: str
    variant: str
    templates: tuple[str, ...]
    searched: int
    gone: int
    images: tuple[Hit, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Alike:
    """Files with one content, in a group of near-equal pictures.

    Attributes:
        images: their paths; several are exact copies.
        similarity: cosine with the group's first picture, not rounded.

    """

    images: tuple[str, ...]
    similarity: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of near-equal pictures.

    Attributes:
        model: the model's name.
        variant: the variant's name.
        threshold: the least cosine of a picture with another one of its group.
        searched: how many pictures that differ were compared.
        groups: those with most files first; a group of one picture has exact copies alone.
        unread: pictures that could not be read.

    """

    model: str
    variant: str
    threshold: float
    searched: int
    groups: tuple[tuple[Alike, ...], ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A phrase of a line.

    Attributes:
        phrase: the phrase.
        list: the name of its list; None for words of one's own.
        adds: the line's cosine with the picture, less that of the line without the phrase; an
            empty line counts as 0.

    """

    phrase: str
    list: str | None
    adds: float


@dataclass(frozen=True, slots=True)
class PromptLine:
    """Phrases combined into a line that is close to a picture, or far from it.

    Attributes:
        image: the picture's path, or "" for a picture in memory.
        model: the model's name.
        variant: the variant's name.
        line: the line.
        similarity: its cosine with the picture, -1 to 1, not rounded.
        parts: its phrases, in their order.
        best_phrase: the phrase of all lists that is closest by itself (farthest, if negative).
        best_phrase_similarity: its cosine with the picture.
        naive: the line of the first phrase of each list.
        naive_similarity: its cosine with the picture.
        tried: how many lines were encoded.
        negative: whether the line shall be far from the picture.

    """

    image: str
    model: str
    variant: str
    line: str
    similarity: float
    parts: tuple[PromptPart, ...]
    best_phrase: str
    best_phrase_similarity: float
    naive: str
    naive_similarity: float
    tried: int
    negative: bool
