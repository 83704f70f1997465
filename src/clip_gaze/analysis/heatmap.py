"""Measure where a picture speaks for phrases: how their log-odds change as parts are covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.analysis.defaults import RUNS
from clip_gaze.analysis.occlusion import Occlusion, occlude

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from clip_gaze.analysis.occlusion import Floats, Pixels, Progress
    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.results import Question

    # From (n, size, size, 3) to (n, d), L2-normalised.
    Encode = Callable[[Pixels], NDArray[np.float32]]


def lists_of(asked: Sequence[Question]) -> dict[str, tuple[str, ...]]:
    """Return the phrases that questions are weighed against, each set once, under short names."""
    return {str(at): listed for at, listed in enumerate(dict.fromkeys(q.phrases for q in asked))}


def explain(
    pixels: Pixels,
    asked: Sequence[Question],
    encode: Encode,
    ranking: Ranking,
    *,
    runs: int = RUNS,
    progress: Progress | None = None,
) -> Occlusion:
    """Return what each part of a picture is worth to q questions, which share the graph's runs.

    Args:
        pixels: (size, size, 3) uint8, the square that the model sees.
        asked: q questions.
        encode: returns the (n, d) float32 embeddings, L2-normalised, of (n, size, size, 3) uint8.
        ranking: of `lists_of(asked)`.
        runs: see `occlude`.
        progress: see `occlude`.

    Raises:
        GazeError: `runs` is less than 20.

    """
    names = {listed: name for name, listed in lists_of(asked).items()}

    def score(squares: Pixels) -> Floats:
        embeds = encode(squares)
        odds = {name: ranking.log_odds(embeds, name) for name in names.values()}
        columns = [odds[names[q.phrases]][:, q.phrases.index(q.phrase)] for q in asked]
        return np.stack(columns, axis=1)

    return occlude(pixels, score, runs=runs, progress=progress)
