"""Find the phrases that are likelier in one picture than in another, and those that are less so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.errors import GazeError, PhraseListError, PictureError
from clip_gaze.results import Change, Compared, Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.analysis.ranking import Ranking


def check(lists: Mapping[str, Sequence[str]]) -> None:
    """Refuse a list in which nothing can be compared.

    Raises:
        PhraseListError: a list has fewer than two phrases.

    """
    for name, phrases in lists.items():
        if len(phrases) < 2:
            msg = f"list {name!r}: a phrase needs others to be compared with; add some"
            raise PhraseListError(msg)


def compare(
    pictures: Iterable[tuple[str, NDArray[np.float32] | PictureError]],
    ranking: Ranking,
    top: int | None = 5,
    *,
    model: str,
    variant: str,
    templates: tuple[str, ...] = (),
) -> Comparison:
    """Return the phrases whose probabilities differ most between pictures, both ways.

    Args:
        pictures: each picture's name, and its (d,) embedding or why it could not be read; the
            first that could be read is the reference.
        ranking: the lists, of two phrases or more.
        top: of each list, how many phrases that rise most, and how many that fall most, each
            other picture adds to what is returned; None or 0 for all phrases.
        model: the model's name.
        variant: the variant's name.
        templates: the sentences that phrases were put into.

    Raises:
        GazeError: fewer than two pictures could be read; the message names the bad ones.

    """
    pictures = list(pictures)
    errors = [str(found) for _, found in pictures if isinstance(found, PictureError)]
    read = [(name, found) for name, found in pictures if not isinstance(found, PictureError)]
    if len(read) < 2:
        msg = "; ".join([*errors, "comparing takes two pictures that can be read"])
        raise GazeError(msg)
    embeds = np.stack([embedding for _, embedding in read])
    odds = {name: ranking.log_odds(embeds, name) for name in ranking.lists}
    shown = {name: _shown(values, top) for name, values in odds.items()}
    rows = iter(range(len(read)))
    compared = []
    for picture, found in pictures:
        if isinstance(found, PictureError):
            compared.append(Compared(picture, status="error", error=str(found)))
        elif row := next(rows):
            changed = {
                name: tuple(
                    _change(ranking.lists[name][0][at], *values[[0, row], at].tolist())
                    for at in shown[name]
                )
                for name, values in odds.items()
            }
            same = all(np.array_equal(values[0], values[row]) for values in odds.values())
            compared.append(Compared(picture, changed, same))
    return Comparison(read[0][0], model, variant, templates, tuple(compared))


def changes(
    before: NDArray[np.float64], after: NDArray[np.float64], top: int | None
) -> tuple[list[int], list[int]]:
    """Return the positions of the phrases that rise most, and of those that fall most.

    Args:
        before: (m,) probabilities in the reference.
        after: (m,) probabilities in another picture.
        top: how many of each; None or 0 for all.

    >>> changes(np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.6, 0.3]), 5)
    ([1], [0])

    """
    differences = after - before
    rise = similarity.best(differences, top)
    fall = similarity.best(-differences, top)
    return [at for at in rise if differences[at] > 0], [at for at in fall if differences[at] < 0]


def _shown(values: NDArray[np.float64], top: int | None) -> list[int]:
    """Return which phrases are shown, of (n, m) log-odds; first those that change most."""
    likely = np.exp(-np.logaddexp(0, -values))  # the logistic function, without overflow
    wanted = set(range(values.shape[1]))
    if top:
        sides = [changes(likely[0], row, top) for row in likely[1:]]
        wanted = {at for rise, fall in sides for at in (*rise, *fall)}
    largest = np.abs(likely[1:] - likely[0]).max(axis=0)
    return [at for at in similarity.best(largest, None) if at in wanted]


def _change(phrase: str, before: float, after: float) -> Change:
    return Change(phrase, before, after, after - before)
