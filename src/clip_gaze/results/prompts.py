"""Lines of phrases for a picture."""

from __future__ import annotations

from dataclasses import dataclass


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
