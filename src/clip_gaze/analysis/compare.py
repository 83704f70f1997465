"""Which phrases a model finds more or less likely in one picture than in another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.errors import GazeError, PhraseListError, PictureError
from clip_gaze.pictures.edits import edited
from clip_gaze.pictures.source import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.clip import Clip
    from clip_gaze.pictures.source import Picture


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


def compare(
    clip: Clip,
    images: Iterable[Picture],
    lists: Mapping[str, Sequence[str]],
    top: int | None = 5,
) -> Comparison:
    """Return the phrases whose log-odds differ most between pictures, both ways.

    Args:
        clip: the model.
        images: PIL images or paths, two or more; the first that can be read is the reference.
            A bad picture is a result with its error.
        lists: name -> phrases, at least two each; log-odds are within the list.
        top: of each list, how many phrases that rise most, and how many that fall most, each
            other picture adds to what is returned; None or 0 for all phrases.

    Raises:
        GazeError: fewer than two pictures can be read; the message names the bad ones.
        PhraseListError: a list has fewer than two phrases.

    """
    return named(clip, ((each.name, each) for each in map(source, images)), lists, top)


def with_edits(
    clip: Clip,
    picture: Picture,
    lists: Mapping[str, Sequence[str]],
    top: int | None = 5,
    max_pixels: int | None = None,
) -> Comparison:
    """Return what each of `edits.EDITS` does to the phrases of one picture; see `compare`.

    Raises:
        PictureError: the picture cannot be read.
        PhraseListError: a list has fewer than two phrases.

    """
    return named(clip, edited(picture, max_pixels), lists, top)


def changes(
    before: NDArray[np.float64], after: NDArray[np.float64], top: int | None
) -> tuple[list[int], list[int]]:
    """Return the positions of the phrases that rise most, and of those that fall most.

    Args:
        before: (m,) log-odds in the reference.
        after: (m,) log-odds in another picture.
        top: how many of each; None or 0 for all.

    >>> changes(np.array([0.0, 0.0, 0.0]), np.array([-1.0, 2.0, 0.0]), 5)
    ([1], [0])

    """
    differences: list[float] = (after - before).tolist()
    rise = similarity.best(differences, top)
    fall = similarity.best([-value for value in differences], top)
    return [at for at in rise if differences[at] > 0], [at for at in fall if differences[at] < 0]


def named(
    clip: Clip,
    images: Iterable[tuple[str, Picture | PictureError]],
    lists: Mapping[str, Sequence[str]],
    top: int | None = 5,
) -> Comparison:
    """Compare pictures that have names, or an error in their place; see `compare`."""
    for name, phrases in lists.items():
        if len(phrases) < 2:
            msg = f"list {name!r}: a phrase needs others to be compared with; add some"
            raise PhraseListError(msg)
    # Texts first: then the text tower can go before the vision tower comes.
    ranking = clip.ranking(lists)
    labels: list[str] = []
    found: list[NDArray[np.float32] | PictureError] = []
    for label, image in images:
        labels.append(label)
        try:
            found.append(image if isinstance(image, PictureError) else clip.encode_images([image]))
        except PictureError as error:
            found.append(error)
    errors = [str(each) for each in found if isinstance(each, PictureError)]
    embeds = [each for each in found if not isinstance(each, PictureError)]
    if len(embeds) < 2:
        msg = "; ".join([*errors, "comparing takes two pictures that can be read"])
        raise GazeError(msg)
    vectors = np.concatenate(embeds)
    odds = {name: ranking.log_odds(vectors, name) for name in lists}
    shown = {name: _shown(values, top) for name, values in odds.items()}
    rows = iter(range(len(embeds)))
    compared = []
    reference = ""
    for label, each in zip(labels, found, strict=True):
        if isinstance(each, PictureError):
            compared.append(Compared(label, status="error", error=str(each)))
        elif row := next(rows):
            cells = {
                name: tuple(
                    _change(lists[name][at], *values[[0, row], at].tolist()) for at in shown[name]
                )
                for name, values in odds.items()
            }
            same = all(np.array_equal(values[0], values[row]) for values in odds.values())
            compared.append(Compared(label, cells, same))
        else:
            reference = label
    return Comparison(reference, clip.manifest.name, clip.variant, clip.templates, tuple(compared))


def _shown(values: NDArray[np.float64], top: int | None) -> list[int]:
    """Return which phrases are shown: by the largest difference, from a rise to a fall.

    Args:
        values: (n, m) log-odds, the reference first.
        top: see `compare`.
    """
    count = values.shape[1]
    differences = values[1:] - values[0]
    largest = differences[np.abs(differences).argmax(axis=0), np.arange(count)]
    wanted = set(range(count))
    if top:
        sides = [changes(values[0], row, top) for row in values[1:]]
        wanted = {at for rise, fall in sides for at in (*rise, *fall)}
    return [at for at in similarity.best(largest.tolist(), None) if at in wanted]


def _change(phrase: str, before: float, after: float) -> Change:
    return Change(phrase, before, after, after - before)
