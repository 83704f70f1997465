"""Where a picture speaks for a phrase: how its log-odds change as parts are covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.analysis.occlusion import RUNS, warmth
from clip_gaze.errors import PhraseListError
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.analysis.occlusion import Floats, Pixels, Progress
    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.results import HeatMap

    # From (n, size, size, 3) to (n, d), L2-normalised.
    Encode = Callable[[Pixels], NDArray[np.float32]]

# A phrase that stands in no list is weighed against this one: what people write themselves
# mostly names what a picture shows, and so do its phrases.
OTHERWISE = "genres"


@dataclass(frozen=True, slots=True)
class Question:
    """A phrase and what it is weighed against.

    Attributes:
        phrase: the phrase.
        list: name of the list; None for phrases without a name.
        phrases: all of them, the phrase among them.

    """

    phrase: str
    list: str | None
    phrases: tuple[str, ...]


def questions(asked: Sequence[str], against: str | Sequence[str] | None = None) -> list[Question]:
    """Return what each phrase is weighed against.

    Args:
        asked: phrases.
        against: the name of a shipped list, or phrases; a phrase that is not among them is added,
            for itself alone. None: the shortest shipped list that has the phrase, else `genres`.

    Raises:
        PhraseListError: a list is unknown, or a phrase is blank or would stand alone.

    >>> [question.list for question in questions(["tonalism movement", "a red boat"])]
    ['movements', 'genres']

    """
    found = []
    for phrase in asked:
        if not phrase.strip():
            msg = "a phrase is blank; write what to look for"
            raise PhraseListError(msg)
        name = _own_list(phrase) if against is None else against
        known = phrases.load(name) if isinstance(name, str) else tuple(dict.fromkeys(name))
        every = known if phrase in known else (*known, phrase)
        if len(every) < 2:
            msg = f"{phrase!r} has nothing to be weighed against; give a list of other phrases"
            raise PhraseListError(msg)
        found.append(Question(phrase, name if isinstance(name, str) else None, every))
    return found


def _own_list(phrase: str) -> str:
    holding = [name for name in phrases.names() if phrase in phrases.load(name)]
    return min(holding, key=lambda name: len(phrases.load(name)), default=OTHERWISE)


def heat_maps(
    make: Callable[..., HeatMap],
    pixels: Pixels,
    asked: Sequence[Question],
    encode: Encode,
    rank: Callable[[Mapping[str, Sequence[str]]], Ranking],
    *,
    runs: int = RUNS,
    progress: Progress | None = None,
) -> list[HeatMap]:
    """Return a map for each question; all of them share the runs of the graph.

    Args:
        make: `HeatMap`, with what it says of the picture and the model filled in.
        pixels: (size, size, 3) uint8, the square that the model sees.
        asked: q questions.
        encode: returns the (n, d) float32 vectors, L2-normalised, of (n, size, size, 3) uint8.
        rank: returns the ranking of lists.
        runs: see `warmth`.
        progress: see `warmth`.

    Raises:
        GazeError: `runs` is less than 20.

    """
    if not asked:
        return []
    # Questions mostly share a list, whose log-odds are then found once for all of them.
    lists = dict.fromkeys(each.phrases for each in asked)
    names = {listed: str(at) for at, listed in enumerate(lists)}
    ranking = rank({name: listed for listed, name in names.items()})

    def score(squares: Pixels) -> Floats:
        vectors = encode(squares)
        odds = {listed: ranking.log_odds(vectors, name) for listed, name in names.items()}
        return np.stack(
            [odds[each.phrases][:, each.phrases.index(each.phrase)] for each in asked], axis=1
        )

    found = warmth(pixels, score, runs=runs, progress=progress)
    return [
        make(
            phrase=question.phrase,
            list=question.list,
            log_odds=value,
            probability=similarity.probability(value),
            grid=tuple(tuple(row) for row in grid),
            runs=found.runs,
        )
        for question, value, grid in zip(
            asked, found.log_odds.tolist(), found.grids.tolist(), strict=True
        )
    ]
