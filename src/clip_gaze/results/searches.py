"""Which pictures are near a query, and which are near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
