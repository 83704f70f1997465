"""How pictures differ from one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


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
